//! Checks of an output, row by row, and of the number of epochs that were published while a job was running.

use std::borrow::Cow;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::run::Failure;

/// A row of any output.
#[derive(Deserialize)]
struct Row<'a> {
    #[serde(default)]
    window: u64,
    #[serde(borrow, alias = "word")]
    key: Cow<'a, str>,
    count: u64,
}

/// Window, key, count: numbers, so that millions of rows can be sorted.
type Packed = (u64, u64, u64);

fn pack(key: &str) -> Result<u64, Failure> {
    if key.len() > 8 {
        return Err(format!("no key of the input is as long as `{key}`").into());
    }
    Ok(key.bytes().fold(0, |packed, b| packed << 8 | u64::from(b)))
}

/// Compares what lies in a folder with the reference; the number of rows.
pub(crate) fn check(out: &Path, reference: &Path) -> Result<usize, Failure> {
    let mut got = Vec::new();
    let mut files = Vec::new();
    visible(out, &mut files)?;
    for file in files {
        let bytes = std::fs::read(&file)?;
        for line in bytes.split(|b| *b == b'\n').filter(|l| !l.is_empty()) {
            let row: Row<'_> = serde_json::from_slice(line).map_err(|e| format!("{}: {e}", file.display()))?;
            got.push((row.window, pack(&row.key)?, row.count));
        }
    }
    got.sort_unstable();
    let mut want = expected(reference)?;
    want.sort_unstable();
    if got == want {
        return Ok(got.len());
    }
    let differs = got.iter().zip(&want).position(|(g, w)| g != w).unwrap_or_else(|| got.len().min(want.len()));
    let (g, w) = (got.get(differs), want.get(differs));
    Err(format!("{}: {} rows instead of {}; row {differs} is {g:?} instead of {w:?}", out.display(), got.len(), want.len())
        .into())
}

fn expected(reference: &Path) -> Result<Vec<Packed>, Failure> {
    let mut all = Vec::new();
    for line in BufReader::new(std::fs::File::open(reference)?).lines() {
        let line = line?;
        let mut fields = line.rsplit('\t');
        let count = fields.next().unwrap_or_default().parse()?;
        let key = pack(fields.next().unwrap_or_default())?;
        all.push((fields.next().map_or(Ok(0), str::parse)?, key, count));
    }
    Ok(all)
}

/// Files that a reader of the output would see.
fn visible(dir: &Path, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let hidden = path.file_name().is_some_and(|n| n.to_string_lossy().starts_with(['.', '_']));
        match (hidden, path.is_dir()) {
            (true, _) => {}
            (false, true) => visible(&path, files)?,
            (false, false) => files.push(path),
        }
    }
    Ok(())
}

/// Epochs in a job's log that were published before its last one. Entries that the collector took are counted by their numbers.
pub(crate) fn epochs(state: &Path) -> Result<u64, Failure> {
    let (mut listed, mut newest) = (0u64, 0u64);
    for entry in std::fs::read_dir(state.join("manifest"))? {
        let path = entry?.path();
        if path.extension().is_none_or(|e| e != "json") {
            continue;
        }
        let entry: Value = serde_json::from_slice(&std::fs::read(&path)?)?;
        newest = newest.max(entry.get("seq").and_then(Value::as_u64).unwrap_or(0));
        let last = entry.pointer("/manifest/last").and_then(Value::as_bool).unwrap_or(false);
        listed += u64::from(entry.get("kind").and_then(Value::as_str) == Some("epoch") && !last);
    }
    // The claim of the term and the last epoch are the two others.
    Ok(listed.max(newest.saturating_sub(2)))
}
