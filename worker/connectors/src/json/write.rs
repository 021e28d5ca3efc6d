//! Rows of a Rust type as JSON lines.

use std::fmt;
use std::marker::PhantomData;

use serde::Serialize;
use watershed_runtime::container::{Batch, Data, Rows};
use watershed_runtime::error::{Error, Kind};

use crate::format::{LineEncoder, SinkFormat};

/// Rows of type `T`, one JSON object a line.
pub struct JsonRows<T>(PhantomData<fn() -> T>);

impl<T> JsonRows<T> {
    /// The format.
    #[must_use]
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T> Default for JsonRows<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for JsonRows<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JsonRows<{}>", std::any::type_name::<T>())
    }
}

impl<T: Serialize + Data> SinkFormat for JsonRows<T> {
    fn encoder(&self) -> Box<dyn LineEncoder> {
        Box::new(Encoder::<T>(PhantomData))
    }
}

struct Encoder<T>(PhantomData<fn() -> T>);

impl<T> fmt::Debug for Encoder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Encoder<{}>", std::any::type_name::<T>())
    }
}

impl<T: Serialize + Data> LineEncoder for Encoder<T> {
    fn encode(&mut self, batch: Batch, out: &mut Vec<u8>) -> Result<(), Error> {
        let rows = Rows::<T>::downcast(batch).map_err(|_| wrong_rows(std::any::type_name::<T>()))?;
        for row in &rows.rows {
            let start = out.len();
            if let Err(e) = serde_json::to_writer(&mut *out, row) {
                out.truncate(start);
                return Err(Error::new(Kind::Data, format!("a row cannot be written as JSON: {e}"))
                    .advise("keys of maps must be text or numbers, and a row must serialise without errors"));
            }
            out.push(b'\n');
        }
        Ok(())
    }
}

pub(crate) fn wrong_rows(wanted: &str) -> Error {
    Error::broken("rows", format!("a sink for rows of {wanted} was given rows of another type"))
}
