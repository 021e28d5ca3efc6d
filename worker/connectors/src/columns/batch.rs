//! Arrow's record batch as a batch of the engine, and the types that connectors support.

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use watershed_columnar::Columns;
use watershed_runtime::container::Batch;

/// Columns as a batch of the engine: every row is new.
pub(crate) fn wrap(columns: RecordBatch) -> Batch {
    Box::new(Columns::from(columns))
}

/// True if the connectors can read and write a type.
pub(crate) fn supported(data_type: &DataType) -> bool {
    use DataType::{Binary, Boolean, Date32, Decimal128, Float32, Float64, Int8, Int16, Int32, Int64, Timestamp, Utf8};
    matches!(
        data_type,
        Boolean | Int8 | Int16 | Int32 | Int64 | Float32 | Float64 | Decimal128(..) | Utf8 | Binary | Date32 | Timestamp(..)
    )
}
