//! `datagen`: rows by chance or by counting, the same for the same seed, column by column.
//!
//! Options are Flink's: `rows-per-second` (10 000), `number-of-rows`, and for each column `fields.<c>.kind` (`random` or
//! `sequence`), `.min`, `.max`, `.length`, `.start`, `.end`, `.null-rate`, `.max-past`; ours is `seed`. Two things differ, since
//! every row must be a function of its number: a column's values depend on the seed and its name, not on a clock; and
//! time-stamps run with the rows (`fields.<c>.start` plus the row's number at the table's rate) instead of being "now".

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Decimal128Array, Int64Array, PrimitiveArray, RecordBatch, RecordBatchOptions,
    StringArray,
};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float64Type, SchemaRef, TimeUnit};
use watershed_runtime::container::Batch;
use watershed_runtime::env::Source;
use watershed_runtime::error::Error;

use super::connector::{Connector, SourceTable};
use super::spec::SourceTraits;
use crate::columns::batch::wrap;
use crate::columns::{decimal, times};
use crate::generate::{Generator, RowMaker};
use crate::options::Reader;
use crate::random::RandomColumn;

pub(super) const CONNECTOR: Connector = Connector { name: "datagen", source: Some(parse), sink: None };

/// The first time-stamp, unless the table says otherwise.
const EPOCH: &str = "2026-01-01 00:00:00";

/// One column and its random numbers.
#[derive(Clone, Debug)]
struct GeneratedColumn {
    field: Arc<Field>,
    values: Values,
    chance: RandomColumn,
    nulls: RandomColumn,
    null_rate: f64,
}

/// The values of a column.
#[derive(Clone, Debug)]
enum Values {
    /// From `min` on, `span` values wide (0 is all of them).
    Int {
        min: i64,
        span: u64,
    },
    Float {
        min: f64,
        max: f64,
    },
    Bool,
    Decimal {
        min: i128,
        span: u128,
    },
    /// Hexadecimal digits, or bytes.
    Letters {
        length: usize,
    },
    Count {
        start: i64,
    },
    /// Microseconds: the first row's, between two rows, and how far back chance may reach.
    Clock {
        start: i64,
        step: f64,
        past: u64,
    },
}

/// Rows of some columns.
#[derive(Debug)]
struct GeneratedRows {
    columns: Vec<GeneratedColumn>,
    schema: SchemaRef,
}

/// A table, its options judged.
struct Generated {
    /// Every column of the table.
    columns: Vec<GeneratedColumn>,
    rows: Option<u64>,
    rate: i64,
}

fn parse(options: &mut Reader<'_>, schema: &SchemaRef) -> Result<Box<dyn SourceTable>, Error> {
    let seed = options.integer("seed", 0, i64::MAX)?.unwrap_or(0) as u64;
    let rate = options.integer("rows-per-second", 1, i64::MAX)?.unwrap_or(10_000);
    let mut rows = options.integer("number-of-rows", 1, i64::MAX)?.map(|n| n as u64);
    let mut columns = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let (values, count) = column(options, field, rate)?;
        if let Some(n) = count {
            rows = Some(rows.map_or(n, |r| r.min(n)));
        }
        let key = format!("fields.{}.null-rate", field.name());
        let rate = options.parsed(&key, "a number from 0 to 1", |v| v.parse().ok().filter(|r: &f64| (0.0..=1.0).contains(r)))?;
        let null_rate = if field.is_nullable() { rate.unwrap_or(0.0) } else { 0.0 };
        let chance = RandomColumn::named(seed, field.name());
        let nulls = RandomColumn::named(!seed, field.name());
        columns.push(GeneratedColumn { field: Arc::clone(field), values, chance, nulls, null_rate });
    }
    Ok(Box::new(Generated { columns, rows, rate }))
}

impl SourceTable for Generated {
    fn traits(&self) -> SourceTraits {
        SourceTraits { bounded: self.rows.is_some() }
    }

    fn build(&self, projected: &SchemaRef) -> Result<Arc<dyn Source>, Error> {
        let of = |f: &Arc<Field>| {
            let column = self.columns.iter().find(|c| c.field.name() == f.name()).cloned();
            column.ok_or_else(|| Error::broken("datagen", format!("the table has no column '{}'", f.name())))
        };
        let columns = projected.fields().iter().map(of).collect::<Result<_, Error>>()?;
        let rows = GeneratedRows { columns, schema: Arc::clone(projected) };
        let generator = Generator::new(rows).rows_per_second(self.rate as f64);
        Ok(Arc::new(match self.rows {
            Some(n) => generator.rows(n),
            None => generator,
        }))
    }
}

