//! Groups to columns: keys come back from their stored form, values are finished to the types that SQL says.
//!
//! A sum that does not fit its type is an error here and not earlier, so that what leaves decides, not the order in which rows came.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Decimal128Array, Float64Array, Int64Array, RecordBatch, RecordBatchOptions, StringArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, SchemaRef, TimeUnit};
use watershed_runtime::container::{Batch, Rows};
use watershed_runtime::error::{Error, Kind, Result};
use watershed_runtime::operator::window::WindowResult;
use watershed_runtime::operator::{Context, Flow, Operator};

use super::call::{Call, CallKind};
use super::state::{Cell, Group, Grouping, Value, WIDE, of_bag};
use crate::key::{KeyBytes, KeyLayout, from_integers};
use crate::{Columns, Parts};

/// A column of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowField {
    /// The first moment of the window.
    Start,
    /// The first moment after it.
    End,
    /// The last millisecond of the window.
    Time,
}

/// Closed windows to columns: keys, aggregates, columns of the window.
#[derive(Debug)]
pub struct Finish {
    layout: KeyLayout,
    grouping: Grouping,
    fields: Vec<WindowField>,
    schema: SchemaRef,
}

impl Finish {
    /// For windows of this layout; `schema` has the keys, the aggregates and `fields`.
    #[must_use]
    pub fn new(layout: KeyLayout, grouping: Grouping, fields: Vec<WindowField>, schema: SchemaRef) -> Self {
        Self { layout, grouping, fields, schema }
    }
}

impl Operator for Finish {
    fn on_batch(&mut self, _port: u8, batch: Batch, cx: &mut Context<'_>) -> Result<Flow> {
        let rows = watershed_runtime::operator::apply::typed::<WindowResult<KeyBytes, Group>>(batch)?;
        let Rows { rows, hashes, times } = rows;
        let groups: Vec<&Group> = rows.iter().map(|r| &r.value).collect();
        let mut columns = self.layout.columns(rows.iter().map(|r| &r.key))?;
        columns.extend(results(&self.grouping, &groups)?);
        for field in &self.fields {
            let moment = |r: &WindowResult<KeyBytes, Group>| match field {
                WindowField::Start => r.start.0,
                WindowField::End => r.end.0,
                WindowField::Time => r.end.0.saturating_sub(1000),
            };
            let millis: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| moment(r).div_euclid(1000))));
            let to = self
                .schema
                .fields()
                .get(columns.len())
                .map_or(DataType::Timestamp(TimeUnit::Millisecond, None), |f| f.data_type().clone());
            columns.push(from_integers(&millis, &to)?);
        }
        let batch = build(&self.schema, columns, rows.len())?;
        cx.emit(Box::new(Columns::from(Parts { batch, hashes, times, ops: Vec::new() })));
        Ok(Flow::Done)
    }
}

/// A batch of these columns, also where there is none.
pub(super) fn build(schema: &SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
        .map_err(|e| Error::broken("aggregate", format!("the results are not what the plan says: {e}")))
}

/// The column of each call.
pub(super) fn results(grouping: &Grouping, groups: &[&Group]) -> Result<Vec<ArrayRef>> {
    let mut place = 0;
    let mut columns = Vec::with_capacity(grouping.calls.len());
    for call in grouping.calls.iter() {
        if call.argument.is_none() {
            columns.push(Arc::new(Int64Array::from_iter_values(groups.iter().map(|g| g.rows))) as ArrayRef);
            continue;
        }
        columns.push(result(call, groups.iter().map(|g| g.cells.get(place)))?);
        place += 1;
    }
    Ok(columns)
}

fn broken() -> Error {
    Error::broken("aggregate", "a stored group has cells of another aggregation")
}

fn overflow(call: &Call) -> Error {
    let name = format!("{:?}", call.kind).to_uppercase();
    Error::new(Kind::Data, format!("{name} leaves the range of its type {}", type_name(&call.result)))
        .advise("CAST the argument to a wider type: BIGINT, or DECIMAL(38, 0)")
}

/// The SQL name of a type that a sum can leave.
fn type_name(t: &DataType) -> String {
    match t {
        DataType::Int8 => "TINYINT".into(),
        DataType::Int16 => "SMALLINT".into(),
        DataType::Int32 => "INT".into(),
        DataType::Int64 => "BIGINT".into(),
        DataType::Decimal128(p, s) => format!("DECIMAL({p}, {s})"),
        other => other.to_string(),
    }
}

