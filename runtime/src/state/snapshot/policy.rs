//! When to merge which files.
//!
//! Vocabulary: the *base* is the oldest file and holds everything; over it lie *deltas*, written by epochs (level 0) or made by
//! merging deltas (level n + 1). A restore reads base and deltas, so their number is bounded by [`MAX_DELTAS`] and their bytes by
//! the base's own: at most twice the state is read.
//!
//! Two rules.
//! 1. When the deltas together are as large as the base (and `MAX_DELTAS`, or large in themselves), everything becomes a new base. Every byte of that cost was paid for by
//!    a byte changed: a state of constant size writes at most 1 byte here for each byte changed.
//! 2. Otherwise, when there are `MAX_DELTAS`, the youngest run of at least two neighbours of the lowest level becomes one delta. The
//!    first such merge takes 16 files, the next 15 (one place is taken by its result), and so on; so a byte is rewritten once
//!    for each level it climbs, and level 1 lasts for 16 + 15 + … + 2 = 135 epochs.
//!
//! With 1 % of the state changing an epoch rule 1 comes after about 105 epochs, before level 2 begins. Written for each byte
//! changed: 1 (the delta) + at most 1 (level 1, less what the merged files have in common) + at most 1 (base) ≤ 3. A law below
//! simulates it: 2.8. (A new base already at *half* its size, at the price of 2 for rule 1, gives 3.3: cheaper restores, but over
//! the bound.) Hot keys make everything cheaper, since merging removes what is overwritten. What costs more: changes far below
//! 1 % an epoch climb a level more for each factor of about eight (and are small in bytes then), and a state that only
//! grows pays 2 for rule 1, since each new base is twice the old one.

use std::ops::Range;

/// How many deltas lie over a base at most.
pub const MAX_DELTAS: usize = 16;

/// Deltas below this many bytes are no burden to a restore, whatever the base's size: a small state that changes as a whole with
/// every epoch would otherwise be rewritten with every other one.
const WORTH_READING: u64 = 32 << 20;

/// What the policy has to know of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileMeta {
    /// Its size.
    pub bytes: u64,
    /// Its level, see [`super::FileInfo::level`].
    pub level: u8,
}

/// The files (oldest first, the base at 0) to merge now, if any. A range that starts at 0 makes a new base: tombstones go.
///
/// Asked after each epoch, it keeps the number of deltas at `MAX_DELTAS` or less. Until there is a base, the first delta is taken
/// for one: it holds everything there is.
#[must_use]
pub fn plan_merge(files: &[FileMeta]) -> Option<Range<usize>> {
    let (base, deltas) = files.split_first()?;
    if deltas.is_empty() {
        return None;
    }
    let sum: u64 = deltas.iter().map(|f| f.bytes).sum();
    let worth = deltas.len() >= MAX_DELTAS || (deltas.len() >= 2 && sum >= WORTH_READING);
    if worth && sum >= base.bytes {
        return Some(0..files.len());
    }
    if deltas.len() < MAX_DELTAS {
        return None;
    }
    // Youngest first: the run at the end of the list has the lowest level, by construction; older ones may have gaps after moves.
    let mut best: Option<(u8, Range<usize>)> = None;
    let mut end = files.len();
    while end > 1 {
        let level = files.get(end - 1)?.level;
        let run = files.get(1..end)?.iter().rev().take_while(|f| f.level == level).count();
        if run >= 2 && best.as_ref().is_none_or(|(l, _)| level < *l) {
            best = Some((level, end - run..end));
        }
        end -= run;
    }
    // No two neighbours of one level: the youngest two, whatever they are.
    best.map(|(_, r)| r).or(Some(files.len() - 2..files.len()))
}
