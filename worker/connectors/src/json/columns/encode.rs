//! Columns as lines: JSON, Debezium's envelope, or what `print` shows.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, SchemaRef, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use watershed_columnar::{Columns, Op};
use watershed_runtime::container::Batch;
use watershed_runtime::error::{Error, Kind};

use crate::columns::batch::supported;
use crate::columns::decimal;
use crate::columns::times::{Style, write_date, write_timestamp};
use crate::format::{LineEncoder, SinkFormat};

/// The shape of a written row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// `{"a":1}`: new rows only.
    Json,
    /// `{"before":…,"after":…,"op":…}`: every change.
    Debezium,
    /// `prefix+I[1, x]`: every change, for people.
    Print(String),
}

/// Columns of a schema as lines.
#[derive(Clone, Debug)]
pub(crate) struct ColumnLines {
    pub(crate) schema: SchemaRef,
    pub(crate) shape: Shape,
    pub(crate) style: Style,
    pub(crate) ignore_nulls: bool,
}

impl ColumnLines {
    /// The format; an error for a column whose type cannot be written.
    pub(crate) fn new(schema: SchemaRef, shape: Shape) -> Result<Self, Error> {
        if let Some(f) = schema.fields().iter().find(|f| !supported(f.data_type())) {
            return Err(Error::new(
                Kind::Invalid,
                format!("the type {} of column '{}' cannot be written", f.data_type(), f.name()),
            )
            .advise("CAST it to STRING, or to another type"));
        }
        Ok(Self { schema, shape, style: Style::Sql, ignore_nulls: false })
    }
}

impl SinkFormat for ColumnLines {
    fn encoder(&self) -> Box<dyn LineEncoder> {
        let names = self.schema.fields().iter().map(|f| {
            let mut name = Vec::new();
            text(f.name(), &mut name);
            name.push(b':');
            name
        });
        Box::new(Encoder { format: self.clone(), names: names.collect() })
    }
}

#[derive(Debug)]
struct Encoder {
    format: ColumnLines,
    /// `"name":` of each column.
    names: Vec<Vec<u8>>,
}

impl LineEncoder for Encoder {
    fn encode(&mut self, batch: Batch, out: &mut Vec<u8>) -> Result<(), Error> {
        let columns = Columns::expect(batch)?;
        let mut first = 0;
        for batch in columns.batches() {
            self.lines(batch, |row| columns.op(first + row), out)?;
            first += batch.num_rows();
        }
        Ok(())
    }
}

impl Encoder {
    fn lines(&self, columns: &RecordBatch, op: impl Fn(usize) -> Op, out: &mut Vec<u8>) -> Result<(), Error> {
        for row in 0..columns.num_rows() {
            let op = op(row);
            match &self.format.shape {
                Shape::Json if op != Op::Insert => {
                    return Err(Error::broken("changes", "a sink for new rows was sent a change of an old one"));
                }
                Shape::Json => self.object(columns, row, out)?,
                Shape::Debezium => {
                    let (head, tail): (&[u8], &[u8]) = if op.sign() > 0 {
                        (b"{\"before\":null,\"after\":", b",\"op\":\"c\"}")
                    } else {
                        (b"{\"before\":", b",\"after\":null,\"op\":\"d\"}")
                    };
                    out.extend_from_slice(head);
                    self.object(columns, row, out)?;
                    out.extend_from_slice(tail);
                }
                Shape::Print(prefix) => self.print(columns, row, op, prefix, out)?,
            }
            out.push(b'\n');
        }
        Ok(())
    }

    fn object(&self, columns: &RecordBatch, row: usize, out: &mut Vec<u8>) -> Result<(), Error> {
        out.push(b'{');
        let start = out.len();
        for (array, name) in columns.columns().iter().zip(&self.names) {
            let null = array.is_null(row);
            if null && self.format.ignore_nulls {
                continue;
            }
            if out.len() > start {
                out.push(b',');
            }
            out.extend_from_slice(name);
            if null {
                out.extend_from_slice(b"null");
            } else {
                value(array, row, self.format.style, true, out)?;
            }
        }
        out.push(b'}');
        Ok(())
    }

