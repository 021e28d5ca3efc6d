//! From the manifest log and the state files back into slots.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Waker;

use serde::{Deserialize, Serialize};
use watershed_runtime::error::{Error, Kind, Result};
use watershed_runtime::graph::Graph;
use watershed_runtime::key::{Assignment, KeySpace, SlotId};
use watershed_runtime::protocol::log::{LogEffect, LogReader, LogWriter, Tail};
use watershed_runtime::protocol::manifest::Manifest;
use watershed_runtime::slot::{Kept, Slot, SlotConfig, Tuning};

use crate::host::HostSender;
use crate::slots::{Directory, SlotThread};
use crate::store::Store;
use crate::stored::each_stored;

/// Where the newest log entry may be found; only a hint.
pub(crate) const LATEST: &str = "LATEST";

/// The root object of a job: what never changes.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Root {
    format: u32,
    job: String,
    keys: KeySpace,
}

/// Creates the job's root object, or checks that the one there is this job's.
pub(crate) fn root(store: &Store, job: &str, keys: KeySpace) -> Result<KeySpace> {
    let mine = Root { format: 1, job: job.to_owned(), keys };
    let bytes = serde_json::to_vec_pretty(&mine).unwrap_or_default();
    store.create("job.json", bytes)?;
    let stored = read_root(store, &store.get("job.json")?.unwrap_or_default())?;
    if stored.job != mine.job {
        return Err(Error::new(Kind::Invalid, format!("the storage belongs to the job `{}`, not to `{job}`", stored.job))
            .at(format!("storage {}", store.place()))
            .advise("give each job storage of its own, or start with --fresh to throw that job's snapshots away"));
    }
    Ok(stored.keys)
}

fn read_root(store: &Store, bytes: &[u8]) -> Result<Root> {
    serde_json::from_slice(bytes).map_err(|e| {
        Error::new(Kind::Corrupt, "the job's root object `job.json` cannot be read")
            .at(format!("storage {}", store.place()))
            .advise(
                "the storage was written by a newer version, or by something else: choose other storage, or restore the object",
            )
            .because(e)
    })
}

/// Throws a job's snapshots away: what a job has written and nothing else, since somebody may have pointed it at a folder of his own.
pub(crate) fn clear(store: &Store) -> Result<()> {
    if let Some(bytes) = store.get("job.json")? {
        read_root(store, &bytes)?;
    }
    for name in store.list("")?.iter().filter(|n| ours(n)) {
        store.delete(name)?;
    }
    Ok(())
}

fn ours(name: &str) -> bool {
    let entry = |n: &str| n.strip_suffix(".json").is_some_and(|n| n.len() == 20 && n.bytes().all(|c| c.is_ascii_digit()));
    name == "job.json"
        || name == LATEST
        || name.starts_with("probe/")
        || crate::named::is_named(name)
        || name.strip_prefix("manifest/").is_some_and(entry)
        || watershed_runtime::protocol::gc::age(name).is_some()
}

/// Reads the log to its end.
pub(crate) fn read_log(store: &Store) -> Result<Tail> {
    let hint = store.get(LATEST)?.and_then(|b| String::from_utf8(b).ok()).and_then(|t| t.trim().parse().ok());
    let (mut reader, mut effect) = LogReader::new(hint);
    loop {
        let LogEffect::Get { name } = &effect else {
            return Err(Error::broken("I10", "a log reader wanted to write"));
        };
        match reader.got(store.get(name)?.as_deref())? {
            Ok(tail) => return Ok(tail),
            Err(next) => effect = next,
        }
    }
}

/// Claims the next term.
pub(crate) fn claim(store: &Store, log: &mut LogWriter, uid: &str) -> Result<()> {
    let mut effect = Some(log.claim(uid)?);
    while let Some(now) = effect {
        effect = match now {
            LogEffect::Create { name, bytes } => log.put(store.create(&name, bytes)?)?,
            LogEffect::Get { name } => log.got(store.get(&name)?.as_deref())?,
            LogEffect::Published { .. } => None,
        };
    }
    Ok(())
}

/// What is needed to make a slot as a manifest left it.
#[derive(Clone, Debug)]
pub(crate) struct Restore {
    pub(crate) store: Store,
    pub(crate) graph: Arc<Graph>,
    pub(crate) manifest: Arc<Manifest>,
    pub(crate) table: Assignment,
    pub(crate) term: u64,
    pub(crate) window: u32,
}

impl Restore {
    /// These slots, each restoring on its own thread; those that were here in the run before go back in memory.
    pub(crate) fn slots(
        &self,
        ids: &[SlotId],
        mut kept: BTreeMap<SlotId, Kept>,
        directory: &Directory,
        host: &HostSender,
    ) -> Result<BTreeMap<SlotId, SlotThread>> {
        let start = |id: &SlotId| {
            let (restore, id, kept) = (self.clone(), *id, kept.remove(id));
            Ok((id, SlotThread::start(id, directory, host.clone(), move |waker| restore.slot(id, kept, waker))?))
        };
        ids.iter().map(start).collect()
    }

    /// The slot, with the entries of its groups.
    fn slot(&self, id: SlotId, kept: Option<Kept>, waker: Waker) -> Result<Slot> {
        let manifest = &self.manifest;
        let mut slot = Slot::new(SlotConfig {
            id,
            term: self.term,
            graph: self.graph.clone(),
            assignment: self.table.clone(),
            members: manifest.members.clone(),
            epoch: manifest.epoch + 1,
            window: self.window,
            segment: manifest.handles.iter().map(|h| h.handle.version).max().unwrap_or(0) + 1,
            joins_at: None,
            waker,
            tuning: Tuning::default(),
        })?;
        let mut groups = self.table.groups_of(id);
        if let Some(kept) = kept {
            groups.subtract(&slot.inherit(kept, manifest));
        }
        let mut files: Vec<_> = manifest.files.iter().collect();
        files.sort_by_key(|f| (f.to_epoch, f.from_epoch));
        for file in files.into_iter().filter(|_| !groups.is_empty()) {
            each_stored(&self.store, file, &groups, |stored| slot.restore(stored.table, &stored.item))?;
        }
        slot.start_from(manifest)?;
        Ok(slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_start_throws_away_what_a_job_has_written_and_nothing_else() {
        let store = Store::open("memory:").unwrap();
        root(&store, "words", KeySpace::default()).unwrap();
        let ours = ["LATEST", "manifest/00000000000000000003.json", "state/delta/1-8-660cd18a-2", "state/merged/2-9-x"];
        let theirs = ["notes.txt", "manifest/plan.json", "state/of/the/art.txt", "other/job.json"];
        for name in ours.iter().chain(&theirs) {
            store.put(name, Vec::new()).unwrap();
        }
        clear(&store).unwrap();
        let mut left = store.list("").unwrap();
        left.sort();
        let mut wanted = theirs;
        wanted.sort_unstable();
        assert_eq!(left, wanted);
        store.put("job.json", b"{}".to_vec()).unwrap();
        assert_eq!(clear(&store).unwrap_err().kind(), Kind::Corrupt, "a root object that is not ours");
        assert!(store.get("job.json").unwrap().is_some());
    }
}
