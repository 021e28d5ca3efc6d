//! Reads a file by ranges: the end first, then the key groups that are wanted.

use std::ops::Range;

use super::format::{HEADER, Index, MAGIC, Stored, TRAILER, VERSION, corrupt, header};
use crate::error::Result;
use crate::key::GroupSet;

/// The result of reading the last bytes of a file.
#[derive(Debug)]
pub enum Tail {
    /// The whole index.
    Index(Index),
    /// The index is longer: come again with this many bytes from the end.
    More(u64),
}

/// Neighbouring blocks to fetch in one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// Their numbers.
    pub blocks: Range<usize>,
    /// Their bytes.
    pub bytes: Range<u64>,
}

impl Index {
    /// From the last bytes of a file of `file_len` bytes; 64 KiB are enough for a file of 200 MB.
    pub fn read(tail: &[u8], file_len: u64) -> Result<Tail> {
        let trailer_at = file_len.saturating_sub(TRAILER as u64);
        let cut = tail.len().checked_sub(TRAILER).filter(|_| tail.len() as u64 <= file_len);
        let Some((before, trailer)) = cut.and_then(|cut| tail.split_at_checked(cut)) else {
            return Err(corrupt(file_len, format!("only {} bytes, a trailer takes {TRAILER}", tail.len())));
        };
        let number = |at: usize| trailer.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes);
        if trailer.get(24..) != Some(MAGIC) {
            return Err(corrupt(trailer_at, "it does not end like a state file; perhaps it was cut off"));
        }
        let (at, len) = (number(0), number(8) & 0xffff_ffff);
        if at < HEADER as u64 || at.checked_add(len) != Some(trailer_at) {
            return Err(corrupt(trailer_at, format!("the index is said to lie at {at}, {len} bytes long")));
        }
        let Some(start) = before.len().checked_sub(len as usize) else { return Ok(Tail::More(len + TRAILER as u64)) };
        let covered = tail.get(start..tail.len() - 16).unwrap_or_default();
        Self::parse(covered, number(16), at).map(Tail::Index)
    }

    /// From all bytes of a file; checks the header too.
    pub fn of_file(file: &[u8]) -> Result<Self> {
        match Self::read(file, file.len() as u64)? {
            Tail::Index(index) if file.starts_with(&header(index.info.bits)) => Ok(index),
            Tail::Index(_) => Err(corrupt(0, format!("it does not begin like a state file of version {VERSION}"))),
            Tail::More(n) => Err(corrupt(file.len() as u64, format!("its index takes {n} bytes"))),
        }
    }

    /// The blocks to fetch for these key groups.
    #[must_use]
    pub fn read_groups(&self, groups: &GroupSet) -> Vec<Fetch> {
        let mut fetches: Vec<Fetch> = Vec::new();
        for (n, b) in self.blocks.iter().enumerate() {
            if !(b.first.0..=b.last.0).any(|g| groups.contains(crate::key::KeyGroup(g))) {
                continue;
            }
            let end = b.at + u64::from(b.len);
            match fetches.last_mut().filter(|f| f.blocks.end == n) {
                Some(f) => (f.blocks.end, f.bytes.end) = (n + 1, end),
                None => fetches.push(Fetch { blocks: n..n + 1, bytes: b.at..end }),
            }
        }
        fetches
    }

    /// The stored bytes of block `number` in a whole file.
    pub(super) fn stored<'a>(&self, file: &'a [u8], number: usize) -> &'a [u8] {
        let of = |b: &super::format::BlockMeta| file.get(b.at as usize..b.at as usize + b.len as usize);
        self.blocks.get(number).and_then(of).unwrap_or_default()
    }

    /// Calls `f` for every item of `groups` in fetched bytes.
    pub fn each_fetched(
        &self,
        fetch: &Fetch,
        bytes: &[u8],
        groups: &GroupSet,
        mut f: impl FnMut(Stored<'_>) -> Result<()>,
    ) -> Result<()> {
        for n in fetch.blocks.clone() {
            let range = self.blocks.get(n).map(|b| (b.at.saturating_sub(fetch.bytes.start) as usize, b.len as usize));
            let stored = range.and_then(|(at, len)| bytes.get(at..at.checked_add(len)?)).unwrap_or_default();
            let block = self.decode_block(n, stored)?;
            for item in block.items().filter(|i| groups.contains_hash(i.item.hash)) {
                f(item)?;
            }
        }
        Ok(())
    }
}

/// Calls `f` for every item of `groups` in a whole file.
pub fn each_item(file: &[u8], groups: &GroupSet, mut f: impl FnMut(Stored<'_>) -> Result<()>) -> Result<()> {
    let index = Index::of_file(file)?;
    for fetch in index.read_groups(groups) {
        let bytes = file.get(fetch.bytes.start as usize..fetch.bytes.end as usize).unwrap_or_default();
        index.each_fetched(&fetch, bytes, groups, &mut f)?;
    }
    Ok(())
}

/// For fuzzing: reads whatever is there. Never panics.
pub fn fuzz_decode(bytes: &[u8]) {
    if let Ok(index) = Index::of_file(bytes) {
        let all = GroupSet::all(index.space());
        let _ = each_item(bytes, &all, |_| Ok(()));
    }
    let _ = crate::state::codec::Frames::new(bytes).count();
}