    fn print(&self, columns: &RecordBatch, row: usize, op: Op, prefix: &str, out: &mut Vec<u8>) -> Result<(), Error> {
        out.extend_from_slice(prefix.as_bytes());
        out.extend_from_slice(op.symbol().as_bytes());
        out.push(b'[');
        for (i, array) in columns.columns().iter().enumerate() {
            if i > 0 {
                out.extend_from_slice(b", ");
            }
            if array.is_null(row) {
                out.extend_from_slice(b"null");
            } else {
                value(array, row, Style::Iso, false, out)?;
            }
        }
        out.push(b']');
        Ok(())
    }
}

/// Writes anything that always serialises.
#[inline]
fn text(value: &(impl Serialize + ?Sized), out: &mut Vec<u8>) {
    serde_json::to_writer(out, value).expect("numbers and strings always serialise into memory");
}

#[inline]
fn cell<T: ArrowPrimitiveType>(array: &ArrayRef, row: usize) -> T::Native {
    array.as_primitive::<T>().value(row)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "Arrow has forty types, we write fourteen")]
/// Writes one value that is not null; `quoted` as JSON wants it, or bare for people.
fn value(array: &ArrayRef, row: usize, style: Style, quoted: bool, out: &mut Vec<u8>) -> Result<(), Error> {
    let quote = |out: &mut Vec<u8>| {
        if quoted {
            out.push(b'"');
        }
    };
    let stamp = |value: i64, unit: TimeUnit, zoned: bool, out: &mut Vec<u8>| {
        quote(out);
        write_timestamp(value, unit, zoned, style, out);
        quote(out);
    };
    match array.data_type() {
        DataType::Utf8 if quoted => text(array.as_string::<i32>().value(row), out),
        DataType::Utf8 => out.extend_from_slice(array.as_string::<i32>().value(row).as_bytes()),
        DataType::Int64 => text(&cell::<Int64Type>(array, row), out),
        DataType::Int32 => text(&cell::<Int32Type>(array, row), out),
        DataType::Int16 => text(&cell::<Int16Type>(array, row), out),
        DataType::Int8 => text(&cell::<Int8Type>(array, row), out),
        DataType::Float64 => text(&cell::<Float64Type>(array, row), out),
        DataType::Float32 => text(&cell::<Float32Type>(array, row), out),
        DataType::Boolean => text(&array.as_boolean().value(row), out),
        DataType::Decimal128(_, scale) => decimal::write(cell::<Decimal128Type>(array, row), *scale, out),
        DataType::Date32 => {
            quote(out);
            write_date(cell::<Date32Type>(array, row), out);
            quote(out);
        }
        DataType::Binary => {
            quote(out);
            out.extend_from_slice(STANDARD.encode(array.as_binary::<i32>().value(row)).as_bytes());
            quote(out);
        }
        DataType::Timestamp(unit @ TimeUnit::Second, z) => {
            stamp(cell::<TimestampSecondType>(array, row), *unit, z.is_some(), out)
        }
        DataType::Timestamp(unit @ TimeUnit::Millisecond, z) => {
            stamp(cell::<TimestampMillisecondType>(array, row), *unit, z.is_some(), out)
        }
        DataType::Timestamp(unit @ TimeUnit::Microsecond, z) => {
            stamp(cell::<TimestampMicrosecondType>(array, row), *unit, z.is_some(), out)
        }
        DataType::Timestamp(unit @ TimeUnit::Nanosecond, z) => {
            stamp(cell::<TimestampNanosecondType>(array, row), *unit, z.is_some(), out)
        }
        other => return Err(Error::broken("columns", format!("a sink was sent the type {other}, which it had refused"))),
    }
    Ok(())
}
