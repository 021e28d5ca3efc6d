//! The source over files: which splits there are, and how one is opened.
//!
//! A split is `path@offset`: the lines that begin in `split_size` bytes from there (the [`cutter`](super::cutter) has the law). The
//! name does not hold the file's size, so that a restart finds the same splits whatever has happened to the file meanwhile.
//!
//! **Watching** (`source.monitor-interval`): new files become new splits. A file is read as it is when it is found; one that has
//! grown later is *refused*, because the splits that were read to their end would lose the new lines in silence. Writers
//! write under a hidden name (`.part`, `_part`) and rename. The bounded source does not look again.
//!
//! The split size is part of what a snapshot remembers: change it and the names change. It is therefore no table option.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use watershed_runtime::env::{Discovered, Source, SplitId, SplitReader};
use watershed_runtime::error::{Error, Kind};

use super::chunks::{CHUNK, Chunks, Input};
use super::cutter::Cutter;
use super::paths;
use super::reader::LineReader;
use crate::format::LineFormat;
use crate::io::mutex::lock;
use crate::metrics::SourceMetrics;

/// The default size of a split.
pub const SPLIT: u64 = 64 << 20;

/// Lines of files.
#[derive(Debug)]
pub struct FileSource {
    path: String,
    format: Box<dyn LineFormat>,
    watch: Option<Duration>,
    ignore: bool,
    split: u64,
    chunk: usize,
    metrics: Arc<SourceMetrics>,
    /// The sizes that discoveries of this process have seen.
    seen: Mutex<HashMap<String, u64>>,
}

impl FileSource {
    /// Reads a file, a directory or a glob in a format, once.
    pub fn new(path: impl Into<String>, format: impl LineFormat + 'static) -> Self {
        Self {
            path: path.into(),
            format: Box::new(format),
            watch: None,
            ignore: false,
            split: SPLIT,
            chunk: CHUNK,
            metrics: Arc::default(),
            seen: Mutex::default(),
        }
    }

    /// Goes on looking for new files.
    #[must_use]
    pub fn watch(mut self, every: Duration) -> Self {
        self.watch = Some(every);
        self
    }

    /// Skips and counts malformed rows instead of failing.
    #[must_use]
    pub fn ignore_parse_errors(mut self, ignore: bool) -> Self {
        self.ignore = ignore;
        self
    }

    /// Cuts files at another size. The size belongs to the job's identity: a snapshot knows splits by their offsets.
    #[must_use]
    pub fn split_size(mut self, bytes: u64) -> Self {
        self.split = bytes.max(1);
        self
    }

    /// Reads in chunks of another size.
    #[must_use]
    pub fn chunk_size(mut self, bytes: usize) -> Self {
        self.chunk = bytes.max(1);
        self
    }

    /// The counters of this source.
    #[must_use]
    pub fn metrics(&self) -> Arc<SourceMetrics> {
        Arc::clone(&self.metrics)
    }

    fn refuse_growth(&self, found: &[paths::Found]) -> Result<(), Error> {
        let mut seen = lock(&self.seen);
        for file in found {
            let before = *seen.entry(file.path.clone()).or_insert(file.size);
            if before != file.size {
                return Err(Error::new(
                    Kind::Data,
                    format!("the file had {before} bytes when it was found and has {} now: lines could be lost", file.size),
                )
                .at(file.path.clone())
                .advise("write under a name that begins with '.' or '_' and rename the file when it is complete"));
            }
        }
        Ok(())
    }
}

impl Source for FileSource {
    fn discover(&self) -> Result<Discovered, Error> {
        let path = paths::local(&self.path)?;
        let found = paths::find(path)?;
        if found.is_empty() && self.watch.is_none() {
            let what = if paths::is_pattern(path) { "no file matches the pattern" } else { "there is no file in the directory" };
            return Err(Error::new(Kind::Unavailable, what)
                .at(path)
                .advise("check the path (names that begin with '.' or '_' are skipped), or set 'source.monitor-interval' to wait for files"));
        }
        if self.watch.is_some() {
            self.refuse_growth(&found)?;
        }
        let mut splits = Vec::new();
        for file in &found {
            let mut at = 0;
            while at == 0 || at < file.size {
                splits.push(SplitId(format!("{}@{at}", file.path).into()));
                at += self.split;
            }
        }
        Ok(Discovered { splits, complete: self.watch.is_none() })
    }

    fn discovery_interval_millis(&self) -> Option<u64> {
        self.watch.map(|w| u64::try_from(w.as_millis()).unwrap_or(u64::MAX).max(1))
    }

    fn open(&self, split: &SplitId, position: &[u8]) -> Result<Box<dyn SplitReader>, Error> {
        let corrupt = |what: &str| {
            Error::new(Kind::Corrupt, format!("{what} in the snapshot is not one of a file source"))
                .at(split.0.to_string())
                .advise("was the table's connector changed? start afresh, or restore the old table definition")
        };
        let (path, start) = split.0.rsplit_once('@').ok_or_else(|| corrupt("the split"))?;
        let start: u64 = start.parse().map_err(|_| corrupt("the split"))?;
        let end = start.saturating_add(self.split);
        let (cutter, next) = if position.is_empty() {
            (Cutter::from_start(start, end, self.chunk), None)
        } else {
            let line = u64::from_le_bytes(position.try_into().map_err(|_| corrupt("the position"))?);
            (Cutter::from_line(line, end, self.chunk), Some(line))
        };
        let size = std::fs::metadata(path).map(|m| m.len()).ok();
        Ok(Box::new(LineReader {
            place: path.to_owned(),
            path: Some(PathBuf::from(path)),
            chunks: Chunks::new(Input::Path(PathBuf::from(path)), cutter),
            decoder: self.format.decoder(),
            ignore: self.ignore,
            metrics: Arc::clone(&self.metrics),
            chunk: None,
            at: 0,
            next,
            range: (start, size.map(|s| s.min(end))),
            ended: false,
        }))
    }

    fn bounded(&self) -> bool {
        self.watch.is_none()
    }
}
