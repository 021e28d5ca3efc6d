//! The bytes of one entry, wherever they go: a delta, a warm-up, a final.
//!
//! One framing everywhere: `len u32 | item`, so that a run of items can be cut and joined anywhere. An item is
//! `flags u8 | n u32 | hash (8, big-endian) | key | [time i64] | value` with numbers little-endian unless said otherwise, `n` the
//! length of hash and key together, key and value in postcard. The hash comes first and big-endian so that sorting
//! the bytes sorts by key group. Flag 1: a tombstone, without a value. Flag 2: the time of the last write follows (only where
//! the state expires).

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};
use crate::key::KeyGroup;

const TOMBSTONE: u8 = 1;
const TIMED: u8 = 2;

/// Bytes at which a chunk of a run is full.
const CHUNK: usize = 1 << 20;

/// The place of one item in a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Span {
    group: KeyGroup,
    /// The start of the item (after its length).
    at: u32,
    len: u32,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Chunk {
    bytes: Vec<u8>,
    spans: Vec<Span>,
}

/// Encoded entries in the order in which they were met; sorted later, off the hot thread.
///
/// In chunks: one vector of a gigabyte would be copied whenever it grows, on the slot's thread, and that took seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncodedRun {
    chunks: Vec<Chunk>,
    bytes: usize,
}

impl EncodedRun {
    /// Appends one entry; how many bytes its item took. On an error nothing is appended.
    pub(super) fn put<K: Serialize, V: Serialize>(
        &mut self,
        group: KeyGroup,
        hash: u64,
        key: &K,
        value: Option<&V>,
        time: Option<i64>,
    ) -> Result<u32> {
        if self.chunks.last().is_none_or(|c| c.bytes.len() >= CHUNK) {
            self.chunks.push(Chunk::default());
        }
        let Some(chunk) = self.chunks.last_mut() else { return Ok(0) };
        let before = chunk.bytes.len();
        let (at, len) = put_item(&mut chunk.bytes, hash, key, value, time)?;
        // A chunk begins below CHUNK, so only an item itself could be too far in, and its length has been checked.
        chunk.spans.push(Span { group, at: at as u32, len });
        self.bytes += chunk.bytes.len() - before;
        Ok(len)
    }

    /// Each item's key group and bytes, without its length.
    pub fn items(&self) -> impl Iterator<Item = (KeyGroup, &[u8])> {
        self.chunks.iter().flat_map(|c| {
            let item = |s: &Span| c.bytes.get(s.at as usize..s.at as usize + s.len as usize).unwrap_or_default();
            c.spans.iter().map(move |s| (s.group, item(s)))
        })
    }

    /// The number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.chunks.iter().map(|c| c.spans.len()).sum()
    }

    /// True if nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// The bytes of all framed items together.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.bytes
    }

    /// The framed items in one piece.
    #[cfg(test)]
    pub(crate) fn framed(&self) -> Vec<u8> {
        self.chunks.iter().flat_map(|c| c.bytes.clone()).collect()
    }

    /// Moves everything of `other` to the end.
    pub fn append(&mut self, other: &mut Self) {
        self.chunks.append(&mut other.chunks);
        self.bytes += std::mem::take(&mut other.bytes);
    }
}

/// Appends to a vector what postcard makes.
pub(crate) struct Append<'a>(pub(crate) &'a mut Vec<u8>);

impl postcard::ser_flavors::Flavor for Append<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

fn put<T: Serialize>(value: &T, out: &mut Vec<u8>) -> Result<()> {
    postcard::serialize_with_flavor(value, Append(out)).map_err(|e| {
        Error::new(Kind::Invalid, format!("a state of type {} cannot be encoded", std::any::type_name::<T>()))
            .because(e)
            .advise("its Serialize must not fail and must not need a self-describing format")
    })
}

fn patch(out: &mut [u8], at: usize, len: usize) -> Result<u32> {
    let len = u32::try_from(len).map_err(|_| Error::new(Kind::Invalid, "one state entry is larger than 4 GiB"))?;
    if let Some(hole) = out.get_mut(at..at + 4) {
        hole.copy_from_slice(&len.to_le_bytes());
    }
    Ok(len)
}

/// Appends one framed item and says where it is. On an error the output is as before.
pub(super) fn put_item<K: Serialize, V: Serialize>(
    out: &mut Vec<u8>,
    hash: u64,
    key: &K,
    value: Option<&V>,
    time: Option<i64>,
) -> Result<(usize, u32)> {
    let start = out.len();
    let done = put_parts(out, hash, key, value, time);
    if done.is_err() {
        out.truncate(start);
    }
    done
}

