//! Savepoints: the job as of the next barrier gets a name.

use std::collections::{BTreeMap, BTreeSet};

use watershed_runtime::error::{Error, Kind, Result};
use watershed_runtime::protocol::log::Put;
use watershed_runtime::protocol::manifest::Manifest;

use super::interface::{Action, Reply};

/// The number of what is asked of the storage for snapshots: no end of a run abandons it.
pub(super) const NAMING: u64 = 0;

/// The error text for a name that is taken. A client that retries because an answer was lost knows by it that the first request was carried
/// out.
#[must_use]
pub fn name_taken(name: &str) -> String {
    format!("there is a snapshot `{name}` already")
}

/// A snapshot that is to get a name.
#[derive(Debug)]
struct Pending {
    request: u64,
    name: String,
    /// The barrier that it must have.
    epoch: u64,
    /// A user waits for it.
    waited: bool,
}

/// A snapshot whose object is being created.
#[derive(Debug)]
struct Storing {
    name: String,
    epoch: u64,
    waited: bool,
    files: BTreeSet<String>,
}

/// Snapshots that are to get a name, and files that they keep from collection until their object is in the storage.
#[derive(Debug, Default)]
pub(crate) struct Savepoints {
    pending: Vec<Pending>,
    storing: BTreeMap<u64, Storing>,
    /// Files of snapshots of which nobody knows whether they were stored: kept for as long as this manager lives.
    unknown: BTreeSet<String>,
}

impl Savepoints {
    /// A snapshot of this barrier is to get a name.
    pub(super) fn ask(&mut self, request: u64, name: String, epoch: u64, waited: bool) {
        self.pending.push(Pending { request, name, epoch, waited });
    }

    /// A manifest covers every barrier up to this one: the requests that it answers, with the names that it gets. Its files are kept from
    /// now on.
    pub(super) fn covered(&mut self, covered: u64, manifest: &Manifest) -> Vec<(u64, String)> {
        let mut granted = Vec::new();
        for Pending { request, name, waited, .. } in self.pending.extract_if(.., |p| p.epoch <= covered) {
            let files = manifest.files.iter().map(|f| f.name.clone()).collect();
            self.storing.insert(request, Storing { name: name.clone(), epoch: manifest.epoch, waited, files });
            granted.push((request, name));
        }
        granted
    }

    /// Files that must not be deleted.
    pub(crate) fn pins(&self) -> BTreeSet<String> {
        self.storing.values().flat_map(|s| &s.files).chain(&self.unknown).cloned().collect()
    }

    /// The user who asked has gone: nobody would know of the snapshot, and of what it keeps.
    pub(crate) fn abandoned(&mut self, request: u64) {
        self.pending.retain(|p| p.request != request);
    }

    /// The put of a snapshot's object has ended: its requests are answered.
    pub(crate) fn named(&mut self, request: u64, outcome: Result<Put>, out: &mut Vec<Action>) {
        let Some(Storing { name, epoch, waited, files }) = self.storing.remove(&request) else { return };
        let reply = match outcome {
            Ok(Put::Created) => Reply::Snapshot(epoch),
            Ok(Put::Exists | Put::Ambiguous) => Reply::Refused(
                Error::new(Kind::Invalid, name_taken(&name))
                    .advise("choose another name, or delete that one with `snapshots delete`"),
            ),
            Err(e) => {
                self.unknown.extend(files);
                Reply::Refused(e)
            }
        };
        if waited {
            out.push(Action::Reply(request, reply));
        }
    }

    /// The job is over.
    pub(crate) fn over(&mut self, out: &mut Vec<Action>) {
        for pending in self.pending.drain(..).filter(|p| p.waited) {
            let e = Error::new(Kind::Unavailable, "the job was over before the snapshot was taken");
            out.push(Action::Reply(pending.request, Reply::Refused(e)));
        }
    }
}
