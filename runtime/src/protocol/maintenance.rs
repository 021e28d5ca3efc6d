//! Keeping the storage small: which state files are merged, and when objects that no kept manifest reaches are deleted.
//!
//! Maintenance runs behind the job, one chore at a time, and may fail without harm: a chore is planned again after a later manifest.
//! Deleting goes by what manifests name and by (term, epoch), never by time (I14).

use std::collections::{BTreeSet, VecDeque};

use super::gc::{Age, Keep, collect, log_entries};
use super::manifest::{Manifest, StateFile};
use super::state_file::merged_name;

/// Manifests kept: the last one, and some to go back to by hand.
const KEPT: usize = 3;

/// An effect on the storage. Its executor answers when it is done or has failed.
#[derive(Clone, Debug)]
pub enum Chore {
    /// Some files become one.
    Merge(Merge),
    /// Objects that nothing reaches are deleted.
    Collect(Box<Collect>),
}

/// Files that become one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merge {
    /// The name of the new file.
    pub name: String,
    /// The files, oldest first.
    pub files: Vec<StateFile>,
    /// Nothing is older: tombstones go.
    pub base: bool,
}

impl Merge {
    /// The names of the files that it replaces.
    #[must_use]
    pub fn replaces(&self) -> Vec<String> {
        self.files.iter().map(|f| f.name.clone()).collect()
    }
}

/// The objects that may be deleted.
#[derive(Clone, Debug)]
pub struct Collect {
    manifests: Vec<Manifest>,
    young: BTreeSet<String>,
    floor: Age,
}

impl Collect {
    /// The state files of `listed` (everything under `state/`) that may go. `pins`: what named snapshots keep.
    #[must_use]
    pub fn state<'n>(&self, pins: &BTreeSet<String>, listed: impl IntoIterator<Item = &'n str>) -> Vec<&'n str> {
        let pins = pins.union(&self.young).cloned().collect();
        collect(&Keep { manifests: &self.manifests, pins: &pins, floor: self.floor }, listed)
    }

    /// The slots of the log that may go.
    pub fn log(&self) -> impl Iterator<Item = u64> {
        log_entries(self.manifests.iter().filter_map(|m| m.parent).min().unwrap_or(0))
    }

    /// The newest (term, epoch) that it knows of.
    #[must_use]
    pub fn age(&self) -> Age {
        self.manifests.iter().map(|m| (m.injected_term, m.epoch)).max().unwrap_or_default()
    }
}

/// The storage's maintenance, of one coordinator.
#[derive(Clone, Debug)]
pub struct Maintenance {
    kept: VecDeque<Manifest>,
    /// Merged files that no manifest has named yet: the next one may.
    young: BTreeSet<String>,
    /// Files of the newest manifest that are to become one, and whether nothing is older.
    due: Option<(Vec<StateFile>, bool)>,
    busy: bool,
    every: i64,
    collected: i64,
    /// The lowest file that an unpublished epoch may still name.
    floor: Age,
    merges: u64,
}

impl Maintenance {
    /// Maintenance that deletes every `every` microseconds at most.
    #[must_use]
    pub fn new(every: i64, now: i64) -> Self {
        let (kept, young) = (VecDeque::new(), BTreeSet::new());
        Self { kept, young, due: None, busy: false, every, collected: now, floor: (0, 0), merges: 0 }
    }

    /// A manifest is in the log. `pinned`: files of snapshots that are about to be named.
    pub fn published(&mut self, manifest: Manifest, floor: Age) {
        self.young.retain(|name| !manifest.files.iter().any(|f| f.name == *name));
        self.due = manifest.merge_due();
        self.kept.push_back(manifest);
        while self.kept.len() > KEPT {
            self.kept.pop_front();
        }
        self.floor = floor;
    }

    /// A chore is done, or has failed.
    pub fn done(&mut self) {
        self.busy = false;
    }

