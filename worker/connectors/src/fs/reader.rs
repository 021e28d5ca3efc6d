//! Reads one split on a slot: chunks of lines in, batches out.
//!
//! The position is the offset of the next line. It moves only past lines whose rows are in the batch that is handed out, so
//! that a malformed row is met again, as the first thing, by the read after the one that handed out the rows before it.

use std::path::PathBuf;
use std::sync::Arc;
use std::task::Waker;

use watershed_runtime::env::{Position, Read, SplitReader};
use watershed_runtime::error::Error;

use super::chunks::{Chunks, Next};
use super::cutter::{Chunk, Text};
use super::malformed::malformed;
use crate::format::{Decoded, LineDecoder};
use crate::metrics::SourceMetrics;

/// The reader of one split.
#[derive(Debug)]
pub(crate) struct LineReader {
    /// For messages.
    pub(crate) place: String,
    pub(crate) path: Option<PathBuf>,
    pub(crate) chunks: Chunks,
    pub(crate) decoder: Box<dyn LineDecoder>,
    pub(crate) ignore: bool,
    pub(crate) metrics: Arc<SourceMetrics>,
    /// The chunk being decoded and how far.
    pub(crate) chunk: Option<Chunk>,
    pub(crate) at: usize,
    /// The offset of the next line that was not handed out.
    pub(crate) next: Option<u64>,
    /// The start of the split, and its end if that is known.
    pub(crate) range: (u64, Option<u64>),
    pub(crate) ended: bool,
}

impl LineReader {
    /// Decodes from the chunk at hand; false when it is used up.
    fn decode(&mut self, max_rows: usize) -> Result<bool, Error> {
        let Some(chunk) = &self.chunk else { return Ok(false) };
        if self.at == 0 && chunk.offset == 0 && chunk.text.has_mark() {
            self.at = 3;
        }
        let (bytes, decoded) = match &chunk.text {
            Text::Lines(text) => {
                let rest = text.get(self.at..).unwrap_or_default();
                (rest.as_bytes(), self.decoder.decode(rest, max_rows))
            }
            Text::Raw(bytes) => {
                let rest = bytes.get(self.at..).unwrap_or_default();
                (rest, decode_raw(self.decoder.as_mut(), rest, max_rows))
            }
            Text::TooLong(bytes) => {
                let reason = format!("the line is longer than {} MiB", super::cutter::MAX_LINE >> 20);
                (bytes.as_slice(), Decoded { consumed: 0, malformed: Some(reason) })
            }
        };
        if let Some(reason) = decoded.malformed {
            self.at += decoded.consumed;
            self.next = Some(chunk.offset + self.at as u64);
            if !self.ignore {
                if !self.decoder.is_empty() {
                    return Ok(true);
                }
                let bad = bytes.get(decoded.consumed..).unwrap_or_default();
                return Err(malformed(&self.place, self.path.as_deref(), chunk.offset + self.at as u64, bad, &reason));
            }
            self.metrics.skip();
            let bad = bytes.get(decoded.consumed..).unwrap_or_default();
            self.at += memchr::memchr(b'\n', bad).map_or(bad.len(), |i| i + 1);
        } else {
            self.at += decoded.consumed;
        }
        let (offset, long) = (chunk.offset, matches!(chunk.text, Text::TooLong(_)));
        let left = decoded_left(&chunk.text, self.at);
        if !long {
            self.next = Some(offset + self.at as u64);
        }
        Ok(left)
    }

    fn start(&self) -> u64 {
        self.range.0
    }
}

fn decoded_left(text: &Text, at: usize) -> bool {
    match text {
        Text::Lines(s) => at < s.len(),
        Text::Raw(v) => at < v.len(),
        Text::TooLong(_) => false,
    }
}

/// Decodes line by line: only the lines that are not UTF-8 are malformed.
fn decode_raw(decoder: &mut dyn LineDecoder, bytes: &[u8], max_rows: usize) -> Decoded {
    let mut consumed = 0;
    for line in bytes.split_inclusive(|b| *b == b'\n') {
        if decoder.len() >= max_rows {
            break;
        }
        match std::str::from_utf8(line) {
            Ok(text) => {
                let decoded = decoder.decode(text, max_rows);
                if decoded.malformed.is_some() {
                    return Decoded { consumed, malformed: decoded.malformed };
                }
            }
            Err(e) => return Decoded { consumed, malformed: Some(format!("no UTF-8 at byte {} of the line", e.valid_up_to())) },
        }
        consumed += line.len();
    }
    Decoded { consumed, malformed: None }
}

impl SplitReader for LineReader {
    fn read(&mut self, max_rows: usize, waker: &Waker) -> Result<Read, Error> {
        let max_rows = max_rows.max(1);
        let from = self.next;
        while self.decoder.len() < max_rows {
            if self.chunk.is_some() {
                if self.decode(max_rows)? {
                    if !self.decoder.is_empty() && !self.ignore {
                        break;
                    }
                    continue;
                }
                if self.decoder.len() >= max_rows {
                    break;
                }
            }
            let used = self.chunk.take().map(|c| c.text.into_buffer());
            match self.chunks.poll(used, waker)? {
                Next::Chunk(chunk) => {
                    if self.decoder.is_empty() {
                        self.next = Some(chunk.offset);
                    }
                    self.at = 0;
                    self.chunk = Some(chunk);
                }
                Next::Pending if self.decoder.is_empty() => return Ok(Read::Pending),
                Next::Pending => break,
                Next::End => {
                    self.ended = true;
                    break;
                }
            }
        }
        let rows = self.decoder.len();
        if rows == 0 {
            return Ok(if self.ended { Read::Finished } else { Read::Pending });
        }
        self.metrics.add(rows as u64, self.next.unwrap_or_default().saturating_sub(from.unwrap_or_else(|| self.start())));
        Ok(Read::Batch(self.decoder.take()?))
    }

    fn position(&self) -> Position {
        self.next.map(|n| n.to_le_bytes().to_vec()).unwrap_or_default()
    }

    fn progress(&self) -> Option<(u64, u64)> {
        let (start, end) = (self.range.0, self.range.1?);
        let total = end.saturating_sub(start);
        Some((self.next.unwrap_or(start).saturating_sub(start).min(total), total))
    }
}
