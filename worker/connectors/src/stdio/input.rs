//! Lines of standard input.
//!
//! One split. Its position counts the bytes read, but a pipe cannot be rewound: a job that is started again goes on with
//! whatever its new standard input gives. A malformed row is named by byte and text, not by line.

use std::sync::Arc;

use watershed_runtime::env::{Discovered, Source, SplitId, SplitReader};
use watershed_runtime::error::{Error, Kind};

use crate::format::LineFormat;
use crate::fs::chunks::{CHUNK, Chunks, Input};
use crate::fs::cutter::Cutter;
use crate::fs::reader::LineReader;
use crate::metrics::SourceMetrics;

/// The process's standard input, until it ends.
#[derive(Debug)]
pub struct Stdin {
    format: Box<dyn LineFormat>,
    ignore: bool,
    metrics: Arc<SourceMetrics>,
}

impl Stdin {
    /// Lines in a format.
    pub fn new(format: impl LineFormat + 'static) -> Self {
        Self { format: Box::new(format), ignore: false, metrics: Arc::default() }
    }

    /// Skips and counts malformed rows instead of failing.
    #[must_use]
    pub fn ignore_parse_errors(mut self, ignore: bool) -> Self {
        self.ignore = ignore;
        self
    }

    /// The counters of this source.
    #[must_use]
    pub fn metrics(&self) -> Arc<SourceMetrics> {
        Arc::clone(&self.metrics)
    }
}

impl Source for Stdin {
    fn discover(&self) -> Result<Discovered, Error> {
        Ok(Discovered { splits: vec![SplitId::from("stdin")], complete: true })
    }

    fn open(&self, split: &SplitId, position: &[u8]) -> Result<Box<dyn SplitReader>, Error> {
        let line = match position {
            [] => 0,
            bytes => u64::from_le_bytes(bytes.try_into().map_err(|_| {
                Error::new(Kind::Corrupt, "the position in the snapshot is not one of standard input").at(split.0.to_string())
            })?),
        };
        Ok(Box::new(LineReader {
            place: "standard input".into(),
            path: None,
            chunks: Chunks::new(Input::Stdin, Cutter::stream(line, CHUNK)),
            decoder: self.format.decoder(),
            ignore: self.ignore,
            metrics: Arc::clone(&self.metrics),
            chunk: None,
            at: 0,
            next: Some(line),
            range: (0, None),
            ended: false,
        }))
    }

    fn bounded(&self) -> bool {
        true
    }
}
