//! The object store of a run: create-only puts, gets, deletes. It outlives every process.
//!
//! A put may take effect long after its caller was told "nobody knows": such puts wait in a list until the world lets them happen.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// An object's content.
pub type Bytes = Arc<Vec<u8>>;

/// The store.
#[derive(Debug, Default)]
pub struct Store {
    objects: BTreeMap<String, Bytes>,
    late: Vec<(String, Bytes)>,
    /// Names of log entries that came into being since they were last asked for.
    fresh: Vec<String>,
}

impl Store {
    /// A create-only put; whether it created.
    pub fn create(&mut self, name: &str, bytes: &Bytes) -> bool {
        if self.objects.contains_key(name) {
            return false;
        }
        self.objects.insert(name.to_owned(), Arc::clone(bytes));
        if name.starts_with("manifest/") {
            self.fresh.push(name.to_owned());
        }
        true
    }

    /// A put that replaces.
    pub fn put(&mut self, name: &str, bytes: Bytes) {
        self.objects.insert(name.to_owned(), bytes);
    }

    /// A get.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Bytes> {
        self.objects.get(name).cloned()
    }

    /// A put that will happen some time.
    pub fn later(&mut self, name: &str, bytes: &Bytes) {
        self.late.push((name.to_owned(), Arc::clone(bytes)));
    }

    /// True if some put has not happened yet.
    #[must_use]
    pub fn has_late(&self) -> bool {
        !self.late.is_empty()
    }

    /// Lets a late put happen.
    pub fn settle(&mut self, at: usize) {
        if at < self.late.len() {
            let (name, bytes) = self.late.swap_remove(at);
            self.create(&name, &bytes);
        }
    }

    /// The number of late puts.
    #[must_use]
    pub fn late(&self) -> usize {
        self.late.len()
    }

    /// Deletes.
    pub fn delete(&mut self, name: &str) {
        self.objects.remove(name);
    }

    /// The names under a prefix.
    pub fn list<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        self.objects.range(prefix.to_owned()..).map(|(n, _)| n.as_str()).take_while(move |n| n.starts_with(prefix))
    }

    /// The log entries that came into being since the last call.
    pub fn take_fresh(&mut self) -> Vec<String> {
        std::mem::take(&mut self.fresh)
    }

    /// Missing objects among these names.
    #[must_use]
    pub fn missing<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> BTreeSet<&'a str> {
        names.into_iter().filter(|n| !self.objects.contains_key(*n)).collect()
    }
}
