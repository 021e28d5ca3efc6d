//! Sources and sinks for Rust jobs, with the type of their rows.

use std::marker::PhantomData;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use watershed_connectors::generate::Generator;
use watershed_connectors::{FileSink, FileSource, JsonLines, JsonRows, stdio};
use watershed_runtime::container::Data;
use watershed_runtime::env::{Discovered, Sink, SinkHandle, SinkWriter, Source, SplitId, SplitReader};
use watershed_runtime::error::Result;
use watershed_runtime::stream::{TypedSink, TypedSource};

/// A source or a sink whose rows are `T`.
#[derive(Debug)]
pub struct Typed<S, T> {
    inner: S,
    row: PhantomData<fn(T)>,
}

impl<S, T> Typed<S, T> {
    fn new(inner: S) -> Self {
        Self { inner, row: PhantomData }
    }

    fn change(self, f: impl FnOnce(S) -> S) -> Self {
        Self::new(f(self.inner))
    }
}

impl<S: Source, T: Data> Source for Typed<S, T> {
    fn discover(&self) -> Result<Discovered> {
        self.inner.discover()
    }
    fn discovery_interval_millis(&self) -> Option<u64> {
        self.inner.discovery_interval_millis()
    }
    fn open(&self, split: &SplitId, position: &[u8]) -> Result<Box<dyn SplitReader>> {
        self.inner.open(split, position)
    }
    fn bounded(&self) -> bool {
        self.inner.bounded()
    }
}

impl<S: Source, T: Data> TypedSource for Typed<S, T> {
    type Row = T;
}

impl<S: Sink, T: Data> Sink for Typed<S, T> {
    fn open(&self, slot: u16, term: u64) -> Result<Box<dyn SinkWriter>> {
        self.inner.open(slot, term)
    }
    fn commit(&self, handles: &[SinkHandle]) -> Result<()> {
        self.inner.commit(handles)
    }
    fn check(&self) -> Result<()> {
        self.inner.check()
    }
    fn immediate(&self) -> bool {
        self.inner.immediate()
    }
}

impl<S: Sink, T: Data> TypedSink for Typed<S, T> {
    type Row = T;
}

/// JSON lines from a file, a directory or a glob.
pub fn json_lines<T: Data + DeserializeOwned>(path: impl Into<String>) -> Typed<FileSource, T> {
    Typed::new(FileSource::new(path, JsonLines::<T>::new()))
}

impl<T> Typed<FileSource, T> {
    /// Looks for new files this often; the job then never ends by itself.
    #[must_use]
    pub fn watch(self, every: Duration) -> Self {
        self.change(|s| s.watch(every))
    }

    /// Skips and counts rows that cannot be decoded, instead of failing.
    #[must_use]
    pub fn ignore_parse_errors(self, ignore: bool) -> Self {
        self.change(|s| s.ignore_parse_errors(ignore))
    }
}

/// JSON lines into files of a directory: each row exactly once, visible when the epoch it belongs to is.
pub fn json_files<T: Data + Serialize>(dir: impl Into<PathBuf>) -> Typed<FileSink, T> {
    Typed::new(FileSink::new(dir, JsonRows::<T>::new()))
}

/// Rows made from their number.
pub fn generate<T: Data>(row: impl Fn(u64) -> T + Send + Sync + 'static) -> Typed<Generator, T> {
    Typed::new(Generator::of(row))
}

impl<T> Typed<Generator, T> {
    /// So many rows, then the end.
    #[must_use]
    pub fn rows(self, rows: u64) -> Self {
        self.change(|g| g.rows(rows))
    }

    /// At most so many rows a second.
    #[must_use]
    pub fn rows_per_second(self, rate: f64) -> Self {
        self.change(|g| g.rows_per_second(rate))
    }
}

/// Drops everything: for benchmarks.
#[must_use]
pub fn blackhole<T: Data>() -> Typed<stdio::Blackhole, T> {
    Typed::new(stdio::Blackhole::new())
}
