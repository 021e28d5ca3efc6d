//! Makes a file: sorts what the tables encoded, cuts it into blocks, compresses.
//!
//! Runs off the hot thread, on bytes the slots handed over.

use xxhash_rust::xxh3::xxh3_64;

use super::format::{BlockMeta, FileInfo, HEADER, Index, header, put};
use crate::error::{Error, Kind, Result};
use crate::key::KeyGroup;
use crate::state::codec::{EncodedRun, Item};

/// Raw bytes at which a block is closed. Larger compresses better, smaller reads less for one key group.
pub const BLOCK: usize = 64 << 10;

/// Writes items that come in order.
#[derive(Debug)]
pub struct FileWriter {
    index: Index,
    out: Vec<u8>,
    raw: Vec<u8>,
    first: KeyGroup,
    last: KeyGroup,
    entries: u32,
}

impl FileWriter {
    /// An empty file.
    #[must_use]
    pub fn new(info: FileInfo) -> Self {
        let out = header(info.bits).to_vec();
        let index = Index { info, blocks: Vec::new() };
        Self { index, out, raw: Vec::with_capacity(BLOCK + 4096), first: KeyGroup(0), last: KeyGroup(0), entries: 0 }
    }

    /// Appends an item. They must come in order of (key group, table, hash and key).
    pub fn push(&mut self, table: u64, group: KeyGroup, item: &[u8]) -> Result<()> {
        if self.entries == 0 {
            self.first = group;
        }
        self.last = group;
        self.entries += 1;
        put(&mut self.raw, table, item);
        if self.raw.len() >= BLOCK { self.close_block() } else { Ok(()) }
    }

    fn close_block(&mut self) -> Result<()> {
        if self.entries == 0 {
            return Ok(());
        }
        let raw = u32::try_from(self.raw.len()).map_err(|_| Error::new(Kind::Invalid, "one state entry is larger than 4 GiB"))?;
        let stored = lz4_flex::block::compress(&self.raw);
        let (at, len) = (self.out.len() as u64, stored.len() as u32);
        let (first, last, entries) = (self.first, self.last, self.entries);
        self.index.blocks.push(BlockMeta { first, last, at, len, raw, entries, sum: xxh3_64(&stored) });
        self.out.extend_from_slice(&stored);
        self.raw.clear();
        self.entries = 0;
        Ok(())
    }

    /// The whole file.
    pub fn finish(mut self) -> Result<Vec<u8>> {
        self.close_block()?;
        let at = self.out.len() as u64;
        debug_assert!(at >= HEADER as u64, "the header is there");
        self.index.write(at, &mut self.out)?;
        Ok(self.out)
    }
}

/// A delta: the runs of all tables of a worker. Where a key comes twice, the later one wins.
pub fn write_file(info: FileInfo, runs: &[(u64, EncodedRun)]) -> Result<Vec<u8>> {
    let mut order = Vec::with_capacity(runs.iter().map(|(_, r)| r.len()).sum());
    for (table, run) in runs {
        for (group, bytes) in run.items() {
            let item = Item::parse(bytes).ok_or_else(|| Error::broken("I5", "a table encoded an item that cannot be parsed"))?;
            // The name begins with the hash: three numbers decide nearly every comparison, bytes only among equal hashes.
            order.push(((group, *table, item.hash), item.name, bytes));
        }
    }
    order.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| a.1.cmp(b.1)));
    let mut file = FileWriter::new(info);
    let mut rest = order.iter().peekable();
    while let Some((place, name, item)) = rest.next() {
        if rest.peek().is_none_or(|next| (&next.0, &next.1) != (place, name)) {
            file.push(place.1, place.0, item)?;
        }
    }
    file.finish()
}
