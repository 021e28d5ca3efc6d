//! Bytes that snapshots write: every state file that shows up in the storage, with its size. Files live for seconds, so looking often
//! misses none.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::Failure;

const LOOK: Duration = Duration::from_millis(100);

type Sizes = BTreeMap<PathBuf, u64>;

/// Looks until it is ended.
pub(crate) struct Written {
    over: Arc<AtomicBool>,
    thread: JoinHandle<(u64, u64)>,
}

impl Written {
    /// Files that come into `dir/delta` and `dir/merged` from now on.
    pub(crate) fn watch(dir: &Path) -> Self {
        let (over, dirs) = (Arc::new(AtomicBool::new(false)), [dir.join("delta"), dir.join("merged")]);
        let stop = over.clone();
        let thread = std::thread::spawn(move || {
            let before = dirs.each_ref().map(|d| sizes(d));
            let mut all = [Sizes::new(), Sizes::new()];
            while !stop.load(Ordering::Acquire) {
                std::thread::sleep(LOOK);
                all.iter_mut().zip(&dirs).for_each(|(all, dir)| all.extend(sizes(dir)));
            }
            let [deltas, merged] = [0, 1].map(|i: usize| match (all.get(i), before.get(i)) {
                (Some(all), Some(before)) => all.iter().filter(|(name, _)| !before.contains_key(*name)).map(|(_, n)| n).sum(),
                _ => 0,
            });
            (deltas, merged)
        });
        Self { over, thread }
    }

    /// Bytes of deltas, and of what merging made of them.
    pub(crate) fn end(self) -> Result<(u64, u64), Failure> {
        self.over.store(true, Ordering::Release);
        self.thread.join().map_err(|_| "the looking has failed".into())
    }
}

fn sizes(dir: &Path) -> Sizes {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    // One that is just being written has another name until it is whole.
    let file = |e: &std::fs::DirEntry| !e.file_name().to_string_lossy().contains('#');
    entries.filter(file).filter_map(|e| Some((e.path(), e.metadata().ok()?.len()))).collect()
}
