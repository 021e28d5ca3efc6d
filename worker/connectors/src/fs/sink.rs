//! The exactly-once sink into a directory.
//!
//! ```text
//! rows ─► <dir>/.staging/part-<term>-<epoch>-<version>-<slot>-<n>-<writer>     written, synced, named in the epoch's manifest
//!      ─► <dir>/part-<epoch>-<version>-<slot>-<n>.jsonl                          the same file, renamed by the commit
//! ```
//!
//! A reader of the directory sees only committed files, each complete, each once ([`commit`] has the law). Final names do not hold
//! the term: every commit of an epoch, of whichever process, makes the same names. Staged names hold the term and the writer, so
//! that a zombie writes only names that no manifest refers to. Names sort by (epoch, version, slot, n), the order of the output.
//!
//! Staged files of older terms are garbage once an epoch of this term is committed, and not before: until then one of them
//! may be named by the manifest the job was restored from.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use watershed_runtime::env::{Sink, SinkHandle, SinkWriter};
use watershed_runtime::error::{Error, Kind};

use super::commit;
use super::error::io_error;
use super::rename::rename_new;
use super::staged::{STAGING, decode};
use super::writer::FileWriter;
use crate::format::SinkFormat;

/// The size at which files are rolled within an epoch unless the table says otherwise: Flink's default.
pub const ROLL: u64 = 128 << 20;

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
            if decode(&handle.data)?.term == term {
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

/// Writes, renames and removes a file, as every commit will.
fn probe(staging: &Path, dir: &Path) -> Result<(), Error> {
    let name = format!(".probe-{}-{:?}", std::process::id(), std::thread::current().id());
    let (from, to) = (staging.join(&name), dir.join(&name));
    std::fs::write(&from, b"probe").map_err(|e| io_error("write a file", &from, e))?;
    if let Err(e) = rename_new(&from, &to) {
        let _gone = std::fs::remove_file(&from);
        return Err(io_error("rename a file, which publishing needs,", &to, e).advise(
            "choose a directory that the user that runs the job may write, with its staging directory on the same file system",
        ));
    }
    std::fs::remove_file(&to).map_err(|e| io_error("remove a file", &to, e))
}
