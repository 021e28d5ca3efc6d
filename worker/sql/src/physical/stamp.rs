//! Event time: from the expression of `WATERMARK FOR` to a time beside every row, and from that time to the columns of its window.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, Schema, SchemaRef, TimeUnit};
use watershed_columnar::{Columns, Parts};
use watershed_runtime::container::Batch;
use watershed_runtime::env::TimeStamper;
use watershed_runtime::error::{Error, Kind, Result};
use watershed_runtime::operator::{Context, Flow, Operator};
use watershed_runtime::time::Time;

use crate::evaluate::Evaluator;
use crate::scalar::Scalar;
use crate::window::Tumble;

/// Stamps the batches of one source.
#[derive(Debug)]
pub(super) struct Stamper {
    time: Arc<Evaluator>,
    table: Arc<str>,
}

impl Stamper {
    pub(super) fn new(time: Arc<Evaluator>, table: Arc<str>) -> Self {
        Self { time, table }
    }

    pub(super) fn evaluator(time: &Scalar, input: &Schema) -> Result<Arc<Evaluator>> {
        Evaluator::new(time, input).map(Arc::new)
    }

    fn wrong(&self, what: &str, advice: &str) -> Error {
        Error::new(Kind::Data, what).at(format!("table '{}'", self.table)).advise(advice)
    }
}

impl TimeStamper for Stamper {
    fn stamp(&mut self, batch: Batch) -> Result<(Batch, Option<Time>), Error> {
        let mut columns = Columns::expect(batch)?;
        let column = self.time.column(&columns.join()?)?;
        if column.null_count() > 0 {
            return Err(self.wrong(
                "a row has no event time: the watermark's column is NULL",
                "make the column NOT NULL in the data, or COALESCE it",
            ));
        }
        let scale = match column.data_type() {
            DataType::Timestamp(TimeUnit::Second, _) => 1_000_000,
            DataType::Timestamp(TimeUnit::Millisecond, _) => 1000,
            _ => 1,
        };
        let raw = cast(&column, &DataType::Int64).map_err(|e| Error::broken("time", e.to_string()))?;
        let values =
            raw.as_primitive_opt::<Int64Type>().ok_or_else(|| Error::broken("time", "an event time is no number"))?.values();
        let limit = (i64::MAX - 1) / scale;
        let (mut highest, mut wild) = (i64::MIN, false);
        let times: Vec<Time> = values
            .iter()
            .map(|v| {
                wild |= *v > limit || *v < -limit;
                let t = v.wrapping_mul(scale);
                highest = highest.max(t);
                Time(t)
            })
            .collect();
        if wild {
            return Err(self.wrong(
                "an event time is out of the range of time-stamps",
                "check the unit: TO_TIMESTAMP_LTZ(x, 3) takes milliseconds",
            ));
        }
        let highest = (!times.is_empty()).then_some(Time(highest));
        Ok((Box::new(columns.with_times(times)), highest))
    }
}

/// Adds the columns of each row's window.
#[derive(Debug)]
pub(super) struct WindowColumns {
    window: Tumble,
    output: SchemaRef,
}

impl WindowColumns {
    pub(super) fn new(window: Tumble, output: SchemaRef) -> Self {
        Self { window, output }
    }
}

impl Operator for WindowColumns {
    fn on_batch(&mut self, _port: u8, batch: Batch, cx: &mut Context<'_>) -> Result<Flow> {
        let Parts { batch, hashes, times, ops } = Columns::expect(batch)?.into_parts()?;
        let Tumble { size_micros, offset_micros } = self.window;
        let start = |t: &Time| t.0.saturating_sub(t.0.saturating_sub(offset_micros).rem_euclid(size_micros));
        let starts: Vec<i64> = times.iter().map(start).collect();
        let mut columns = batch.columns().to_vec();
        for add in [0, size_micros, size_micros - 1000] {
            let millis = starts.iter().map(|s| s.saturating_add(add).div_euclid(1000));
            let millis: ArrayRef = Arc::new(Int64Array::from_iter_values(millis));
            let to = self.output.fields().get(columns.len()).map_or(DataType::Int64, |f| f.data_type().clone());
            columns.push(cast(&millis, &to).map_err(|e| Error::broken("window", e.to_string()))?);
        }
        let batch = RecordBatch::try_new(Arc::clone(&self.output), columns)
            .map_err(|e| Error::broken("window", format!("the columns are not what the plan says: {e}")))?;
        cx.emit(Box::new(Columns::from(Parts { batch, hashes, times, ops })));
        Ok(Flow::Done)
    }
}
