//! Committed output of the job: new files as they become visible, row by row to the ledger, and the times at which they came.
//!
//! A file is taken away only a minute after it was read: a coordinator that is killed between the two names of a commit (the staged one and
//! the final one) makes the final one again, and a reader that empties the directory at once would get that file twice.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::disk::Disk;
use crate::ledger::Ledger;

/// The time for which a file stays where the job has put it.
const STAYS: Duration = Duration::from_secs(60);

/// The outputs, by the names of their directories.
const KINDS: [&str; 3] = ["counted", "windows", "late"];

/// The job's output directory.
#[derive(Debug)]
pub(crate) struct Output {
    disk: Disk,
    pub(crate) ledger: Ledger,
    seen: BTreeMap<PathBuf, Instant>,
    aged: VecDeque<PathBuf>,
    /// The time at which rows last came.
    pub(crate) last: Instant,
    /// The longest pause between two arrivals since it was last asked for.
    longest: Duration,
}

impl Output {
    /// An empty directory on a disk of its own.
    pub(crate) fn new(dir: &Path) -> std::io::Result<Self> {
        let disk = Disk::new(dir.join("out"), 1024)?;
        for kind in KINDS {
            std::fs::create_dir_all(disk.dir().join(kind))?;
            std::fs::create_dir_all(disk.dir().join("read").join(kind))?;
        }
        Ok(Self {
            disk,
            ledger: Ledger::new(),
            seen: BTreeMap::new(),
            aged: VecDeque::new(),
            last: Instant::now(),
            longest: Duration::ZERO,
        })
    }

    /// The disk of the output.
    pub(crate) fn disk(&self) -> &Disk {
        &self.disk
    }

    /// Begins to measure silence anew.
    pub(crate) fn listen(&mut self) {
        self.longest = Duration::ZERO;
        self.last = Instant::now();
    }

    /// The longest silence since then, the present one included.
    pub(crate) fn silence(&self) -> Duration {
        self.longest.max(self.last.elapsed())
    }

    /// Reads what is new.
    pub(crate) fn tick(&mut self, fed: u64) -> Result<(), String> {
        for kind in KINDS {
            let dir = self.disk.dir().join(kind);
            let entries = std::fs::read_dir(&dir).map_err(|e| format!("{}: {e}", dir.display()))?;
            let mut names: Vec<_> = entries.flatten().map(|e| e.file_name()).collect();
            names.retain(|n| !n.to_string_lossy().starts_with(['.', '_']));
            names.sort();
            for name in names {
                let path = dir.join(&name);
                if !self.seen.contains_key(&path) {
                    self.read(kind, &path, fed).map_err(|e| format!("{}: {e}", path.display()))?;
                    self.seen.insert(path.clone(), Instant::now());
                    self.aged.push_back(path);
                }
            }
        }
        while let Some(path) = self.aged.front() {
            if self.seen.get(path).is_some_and(|at| at.elapsed() < STAYS) {
                break;
            }
            let Some(path) = self.aged.pop_front() else { break };
            let kept = path.strip_prefix(self.disk.dir()).map(|p| self.disk.dir().join("read").join(p));
            let _full = kept.map(|to| std::fs::rename(&path, to));
            self.seen.remove(&path);
        }
        Ok(())
    }

    fn read(&mut self, kind: &str, path: &Path, fed: u64) -> Result<(), String> {
        let text = std::fs::read_to_string(path).map_err(|e| e.to_string())?;
        self.ledger.file(&format!("{kind}/{}", path.file_name().unwrap_or_default().to_string_lossy()));
        for line in text.lines() {
            let wrong = |e: serde_json::Error| format!("{line}: {e}");
            match kind {
                "counted" => self.ledger.counted(&serde_json::from_str(line).map_err(wrong)?, fed),
                "windows" => self.ledger.window(&serde_json::from_str(line).map_err(wrong)?),
                _ => self.ledger.late(&serde_json::from_str(line).map_err(wrong)?),
            }
        }
        if !text.is_empty() {
            self.longest = self.longest.max(self.last.elapsed());
            self.last = Instant::now();
        }
        Ok(())
    }
}
