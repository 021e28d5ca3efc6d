//! Snapshots with a name: a copy of the manifest under `snapshot/NAME.json`, which keeps its files from being collected.
//!
//! Every epoch is a snapshot, but only for a moment: merging and collection take its files away. Naming one is cheap, since it copies a
//! manifest and no state. What it costs is the storage of what would have been collected; deleting it gives that back.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::manifest::Manifest;
use crate::error::{Error, Kind, Result};

/// The folder of named snapshots.
pub const FOLDER: &str = "snapshot";

/// A snapshot with a name, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedSnapshot {
    /// The snapshot's name.
    pub name: String,
    /// The time at which it was named, in microseconds since 1970.
    pub at_micros: i64,
    /// The job as of its barrier.
    pub manifest: Manifest,
}

impl NamedSnapshot {
    /// The object's bytes.
    ///
    /// # Errors
    /// `Broken` if it cannot be written.
    pub fn encode(&self) -> Result<Vec<u8>> {
        serde_json::to_vec_pretty(self).map_err(|e| Error::new(Kind::Broken, "a named snapshot cannot be written").because(e))
    }

    /// From bytes.
    ///
    /// # Errors
    /// `Corrupt` if it cannot be read.
    pub fn decode(object: &str, bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes)
            .map_err(|e| Error::new(Kind::Corrupt, "a named snapshot cannot be read").at(format!("`{object}`")).because(e))
    }
}

/// The object of a name; the name is checked, since it becomes a path.
///
/// # Errors
/// `Invalid` if it is no name.
pub fn object_of(name: &str) -> Result<String> {
    let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || name.len() > 63 || !name.chars().all(letters) || name.starts_with('-') || name.ends_with('-') {
        return Err(Error::new(Kind::Invalid, format!("`{name}` is not a name of a snapshot"))
            .advise("use up to 63 small letters, digits and hyphens, with a letter or digit at both ends"));
    }
    Ok(format!("{FOLDER}/{name}.json"))
}

/// True if an object is a named snapshot.
#[must_use]
pub fn is_named(object: &str) -> bool {
    object.strip_prefix("snapshot/").and_then(|n| n.strip_suffix(".json")).is_some_and(|name| object_of(name).is_ok())
}

/// The files that the named snapshots of a storage keep, as far as they have been read: each is read once.
#[derive(Clone, Debug, Default)]
pub struct Pins(BTreeMap<String, BTreeSet<String>>);

impl Pins {
    /// The files of every named snapshot that is listed; `get` reads those that are not known yet.
    ///
    /// # Errors
    /// Those of the store, and `Corrupt` if a snapshot cannot be read: then nothing may be deleted.
    pub fn files(
        &mut self,
        listed: impl IntoIterator<Item = String>,
        mut get: impl FnMut(&str) -> Result<Option<Vec<u8>>>,
    ) -> Result<BTreeSet<String>> {
        let listed: BTreeSet<String> = listed.into_iter().filter(|n| is_named(n)).collect();
        self.0.retain(|object, _| listed.contains(object));
        for object in listed {
            if !self.0.contains_key(&object)
                && let Some(bytes) = get(&object)?
            {
                let snapshot = NamedSnapshot::decode(&object, &bytes)?;
                self.0.insert(object, snapshot.manifest.files.iter().map(|f| f.name.clone()).collect());
            }
        }
        Ok(self.0.values().flatten().cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{Assignment, KeySpace};
    use crate::protocol::manifest::{Groups, StateFile};

    fn named(name: &str, file: &str) -> NamedSnapshot {
        let mut manifest = Manifest::origin(0, Vec::new(), &Assignment::even(KeySpace::default(), 1), Vec::new());
        let (file, groups) = (file.to_owned(), Groups::All);
        manifest.files = vec![StateFile { name: file, bytes: 1, from_epoch: 0, to_epoch: 1, entries: 1, level: 0, groups }];
        NamedSnapshot { name: name.into(), at_micros: 0, manifest }
    }

    #[test]
    fn the_files_of_a_named_snapshot_stay_until_it_is_deleted_and_it_is_read_once() {
        let (mut pins, mut reads) = (Pins::default(), 0);
        for (listed, files) in
            [(vec![], 0), (vec!["snapshot/before.json"], 1), (vec!["snapshot/before.json", "snapshot/x"], 1), (vec![], 0)]
        {
            let get = |_: &str| {
                reads += 1;
                named("before", "state/delta/1-1-a").encode().map(Some)
            };
            assert_eq!(pins.files(listed.into_iter().map(str::to_owned), get).unwrap().len(), files);
        }
        assert_eq!(reads, 1);
        let bad = |_: &str| Ok(Some(b"{".to_vec()));
        let listed = || ["snapshot/bad.json".to_owned()];
        assert_eq!(pins.files(listed(), bad).unwrap_err().kind(), Kind::Corrupt, "nothing is deleted that it may need");
    }

    #[test]
    fn a_name_becomes_a_path_and_is_checked() {
        assert_eq!(object_of("a-1").unwrap(), "snapshot/a-1.json");
        for bad in ["", "-a", "a-", "A", "a/b", "../a"] {
            assert_eq!(object_of(bad).unwrap_err().kind(), Kind::Invalid);
        }
        assert!(
            is_named("snapshot/a.json") && !is_named("snapshot/A.json") && !is_named("snapshot/a") && !is_named("state/a.json")
        );
    }
}
