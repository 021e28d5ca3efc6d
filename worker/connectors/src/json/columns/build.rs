//! Builders of the columns of a batch.

use std::sync::Arc;

use arrow::array::{ArrayRef, ArrowPrimitiveType, BinaryBuilder, BooleanBuilder, PrimitiveBuilder, StringBuilder};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};

use super::value::Value;

/// The builder of one column.
#[derive(Debug)]
pub(super) enum Builder {
    Bool(BooleanBuilder),
    I8(PrimitiveBuilder<Int8Type>),
    I16(PrimitiveBuilder<Int16Type>),
    I32(PrimitiveBuilder<Int32Type>),
    I64(PrimitiveBuilder<Int64Type>),
    F32(PrimitiveBuilder<Float32Type>),
    F64(PrimitiveBuilder<Float64Type>),
    Decimal(PrimitiveBuilder<Decimal128Type>),
    Text(StringBuilder),
    Bytes(BinaryBuilder),
    Date(PrimitiveBuilder<Date32Type>),
    Seconds(PrimitiveBuilder<TimestampSecondType>),
    Millis(PrimitiveBuilder<TimestampMillisecondType>),
    Micros(PrimitiveBuilder<TimestampMicrosecondType>),
    Nanos(PrimitiveBuilder<TimestampNanosecondType>),
}

fn typed<T: ArrowPrimitiveType>(t: &DataType, n: usize) -> PrimitiveBuilder<T> {
    PrimitiveBuilder::with_capacity(n).with_data_type(t.clone())
}

impl Builder {
    #[expect(clippy::wildcard_enum_match_arm, reason = "Arrow has forty types, we read fourteen")]
    /// A builder with room for `n` rows and `bytes` bytes of text.
    pub(super) fn new(t: &DataType, n: usize, bytes: usize) -> Self {
        match t {
            DataType::Boolean => Self::Bool(BooleanBuilder::with_capacity(n)),
            DataType::Int8 => Self::I8(PrimitiveBuilder::with_capacity(n)),
            DataType::Int16 => Self::I16(PrimitiveBuilder::with_capacity(n)),
            DataType::Int32 => Self::I32(PrimitiveBuilder::with_capacity(n)),
            DataType::Int64 => Self::I64(PrimitiveBuilder::with_capacity(n)),
            DataType::Float32 => Self::F32(PrimitiveBuilder::with_capacity(n)),
            DataType::Float64 => Self::F64(PrimitiveBuilder::with_capacity(n)),
            DataType::Date32 => Self::Date(PrimitiveBuilder::with_capacity(n)),
            DataType::Binary => Self::Bytes(BinaryBuilder::with_capacity(n, bytes)),
            DataType::Decimal128(..) => Self::Decimal(typed(t, n)),
            DataType::Timestamp(TimeUnit::Second, _) => Self::Seconds(typed(t, n)),
            DataType::Timestamp(TimeUnit::Millisecond, _) => Self::Millis(typed(t, n)),
            DataType::Timestamp(TimeUnit::Microsecond, _) => Self::Micros(typed(t, n)),
            DataType::Timestamp(TimeUnit::Nanosecond, _) => Self::Nanos(typed(t, n)),
            // The format is only made for supported types: what is left is text.
            _ => Self::Text(StringBuilder::with_capacity(n, bytes)),
        }
    }

    /// Appends a value that was read for this column; anything else is null.
    #[inline]
    pub(super) fn push(&mut self, value: &Value<'_>) {
        match (self, value) {
            (Self::Text(b), Value::Text(v)) => b.append_value(v),
            (Self::Text(b), Value::Owned(v)) => b.append_value(v),
            (Self::I64(b), Value::Int(v)) => b.append_value(*v),
            (Self::I32(b), Value::Int(v)) => b.append_value(*v as i32),
            (Self::I16(b), Value::Int(v)) => b.append_value(*v as i16),
            (Self::I8(b), Value::Int(v)) => b.append_value(*v as i8),
            (Self::F64(b), Value::Float(v)) => b.append_value(*v),
            (Self::F32(b), Value::Float(v)) => b.append_value(*v as f32),
            (Self::Bool(b), Value::Bool(v)) => b.append_value(*v),
            (Self::Decimal(b), Value::Decimal(v)) => b.append_value(*v),
            (Self::Bytes(b), Value::Bytes(v)) => b.append_value(v),
            (Self::Date(b), Value::Int(v)) => b.append_value(*v as i32),
            (Self::Seconds(b), Value::Int(v)) => b.append_value(*v),
            (Self::Millis(b), Value::Int(v)) => b.append_value(*v),
            (Self::Micros(b), Value::Int(v)) => b.append_value(*v),
            (Self::Nanos(b), Value::Int(v)) => b.append_value(*v),
            (b, _) => b.null(),
        }
    }

    fn null(&mut self) {
        match self {
            Self::Bool(b) => b.append_null(),
            Self::I8(b) => b.append_null(),
            Self::I16(b) => b.append_null(),
            Self::I32(b) => b.append_null(),
            Self::I64(b) => b.append_null(),
            Self::F32(b) => b.append_null(),
            Self::F64(b) => b.append_null(),
            Self::Decimal(b) => b.append_null(),
            Self::Text(b) => b.append_null(),
            Self::Bytes(b) => b.append_null(),
            Self::Date(b) => b.append_null(),
            Self::Seconds(b) => b.append_null(),
            Self::Millis(b) => b.append_null(),
            Self::Micros(b) => b.append_null(),
            Self::Nanos(b) => b.append_null(),
        }
    }

    /// Bytes of text gathered: the next batch will want about as many.
    pub(super) fn bytes(&self) -> usize {
        if let Self::Text(b) = self {
            return b.values_slice().len();
        }
        if let Self::Bytes(b) = self { b.values_slice().len() } else { 0 }
    }

    pub(super) fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Bool(b) => Arc::new(b.finish()),
            Self::I8(b) => Arc::new(b.finish()),
            Self::I16(b) => Arc::new(b.finish()),
            Self::I32(b) => Arc::new(b.finish()),
            Self::I64(b) => Arc::new(b.finish()),
            Self::F32(b) => Arc::new(b.finish()),
            Self::F64(b) => Arc::new(b.finish()),
            Self::Decimal(b) => Arc::new(b.finish()),
            Self::Text(b) => Arc::new(b.finish()),
            Self::Bytes(b) => Arc::new(b.finish()),
            Self::Date(b) => Arc::new(b.finish()),
            Self::Seconds(b) => Arc::new(b.finish()),
            Self::Millis(b) => Arc::new(b.finish()),
            Self::Micros(b) => Arc::new(b.finish()),
            Self::Nanos(b) => Arc::new(b.finish()),
        }
    }
}
