//! Cuts a byte range of a file into chunks of whole lines.
//!
//! The law of splits: the lines of the split `[start, end)` are those that begin in `(start, end]` (in `[0, end]` for the first
//! split). So a split begins after the first newline at or after its start and ends with the line that straddles its end;
//! any cut of a file into splits gives every line exactly once. Reading may begin again at any line's start.
//!
//! Runs on an I/O thread, so the search for the last newline, the copy of the line that straddles two chunks and the check for
//! UTF-8 cost the slot nothing. A line longer than [`MAX_LINE`] is dropped and reported: no buffer is unbounded.

use std::io::{self, ErrorKind, Read};

/// The longest line that is read as a row.
pub(crate) const MAX_LINE: usize = 16 << 20;
/// The bytes that are read at a time beyond the end of the split, where only the straddling line is wanted.
const TAIL: usize = 64 << 10;

/// Whole lines and where they stand.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// The offset of its first byte.
    pub(crate) offset: u64,
    pub(crate) text: Text,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Text {
    /// Lines, the last one perhaps without a newline.
    Lines(String),
    /// Lines of which at least one is not UTF-8.
    Raw(Vec<u8>),
    /// The first bytes of a line longer than [`MAX_LINE`]; the rest is skipped.
    TooLong(Vec<u8>),
}

/// A byte range of a file, and how far it has been cut.
#[derive(Debug)]
pub(crate) struct Cutter {
    /// The offset of the first byte of `tail`: a line's start unless `skipping`.
    line: u64,
    end: u64,
    /// Read, not handed out: the beginning of a line.
    tail: Vec<u8>,
    /// Bytes up to the first newline belong to the split before.
    skipping: bool,
    finished: bool,
    chunk: usize,
    /// Hand out what one read gives instead of filling a chunk: for pipes and terminals.
    eager: bool,
}

impl Cutter {
    /// Reads the split `[start, end)` from its beginning.
    pub(crate) fn from_start(start: u64, end: u64, chunk: usize) -> Self {
        Self { skipping: start > 0, ..Self::from_line(start, end, chunk) }
    }

    /// Reads on from a line's start.
    pub(crate) fn from_line(line: u64, end: u64, chunk: usize) -> Self {
        Self { line, end, tail: Vec::new(), skipping: false, finished: line > end, chunk: chunk.max(1), eager: false }
    }

    /// Reads a stream that has no end known before, from byte `line` on.
    pub(crate) fn stream(line: u64, chunk: usize) -> Self {
        Self { eager: true, ..Self::from_line(line, u64::MAX, chunk) }
    }

    /// The offset at which `input` must stand before the next call.
    pub(crate) fn offset(&self) -> u64 {
        self.line + self.tail.len() as u64
    }

    /// True if chunks from here on lie beyond the end of the split: not worth reading ahead.
    pub(crate) fn beyond(&self) -> bool {
        self.offset() > self.end
    }

    /// The next chunk; `None` when the split has ended. `spare` is a buffer to use again.
    pub(crate) fn next_chunk(&mut self, input: &mut impl Read, spare: Vec<u8>) -> io::Result<Option<Chunk>> {
        let mut buf = spare;
        buf.clear();
        while !self.finished {
            std::mem::swap(&mut buf, &mut self.tail);
            // `buf` holds what was left, `tail` is empty or old capacity.
            self.tail.clear();
            let ended = self.fill(input, &mut buf)?;
            if self.skipping && !self.skip(&mut buf, ended) {
                continue;
            }
            if let Some(chunk) = self.cut(&mut buf, ended) {
                return Ok(Some(chunk));
            }
        }
        Ok(None)
    }

    /// Reads some more into `buf`; says whether the input has ended.
    fn fill(&mut self, input: &mut impl Read, buf: &mut Vec<u8>) -> io::Result<bool> {
        let at = self.line + buf.len() as u64;
        let left = usize::try_from(self.end.saturating_sub(at).saturating_add(1)).unwrap_or(usize::MAX);
        let want = if at > self.end { self.chunk.min(TAIL) } else { self.chunk.min(left) };
        let mut filled = buf.len();
        // Exactly: doubling would take 256 KiB for a chunk of 128 KiB and the rest of a line.
        buf.reserve_exact(want);
        buf.resize(filled + want, 0);
        let result = loop {
            match buf.get_mut(filled..) {
                None | Some([]) => break Ok(false),
                Some(room) => match input.read(room) {
                    Ok(0) => break Ok(true),
                    Ok(n) => {
                        filled += n;
                        if self.eager {
                            break Ok(false);
                        }
                    }
                    Err(e) if e.kind() == ErrorKind::Interrupted => {}
                    Err(e) => break Err(e),
                },
            }
        };
        buf.truncate(filled);
        result
    }

    /// Drops bytes up to and with the first newline; false if `buf` has none.
    fn skip(&mut self, buf: &mut Vec<u8>, ended: bool) -> bool {
        match memchr::memchr(b'\n', buf) {
            Some(i) => {
                buf.drain(..=i);
                self.line += i as u64 + 1;
                self.skipping = false;
                self.finished = self.line > self.end;
                !self.finished
            }
            None => {
                self.line += buf.len() as u64;
                buf.clear();
                self.finished = ended;
                false
            }
        }
    }

    /// Cuts the whole lines of this split off the front of `buf` and keeps the rest.
    fn cut(&mut self, buf: &mut Vec<u8>, ended: bool) -> Option<Chunk> {
        // The last line of the split is the one that holds the byte at `end`; it begins at or before it.
        let last = usize::try_from(self.end - self.line).ok();
        let closing = last.and_then(|l| buf.get(l..).and_then(|rest| memchr::memchr(b'\n', rest)).map(|i| l + i + 1));
        let cut = match closing {
            Some(cut) => {
                self.finished = true;
                cut
            }
            None if ended => {
                self.finished = true;
                buf.len()
            }
            None => memchr::memrchr(b'\n', buf).map_or(0, |i| i + 1),
        };
        if cut == 0 {
            if buf.len() > MAX_LINE {
                let offset = self.line;
                self.line += buf.len() as u64;
                self.skipping = true;
                buf.truncate(256);
                return Some(Chunk { offset, text: Text::TooLong(std::mem::take(buf)) });
            }
            // More is needed for one line; or the split has ended without another one.
            std::mem::swap(buf, &mut self.tail);
            return None;
        }
        if !self.finished {
            self.tail.extend_from_slice(buf.get(cut..).unwrap_or_default());
        }
        buf.truncate(cut);
        let offset = self.line;
        self.line += cut as u64;
        let text = match String::from_utf8(std::mem::take(buf)) {
            Ok(text) => Text::Lines(text),
            Err(e) => Text::Raw(e.into_bytes()),
        };
        Some(Chunk { offset, text })
    }
}