fn put_parts<K: Serialize, V: Serialize>(
    out: &mut Vec<u8>,
    hash: u64,
    key: &K,
    value: Option<&V>,
    time: Option<i64>,
) -> Result<(usize, u32)> {
    let start = out.len();
    let time = time.filter(|_| value.is_some());
    let flags = (u8::from(value.is_none()) * TOMBSTONE) | (u8::from(time.is_some()) * TIMED);
    out.extend_from_slice(&[0, 0, 0, 0, flags, 0, 0, 0, 0]);
    out.extend_from_slice(&hash.to_be_bytes());
    put(key, out)?;
    let key_len = out.len() - start - 9;
    patch(out, start + 5, key_len)?;
    if let Some(t) = time {
        out.extend_from_slice(&t.to_le_bytes());
    }
    if let Some(v) = value {
        put(v, out)?;
    }
    let len = out.len() - start - 4;
    Ok((start + 4, patch(out, start, len)?))
}

/// One item, not yet decoded into types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item<'a> {
    /// The carried hash.
    pub hash: u64,
    /// Hash and key: what items are ordered and told apart by.
    pub name: &'a [u8],
    /// The time of the last write, where the state expires.
    pub time: Option<i64>,
    /// The value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
}

fn split<const N: usize>(bytes: &[u8]) -> Option<([u8; N], &[u8])> {
    bytes.split_first_chunk::<N>().map(|(head, rest)| (*head, rest))
}

impl<'a> Item<'a> {
    /// Takes an item apart; `None` if its parts do not fit.
    #[must_use]
    pub fn parse(item: &'a [u8]) -> Option<Self> {
        let ([flags], rest) = split::<1>(item)?;
        let (len, rest) = split::<4>(rest)?;
        let (name, rest) = rest.split_at_checked(u32::from_le_bytes(len) as usize)?;
        let hash = u64::from_be_bytes(split::<8>(name)?.0);
        match flags {
            0 => Some(Self { hash, name, time: None, value: Some(rest) }),
            TIMED => {
                let (time, value) = split::<8>(rest)?;
                Some(Self { hash, name, time: Some(i64::from_le_bytes(time)), value: Some(value) })
            }
            TOMBSTONE if rest.is_empty() => Some(Self { hash, name, time: None, value: None }),
            _ => None,
        }
    }

    pub(super) fn key<K: DeserializeOwned>(&self) -> Result<K> {
        get(self.name.get(8..).unwrap_or_default(), "key")
    }
}

/// Decodes the whole of `bytes`; bytes left over are an error too.
pub(super) fn get<T: DeserializeOwned>(bytes: &[u8], what: &str) -> Result<T> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(undecodable::<T>(what).at(format!("{} bytes too many", rest.len()))),
        Err(e) => Err(undecodable::<T>(what).because(e)),
    }
}

fn undecodable<T>(what: &str) -> Error {
    Error::new(Kind::Corrupt, format!("a stored {what} cannot be read as {}", std::any::type_name::<T>()))
        .advise("the type may have changed since: give the state a new name, or restore with the old program")
}

/// Walks framed items; yields each with its offset, or where the frame is broken.
#[derive(Clone, Debug)]
pub struct Frames<'a> {
    rest: &'a [u8],
    at: usize,
}

impl<'a> Frames<'a> {
    /// Over framed bytes.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, at: 0 }
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<Item<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let at = self.at;
        let parsed = split::<4>(self.rest).and_then(|(len, rest)| {
            let (item, rest) = rest.split_at_checked(u32::from_le_bytes(len) as usize)?;
            Some((Item::parse(item)?, rest))
        });
        let Some((item, rest)) = parsed else {
            self.rest = &[];
            return Some(Err(Error::new(Kind::Corrupt, format!("encoded state is broken at byte {at}"))));
        };
        self.at += self.rest.len() - rest.len();
        self.rest = rest;
        Some(Ok(item))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_survives_the_round_trip() {
        let mut out = Vec::new();
        put_item(&mut out, 7, &"k", Some(&9u64), Some(5)).unwrap();
        put_item(&mut out, 8, &"l", None::<&u64>, Some(5)).unwrap();
        let items: Vec<_> = Frames::new(&out).collect::<Result<_>>().unwrap();
        let shown: Vec<_> =
            items.iter().map(|i| (i.hash, i.key::<String>().unwrap(), i.time, i.value.map(<[u8]>::to_vec))).collect();
        assert_eq!(shown, [(7, "k".into(), Some(5), Some(vec![9])), (8, "l".into(), None, None)]);
    }

    proptest::proptest! {
        /// Any bytes at all: an answer or an error, never a panic.
        #[test]
        fn frames_survive_any_bytes(bytes: Vec<u8>) {
            let n = Frames::new(&bytes).count();
            proptest::prop_assert!(n <= bytes.len());
        }
    }
}
