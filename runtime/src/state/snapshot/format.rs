//! The layout, version 1. Numbers are little-endian.
//!
//! ```text
//! header   magic (8) | version u16 | key group bits u8 | zeros (5)
//! block*   lz4 of: ( table u64 | len u32 | item )*          items as in `state::codec`, sorted by (key group, table, hash and key)
//! footer   postcard of Footer: what the file covers, its tables, one BlockMeta a block
//! trailer  footer offset u64 | footer length u32 | version u16 | zeros (2) | xxh3 of footer and the 16 bytes before u64 | magic (8)
//! ```
//!
//! Blocks lie back to back. A reader fetches the end of the file, then the ranges of the key groups it wants, and nothing else.
//! A block's checksum is taken over its compressed bytes and kept in the footer, so damage is found before anything is
//! decompressed. The version is part of what the trailer's checksum covers: a flipped bit is damage, not "a newer version".

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::error::{Error, Kind, Result};
use crate::key::{KeyGroup, KeySpace};
use crate::state::codec::Item;
use crate::state::desc::StateDesc;

/// The version written.
pub const VERSION: u16 = 1;
pub(super) const MAGIC: &[u8; 8] = b"WSHDSTAT";
pub(super) const HEADER: usize = 16;
/// The size of the trailer.
pub const TRAILER: usize = 32;
/// Bytes before an item in a block: table and length.
const PREFIX: usize = 12;

/// The range that a file covers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileInfo {
    /// log2 of the number of key groups.
    pub bits: u8,
    /// The first epoch in it.
    pub from_epoch: u64,
    /// The last epoch in it.
    pub to_epoch: u64,
    /// The number of times that its contents have been merged: 0 for a delta as it was written. [`super::plan_merge`] goes by it.
    pub level: u8,
    /// The states in it.
    pub tables: Vec<(u64, StateDesc)>,
}

/// The place of a block and what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockMeta {
    /// The block's first key group.
    pub first: KeyGroup,
    /// The block's last key group.
    pub last: KeyGroup,
    /// The block's offset in the file.
    pub at: u64,
    /// The block's stored length.
    pub len: u32,
    /// The block's length once decompressed.
    pub raw: u32,
    /// The items in it.
    pub entries: u32,
    /// xxh3-64 of the stored bytes.
    pub sum: u64,
}

/// The footer, checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// The range that the file covers.
    pub info: FileInfo,
    /// The file's blocks, in order.
    pub blocks: Vec<BlockMeta>,
}

