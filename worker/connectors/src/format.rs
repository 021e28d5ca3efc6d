//! The seam between bytes and rows: a format turns whole lines into batches, and batches into lines.
//!
//! Files, standard input and later sources know lines and positions and no rows; formats know rows and no files. Both sides
//! meet behind trait objects called once a chunk, so that a user's row type is compiled into its decoder and nowhere else.

use std::fmt::Debug;

use watershed_runtime::container::Batch;
use watershed_runtime::error::Error;

/// A format of a source: lines become rows.
pub trait LineFormat: Send + Sync + Debug {
    /// A decoder for one split.
    fn decoder(&self) -> Box<dyn LineDecoder>;
}

/// Decodes the lines of one split.
pub trait LineDecoder: Send + Debug {
    /// Decodes whole lines from the front of `text` until `max_rows` rows wait to be taken, the text ends or a row is malformed.
    /// The end of the text ends its last line. Blank lines are no rows.
    fn decode(&mut self, text: &str, max_rows: usize) -> Decoded;
    /// The number of rows that wait.
    fn len(&self) -> usize;
    /// True if no row waits.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The rows that wait.
    fn take(&mut self) -> Result<Batch, Error>;
}

/// The outcome of a call of [`LineDecoder::decode`].
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Decoded {
    /// Bytes of whole lines that are done with: what follows is the start of a line.
    pub consumed: usize,
    /// The reason why the line at `consumed` is no row, if that is what stopped the call.
    pub malformed: Option<String>,
}

/// A format of a sink: rows become lines.
pub trait SinkFormat: Send + Sync + Debug {
    /// An encoder for one slot.
    fn encoder(&self) -> Box<dyn LineEncoder>;
    /// The extension of files in this format.
    fn extension(&self) -> &'static str {
        "jsonl"
    }
}

/// Encodes the rows of one slot.
pub trait LineEncoder: Send + Debug {
    /// Appends one line a row.
    fn encode(&mut self, batch: Batch, out: &mut Vec<u8>) -> Result<(), Error>;
}
