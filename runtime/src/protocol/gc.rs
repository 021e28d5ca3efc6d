//! Garbage: the objects that may be deleted (I14). Never by time: a clock that is wrong, or a slow reader, would lose a job.
//!
//! An object goes if no kept manifest and no pin names it **and** its own name says that it is older than everything that could still
//! come to name it: (term, epoch) below both the oldest kept manifest's and the floor of the epochs in flight. The second half matters
//! after a change of coordinator: an epoch injected under the old term is published under the new one, and its files, named with the old
//! term, are not reached by anything until then. A name that is not ours, or carries no (term, epoch), is never deleted.
//!
//! Log entries go only between two milestones behind the oldest kept one ([`super::log`]).

use std::collections::BTreeSet;

use super::entry::MILESTONE;
use super::manifest::Manifest;

/// (term, epoch) of an object.
pub type Age = (u64, u64);

/// An object under one of the state and sink folders: `<folder>/<term>-<epoch>-<rest>`.
#[must_use]
pub fn object(folder: &str, age: Age, rest: &str) -> String {
    format!("{folder}/{}-{}-{rest}", age.0, age.1)
}

/// The age that a name carries.
#[must_use]
pub fn age(name: &str) -> Option<Age> {
    if !(name.starts_with("state/") || name.starts_with("sink/")) {
        return None;
    }
    let mut parts = name.rsplit('/').next()?.splitn(3, '-');
    let (term, epoch, _) = (parts.next()?, parts.next()?, parts.next()?);
    Some((term.parse().ok()?, epoch.parse().ok()?))
}

/// The objects that must stay.
#[derive(Clone, Copy, Debug)]
pub struct Keep<'a> {
    /// The manifests that are kept, oldest first.
    pub manifests: &'a [Manifest],
    /// Names pinned by readers: warm-ups, restores, named snapshots, other jobs.
    pub pins: &'a BTreeSet<String>,
    /// [`super::epoch::Epochs::floor`].
    pub floor: Age,
}

/// The objects of `listed` that may go. Handles are opaque, so a sink's objects stay while any handle of their epoch may need them:
/// they are bounded by age alone.
#[must_use]
pub fn collect<'n>(keep: &Keep<'_>, listed: impl IntoIterator<Item = &'n str>) -> Vec<&'n str> {
    let Some(oldest) = keep.manifests.iter().map(|m| (m.injected_term, m.epoch)).min() else { return Vec::new() };
    let handles = keep.manifests.iter().flat_map(|m| m.handles.iter().map(|h| h.epoch)).min().unwrap_or(u64::MAX);
    let bound = oldest.min(keep.floor);
    let reached: BTreeSet<&str> = keep.manifests.iter().flat_map(|m| m.files.iter().map(|f| f.name.as_str())).collect();
    let free = |name: &&str| {
        let sink = name.starts_with("sink/");
        age(name).is_some_and(|a| a < bound && !(sink && a.1 >= handles))
            && !reached.contains(*name)
            && !keep.pins.contains(*name)
    };
    listed.into_iter().filter(free).collect()
}

/// The log entries that may go when `oldest_kept` is the lowest slot still needed: whole stretches between milestones.
pub fn log_entries(oldest_kept: u64) -> impl Iterator<Item = u64> {
    let end = oldest_kept / MILESTONE * MILESTONE;
    (0..end).filter(|seq| seq % MILESTONE != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::SinkHandle;
    use crate::key::{Assignment, KeySpace, SlotId};
    use crate::protocol::manifest::{Groups, HandleEntry, StateFile};

    fn manifest(term: u64, epoch: u64, files: &[&str]) -> Manifest {
        let mut m = Manifest::origin(1, vec![], &Assignment::even(KeySpace { seed: 0, bits: 8 }, 1), vec![]);
        (m.injected_term, m.epoch) = (term, epoch);
        let file = |n: &&str| StateFile {
            name: (*n).into(),
            bytes: 1,
            from_epoch: 0,
            to_epoch: epoch,
            entries: 1,
            level: 0,
            groups: Groups::All,
        };
        m.files = files.iter().map(file).collect();
        m
    }

    const LISTED: [&str; 7] = [
        "state/delta/1-3-a-x",
        "state/delta/1-5-a-x",
        "state/delta/1-9-a-x",
        "state/merged/1-4-y",
        "state/odd",
        "sink/7/1-4-0-z",
        "job.json",
    ];

    fn kept(manifests: &[Manifest], pins: &[&str], floor: Age) -> Vec<&'static str> {
        let pins = pins.iter().map(|p| (*p).to_owned()).collect();
        let gone = collect(&Keep { manifests, pins: &pins, floor }, LISTED);
        LISTED.into_iter().filter(|n| !gone.contains(n)).collect()
    }

    #[test]
    fn what_is_reached_pinned_young_or_strange_stays() {
        let m = [manifest(1, 6, &["state/delta/1-3-a-x"])];
        assert_eq!(kept(&m, &["state/merged/1-4-y"], (1, 7)), [LISTED[0], LISTED[2], LISTED[3], LISTED[4], LISTED[6]]);
        assert_eq!(kept(&[], &[], (9, 9)), LISTED, "without a manifest nothing is known");
    }

    #[test]
    fn files_of_an_epoch_adopted_from_an_older_term_stay() {
        let m = [manifest(2, 8, &[])];
        assert!(!kept(&m, &[], (2, 9)).contains(&LISTED[2]));
        assert!(kept(&m, &[], (1, 9)).contains(&LISTED[2]));
    }

    #[test]
    fn staged_output_stays_while_its_handle_is_not_committed() {
        let mut m = manifest(1, 6, &[]);
        m.handles.push(HandleEntry { epoch: 4, slot: SlotId(0), handle: SinkHandle { sink: 7, version: 0, data: vec![] } });
        assert!(kept(&[m], &[], (1, 7)).contains(&LISTED[5]));
    }

    #[test]
    fn milestones_and_the_last_stretch_of_the_log_stay() {
        assert_eq!(log_entries(300).count(), 255);
        assert!(log_entries(300).all(|s| s > 0 && s < 256));
        assert_eq!(log_entries(255).count(), 0);
    }
}
