//! Merges neighbouring files into one: of each key the newest item stays.
//!
//! Streams: of every input one block is decompressed at a time. With the base among the inputs tombstones have done their work
//! and can go; without it they must stay. Groups that have left for another owner can be left out.

use std::cmp::Ordering;

use super::format::{Block, FileInfo, Index, Stored};
use super::write::FileWriter;
use crate::error::{Error, Kind, Result};
use crate::key::{GroupSet, KeyGroup, KeySpace};

/// A place in one input.
struct Cursor<'a> {
    file: &'a [u8],
    space: KeySpace,
    index: Index,
    number: usize,
    block: Block,
    at: usize,
    /// Key group, table and hash of the item here: decides nearly every comparison without a look at the bytes.
    head: Option<(KeyGroup, u64, u64)>,
}

impl<'a> Cursor<'a> {
    fn open(file: &'a [u8]) -> Result<Self> {
        let index = Index::of_file(file)?;
        let space = KeySpace { seed: 0, bits: index.info.bits };
        let mut c = Self { file, space, index, number: 0, block: Block::default(), at: 0, head: None };
        c.load()?;
        Ok(c)
    }

    fn load(&mut self) -> Result<()> {
        self.at = 0;
        self.block = Block::default();
        if self.number < self.index.blocks.len() {
            self.block = self.index.decode_block(self.number, self.index.stored(self.file, self.number))?;
        }
        self.look();
        Ok(())
    }

    fn look(&mut self) {
        self.head = self.item().map(|i| (self.space.group(i.item.hash), i.table, i.item.hash));
    }

    fn group(&self) -> Option<KeyGroup> {
        self.head.map(|(group, ..)| group)
    }

    fn item(&self) -> Option<Stored<'_>> {
        self.block.item(self.at).map(|(item, _)| item)
    }

    fn name(&self) -> &[u8] {
        self.item().map_or(&[], |i| i.item.name)
    }

    /// Before `other` in the order of items. Only for cursors that have an item.
    fn before(&self, other: &Self) -> Ordering {
        self.head.cmp(&other.head).then_with(|| self.name().cmp(other.name()))
    }

    fn advance(&mut self) -> Result<()> {
        match self.block.item(self.at) {
            Some((_, next)) => self.at = next,
            None => return Ok(()),
        }
        self.look();
        if self.head.is_none() {
            self.number += 1;
            self.load()?;
        }
        Ok(())
    }
}

/// One file out of `files`, oldest first. `keep` leaves out other key groups; `drop_tombstones` only if nothing older remains.
pub fn merge(files: &[&[u8]], keep: Option<&GroupSet>, drop_tombstones: bool) -> Result<Vec<u8>> {
    let mut cursors = files.iter().map(|f| Cursor::open(f)).collect::<Result<Vec<_>>>()?;
    let mut out = FileWriter::new(covered(&cursors, drop_tombstones)?);
    // Each slot wrote a file of its own, so of many files few have a group: the others are looked at once for each group.
    while let Some(group) = cursors.iter().filter_map(Cursor::group).min() {
        let mut here: Vec<&mut Cursor<'_>> = cursors.iter_mut().filter(|c| c.group() == Some(group)).collect();
        merge_group(group, &mut here, keep.is_none_or(|k| k.contains(group)), drop_tombstones, &mut out)?;
    }
    out.finish()
}

fn merge_group(
    group: KeyGroup,
    cursors: &mut [&mut Cursor<'_>],
    keep: bool,
    drop_tombstones: bool,
    out: &mut FileWriter,
) -> Result<()> {
    let mut equal: Vec<usize> = Vec::with_capacity(cursors.len());
    loop {
        // Mostly a base and sixteen deltas: looking at each is as fast as a heap.
        equal.clear();
        for (n, c) in cursors.iter().enumerate().filter(|(_, c)| c.group() == Some(group)) {
            match equal.last().and_then(|least| cursors.get(*least)).map_or(Ordering::Less, |least| c.before(least)) {
                Ordering::Less => {
                    equal.clear();
                    equal.push(n);
                }
                Ordering::Equal => equal.push(n),
                Ordering::Greater => {}
            }
        }
        let Some(newest) = equal.last().and_then(|n| cursors.get(*n)) else { return Ok(()) };
        if let (Some((_, table, _)), Some(item)) = (newest.head, newest.item())
            && keep
            && !(drop_tombstones && item.item.value.is_none())
        {
            out.push(table, group, item.framed.get(4..).unwrap_or_default())?;
        }
        for n in &equal {
            if let Some(c) = cursors.get_mut(*n) {
                c.advance()?;
            }
        }
    }
}

fn covered(cursors: &[Cursor<'_>], base: bool) -> Result<FileInfo> {
    let infos = || cursors.iter().map(|c| &c.index.info);
    let (Some(first), Some(last)) = (infos().next(), infos().next_back()) else {
        return Err(Error::broken("I5", "a merge of no files"));
    };
    if infos().any(|i| i.bits != first.bits) {
        return Err(Error::new(Kind::Corrupt, "state files of one job have different numbers of key groups"));
    }
    if !infos().map(|i| i.to_epoch).is_sorted() {
        return Err(Error::broken("I5", "state files are merged out of order"));
    }
    let mut tables = std::collections::BTreeMap::new();
    infos().for_each(|i| tables.extend(i.tables.iter().cloned()));
    let level = if base { u8::MAX } else { infos().map(|i| i.level).max().unwrap_or(0).saturating_add(1).min(u8::MAX - 1) };
    let from_epoch = infos().map(|i| i.from_epoch).min().unwrap_or(0);
    Ok(FileInfo { bits: first.bits, from_epoch, to_epoch: last.to_epoch, level, tables: tables.into_iter().collect() })
}
