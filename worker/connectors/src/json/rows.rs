//! JSON lines as rows of a Rust type.

use std::fmt;
use std::marker::PhantomData;

use serde::de::DeserializeOwned;
use watershed_runtime::container::{Batch, Data, Rows};
use watershed_runtime::error::Error;

use super::de::Values;
use super::scan::Cursor;
use crate::format::{Decoded, LineDecoder, LineFormat};

/// Rows of type `T`, one JSON object a line.
pub struct JsonLines<T>(PhantomData<fn() -> T>);

impl<T> JsonLines<T> {
    /// The format.
    #[must_use]
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T> Default for JsonLines<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for JsonLines<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JsonLines<{}>", std::any::type_name::<T>())
    }
}

impl<T: DeserializeOwned + Data> LineFormat for JsonLines<T> {
    fn decoder(&self) -> Box<dyn LineDecoder> {
        Box::new(Decoder { rows: Vec::<T>::new() })
    }
}

#[derive(Debug)]
struct Decoder<T> {
    rows: Vec<T>,
}

/// Room made for a batch at once; batches asked for may be larger.
const ROOM: usize = 4096;

impl<T: DeserializeOwned + Data> LineDecoder for Decoder<T> {
    fn decode(&mut self, text: &str, max_rows: usize) -> Decoded {
        if self.rows.capacity() == 0 {
            self.rows.reserve(max_rows.min(ROOM));
        }
        let mut cursor = Cursor::new(text);
        while self.rows.len() < max_rows && cursor.seek_row() {
            let start = cursor.at();
            let fast = T::deserialize(Values::new(&mut cursor)).ok().filter(|_| cursor.end_line().is_ok());
            let row = match fast {
                Some(row) => row,
                None => match slow(&mut cursor, start) {
                    Ok(row) => row,
                    Err(reason) => return Decoded { consumed: start, malformed: Some(reason) },
                },
            };
            self.rows.push(row);
        }
        Decoded { consumed: cursor.at(), malformed: None }
    }

    fn len(&self) -> usize {
        self.rows.len()
    }

    fn take(&mut self) -> Result<Batch, Error> {
        Ok(Box::new(Rows::from(std::mem::take(&mut self.rows))))
    }
}

/// Lets `serde_json` decide over one line.
#[cold]
fn slow<T: DeserializeOwned>(cursor: &mut Cursor<'_>, start: usize) -> Result<T, String> {
    let line = cursor.line_from(start);
    cursor.go((start + line.len() + 1).min(cursor.text().len()));
    serde_json::from_str(line).map_err(|e| {
        let text = e.to_string();
        // The line is always 1 here; the message names the true place itself.
        text.replace(" at line 1 column ", " at character ")
    })
}
