//! A slot's part of an epoch, as the manifest will say it.

use crate::messages::{EpochPart, SplitState};
use crate::protocol::manifest::SplitEntry;
use crate::protocol::merge::Part;

/// A slot's part of a manifest, without the entries that are still in memory.
pub(super) fn part_of(part: &EpochPart) -> Part {
    let entry = |s: &SplitState| {
        let SplitState { node, split, position, watermark, finished } = s.clone();
        (node.0, SplitEntry { split, position, watermark, finished })
    };
    Part {
        files: part.files.clone(),
        splits: part.splits.iter().map(entry).collect(),
        watermarks: part.watermarks.iter().map(|(n, w)| (n.0, *w)).collect(),
        handles: part.handles.clone(),
        changed: part.changed,
    }
}
