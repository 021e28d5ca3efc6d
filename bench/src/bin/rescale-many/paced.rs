//! A source that many processes read at the pace of one clock: first one row for every key, then half as many of random keys, as fast as
//! they are taken, and then rows of random keys at the rate that a file names, from the moment that it names.
//!
//! Each row is a function of its split and number, and due at a time that follows from both; so a split that is read again, or by another
//! process, gives the same rows, and what became due while no slot read comes at once and says when it was due.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::Waker;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use watershed::Result;
use watershed::runtime::container::Rows;
use watershed::runtime::env::{Discovered, Position, Read, Source, SplitId, SplitReader};
use watershed::stream::TypedSource;

/// Splits, which share the keys.
pub(crate) const SPLITS: u64 = 16;
/// Between two looks at the clock by readers that wait.
const LOOK: Duration = Duration::from_millis(1);

/// A row: a key and when it was due, in nanoseconds since 1970; 0 for rows before the pace.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Due {
    pub(crate) key: u32,
    pub(crate) at: u64,
}

/// From when on, and how many rows a second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) from: u64,
    pub(crate) rate: f64,
}

impl Pace {
    /// Readers see it whole or not at all.
    pub(crate) fn write(self, file: &Path) -> std::io::Result<()> {
        let made = file.with_extension("making");
        std::fs::write(&made, format!("{} {}", self.from, self.rate))?;
        std::fs::rename(made, file)
    }

    fn read(file: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(file).ok()?;
        let (from, rate) = text.split_once(' ')?;
        Some(Self { from: from.parse().ok()?, rate: rate.parse().ok()? })
    }
}

/// Nanoseconds since 1970.
pub(crate) fn clock() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos() as u64)
}

#[derive(Debug)]
struct Shared {
    keys: u64,
    file: PathBuf,
    pace: OnceLock<Pace>,
    waiting: Mutex<Vec<Waker>>,
}

/// The source.
#[derive(Clone, Debug)]
pub(crate) struct Paced(Arc<Shared>);

impl Paced {
    /// Of so many keys; the pace is in `file` once it begins.
    pub(crate) fn new(keys: u64, file: PathBuf) -> Self {
        Self(Arc::new(Shared { keys, file, pace: OnceLock::new(), waiting: Mutex::default() }))
    }

    /// Wakes readers that wait, for ever.
    pub(crate) fn tick(&self) {
        let shared = self.0.clone();
        std::thread::spawn(move || {
            loop {
                std::thread::sleep(LOOK);
                if shared.pace.get().is_none()
                    && let Some(pace) = Pace::read(&shared.file)
                {
                    let _twice = shared.pace.set(pace);
                }
                let all = std::mem::take(&mut *shared.waiting.lock().unwrap_or_else(PoisonError::into_inner));
                all.into_iter().for_each(Waker::wake);
            }
        });
    }
}

/// Rows of a split before the pace.
fn ahead(keys: u64, split: u64) -> u64 {
    fill(keys, split) + rush(keys) / SPLITS
}

/// Rows of random keys that come as fast as they are taken.
pub(crate) fn rush(keys: u64) -> u64 {
    keys / 2 / SPLITS * SPLITS
}

fn fill(keys: u64, split: u64) -> u64 {
    (keys + SPLITS - 1 - split) / SPLITS
}

fn key(keys: u64, split: u64, i: u64) -> u32 {
    if i < fill(keys, split) {
        return (i * SPLITS + split) as u32;
    }
    let mut z = (i * SPLITS + split).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) % keys) as u32
}

impl Source for Paced {
    fn discover(&self) -> Result<Discovered> {
        Ok(Discovered { splits: (0..SPLITS).map(|k| SplitId(k.to_string().into())).collect(), complete: true })
    }

    fn open(&self, split: &SplitId, position: &[u8]) -> Result<Box<dyn SplitReader>> {
        let done = position.try_into().map_or(0, u64::from_le_bytes);
        Ok(Box::new(Reader { shared: self.0.clone(), split: split.0.parse().unwrap_or(0), done }))
    }

    fn bounded(&self) -> bool {
        false
    }
}

impl TypedSource for Paced {
    type Row = Due;
}

#[derive(Debug)]
struct Reader {
    shared: Arc<Shared>,
    split: u64,
    done: u64,
}

impl Reader {
    fn wait(&self, waker: &Waker) -> Read {
        self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(waker.clone());
        Read::Pending
    }
}

impl SplitReader for Reader {
    fn read(&mut self, max_rows: usize, waker: &Waker) -> Result<Read> {
        let (keys, most) = (self.shared.keys, max_rows.max(1) as u64);
        let ahead = ahead(keys, self.split);
        let (n, pace) = if self.done < ahead {
            ((ahead - self.done).min(most), None)
        } else {
            let Some(pace) = self.shared.pace.get() else { return Ok(self.wait(waker)) };
            let every = SPLITS as f64 / pace.rate * 1e9;
            let due = (clock().saturating_sub(pace.from) as f64 / every) as u64;
            let n = due.saturating_sub(self.done - ahead).min(most);
            if n == 0 {
                return Ok(self.wait(waker));
            }
            (n, Some((pace.from, every)))
        };
        let at = |i: u64| pace.map_or(0, |(from, every)| from + ((i - ahead + 1) as f64 * every) as u64);
        let row = |i: u64| Due { key: key(keys, self.split, i), at: at(i) };
        let rows: Vec<Due> = (self.done..self.done + n).map(row).collect();
        self.done += n;
        Ok(Read::Batch(Box::new(Rows::from(rows))))
    }

    fn position(&self) -> Position {
        self.done.to_le_bytes().to_vec()
    }
}
