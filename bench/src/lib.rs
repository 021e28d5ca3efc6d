//! Benchmarks of Watershed beside a hand-written loop: the same bytes in, the same rows out, in one run.
//!
//! `gen` makes the input, `loop-words` and `loop-windows` are the limit (no framework at all), `words` and `windows` are the same jobs in
//! the public Rust API. What is here is shared by them.

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Deserialize;

pub mod feed;
pub mod load;
#[cfg(feature = "sql")]
pub mod sql;

/// Part files of each input.
pub const PARTS: usize = 8;
/// Length of the windows, in milliseconds.
pub const WINDOW_MS: u64 = 10_000;
/// The most by which rows of a part are out of order, in milliseconds.
pub const DISORDER_MS: u64 = 2_000;
/// The delay of the watermark beyond the disorder, in milliseconds; the same for every engine.
pub const SLACK_MS: u64 = 100;

/// A row of the word count, borrowed.
#[derive(Deserialize)]
#[allow(missing_debug_implementations, reason = "a row of a benchmark")]
pub struct WordRow<'a> {
    /// The word.
    #[serde(borrow)]
    pub word: Cow<'a, str>,
}

/// A row of the windowed count, borrowed.
#[derive(Deserialize)]
#[allow(missing_debug_implementations, reason = "a row of a benchmark")]
pub struct EventRow<'a> {
    /// Milliseconds.
    pub ts: u64,
    /// The key.
    #[serde(borrow)]
    pub key: Cow<'a, str>,
    /// Any number.
    pub value: i64,
}

/// A part file.
#[must_use]
pub fn part_path(dir: &str, p: usize) -> PathBuf {
    Path::new(dir).join(format!("part-{p}.jsonl"))
}

/// Opens a part file.
pub fn open_part(dir: &str, p: usize) -> std::io::Result<BufReader<File>> {
    Ok(BufReader::with_capacity(1 << 18, File::open(part_path(dir, p))?))
}

/// Makes the output file of a worker.
pub fn out_file(out: &str, worker: usize) -> std::io::Result<BufWriter<File>> {
    std::fs::create_dir_all(out)?;
    Ok(BufWriter::with_capacity(1 << 18, File::create(Path::new(out).join(format!("out-{worker}.jsonl")))?))
}

/// Reads one line without its newline; false at the end.
pub fn read_line(r: &mut BufReader<File>, buf: &mut Vec<u8>) -> std::io::Result<bool> {
    buf.clear();
    if r.read_until(b'\n', buf)? == 0 {
        return Ok(false);
    }
    if buf.last() == Some(&b'\n') {
        buf.pop();
    }
    Ok(true)
}

/// `PROGRAM IN OUT [WORKERS]`.
#[derive(Debug)]
pub struct Args {
    /// Input folder.
    pub input: String,
    /// Output folder.
    pub out: String,
    /// Threads.
    pub workers: u16,
}

/// The command line, or a message how to call the program.
pub fn args() -> Result<Args, String> {
    let mut a = std::env::args().skip(1);
    let usage = || "usage: PROGRAM IN_DIR OUT_DIR [WORKERS]".to_owned();
    let (input, out) = (a.next().ok_or_else(usage)?, a.next().ok_or_else(usage)?);
    let workers = a.next().map_or(Ok(1), |w| w.parse().map_err(|e| format!("WORKERS: {e}")))?;
    Ok(Args { input, out, workers })
}

/// The epoch period of a benchmark: `EPOCH_MS`, else 50 ms.
#[must_use]
pub fn epoch() -> std::time::Duration {
    let ms = std::env::var("EPOCH_MS").ok().and_then(|v| v.parse().ok()).unwrap_or(50);
    std::time::Duration::from_millis(ms)
}

/// The `n`th argument as a number.
pub fn number<N: std::str::FromStr>(n: usize, or: N) -> Result<N, String> {
    let Some(text) = std::env::args().nth(n) else { return Ok(or) };
    text.parse().map_err(|_| format!("argument {n} is not a number: `{text}`"))
}

/// Prints a program's measurements as one line of JSON.
pub fn say(numbers: &[(&str, f64)]) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let object: serde_json::Map<_, _> = numbers.iter().map(|(k, v)| ((*k).to_owned(), serde_json::json!(v))).collect();
    Ok(writeln!(std::io::stdout(), "{}", serde_json::Value::Object(object))?)
}

/// The snapshot directory of a job without files: `STATE_DIR`, else under `target/bench`.
#[must_use]
pub fn scratch(name: &str) -> String {
    let dir = std::env::var("STATE_DIR").unwrap_or_else(|_| "target/bench/state".to_owned());
    format!("{dir}/{name}")
}

/// The value below which a share `q` of the sorted values lies.
#[must_use]
pub fn quantile(sorted: &[u64], q: f64) -> u64 {
    let at = (sorted.len() as f64 * q).ceil() as usize;
    sorted.get(at.max(1) - 1).copied().unwrap_or(0)
}

/// Seconds this program's threads have had a core, those that have ended left out.
pub fn on_cores() -> std::io::Result<f64> {
    let mut nanos = 0;
    for task in std::fs::read_dir("/proc/self/task")? {
        // A thread may end between the listing and the reading.
        let line = std::fs::read_to_string(task?.path().join("schedstat")).unwrap_or_default();
        nanos += line.split(' ').next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
    }
    Ok(nanos as f64 / 1e9)
}
