//! State files: what an epoch has changed becomes one, and several become one. Bytes and their manifest entry are made here and nowhere
//! else.

use super::gc::{Age, object};
use super::manifest::{Groups, StateFile};
use crate::error::{Error, Kind, Result};
use crate::graph::NodeShape;
use crate::state::snapshot::{FileInfo, Index, merge, write_file};
use crate::state::{EncodedRun, StateDesc};

/// Every keyed state of a job, by table id: goes into each of its state files.
#[must_use]
pub fn descriptors(shape: &[NodeShape]) -> Vec<(u64, StateDesc)> {
    shape.iter().flat_map(|n| n.states.iter().map(|s| (n.id.table(&s.name), s.clone()))).collect()
}

/// The state file of what changed in an epoch: `age` is (term of the run, epoch), `bits` those of the key space, `unique` a name that no
/// other process chooses.
///
/// # Errors
/// `Invalid` if an entry is too large for the format.
pub fn delta(
    bits: u8,
    descs: &[(u64, StateDesc)],
    age: Age,
    unique: &str,
    runs: &[(u64, EncodedRun)],
) -> Result<(StateFile, Vec<u8>)> {
    let epoch = age.1;
    let entries = runs.iter().map(|(_, r)| r.len() as u64).sum();
    let tables = descs.iter().filter(|(id, _)| runs.iter().any(|(r, _)| r == id)).cloned().collect();
    let bytes = write_file(FileInfo { bits, from_epoch: epoch, to_epoch: epoch, level: 0, tables }, runs)?;
    let (name, size) = (object("state/delta", age, unique), bytes.len() as u64);
    let file = StateFile { name, bytes: size, from_epoch: epoch, to_epoch: epoch, entries, level: 0, groups: Groups::All };
    Ok((file, bytes))
}

/// The name of a merged file: it has the age of the newest manifest, so that a process that was replaced, and still deletes by what it
/// knows, does not take it for something old (I14).
#[must_use]
pub fn merged_name(age: Age, unique: &str) -> String {
    object("state/merged", age, unique)
}

/// The file that takes the place of others: their bytes in the same order. `base`: nothing is older, so tombstones go.
///
/// # Errors
/// `Corrupt` if a file cannot be read.
pub fn merged(name: String, files: &[StateFile], bytes: &[&[u8]], base: bool) -> Result<(StateFile, Vec<u8>)> {
    if files.len() != bytes.len() {
        return Err(Error::new(Kind::Corrupt, "a state file that is to be merged is gone").at(name));
    }
    let from_epoch = files.iter().map(|f| f.from_epoch).min().unwrap_or(0);
    let to_epoch = files.iter().map(|f| f.to_epoch).max().unwrap_or(0);
    let merged = merge(bytes, None, base)?;
    let index = Index::of_file(&merged)?;
    let (entries, level) = (index.blocks.iter().map(|b| u64::from(b.entries)).sum(), index.info.level);
    let file = StateFile { name, bytes: merged.len() as u64, from_epoch, to_epoch, entries, level, groups: Groups::All };
    Ok((file, merged))
}