/// The values of a column, and after how many rows a sequence ends.
fn column(options: &mut Reader<'_>, field: &Field, rate: i64) -> Result<(Values, Option<u64>), Error> {
    let key = |part: &str| format!("fields.{}.{part}", field.name());
    let t = field.data_type();
    let sequence = options.choice(&key("kind"), &[("random", false), ("sequence", true)])?.unwrap_or(false);
    if matches!(t, DataType::Timestamp(..) | DataType::Date32) {
        let start = options.parsed(&key("start"), "a time like '2026-01-31 12:00:00'", |v| {
            times::parse_timestamp(v, TimeUnit::Microsecond, true)
        })?;
        let start = start.or_else(|| times::parse_timestamp(EPOCH, TimeUnit::Microsecond, false)).unwrap_or(0);
        let past = options.duration(&key("max-past"))?.map_or(0, |d| d.as_micros().min(u128::from(u32::MAX) * 1_000_000) as u64);
        return Ok((Values::Clock { start, step: 1e6 / rate as f64, past }, None));
    }
    if sequence {
        if !t.is_integer() && !matches!(t, DataType::Utf8 | DataType::Float32 | DataType::Float64 | DataType::Decimal128(..)) {
            return Err(options
                .refuse(&key("kind"), format!("column '{}' is a {t}, which cannot be counted", field.name()))
                .advise("use 'random'"));
        }
        let (min, max) = limits(t);
        let start = options.integer(&key("start"), min, max)?.unwrap_or(0);
        let end = options.integer(&key("end"), start, max)?;
        let until = end.unwrap_or(max);
        let count = (i128::from(until) - i128::from(start) + 1).min(i128::from(u64::MAX)) as u64;
        return Ok((Values::Count { start }, (end.is_some() || max != i64::MAX).then_some(count)));
    }
    random(options, field, key).map(|values| (values, None))
}

fn limits(t: &DataType) -> (i64, i64) {
    let narrow = [(DataType::Int8, i64::from(i8::MAX)), (DataType::Int16, i16::MAX.into()), (DataType::Int32, i32::MAX.into())];
    narrow.iter().find(|n| n.0 == *t).map_or((i64::MIN, i64::MAX), |(_, max)| (-max - 1, *max))
}

fn random(options: &mut Reader<'_>, field: &Field, key: impl Fn(&str) -> String) -> Result<Values, Error> {
    let t = field.data_type();
    let name = field.name();
    let upside_down = |options: &Reader<'_>, key: String| {
        options.refuse(&key, format!("the smallest value of '{name}' is above its largest")).advise("swap '.min' and '.max'")
    };
    if t.is_integer() {
        let (low, high) = limits(t);
        let min = options.integer(&key("min"), low, high)?.unwrap_or(low);
        let max = options.integer(&key("max"), low, high)?.unwrap_or(high);
        if min > max {
            return Err(upside_down(options, key("max")));
        }
        return Ok(Values::Int { min, span: (max.wrapping_sub(min) as u64).wrapping_add(1) });
    }
    if matches!(t, DataType::Float32 | DataType::Float64) {
        let number = |v: &str| v.parse().ok().filter(|f: &f64| f.is_finite());
        let min = options.parsed(&key("min"), "a number", number)?.unwrap_or(0.0);
        let max = options.parsed(&key("max"), "a number", number)?.unwrap_or_else(|| min.max(1.0));
        if min > max {
            return Err(upside_down(options, key("max")));
        }
        return Ok(Values::Float { min, max });
    }
    if let DataType::Decimal128(precision, scale) = t {
        let top = 10_i128.pow(u32::from(*precision)) - 1;
        let number = |v: &str| decimal::parse(v, *precision, *scale);
        let min = options.parsed(&key("min"), "a decimal that fits the column", number)?.unwrap_or(0);
        let max = options.parsed(&key("max"), "a decimal that fits the column", number)?.unwrap_or(top);
        if min > max {
            return Err(upside_down(options, key("max")));
        }
        return Ok(Values::Decimal { min, span: max.abs_diff(min) + 1 });
    }
    if *t == DataType::Boolean {
        return Ok(Values::Bool);
    }
    if matches!(t, DataType::Utf8 | DataType::Binary) {
        let length = options.integer(&key("length"), 0, 1 << 20)?.unwrap_or(100);
        return Ok(Values::Letters { length: length as usize });
    }
    Err(options
        .refuse("connector", format!("datagen cannot make the type {t} of column '{name}'"))
        .advise("declare another type, or compute the column"))
}