    /// The next chore, if one is due: deleting first, since each may be due whenever it is asked, and neither may keep the other from its
    /// turn.
    /// `uid` names this coordinator; `pinned` are files of snapshots that are about to be named.
    pub fn next(&mut self, uid: impl FnOnce() -> String, pinned: impl FnOnce() -> BTreeSet<String>, now: i64) -> Option<Chore> {
        let newest = self.kept.back().filter(|_| !self.busy)?;
        // A clock that was put back must not keep it from its turn.
        self.collected = self.collected.min(now);
        if now - self.collected >= self.every {
            self.collected = now;
            self.busy = true;
            let mut young = self.young.clone();
            young.extend(pinned());
            let manifests = self.kept.iter().cloned().collect();
            return Some(Chore::Collect(Box::new(Collect { manifests, young, floor: self.floor })));
        }
        // One whose result no manifest has named yet would be merged again.
        let (files, base) = self.due.take_if(|_| self.young.is_empty())?;
        self.merges += 1;
        let name = merged_name((newest.injected_term, newest.epoch), &format!("{}-{}", uid(), self.merges));
        self.young.insert(name.clone());
        self.busy = true;
        Some(Chore::Merge(Merge { name, files, base }))
    }

    /// A merge has failed: no manifest will name its file.
    pub fn merge_failed(&mut self, name: &str) {
        self.young.remove(name);
        self.busy = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{Assignment, KeySpace};
    use crate::protocol::manifest::Groups;

    const SECOND: i64 = 1_000_000;

    fn manifest(epoch: u64, files: &[(&str, u64)]) -> Manifest {
        let mut m = Manifest::origin(0, Vec::new(), &Assignment::even(KeySpace::default(), 1), Vec::new());
        (m.epoch, m.injected_term) = (epoch, 2);
        let file = |(name, at): &(&str, u64)| {
            let (name, groups) = ((*name).to_owned(), Groups::All);
            StateFile { name, bytes: 100, from_epoch: *at, to_epoch: *at, entries: 1, level: 0, groups }
        };
        m.files = files.iter().map(file).collect();
        m
    }

    fn many(epoch: u64) -> Manifest {
        let names: Vec<(String, u64)> = (1..=40).map(|e| (format!("state/delta/2-{e}-a"), e)).collect();
        manifest(epoch, &names.iter().map(|(n, e)| (n.as_str(), *e)).collect::<Vec<_>>())
    }

    fn next(m: &mut Maintenance, pinned: &[&str], now: i64) -> Option<Chore> {
        m.next(|| "u".to_owned(), || pinned.iter().map(|p| (*p).to_owned()).collect(), now)
    }

    #[test]
    fn deleting_and_merging_take_turns_and_one_chore_is_done_at_a_time() {
        let mut m = Maintenance::new(5 * SECOND, 0);
        m.published(many(40), (2, 41));
        let Some(Chore::Merge(merge)) = next(&mut m, &[], SECOND) else { panic!("a merge") };
        assert!(merge.name.starts_with("state/merged/2-40-u-") && merge.base, "{merge:?}");
        assert!(next(&mut m, &[], 9 * SECOND).is_none(), "it is busy");
        m.done();
        let Some(Chore::Collect(c)) = next(&mut m, &["state/delta/2-1-pinned"], 9 * SECOND) else { panic!("deleting") };
        // A merged file that is not named yet stays, and one that is about to be named too.
        let listed = [merge.name.as_str(), "state/delta/2-1-pinned", "state/delta/2-1-x", "state/delta/2-1-a"];
        assert_eq!(c.state(&BTreeSet::new(), listed), ["state/delta/2-1-x"]);
        m.done();
        assert!(next(&mut m, &[], 10 * SECOND).is_none(), "nothing is merged twice before a manifest names it");
        m.published(manifest(41, &[(&merge.name, 40)]), (2, 42));
        assert!(next(&mut m, &[], 10 * SECOND).is_none());
        m.published(many(42), (2, 43));
        assert!(matches!(next(&mut m, &[], 10 * SECOND), Some(Chore::Merge(_))));
        m.merge_failed("another");
        assert!(next(&mut m, &[], 0).is_none(), "a clock that goes back makes nothing due at once");
        assert!(matches!(next(&mut m, &[], 5 * SECOND), Some(Chore::Collect(_))), "nor keeps it for ever");
    }
}