fn result<'a>(call: &Call, cells: impl Iterator<Item = Option<&'a Cell>>) -> Result<ArrayRef> {
    match &call.result {
        DataType::Float32 | DataType::Float64 if call.kind != CallKind::Min && call.kind != CallKind::Max => {
            let mean = call.kind == CallKind::Avg;
            let value = |c: Option<&Cell>| match c {
                Some(Cell::Float(_, 0)) => Ok(None),
                Some(Cell::Float(s, n)) => Ok(Some(if mean { s / *n as f64 } else { *s })),
                Some(_) | None => Err(broken()),
            };
            let values: ArrayRef = Arc::new(Float64Array::from(cells.map(value).collect::<Result<Vec<_>>>()?));
            cast(&values, &call.result).map_err(|_| overflow(call))
        }
        DataType::Decimal128(p, s) => {
            let values = cells.map(|c| decimal(call, c, *s)).collect::<Result<Vec<_>>>()?;
            let limit = 10i128.checked_pow(u32::from(*p)).unwrap_or(i128::MAX);
            if values.iter().flatten().any(|v| v.unsigned_abs() >= limit.unsigned_abs()) {
                return Err(overflow(call));
            }
            let array = Decimal128Array::from(values).with_precision_and_scale(*p, *s).map_err(|_| overflow(call))?;
            Ok(Arc::new(array))
        }
        DataType::Utf8 => {
            let mut values = Vec::new();
            for c in cells {
                values.push(match extreme(call, c)? {
                    Some(Value::Text(s)) => Some(s),
                    _ => None,
                });
            }
            Ok(Arc::new(values.into_iter().collect::<StringArray>()))
        }
        DataType::Binary => {
            let mut values = Vec::new();
            for c in cells {
                values.push(match extreme(call, c)? {
                    Some(Value::Bytes(b)) => Some(b),
                    _ => None,
                });
            }
            Ok(Arc::new(values.into_iter().collect::<BinaryArray>()))
        }
        DataType::Boolean => {
            let value = |c| extreme(call, c).map(|v| if let Some(Value::Bool(b)) = v { Some(b) } else { None });
            Ok(Arc::new(BooleanArray::from(cells.map(value).collect::<Result<Vec<_>>>()?)))
        }
        DataType::Float32 | DataType::Float64 => {
            let value = |c| extreme(call, c).map(|v| if let Some(Value::Float(f)) = v { Some(f) } else { None });
            let values: ArrayRef = Arc::new(Float64Array::from(cells.map(value).collect::<Result<Vec<_>>>()?));
            cast(&values, &call.result).map_err(|_| overflow(call))
        }
        _ => integers(call, cells),
    }
}

/// Integers, dates and time-stamps, checked against the range of their type.
fn integers<'a>(call: &Call, cells: impl Iterator<Item = Option<&'a Cell>>) -> Result<ArrayRef> {
    let values = cells.map(|c| integer(call, c)).collect::<Result<Vec<_>>>()?;
    let range = match call.result {
        DataType::Int8 => i64::from(i8::MIN)..=i64::from(i8::MAX),
        DataType::Int16 => i64::from(i16::MIN)..=i64::from(i16::MAX),
        DataType::Int32 | DataType::Date32 => i64::from(i32::MIN)..=i64::from(i32::MAX),
        _ => i64::MIN..=i64::MAX,
    };
    if values.iter().flatten().any(|v| !range.contains(v)) {
        return Err(overflow(call));
    }
    let values: ArrayRef = Arc::new(Int64Array::from(values));
    from_integers(&values, &call.result)
}

fn integer(call: &Call, cell: Option<&Cell>) -> Result<Option<i64>> {
    match cell {
        Some(Cell::Count(n)) => Ok(Some(*n)),
        Some(Cell::Sum(_, 0)) => Ok(None),
        Some(Cell::Sum(s, n)) => {
            let value = if call.kind == CallKind::Avg { s / i128::from(*n) } else { *s };
            i64::try_from(value).map(Some).map_err(|_| overflow(call))
        }
        other => Ok(extreme(call, other)?.and_then(|v| if let Value::Int(n) = v { Some(n) } else { None })),
    }
}

fn decimal(call: &Call, cell: Option<&Cell>, scale: i8) -> Result<Option<i128>> {
    let (s, n) = match cell {
        Some(Cell::Sum(_, 0)) => return Ok(None),
        Some(Cell::Sum(s, n)) => (*s, i128::from(*n)),
        Some(Cell::Wide(_, _, 0)) => return Ok(None),
        Some(Cell::Wide(high, low, n)) => {
            let sum = high.checked_mul(WIDE).and_then(|s| s.checked_add(*low)).ok_or_else(|| overflow(call))?;
            (sum, i128::from(*n))
        }
        other => return Ok(extreme(call, other)?.and_then(|v| if let Value::Decimal(d) = v { Some(d) } else { None })),
    };
    if call.kind != CallKind::Avg {
        return Ok(Some(s));
    }
    let from = if let Some((_, DataType::Decimal128(_, from))) = &call.argument { *from } else { 0 };
    let up = 10i128
        .checked_pow(u32::try_from(scale - from).unwrap_or(0))
        .and_then(|f| s.checked_mul(f))
        .ok_or_else(|| overflow(call))?;
    // Half away from zero.
    let half = n / 2 * up.signum();
    Ok(Some((up + half) / n))
}

fn extreme(call: &Call, cell: Option<&Cell>) -> Result<Option<Value>> {
    match cell {
        Some(Cell::Extreme(v)) => Ok(v.clone()),
        Some(Cell::Bag(bag)) => Ok(of_bag(call.kind, bag).cloned()),
        Some(Cell::Count(_) | Cell::Sum(..) | Cell::Wide(..) | Cell::Float(..)) | None => Err(broken()),
    }
}
