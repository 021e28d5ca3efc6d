//! The storage of a job: its root object, and what a job throws away that begins anew.

use serde::{Deserialize, Serialize};
use watershed_cluster::Settings;
use watershed_runtime::error::{Error, Kind, Result};
use watershed_runtime::key::KeySpace;
#[cfg(all(feature = "cli", feature = "grpc"))]
use watershed_runtime::protocol::claim::LogScan;
use watershed_runtime::protocol::entry::LATEST;
#[cfg(all(feature = "cli", feature = "grpc"))]
use watershed_runtime::protocol::log::Tail;
use watershed_runtime::protocol::named::is_named;

use crate::store::Store;

/// Opens storage that is this job's and honours create-only puts; `settings` get the key space that is stored there. `fresh` throws
/// earlier snapshots away.
pub(crate) fn open(settings: &mut Settings, fresh: bool, url: &str) -> Result<Store> {
    settings.graph.check()?;
    let store = Store::open(url)?;
    store.probe()?;
    if fresh {
        clear(&store)?;
    }
    settings.keys = root(&store, &settings.job, settings.keys)?;
    for (_, node, sink) in settings.graph.sinks() {
        sink.check().map_err(|e| e.at(node.name.clone()))?;
    }
    Ok(store)
}

/// Reads the log to its end.
#[cfg(all(feature = "cli", feature = "grpc"))]
pub(crate) fn read_log(store: &Store) -> Result<Tail> {
    LogScan::read(|name| store.get(name))
}

/// The root object of a job: what never changes.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Root {
    format: u32,
    job: String,
    keys: KeySpace,
}

/// Creates the job's root object, or checks that the one there is this job's.
fn root(store: &Store, job: &str, keys: KeySpace) -> Result<KeySpace> {
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

/// Throws a job's snapshots away: what a job has written and nothing else, since the storage may be a folder that other things are in.
fn clear(store: &Store) -> Result<()> {
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
        || is_named(name)
        || name.strip_prefix("manifest/").is_some_and(entry)
        || watershed_runtime::protocol::gc::age(name).is_some()
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