impl RowMaker for GeneratedRows {
    fn make(&self, rows: Range<u64>) -> Result<Batch, Error> {
        let broken = |e| Error::broken("datagen", format!("made columns do not fit the table: {e}"));
        let columns = self.columns.iter().map(|c| c.make(rows.clone())).collect::<Result<Vec<_>, _>>().map_err(broken)?;
        let options = RecordBatchOptions::new().with_row_count(Some((rows.end - rows.start) as usize));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options).map(wrap).map_err(broken)
    }
}

impl GeneratedColumn {
    fn make(&self, rows: Range<u64>) -> Result<ArrayRef, arrow::error::ArrowError> {
        let chance = self.chance;
        let ints = |f: &dyn Fn(u64) -> i64| -> ArrayRef { Arc::new(rows.clone().map(f).collect::<Int64Array>()) };
        let array: ArrayRef = match self.values {
            Values::Int { min, span: 0 } => ints(&|i| min.wrapping_add(chance.bits(i) as i64)),
            Values::Int { min, span } => ints(&|i| min.wrapping_add(chance.below(i, span) as i64)),
            Values::Count { start } => ints(&|i| start.wrapping_add(i as i64)),
            Values::Clock { start, step, past } => {
                let micros = |i: u64| {
                    let back = if past == 0 { 0 } else { chance.below(i, past + 1) };
                    start.saturating_add((i as f64 * step) as i64).saturating_sub(back as i64)
                };
                cast(&ints(&micros), &DataType::Timestamp(TimeUnit::Microsecond, None))?
            }
            Values::Float { min, max } => {
                Arc::new(rows.clone().map(|i| min + chance.unit(i) * (max - min)).collect::<PrimitiveArray<Float64Type>>())
            }
            Values::Bool => Arc::new(rows.clone().map(|i| Some(chance.bits(i) & 1 == 1)).collect::<BooleanArray>()),
            Values::Decimal { min, span } => {
                let value = |i| {
                    let wide = u128::from(chance.bits(2 * i)) << 64 | u128::from(chance.bits(2 * i + 1));
                    min.wrapping_add((wide % span) as i128)
                };
                let t = self.field.data_type().clone();
                Arc::new(rows.clone().map(value).collect::<Decimal128Array>().with_data_type(t))
            }
            Values::Letters { length } => letters(chance, rows.clone(), length, *self.field.data_type() == DataType::Binary)?,
        };
        let array = if array.data_type() == self.field.data_type() { array } else { cast(&array, self.field.data_type())? };
        if self.null_rate == 0.0 {
            return Ok(array);
        }
        let nulls: NullBuffer = rows.map(|i| self.nulls.unit(i) >= self.null_rate).collect();
        Ok(arrow::array::make_array(array.to_data().into_builder().nulls(Some(nulls)).build()?))
    }
}

/// Random hexadecimal digits, or random bytes.
fn letters(chance: RandomColumn, rows: Range<u64>, length: usize, binary: bool) -> Result<ArrayRef, arrow::error::ArrowError> {
    let n = (rows.end - rows.start) as usize;
    let words = length.div_ceil(if binary { 8 } else { 16 }) as u64;
    let mut bytes = Vec::with_capacity(n * length + 16);
    for row in rows {
        let end = bytes.len() + length;
        for word in 0..words {
            let bits = chance.bits(row.wrapping_mul(words) + word);
            if binary {
                bytes.extend_from_slice(&bits.to_le_bytes());
            } else {
                bytes.extend(bits.to_le_bytes().into_iter().flat_map(|b| [hex(b >> 4), hex(b & 15)]));
            }
        }
        bytes.truncate(end);
    }
    let offsets = OffsetBuffer::new(ScalarBuffer::from((0..=n).map(|i| (i * length) as i32).collect::<Vec<_>>()));
    let values = Buffer::from_vec(bytes);
    Ok(if binary {
        Arc::new(BinaryArray::try_new(offsets, values, None)?)
    } else {
        Arc::new(StringArray::try_new(offsets, values, None)?)
    })
}

fn hex(nibble: u8) -> u8 {
    if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 }
}
