//! The policy of merging: when to merge which files.
//!
//! Vocabulary: a *layer* is what the slots wrote in one epoch, one file each, or one merged file. The *base* is the oldest layer and
//! holds everything; over it lie *deltas*, written by epochs (level 0) or made by merging deltas (level n + 1). A restore reads base
//! and deltas, so their number is bounded by [`MAX_DELTAS`] and their bytes by the base's own: at most twice the state is read. Files
//! of one layer share no key, so a slot reads one or two of each, and counting layers instead of files keeps the cost below from
//! growing with the number of slots.
//!
//! Two rules.
//! 1. When the deltas together are as large as the base (and `MAX_DELTAS`, or large in themselves), everything becomes a new base. Every
//!    byte of that cost was paid for by a byte changed: a state of constant size writes at most 1 byte here for each byte changed.
//! 2. Otherwise, when there are `MAX_DELTAS`, the youngest run of at least two neighbours of the lowest level becomes one delta. The
//!    first such merge takes 16 layers, the next 15 (one place is taken by its result), and so on; so a byte is rewritten once
//!    for each level it climbs, and level 1 lasts for 16 + 15 + … + 2 = 135 epochs.
//!
//! With 1 % of the state changing an epoch rule 1 comes after about 105 epochs, before level 2 begins. Written for each byte
//! changed: 1 (the delta) + at most 1 (level 1, less what the merged layers have in common) + at most 1 (base) ≤ 3. A law below
//! simulates it: 2.8. (A new base already at *half* its size, at the price of 2 for rule 1, gives 3.3: cheaper restores, but over
//! the bound.) Hot keys make everything cheaper, since merging removes what is overwritten. What costs more: changes far below
//! 1 % an epoch climb a level more for each factor of about eight (and are small in bytes then), and a state that only
//! grows pays 2 for rule 1, since each new base is twice the old one.

use std::ops::Range;

/// The most layers of deltas that lie over a base.
pub const MAX_DELTAS: usize = 16;

/// Deltas below this many bytes are no burden to a restore, whatever the base's size: a small state that changes as a whole with
/// every epoch would otherwise be rewritten with every other one.
const WORTH_READING: u64 = 32 << 20;

/// The figures of a file that the policy has to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileMeta {
    /// The file's size.
    pub bytes: u64,
    /// The file's level, see [`super::FileInfo::level`].
    pub level: u8,
    /// The epochs it covers, first and last.
    pub epochs: (u64, u64),
}

/// Files that no key has in common, and the number of the first file after them.
struct Layer {
    bytes: u64,
    level: u8,
    end: usize,
}

fn layers(files: &[FileMeta]) -> Vec<Layer> {
    let one = |f: &FileMeta, g: &FileMeta| f.level == g.level && f.epochs == g.epochs;
    let mut end = 0;
    let layer = |run: &[FileMeta]| {
        end += run.len();
        Layer { bytes: run.iter().map(|f| f.bytes).sum(), level: run.first().map_or(0, |f| f.level), end }
    };
    files.chunk_by(one).map(layer).collect()
}

/// The files (oldest first, the base at 0) to merge now, if any. A range that starts at 0 makes a new base: tombstones go.
///
/// Asked after each epoch, it keeps the number of layers of deltas at `MAX_DELTAS` or less. Until there is a base, the first layer is
/// taken for one: it holds everything there is.
#[must_use]
pub fn plan_merge(files: &[FileMeta]) -> Option<Range<usize>> {
    let layers = layers(files);
    let (base, deltas) = layers.split_first()?;
    if deltas.is_empty() {
        return None;
    }
    let sum: u64 = deltas.iter().map(|l| l.bytes).sum();
    let worth = deltas.len() >= MAX_DELTAS || (deltas.len() >= 2 && sum >= WORTH_READING);
    if worth && sum >= base.bytes {
        return Some(0..files.len());
    }
    if deltas.len() < MAX_DELTAS {
        return None;
    }
    let range = neighbours(&layers);
    Some(layers.get(range.start - 1)?.end..layers.get(range.end - 1)?.end)
}

/// The deltas that become one, by their numbers among the layers.
fn neighbours(layers: &[Layer]) -> Range<usize> {
    // Youngest first: the run at the end of the list has the lowest level, by construction; older ones may have gaps after moves.
    let mut best: Option<(u8, Range<usize>)> = None;
    let mut end = layers.len();
    for run in layers.get(1..).unwrap_or_default().chunk_by(|a, b| a.level == b.level).rev() {
        let level = run.first().map_or(0, |l| l.level);
        if run.len() >= 2 && best.as_ref().is_none_or(|(l, _)| level < *l) {
            best = Some((level, end - run.len()..end));
        }
        end -= run.len();
    }
    // No two neighbours of one level: the youngest two, whatever they are.
    best.map_or(layers.len() - 2..layers.len(), |(_, r)| r)
}