pub(super) fn corrupt(at: u64, what: impl Into<String>) -> Error {
    Error::new(Kind::Corrupt, format!("state file is damaged at byte {at}: {}", what.into()))
        .advise("restore from an older snapshot; if the storage is sound, report this")
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

pub(super) fn header(bits: u8) -> [u8; HEADER] {
    let mut h = [0; HEADER];
    h.iter_mut().zip(MAGIC.iter().copied().chain(VERSION.to_le_bytes()).chain([bits])).for_each(|(to, from)| *to = from);
    h
}

impl Index {
    /// Footer and trailer, for a file whose blocks end at `at`.
    pub(super) fn write(&self, at: u64, out: &mut Vec<u8>) -> Result<()> {
        let start = out.len();
        let footer = postcard::to_allocvec(self)
            .map_err(|e| Error::new(Kind::Broken, "the index of a state file cannot be encoded").because(e))?;
        out.extend_from_slice(&footer);
        out.extend_from_slice(&at.to_le_bytes());
        out.extend_from_slice(&(footer.len() as u32).to_le_bytes());
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&[0; 2]);
        let sum = xxh3_64(out.get(start..).unwrap_or_default());
        out.extend_from_slice(&sum.to_le_bytes());
        out.extend_from_slice(MAGIC);
        Ok(())
    }

    /// From a footer and the trailer's first 16 bytes, and the checksum that is said to cover them.
    pub(super) fn parse(covered: &[u8], sum: u64, at: u64) -> Result<Self> {
        if xxh3_64(covered) != sum {
            return Err(corrupt(at, "the index does not match its checksum"));
        }
        let (footer, trailer) = covered.split_at_checked(covered.len().saturating_sub(16)).unwrap_or_default();
        let version = array(trailer, 12).map_or(0, u16::from_le_bytes);
        if version != VERSION {
            return Err(Error::new(
                Kind::Invalid,
                format!("state file has format version {version}, this program reads {VERSION}"),
            )
            .advise("use a program at least as new as the one that wrote it"));
        }
        match postcard::take_from_bytes::<Self>(footer) {
            Ok((index, [])) => index.checked(at),
            Ok(_) => Err(corrupt(at, "the index has bytes left over")),
            Err(e) => Err(corrupt(at, "the index cannot be decoded").because(e)),
        }
    }

    /// Blocks must lie back to back and in order of key groups: everything else here relies on it.
    fn checked(self, end: u64) -> Result<Self> {
        let bits = self.info.bits;
        if !(8..=15).contains(&bits) {
            return Err(corrupt(end, format!("{bits} bits of key group")));
        }
        let (mut at, mut group) = (HEADER as u64, KeyGroup(0));
        for b in &self.blocks {
            let fits = b.first >= group && b.last >= b.first && usize::from(b.last.0) < 1 << bits;
            // Nothing that lz4 makes grows more than 255-fold.
            if b.at != at || !fits || u64::from(b.raw) > u64::from(b.len) * 255 + 64 {
                return Err(corrupt(end, format!("the index says nonsense of the block at {}", b.at)));
            }
            (at, group) = (at.saturating_add(u64::from(b.len)), b.last);
        }
        if at != end {
            return Err(corrupt(end, format!("blocks end at {at}, the index begins at {end}")));
        }
        Ok(self)
    }

    /// The key space of the file. (The seed is the job's and is not stored here.)
    pub(super) fn space(&self) -> KeySpace {
        KeySpace { seed: 0, bits: self.info.bits }
    }

    /// Decompresses block `number`, whose stored bytes these are, and checks all of it.
    pub fn decode_block(&self, number: usize, stored: &[u8]) -> Result<Block> {
        let Some(meta) = self.blocks.get(number) else {
            return Err(corrupt(0, format!("no block {number}, there are {}", self.blocks.len())));
        };
        if stored.len() != meta.len as usize {
            return Err(corrupt(meta.at, format!("a block of {} bytes where {} are due", stored.len(), meta.len)));
        }
        if xxh3_64(stored) != meta.sum {
            return Err(corrupt(meta.at, "a block does not match its checksum"));
        }
        let mut raw = vec![0; meta.raw as usize];
        match lz4_flex::block::decompress_into(stored, &mut raw) {
            Ok(n) if n == raw.len() => {}
            Ok(n) => return Err(corrupt(meta.at, format!("a block holds {n} bytes where {} are due", raw.len()))),
            Err(e) => return Err(corrupt(meta.at, "a block cannot be decompressed").because(e)),
        }
        let block = Block { raw };
        block.check(meta, self.space()).map(|()| block)
    }
}

/// A decompressed, checked block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Block {
    raw: Vec<u8>,
}

/// One item of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored<'a> {
    /// The table it belongs to.
    pub table: u64,
    /// The item with its length before it, as [`crate::state::Table::absorb`] takes it.
    pub framed: &'a [u8],
    /// The item.
    pub item: Item<'a>,
}

impl Block {
    /// The item at an offset and the offset of the next.
    pub(super) fn item(&self, at: usize) -> Option<(Stored<'_>, usize)> {
        let table = u64::from_le_bytes(array(&self.raw, at)?);
        let len = u32::from_le_bytes(array(&self.raw, at + 8)?) as usize;
        let framed = self.raw.get(at + 8..(at + PREFIX).checked_add(len)?)?;
        let item = Item::parse(framed.get(4..)?)?;
        Some((Stored { table, framed, item }, at + PREFIX + len))
    }

    /// All items.
    pub fn items(&self) -> impl Iterator<Item = Stored<'_>> {
        let mut at = 0;
        std::iter::from_fn(move || {
            let (item, next) = self.item(at)?;
            at = next;
            Some(item)
        })
    }

    fn check(&self, meta: &BlockMeta, space: KeySpace) -> Result<()> {
        let (mut at, mut n) = (0, 0u32);
        let mut last: Option<(KeyGroup, u64, &[u8])> = None;
        let mut first = None;
        while at < self.raw.len() {
            let Some((item, next)) = self.item(at) else {
                return Err(corrupt(meta.at, format!("the item at byte {at} of the block is broken")));
            };
            let key = (space.group(item.item.hash), item.table, item.item.name);
            if last.is_some_and(|l| l >= key) {
                return Err(corrupt(meta.at, format!("the item at byte {at} of the block is out of order")));
            }
            first = first.or(Some(key.0));
            last = Some(key);
            (at, n) = (next, n + 1);
        }
        if n != meta.entries || first != Some(meta.first) || last.map(|l| l.0) != Some(meta.last) {
            return Err(corrupt(meta.at, "a block does not hold what the index says"));
        }
        Ok(())
    }
}

/// Appends an item to a raw block.
pub(super) fn put(raw: &mut Vec<u8>, table: u64, item: &[u8]) {
    raw.extend_from_slice(&table.to_le_bytes());
    raw.extend_from_slice(&(item.len() as u32).to_le_bytes());
    raw.extend_from_slice(item);
}
