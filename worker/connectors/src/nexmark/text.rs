//! Text columns: bytes gathered in one buffer, offsets beside it.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};

use super::stream::{Stream, below};
use crate::random::{RandomColumn, mix};

/// A text column, from the event of each row; `f` appends ASCII.
pub(crate) fn texts(stream: &Stream, rows: Range<u64>, about: usize, f: impl Fn(u64, &mut Vec<u8>)) -> ArrayRef {
    let n = (rows.end - rows.start) as usize;
    let mut bytes = Vec::with_capacity(n * about + n * about / 8);
    let mut offsets: Vec<i32> = Vec::with_capacity(n + 1);
    offsets.push(0);
    for event in stream.events(rows) {
        f(event, &mut bytes);
        offsets.push(i32::try_from(bytes.len()).unwrap_or(i32::MAX));
    }
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    Arc::new(StringArray::try_new(offsets, Buffer::from_vec(bytes), None).expect("ASCII of at most a batch is text"))
}

/// Appends `n` random letters.
#[inline]
pub(crate) fn letters(bits: u64, n: usize, out: &mut Vec<u8>) {
    let end = out.len() + n;
    let mut word = bits;
    while out.len() < end {
        word = mix(word.wrapping_add(0x9e37_79b9_7f4a_7c15));
        // Four bits a byte: a to p. Enough letters to be incompressible by a dictionary, and no division.
        out.extend_from_slice(&((word & 0x0f0f_0f0f_0f0f_0f0f) + 0x6161_6161_6161_6161).to_le_bytes());
    }
    out.truncate(end);
}

/// Random letters, from `low` to `high` of them.
#[inline]
pub(crate) fn some_letters(chance: RandomColumn, event: u64, low: u64, high: u64, out: &mut Vec<u8>) {
    let bits = chance.bits(event);
    letters(bits, (low + below(mix(bits), high - low + 1)) as usize, out);
}

/// The filler that brings an event to its usual size: `missing` bytes, a fifth more or less.
pub(crate) fn extra(stream: &Stream, rows: Range<u64>, salt: u64, missing: u64) -> ArrayRef {
    let chance = stream.chance(salt);
    let delta = missing / 5;
    texts(stream, rows, missing as usize, |e, out| some_letters(chance, e, missing - delta, missing + delta, out))
}

/// Appends a number.
pub(crate) fn number(n: u64, out: &mut Vec<u8>) {
    let mut digits = [0u8; 20];
    let mut n = n;
    let mut used = 0;
    for d in digits.iter_mut().rev() {
        *d = b'0' + (n % 10) as u8;
        n /= 10;
        used += 1;
        if n == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(20 - used..).unwrap_or_default());
}

/// One of some words.
#[inline]
pub(crate) fn one_of<'a>(words: &[&'a str], bits: u64) -> &'a str {
    words.get(below(bits, words.len() as u64) as usize).copied().unwrap_or_default()
}
