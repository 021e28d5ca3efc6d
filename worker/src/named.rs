//! Snapshots with a name: a copy of the manifest under `snapshot/NAME.json`, which keeps its files from being collected.
//!
//! Every epoch is a snapshot, but only for a moment: merging and collection take its files away. Naming one is cheap, since it copies a
//! manifest and no state. What it costs is the storage of what would have been collected; `snapshots delete` gives that back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use watershed_runtime::error::{Error, Kind, Result};
#[cfg(any(test, feature = "grpc"))]
use watershed_runtime::protocol::log::Put;
use watershed_runtime::protocol::manifest::Manifest;

use crate::store::Store;

const FOLDER: &str = "snapshot";

/// A snapshot with a name, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NamedSnapshot {
    pub(crate) name: String,
    /// When it was named, in microseconds since 1970.
    pub(crate) at_micros: i64,
    pub(crate) manifest: Manifest,
}

/// The object of a name; the name is checked, since it becomes a path.
pub(crate) fn object_of(name: &str) -> Result<String> {
    let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || name.len() > 63 || !name.chars().all(letters) || name.starts_with('-') || name.ends_with('-') {
        return Err(Error::new(Kind::Invalid, format!("`{name}` is not a name of a snapshot"))
            .advise("use up to 63 small letters, digits and hyphens, with a letter or digit at both ends"));
    }
    Ok(format!("{FOLDER}/{name}.json"))
}

/// Whether an object is one of these.
pub(crate) fn is_named(object: &str) -> bool {
    object.strip_prefix("snapshot/").and_then(|n| n.strip_suffix(".json")).is_some_and(|name| object_of(name).is_ok())
}

/// All of a storage.
#[cfg(any(test, feature = "cli"))]
pub(crate) fn all(store: &Store) -> Result<Vec<NamedSnapshot>> {
    let names = store.list(FOLDER)?;
    names.iter().filter(|n| is_named(n)).filter_map(|n| read(store, n).transpose()).collect()
}

fn read(store: &Store, object: &str) -> Result<Option<NamedSnapshot>> {
    let Some(bytes) = store.get(object)? else { return Ok(None) };
    serde_json::from_slice(&bytes).map(Some).map_err(|e| {
        Error::new(Kind::Corrupt, "a named snapshot cannot be read")
            .at(format!("storage {}, `{object}`", store.place()))
            .because(e)
    })
}

/// What named snapshots keep from collection. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pins(Arc<Mutex<BTreeMap<String, Pin>>>);

#[derive(Debug)]
struct Pin {
    files: BTreeSet<String>,
    /// It is in the storage; until then nobody but us knows of it.
    stored: bool,
}

fn files(manifest: &Manifest) -> BTreeSet<String> {
    manifest.files.iter().map(|f| f.name.clone()).collect()
}

impl Pins {
    /// Keeps the files of a manifest, before it is named. While the manifest is among the newest, so that nothing of it is gone yet.
    #[cfg(any(test, feature = "grpc"))]
    pub(crate) fn pin(&self, name: &str, manifest: &Manifest) -> Result<()> {
        let object = object_of(name)?;
        let mut pins = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pins.entry(object).or_insert_with(|| Pin { files: files(manifest), stored: false });
        Ok(())
    }

    /// Names it. A name that is taken stays what it was.
    #[cfg(any(test, feature = "grpc"))]
    pub(crate) fn store(&self, store: &Store, snapshot: &NamedSnapshot) -> Result<()> {
        let object = object_of(&snapshot.name)?;
        let bytes = serde_json::to_vec_pretty(snapshot)
            .map_err(|e| Error::new(Kind::Broken, "a named snapshot cannot be written").because(e))?;
        let put = store.create(&object, bytes);
        let mut pins = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match put {
            Ok(Put::Created) => {
                if let Some(pin) = pins.get_mut(&object) {
                    pin.stored = true;
                }
                Ok(())
            }
            Ok(Put::Exists | Put::Ambiguous) => {
                pins.retain(|name, pin| *name != object || pin.stored);
                Err(Error::new(Kind::Invalid, format!("there is a snapshot `{}` already", snapshot.name))
                    .at(format!("storage {}", store.place()))
                    .advise("choose another name, or delete that one with `snapshots delete`"))
            }
            // It may be there or not: kept for as long as this process lives.
            Err(e) => Err(e),
        }
    }

