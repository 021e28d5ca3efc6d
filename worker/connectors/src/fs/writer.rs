//! One slot's end of the file sink: encodes rows on the slot, writes and syncs elsewhere.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;

use watershed_runtime::container::Batch;
use watershed_runtime::env::{Segment, SinkWriter};
use watershed_runtime::error::Error;

use super::error::io_error;
use super::staged::{Handle, STAGING, StagedFile, encode, sync_dir};
use crate::format::{LineEncoder, SinkFormat};
use crate::io::outbox::{Executor, Outbox};

/// Bytes gathered before they go to the I/O threads.
const FLUSH: usize = 64 << 10;

/// Tells writers of one process apart.
static WRITERS: AtomicU64 = AtomicU64::new(0);

/// The writer of one slot.
#[derive(Debug)]
pub(crate) struct FileWriter {
    names: Names,
    encoder: Box<dyn LineEncoder>,
    roll: u64,
    outbox: Outbox<StagingFiles>,
    buffer: Vec<u8>,
    open: Option<OpenFile>,
    /// Files of the epochs that are not sealed yet or not asked for yet.
    epochs: BTreeMap<u64, EpochFiles>,
    /// The last segment and how many files it has had.
    last: Option<(Segment, u32)>,
}

#[derive(Debug)]
struct Names {
    prefix: String,
    extension: &'static str,
    term: u64,
    slot: u16,
    writer: String,
}

#[derive(Debug)]
struct OpenFile {
    segment: Segment,
    bytes: u64,
}

#[derive(Debug, Default)]
struct EpochFiles {
    files: Vec<(u64, StagedFile)>,
    sealed: Option<u64>,
}

impl FileWriter {
    pub(crate) fn new(dir: PathBuf, prefix: String, format: &dyn SinkFormat, roll: u64, slot: u16, term: u64) -> Self {
        let started = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_micros());
        let writer = format!("{:x}{started:x}{:x}", std::process::id(), WRITERS.fetch_add(1, Ordering::Relaxed));
        Self {
            names: Names { prefix, extension: format.extension(), term, slot, writer },
            encoder: format.encoder(),
            roll,
            outbox: Outbox::new(StagingFiles { staging: dir.join(STAGING), open: None }),
            buffer: Vec::new(),
            open: None,
            epochs: BTreeMap::new(),
            last: None,
        }
    }

    fn begin(&mut self, segment: Segment) -> Result<(), Error> {
        let n = match &self.last {
            Some((last, n)) if *last == segment => n + 1,
            _ => 0,
        };
        self.last = Some((segment, n));
        let Names { prefix, extension, term, slot, writer } = &self.names;
        let Segment { epoch, version, slot: _ } = segment;
        let staged = format!("{prefix}-{term:010}-{epoch:012}-{version:06}-{slot:05}-{n:04}-{writer}");
        let target = format!("{prefix}-{epoch:012}-{version:06}-{slot:05}-{n:04}.{extension}");
        self.outbox.push(FileOp::Create(staged.clone()), 0)?;
        self.epochs.entry(epoch).or_default().files.push((version, StagedFile(staged, target)));
        self.open = Some(OpenFile { segment, bytes: 0 });
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Error> {
        if !self.buffer.is_empty() {
            let bytes = std::mem::take(&mut self.buffer);
            let n = bytes.len();
            self.outbox.push(FileOp::Append(bytes), n)?;
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), Error> {
        if self.open.take().is_some() {
            self.flush()?;
            self.outbox.push(FileOp::Close, 0)?;
        }
        Ok(())
    }
}

impl SinkWriter for FileWriter {
    fn write(&mut self, batch: Batch, segment: Segment) -> Result<(), Error> {
        if batch.is_empty() {
            return Ok(());
        }
        if self.open.as_ref().is_some_and(|o| o.segment != segment) {
            self.end()?;
        }
        if self.open.is_none() {
            self.begin(segment)?;
        }
        let before = self.buffer.len();
        self.encoder.encode(batch, &mut self.buffer)?;
        let grown = (self.buffer.len() - before) as u64;
        let full = self.open.as_mut().is_some_and(|o| {
            o.bytes += grown;
            o.bytes >= self.roll
        });
        if full {
            return self.end();
        }
        if self.buffer.len() >= FLUSH {
            return self.flush();
        }
        Ok(())
    }

    fn seal(&mut self, epoch: u64) -> Result<(), Error> {
        self.end()?;
        if let Some(files) = self.epochs.get_mut(&epoch) {
            files.sealed = Some(self.outbox.push(FileOp::Sync, 0)?);
        }
        Ok(())
    }

    fn sealed(&mut self, epoch: u64, waker: &Waker) -> Result<Option<Vec<(u64, Vec<u8>)>>, Error> {
        let Some(files) = self.epochs.get(&epoch) else { return Ok(Some(Vec::new())) };
        let Some(number) = files.sealed else { return Ok(None) };
        if !self.outbox.done(number, waker)? {
            return Ok(None);
        }
        let files = self.epochs.remove(&epoch).unwrap_or_default().files;
        let mut handles: Vec<(u64, Handle)> = Vec::new();
        for (version, file) in files {
            match handles.last_mut() {
                Some((last, handle)) if *last == version => handle.files.push(file),
                _ => handles.push((version, Handle { term: self.names.term, files: vec![file] })),
            }
        }
        Ok(Some(handles.into_iter().map(|(version, handle)| (version, encode(&handle))).collect()))
    }

    fn backlog(&self, waker: &Waker) -> usize {
        self.buffer.len() + self.outbox.backlog(waker)
    }
}

/// Operations of the I/O threads, in order.
#[derive(Debug)]
enum FileOp {
    Create(String),
    Append(Vec<u8>),
    Close,
    /// Make the names durable.
    Sync,
}

/// The end of a writer on the I/O threads: at most one file is open.
#[derive(Debug)]
struct StagingFiles {
    staging: PathBuf,
    open: Option<(PathBuf, File)>,
}

impl Executor for StagingFiles {
    type Op = FileOp;

    fn run(&mut self, op: FileOp) -> Result<(), Error> {
        match op {
            FileOp::Create(name) => {
                let path = self.staging.join(name);
                let file = OpenOptions::new().write(true).create_new(true).open(&path);
                self.open = Some((path.clone(), file.map_err(|e| io_error("create the file", &path, e))?));
            }
            FileOp::Append(bytes) => {
                if let Some((path, file)) = &mut self.open {
                    file.write_all(&bytes).map_err(|e| io_error("write the file", path, e))?;
                }
            }
            FileOp::Close => {
                if let Some((path, file)) = self.open.take() {
                    file.sync_all().map_err(|e| io_error("sync the file", &path, e))?;
                }
            }
            FileOp::Sync => sync_dir(&self.staging)?,
        }
        Ok(())
    }
}
