//! The operator's memory of a job between two reconciliations: since when something is so. It only paces; losing it costs a delay.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::pause::MoveCounts;
use super::purpose::Purpose;

/// The interval at which objects without a watch are looked for.
const UNWATCHED: Duration = Duration::from_secs(30);

/// The memory of all jobs, by their identities.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    jobs: Mutex<HashMap<String, Remembered>>,
}

#[derive(Clone, Debug, Default)]
struct Remembered {
    silent_since: Option<Instant>,
    stopping_since: Option<(Purpose, Instant)>,
    /// The identity of the coordinator's pod that answered last.
    answered: Option<String>,
    /// The name and address of the coordinator's node that was found gone last.
    gone_host: Option<(String, String)>,
    /// The counts of moved batches before the rescale under way.
    counted: Option<MoveCounts>,
    /// The time of the last check of objects without a watch.
    checked: Option<Instant>,
    /// The applied objects: by kind and name, the hash of the text and the generation that the object got.
    applied: HashMap<String, (u64, i64)>,
}

impl Memory {
    fn with<T>(&self, uid: &str, then: impl FnOnce(&mut Remembered) -> T) -> T {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        then(jobs.entry(uid.to_owned()).or_default())
    }

    /// Notes the coordinator's pod that has answered, or silence; gives the time for which the coordinator has been silent.
    pub(crate) fn answered(&self, uid: &str, pod: Option<&str>) -> Duration {
        self.with(uid, |r| match pod {
            Some(pod) => {
                r.silent_since = None;
                r.answered = Some(pod.to_owned());
                Duration::ZERO
            }
            None => r.silent_since.get_or_insert_with(Instant::now).elapsed(),
        })
    }

    /// The coordinator's pod with this identity was the last to answer.
    pub(crate) fn has_answered(&self, uid: &str, pod: &str) -> bool {
        self.with(uid, |r| r.answered.as_deref() == Some(pod))
    }

    /// Notes that a coordinator's node was found gone.
    pub(crate) fn host_is_gone(&self, uid: &str, node: &str, address: &str) {
        self.with(uid, |r| r.gone_host = Some((node.to_owned(), address.to_owned())));
    }

    /// The name and address of the node that was found gone last.
    pub(crate) fn gone_host(&self, uid: &str) -> Option<(String, String)> {
        self.with(uid, |r| r.gone_host.clone())
    }

    /// The workers' counts of moved batches. `now` is none while the job is rescaled: then the counts from before that are kept.
    pub(crate) fn counted(&self, uid: &str, now: Option<&MoveCounts>) -> Option<MoveCounts> {
        self.with(uid, |r| {
            if let Some(now) = now {
                r.counted = Some(now.clone());
            }
            r.counted.clone()
        })
    }

    /// Notes that the job is being stopped for a purpose.
    pub(crate) fn stopping(&self, uid: &str, purpose: Purpose) {
        self.with(uid, |r| {
            if r.stopping_since.is_none_or(|(known, _)| known != purpose) {
                r.stopping_since = Some((purpose, Instant::now()));
            }
        });
    }

    /// Notes that the job is not being stopped, or has stopped.
    pub(crate) fn stopped(&self, uid: &str) {
        self.with(uid, |r| r.stopping_since = None);
    }

    /// The purpose of the stop under way, and the time it has lasted.
    pub(crate) fn stopping_for(&self, uid: &str) -> Option<(Purpose, Duration)> {
        self.with(uid, |r| r.stopping_since.map(|(purpose, since)| (purpose, since.elapsed())))
    }

    /// The check of objects without a watch is due; the next one is due an interval later.
    pub(crate) fn check_is_due(&self, uid: &str) -> bool {
        self.with(uid, |r| {
            let due = r.checked.is_none_or(|since| since.elapsed() > UNWATCHED);
            if due {
                r.checked = Some(Instant::now());
            }
            due
        })
    }

    /// Notes that an object is gone: it counts as applied no more.
    pub(crate) fn gone(&self, uid: &str, object: &str) {
        self.with(uid, |r| r.applied.remove(object));
    }

    /// The kinds and names of the objects that were applied.
    pub(crate) fn all_applied(&self, uid: &str) -> Vec<String> {
        self.with(uid, |r| r.applied.keys().cloned().collect())
    }

    /// An object is as it was applied last: the text is the same, and the object has not been changed since.
    pub(crate) fn is_applied(&self, uid: &str, object: &str, hash: u64, generation: Option<i64>) -> bool {
        self.with(uid, |r| generation.is_some() && r.applied.get(object).copied() == generation.map(|g| (hash, g)))
    }

    /// Notes that an object was applied.
    pub(crate) fn applied(&self, uid: &str, object: &str, hash: u64, generation: i64) {
        self.with(uid, |r| r.applied.insert(object.to_owned(), (hash, generation)));
    }

    /// Forgets a job that is gone.
    pub(crate) fn forget(&self, uid: &str) {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_applied_object_counts_until_another_client_changes_it() {
        let memory = Memory::default();
        memory.applied("u", "Deployment/a", 7, 3);
        assert!(memory.is_applied("u", "Deployment/a", 7, Some(3)));
        assert!(!memory.is_applied("u", "Deployment/a", 8, Some(3)), "another text is wanted");
        assert!(!memory.is_applied("u", "Deployment/a", 7, Some(4)), "another client changed it");
        assert!(!memory.is_applied("u", "Deployment/a", 7, None), "it is gone");
        memory.gone("u", "Deployment/a");
        assert!(!memory.is_applied("u", "Deployment/a", 7, Some(3)), "it was deleted");
        assert!(memory.check_is_due("u") && !memory.check_is_due("u"));
        memory.forget("u");
        assert!(!memory.is_applied("u", "Deployment/a", 7, Some(3)));
    }
}
