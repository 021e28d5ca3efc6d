//! A malformed row in a message: file, line, byte, reason, and how it begins.
//!
//! Lines are not counted while reading; they are counted here, once, when the job is about to fail.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use watershed_runtime::error::{Error, Kind};

/// The part of the row that is shown, in characters.
const SHOWN: usize = 80;
/// Counting lines reads the file again: beyond this offset the byte has to do.
const COUNTED: u64 = 4 << 30;

/// The error for the row that begins at `offset` with `text`.
pub(crate) fn malformed(place: &str, path: Option<&Path>, offset: u64, text: &[u8], reason: &str) -> Error {
    let line = text.split(|b| *b == b'\n').next().unwrap_or_default();
    let text = String::from_utf8_lossy(line);
    let text = text.trim_end();
    let cut = if text.chars().nth(SHOWN).is_some() { "…" } else { "" };
    let shown: String = text.chars().take(SHOWN).collect();
    let number = path.and_then(|p| line_number(p, offset)).map(|n| format!(", line {n}")).unwrap_or_default();
    Error::new(Kind::Data, format!("malformed row: {reason}: {shown}{cut}"))
        .at(format!("{place}{number}, byte {offset}"))
        .advise("mend the row, or set 'json.ignore-parse-errors' = 'true' to skip and count such rows")
}

fn line_number(path: &Path, offset: u64) -> Option<u64> {
    if offset > COUNTED {
        return None;
    }
    let mut file = File::open(path).ok()?.take(offset);
    let mut buf = vec![0; 256 << 10];
    let mut lines = 1;
    loop {
        match file.read(&mut buf).ok()? {
            0 => return Some(lines),
            n => lines += memchr::memchr_iter(b'\n', buf.get(..n)?).count() as u64,
        }
    }
}
