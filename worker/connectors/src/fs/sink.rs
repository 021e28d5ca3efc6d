//! The exactly-once sink into a directory.
//!
//! ```text
//! rows ─► <dir>/.staging/part-<term>-<epoch>-<version>-<slot>-<n>-<writer>     written, synced, named in the epoch's manifest
//!      ─► <dir>/part-<epoch>-<version>-<slot>-<n>.jsonl                          a hard link, made by the commit, never replaced
//! ```
//!
//! A reader of the directory sees only committed files, each complete. Final names do not hold the term: whoever commits an
//! epoch, however often, makes the same names, and "exists" is the answer "done". Staged names hold the term and the writer, so
//! that a zombie writes only names nobody refers to. Names sort by (epoch, version, slot, n), which is the order of the output.
//!
//! Staged files of older terms are garbage once an epoch of this term is committed, and not before: until then one of them
//! may be named by the manifest the job was restored from.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use watershed_runtime::env::{Sink, SinkHandle, SinkWriter};
use watershed_runtime::error::{Error, Kind};

use super::writer::FileWriter;
use super::{commit, io_error};
use crate::format::SinkFormat;

/// Where files are rolled within an epoch unless the table says otherwise: Flink's default.
pub const ROLL: u64 = 128 << 20;
/// The directory of staged files.
pub(crate) const STAGING: &str = ".staging";

/// Files in a directory, one or more an epoch and slot.
#[derive(Debug)]
pub struct FileSink {
    dir: PathBuf,
    prefix: String,
    roll: u64,
    format: Box<dyn SinkFormat>,
    /// The highest term that has opened a writer here.
    term: AtomicU64,
    /// The highest term whose predecessors' garbage is gone.
    cleaned: AtomicU64,
}

impl FileSink {
    /// Writes into a directory, which is made if it is not there.
    pub fn new(dir: impl Into<PathBuf>, format: impl SinkFormat + 'static) -> Self {
        Self {
            dir: dir.into(),
            prefix: "part".into(),
            roll: ROLL,
            format: Box::new(format),
            term: AtomicU64::new(0),
            cleaned: AtomicU64::new(0),
        }
    }

    /// Begins file names with another word than `part`: sinks that share a directory need different ones.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Starts a new file within an epoch after this many bytes.
    #[must_use]
    pub fn roll_at(mut self, bytes: u64) -> Self {
        self.roll = bytes.max(1);
        self
    }

    fn clean(&self, handles: &[SinkHandle]) -> Result<(), Error> {
        let term = self.term.load(Ordering::Relaxed);
        if term <= self.cleaned.load(Ordering::Relaxed) {
            return Ok(());
        }
        for handle in handles {
            if commit::decode(&handle.data)?.term == term {
                commit::clean(&self.dir.join(STAGING), &self.prefix, term)?;
                self.cleaned.store(term, Ordering::Relaxed);
                break;
            }
        }
        Ok(())
    }
}

impl Sink for FileSink {
    fn open(&self, slot: u16, term: u64) -> Result<Box<dyn SinkWriter>, Error> {
        self.term.fetch_max(term, Ordering::Relaxed);
        Ok(Box::new(FileWriter::new(self.dir.clone(), self.prefix.clone(), self.format.as_ref(), self.roll, slot, term)))
    }

    fn commit(&self, handles: &[SinkHandle]) -> Result<(), Error> {
        commit::commit(&self.dir, handles, &mut |_| Ok(()))?;
        self.clean(handles)
    }

    fn check(&self) -> Result<(), Error> {
        if self.dir.is_file() {
            return Err(Error::new(Kind::Invalid, "the sink's path is a file, but a directory is wanted")
                .at(self.dir.display().to_string())
                .advise("give a directory: the sink writes one or more files an epoch"));
        }
        let staging = self.dir.join(STAGING);
        std::fs::create_dir_all(&staging).map_err(|e| io_error("make the sink's directory", &staging, e))?;
        probe(&staging, &self.dir)
    }
}

/// Writes, links and removes a file: what every commit will do.
fn probe(staging: &Path, dir: &Path) -> Result<(), Error> {
    let name = format!(".probe-{}-{:?}", std::process::id(), std::thread::current().id());
    let (from, to) = (staging.join(&name), dir.join(&name));
    std::fs::write(&from, b"probe").map_err(|e| io_error("write a file", &from, e))?;
    let linked = std::fs::hard_link(&from, &to);
    let twice = std::fs::hard_link(&from, &to);
    let removed = std::fs::remove_file(&to);
    std::fs::remove_file(&from).map_err(|e| io_error("remove a file", &from, e))?;
    if let Err(e) = linked {
        return Err(io_error("make a hard link, which publishing needs,", &to, e)
            .advise("choose a directory on a local file system with hard links, which the user who runs the job may write"));
    }
    removed.map_err(|e| io_error("remove a file", &to, e))?;
    match twice {
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        _ => Err(Error::new(
            Kind::Unavailable,
            "this file system lets a name be made twice: exactly-once output is impossible on it",
        )
        .at(dir.display().to_string())
        .advise("choose a directory on a local file system")),
    }
}
