//! The input of the counted rows: files that go on coming, but never far ahead of what has come out.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::job::{FILE_ROWS, Row};

/// A file so often.
const EVERY: Duration = Duration::from_millis(500);
/// Files that may wait to be read.
const AHEAD: u64 = 40;

/// Writes the input.
#[derive(Debug)]
pub(crate) struct Feed {
    dir: PathBuf,
    files: u64,
    next: Instant,
    over: bool,
}

impl Feed {
    /// Makes the directory.
    pub(crate) fn new(dir: &Path) -> std::io::Result<Self> {
        std::fs::create_dir_all(dir.join("in"))?;
        Ok(Self { dir: dir.to_owned(), files: 0, next: Instant::now(), over: false })
    }

    /// Rows so far.
    pub(crate) fn rows(&self) -> u64 {
        self.files * FILE_ROWS
    }

    /// No more files.
    pub(crate) fn end(&mut self) {
        self.over = true;
    }

    /// Writes the next file when its time has come, unless too many wait.
    pub(crate) fn tick(&mut self, out: u64) -> std::io::Result<()> {
        if self.over || Instant::now() < self.next || self.rows() > out + AHEAD * FILE_ROWS {
            return Ok(());
        }
        self.next = Instant::now() + EVERY;
        let mut text = String::new();
        for Row { id, key } in (self.rows()..self.rows() + FILE_ROWS).map(Row::of) {
            let _infallible = writeln!(text, r#"{{"id":{id},"key":{key}}}"#);
        }
        // Whole or not there.
        let made = self.dir.join("next");
        std::fs::write(&made, text)?;
        std::fs::rename(&made, self.dir.join("in").join(format!("{:06}.jsonl", self.files)))?;
        self.files += 1;
        Ok(())
    }
}
