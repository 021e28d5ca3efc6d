//! A column of a Nexmark table: a function from the stream and row numbers to values.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array};

use super::stream::Stream;

/// Makes one column for some rows of a kind.
pub(crate) type Make = fn(&Stream, Range<u64>) -> ArrayRef;

/// A column of numbers, from the event of each row.
pub(crate) fn numbers(stream: &Stream, rows: Range<u64>, f: impl Fn(u64) -> i64) -> ArrayRef {
    let values: Vec<i64> = stream.events(rows).map(f).collect();
    Arc::new(Int64Array::from(values))
}
