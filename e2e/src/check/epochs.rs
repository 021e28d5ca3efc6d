//! Files of a sink in the order of its epochs.
//!
//! A file's name begins with its epoch, and names sort in the order of the output. Files are committed epoch by epoch, but a look
//! at the directory takes time: it may miss a file of one epoch and find another of the next. So an epoch is taken as whole only when a
//! *later look* has begun after one of a higher epoch was seen. A file that comes after its epoch was taken breaks that order and
//! is an error, as is a name that comes twice.

use std::collections::{BTreeMap, BTreeSet};

/// Collects files, and gives them back in order.
#[derive(Debug, Default)]
pub(crate) struct Epochs {
    waiting: BTreeMap<u64, BTreeMap<String, String>>,
    /// Names of the epochs that were given back not long ago.
    taken: BTreeSet<String>,
    /// Epochs below it were given back.
    next: u64,
    /// The highest epoch of any earlier look.
    before: u64,
    /// The highest epoch of the present look.
    now: u64,
}

impl Epochs {
    /// A file was seen. An error says how it breaks the order.
    pub(crate) fn saw(&mut self, name: &str, text: &str) -> Result<(), String> {
        let epoch = epoch_of(name).ok_or_else(|| format!("the file name {name} has no epoch"))?;
        if self.taken.contains(name) {
            return Err(format!("the file {name} was published twice"));
        }
        if epoch < self.next {
            return Err(format!("the file {name} appeared after files of epoch {} had", self.next));
        }
        self.now = self.now.max(epoch);
        if self.waiting.entry(epoch).or_default().insert(name.to_owned(), text.to_owned()).is_some() {
            return Err(format!("the file {name} was published twice"));
        }
        Ok(())
    }

    /// A look at the directory is over. Calls `each` with every file that is in its place now.
    pub(crate) fn looked(&mut self, mut each: impl FnMut(&str, &str)) {
        let whole = self.before;
        while let Some(entry) = self.waiting.first_entry().filter(|e| *e.key() < whole) {
            self.next = self.next.max(entry.key() + 1);
            for (name, text) in entry.remove() {
                each(&name, &text);
                self.taken.insert(name);
            }
        }
        while self.taken.len() > 10_000 {
            self.taken.pop_first();
        }
        self.before = self.now;
    }
}

/// The epoch in `part-000000000012-…`.
fn epoch_of(name: &str) -> Option<u64> {
    name.split('-').nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(epochs: &mut Epochs, names: &[&str]) -> (Vec<String>, Vec<String>) {
        let wrong = names.iter().filter_map(|n| epochs.saw(n, "").err()).collect();
        let mut given = Vec::new();
        epochs.looked(|name, _| given.push(name.to_owned()));
        (given, wrong)
    }

    #[test]
    fn an_epoch_is_whole_when_a_later_look_follows_a_later_epoch() {
        let mut epochs = Epochs::default();
        assert_eq!(look(&mut epochs, &["part-1-0-1-0", "part-2-0-0-0"]).0.len(), 0);
        assert_eq!(look(&mut epochs, &["part-1-0-0-0"]).0, ["part-1-0-0-0", "part-1-0-1-0"]);
        assert_eq!(look(&mut epochs, &["part-3-0-0-0"]).0.len(), 0);
        assert_eq!(look(&mut epochs, &[]).0, ["part-2-0-0-0"]);
    }

    #[test]
    fn what_comes_late_or_twice_is_told() {
        let mut epochs = Epochs::default();
        look(&mut epochs, &["part-1-0-0-0", "part-2-0-0-0"]);
        look(&mut epochs, &[]);
        assert!(look(&mut epochs, &["part-1-0-1-0"]).1[0].contains("appeared after"));
        assert!(look(&mut epochs, &["part-1-0-0-0"]).1[0].contains("twice"));
        assert!(look(&mut epochs, &["part-2-0-0-0"]).1[0].contains("twice"));
        assert!(look(&mut epochs, &["other"]).1[0].contains("no epoch"));
    }
}