    /// The files that are kept: of every named snapshot in the storage, and of those about to be there.
    pub(crate) fn files(&self, store: &Store) -> Result<BTreeSet<String>> {
        let there: BTreeSet<String> = store.list(FOLDER)?.into_iter().filter(|n| is_named(n)).collect();
        let known: BTreeSet<String> = self.0.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect();
        let mut new = Vec::new();
        for object in there.difference(&known) {
            new.extend(read(store, object)?.map(|s| (object.clone(), Pin { files: files(&s.manifest), stored: true })));
        }
        let mut pins = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pins.retain(|object, pin| !pin.stored || there.contains(object));
        pins.extend(new);
        Ok(pins.values().flat_map(|p| p.files.iter().cloned()).collect())
    }
}

#[cfg(test)]
mod tests {
    use watershed_runtime::key::{Assignment, KeySpace};
    use watershed_runtime::protocol::manifest::{Groups, StateFile};

    use super::*;

    fn manifest(file: &str) -> Manifest {
        let mut m = Manifest::origin(0, Vec::new(), &Assignment::even(KeySpace::default(), 1), Vec::new());
        let (name, groups) = (file.to_owned(), Groups::All);
        m.files = vec![StateFile { name, bytes: 1, from_epoch: 0, to_epoch: 1, entries: 1, level: 0, groups }];
        m
    }

    fn named(name: &str, file: &str) -> NamedSnapshot {
        NamedSnapshot { name: name.into(), at_micros: 0, manifest: manifest(file) }
    }

    #[test]
    fn the_files_of_a_named_snapshot_stay_until_it_is_deleted_whoever_named_it() {
        let store = Store::open("memory:").unwrap();
        let (ours, theirs) = (Pins::default(), Pins::default());
        ours.pin("before", &manifest("state/delta/1-1-a")).unwrap();
        assert_eq!(ours.files(&store).unwrap().len(), 1, "it is kept before it is named");
        assert_eq!(theirs.files(&store).unwrap().len(), 0);
        ours.store(&store, &named("before", "state/delta/1-1-a")).unwrap();
        assert_eq!(theirs.files(&store).unwrap(), BTreeSet::from(["state/delta/1-1-a".to_owned()]));
        store.delete("snapshot/before.json").unwrap();
        assert!(ours.files(&store).unwrap().is_empty() && theirs.files(&store).unwrap().is_empty());
    }

    #[test]
    fn a_name_means_one_snapshot() {
        let store = Store::open("memory:").unwrap();
        let pins = Pins::default();
        for (file, fine) in [("state/delta/1-1-a", true), ("state/delta/1-2-a", false)] {
            pins.pin("it", &manifest(file)).unwrap();
            assert_eq!(pins.store(&store, &named("it", file)).is_ok(), fine);
        }
        assert_eq!(all(&store).unwrap(), [named("it", "state/delta/1-1-a")]);
        for bad in ["", "-a", "a-", "A", "a/b", "../a"] {
            assert_eq!(object_of(bad).unwrap_err().kind(), Kind::Invalid);
        }
    }

    #[cfg(feature = "grpc")]
    #[test]
    fn that_a_name_is_taken_is_said_in_the_words_that_an_operator_reads() {
        let store = Store::open("memory:").unwrap();
        let pins = Pins::default();
        pins.store(&store, &named("it", "a")).unwrap();
        let refused = watershed_runtime::error::explain(&pins.store(&store, &named("it", "b")).unwrap_err());
        assert!(refused.contains(&watershed_wire::name_taken("it")), "{refused}");
    }
}
