//! Output records with their times: each process writes one record a row into a file of its own, and the driver reads them all.
//!
//! A record is 24 bytes: the time of the writing, when the row was due, its key, its number within the key. Rows before the pace are
//! counted, not listed. A process that is killed may leave half a record at the end; it is dropped.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::paced::clock;

const RECORD: usize = 24;
/// The key of a record that counts rows before the pace.
const COUNT: u32 = u32::MAX;

/// A row that came out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Out {
    pub(crate) key: u32,
    pub(crate) seen: u32,
    pub(crate) at: u64,
}

/// Writes the records of a process.
#[derive(Clone, Debug)]
pub(crate) struct Trace(Arc<Mutex<File>>);

impl Trace {
    pub(crate) fn create(dir: &Path, name: &str) -> std::io::Result<Self> {
        let file = dir.join(format!("{name}-{}.trace", std::process::id()));
        Ok(Self(Arc::new(Mutex::new(File::create(file)?))))
    }

    pub(crate) fn note(&self, rows: &[Out]) {
        let (now, mut bytes) = (clock(), Vec::with_capacity(rows.len() * RECORD));
        let mut put = |at: u64, key: u32, seen: u32| {
            bytes.extend_from_slice(&now.to_le_bytes());
            bytes.extend_from_slice(&at.to_le_bytes());
            bytes.extend_from_slice(&key.to_le_bytes());
            bytes.extend_from_slice(&seen.to_le_bytes());
        };
        let early = rows.iter().filter(|r| r.at == 0).count();
        if early > 0 {
            put(0, COUNT, early as u32);
        }
        rows.iter().filter(|r| r.at > 0).for_each(|r| put(r.at, r.key, r.seen));
        // A full disk ends the measurement: the driver will miss rows.
        let _full = self.0.lock().unwrap_or_else(PoisonError::into_inner).write_all(&bytes);
    }
}

/// A record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    pub(crate) now: u64,
    pub(crate) at: u64,
    pub(crate) key: u32,
    pub(crate) seen: u32,
}

/// All records so far, a file at a time.
#[derive(Debug)]
pub(crate) struct Traces {
    dir: PathBuf,
    read: std::collections::BTreeMap<PathBuf, File>,
    rest: std::collections::BTreeMap<PathBuf, Vec<u8>>,
    /// Rows before the pace.
    pub(crate) early: u64,
    pub(crate) rows: Vec<Record>,
}

impl Traces {
    pub(crate) fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            read: std::collections::BTreeMap::new(),
            rest: std::collections::BTreeMap::new(),
            early: 0,
            rows: Vec::new(),
        }
    }

    /// Reads what has come since the last time.
    pub(crate) fn read(&mut self) -> std::io::Result<()> {
        for entry in std::fs::read_dir(&self.dir)? {
            let path = entry?.path();
            if path.extension().is_none_or(|e| e != "trace") {
                continue;
            }
            if !self.read.contains_key(&path) {
                self.read.insert(path.clone(), File::open(&path)?);
            }
            let Some(file) = self.read.get_mut(&path) else { continue };
            let bytes = self.rest.entry(path).or_default();
            file.read_to_end(bytes)?;
            let whole = bytes.len() / RECORD * RECORD;
            for r in bytes.get(..whole).unwrap_or_default().chunks_exact(RECORD) {
                let long = |at: usize| r.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes);
                let short = |at: usize| r.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes);
                let record = Record { now: long(0), at: long(8), key: short(16), seen: short(20) };
                if record.key == COUNT {
                    self.early += u64::from(record.seen);
                } else {
                    self.rows.push(record);
                }
            }
            bytes.drain(..whole);
        }
        Ok(())
    }

    /// The records written from `from` to `to`, by the time of writing.
    pub(crate) fn between(&self, from: u64, to: u64) -> Vec<Record> {
        let mut some: Vec<Record> = self.rows.iter().filter(|r| r.now >= from && r.now < to).copied().collect();
        some.sort_by_key(|r| r.now);
        some
    }
}

/// The longest time without a record, in milliseconds.
pub(crate) fn silence(rows: &[Record], from: u64, to: u64) -> f64 {
    let times = std::iter::once(from).chain(rows.iter().map(|r| r.now)).chain([to]);
    let longest = times.clone().zip(times.skip(1)).map(|(a, b)| b.saturating_sub(a)).max().unwrap_or(0);
    longest as f64 / 1e6
}

/// The latency below which a share `q` of the rows lies, in milliseconds.
pub(crate) fn latency(rows: impl Iterator<Item = Record>, q: f64) -> f64 {
    let mut all: Vec<u64> = rows.map(|r| r.now.saturating_sub(r.at)).collect();
    all.sort_unstable();
    watershed_bench::quantile(&all, q) as f64 / 1e6
}
