//! Keeping the storage small: merging state files, and deleting what no kept manifest reaches.
//!
//! Both run behind the job, one at a time, on a thread of their own, and may fail without harm: an error is tried again with a later
//! manifest. Deleting goes by what manifests name and by (term, epoch), never by time (I14).

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use watershed_runtime::error::{Error, Kind, Result};
use watershed_runtime::protocol::gc::{Age, Keep, collect, object};
use watershed_runtime::protocol::log::Put;
use watershed_runtime::protocol::manifest::{Groups, Manifest, StateFile};
use watershed_runtime::state::snapshot::{Index, merge};

use crate::clock::{now, unique};
use crate::named::Pins;
use crate::pool::Worker;
use crate::store::Store;

/// Manifests kept: the last one, and some to go back to by hand.
const KEPT: usize = 3;
/// Microseconds between collections.
const COLLECT_EVERY: i64 = 5_000_000;

/// The storage's caretaker.
#[derive(Debug)]
pub(crate) struct Upkeep {
    worker: Worker,
    busy: Arc<AtomicBool>,
    kept: VecDeque<Manifest>,
    /// Merged files that no manifest has named yet: the next one may.
    young: Arc<Mutex<BTreeSet<String>>>,
    collected: i64,
    pub(crate) pins: Pins,
}

impl Upkeep {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            worker: Worker::new("upkeep")?,
            busy: Arc::new(AtomicBool::new(false)),
            kept: VecDeque::new(),
            young: Arc::default(),
            collected: now(),
            pins: Pins::default(),
        })
    }

    /// Gives it up without waiting for what it does.
    #[cfg(feature = "grpc")]
    pub(crate) fn leave(self) {
        self.worker.leave();
    }

    /// A manifest is in the log. `merged` is told of a merge that is durable.
    pub(crate) fn published(
        &mut self,
        store: &Store,
        manifest: Manifest,
        floor: Age,
        merged: impl FnOnce(StateFile, Vec<String>) + Send + 'static,
    ) {
        // Under the newest epoch's name: who was replaced and still deletes by what it knows must not take it for something old (I14).
        let age = (manifest.injected_term, manifest.epoch);
        self.young.lock().unwrap_or_else(PoisonError::into_inner).retain(|name| !manifest.files.iter().any(|f| f.name == *name));
        self.kept.push_back(manifest);
        while self.kept.len() > KEPT {
            self.kept.pop_front();
        }
        let Some(newest) = self.kept.back() else { return };
        if self.busy.load(Ordering::Acquire) {
            return;
        }
        let (due, collects) = (newest.merge_due(), now() - self.collected >= COLLECT_EVERY);
        if due.is_none() && !collects {
            return;
        }
        if collects {
            self.collected = now();
        }
        let (store, kept, busy) = (store.clone(), self.kept.iter().cloned().collect::<Vec<_>>(), self.busy.clone());
        let (young, pins) = (self.young.clone(), self.pins.clone());
        busy.store(true, Ordering::Release);
        self.worker.run(move || {
            // One after the other: each may be due whenever it is asked, and must not keep the other from its turn.
            if collects {
                // What is not deleted now is found again next time.
                let _later = collect_garbage(&store, &kept, &young, floor, &pins);
            }
            if let Some((files, base)) = due
                && let Ok(file) = merge_files(&store, age, &files, base)
            {
                young.lock().unwrap_or_else(PoisonError::into_inner).insert(file.name.clone());
                merged(file, files.into_iter().map(|f| f.name).collect());
            }
            busy.store(false, Ordering::Release);
        });
    }
}

fn merge_files(store: &Store, age: Age, files: &[StateFile], base: bool) -> Result<StateFile> {
    let missing = |f: &StateFile| Error::new(Kind::Corrupt, "a state file is gone").at(f.name.clone());
    let bytes: Vec<Vec<u8>> = files.iter().map(|f| store.get(&f.name)?.ok_or_else(|| missing(f))).collect::<Result<_>>()?;
    let parts: Vec<&[u8]> = bytes.iter().map(Vec::as_slice).collect();
    let from_epoch = files.iter().map(|f| f.from_epoch).min().unwrap_or(0);
    let to_epoch = files.iter().map(|f| f.to_epoch).max().unwrap_or(0);
    let merged = merge(&parts, None, base)?;
    let index = Index::of_file(&merged)?;
    let (entries, level) = (index.blocks.iter().map(|b| u64::from(b.entries)).sum(), index.info.level);
    let name = object("state/merged", age, &unique());
    let file = StateFile { name, bytes: merged.len() as u64, from_epoch, to_epoch, entries, level, groups: Groups::All };
    match store.create(&file.name, merged)? {
        Put::Created => Ok(file),
        Put::Exists | Put::Ambiguous => Err(Error::broken("I5", format!("state file `{}` exists already", file.name))),
    }
}

fn collect_garbage(store: &Store, kept: &[Manifest], young: &Mutex<BTreeSet<String>>, floor: Age, pins: &Pins) -> Result<()> {
    let names = store.list("state")?;
    let mut pins = pins.files(store)?;
    pins.extend(young.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned());
    let keep = Keep { manifests: kept, pins: &pins, floor };
    for name in collect(&keep, names.iter().map(String::as_str)) {
        store.delete(name)?;
    }
    let oldest = kept.iter().filter_map(|m| m.parent).min().unwrap_or(0);
    for seq in watershed_runtime::protocol::gc::log_entries(oldest) {
        store.delete(&watershed_runtime::protocol::entry::name(seq))?;
    }
    Ok(())
}
