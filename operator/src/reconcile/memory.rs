//! What the operator remembers of a job between two looks: since when something is so. Only what paces; losing it costs a delay.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::pause::Counted;

/// How often it is looked whether objects without a watch are still there.
const STANDING: Duration = Duration::from_secs(30);

/// Since when something is so, by the job's identity.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    jobs: Mutex<HashMap<String, Remembered>>,
}

#[derive(Clone, Debug, Default)]
struct Remembered {
    silent_since: Option<Instant>,
    stopping_since: Option<(&'static str, Instant)>,
    /// The coordinator's pod that answered last.
    answered: Option<String>,
    /// The node of a coordinator that was found gone: its name and address.
    gone_host: Option<(String, String)>,
    /// What workers had counted before the rescale under way.
    counted: Option<Counted>,
    /// When it was looked whether the objects that stand are still there.
    looked: Option<Instant>,
    /// What was applied: by kind and name, the hash of what was asked for and the generation that it got.
    applied: HashMap<String, (u64, i64)>,
}

impl Memory {
    fn with<T>(&self, uid: &str, then: impl FnOnce(&mut Remembered) -> T) -> T {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        then(jobs.entry(uid.to_owned()).or_default())
    }

    /// The coordinator answered, or did not: for how long it has been silent.
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

    /// Whether this very pod has ever answered.
    pub(crate) fn has_answered(&self, uid: &str, pod: &str) -> bool {
        self.with(uid, |r| r.answered.as_deref() == Some(pod))
    }

    /// The node of a coordinator was found gone.
    pub(crate) fn host_is_gone(&self, uid: &str, node: &str, address: &str) {
        self.with(uid, |r| r.gone_host = Some((node.to_owned(), address.to_owned())));
    }

    /// The node that was found gone last: its name and address.
    pub(crate) fn gone_host(&self, uid: &str) -> Option<(String, String)> {
        self.with(uid, |r| r.gone_host.clone())
    }

    /// What workers have counted, unless they are being rescaled: what they had before that is kept, and given back.
    pub(crate) fn counted(&self, uid: &str, now: Option<&Counted>) -> Option<Counted> {
        self.with(uid, |r| {
            if let Some(now) = now {
                r.counted = Some(now.clone());
            }
            r.counted.clone()
        })
    }

    /// The job is being stopped for a purpose.
    pub(crate) fn stopping(&self, uid: &str, purpose: &'static str) {
        self.with(uid, |r| {
            if r.stopping_since.is_none_or(|(known, _)| known != purpose) {
                r.stopping_since = Some((purpose, Instant::now()));
            }
        });
    }

    /// The job is not being stopped, or has stopped.
    pub(crate) fn stopped(&self, uid: &str) {
        self.with(uid, |r| r.stopping_since = None);
    }

    /// For how long the job is being stopped, and what for.
    pub(crate) fn stopping_for(&self, uid: &str) -> Option<(&'static str, Duration)> {
        self.with(uid, |r| r.stopping_since.map(|(purpose, since)| (purpose, since.elapsed())))
    }

    /// Whether it is time to look whether the objects that stand are still there.
    pub(crate) fn may_look(&self, uid: &str) -> bool {
        self.with(uid, |r| {
            let due = r.looked.is_none_or(|since| since.elapsed() > STANDING);
            if due {
                r.looked = Some(Instant::now());
            }
            due
        })
    }

    /// An object is gone: what was applied counts no more.
    pub(crate) fn gone(&self, uid: &str, object: &str) {
        self.with(uid, |r| r.applied.remove(object));
    }

    /// The objects that were applied.
    pub(crate) fn all_applied(&self, uid: &str) -> Vec<String> {
        self.with(uid, |r| r.applied.keys().cloned().collect())
    }

    /// Whether an object is as it was asked for last: the same text was applied, and nobody has changed the object since.
    pub(crate) fn is_applied(&self, uid: &str, object: &str, hash: u64, generation: Option<i64>) -> bool {
        self.with(uid, |r| generation.is_some() && r.applied.get(object).copied() == generation.map(|g| (hash, g)))
    }

    /// An object was applied.
    pub(crate) fn applied(&self, uid: &str, object: &str, hash: u64, generation: i64) {
        self.with(uid, |r| r.applied.insert(object.to_owned(), (hash, generation)));
    }

    /// The job is gone.
    pub(crate) fn forget(&self, uid: &str) {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_applied_counts_until_somebody_changes_the_object() {
        let memory = Memory::default();
        memory.applied("u", "Deployment/a", 7, 3);
        assert!(memory.is_applied("u", "Deployment/a", 7, Some(3)));
        assert!(!memory.is_applied("u", "Deployment/a", 8, Some(3)), "something else is wanted");
        assert!(!memory.is_applied("u", "Deployment/a", 7, Some(4)), "somebody changed it");
        assert!(!memory.is_applied("u", "Deployment/a", 7, None), "it is gone");
        memory.gone("u", "Deployment/a");
        assert!(!memory.is_applied("u", "Deployment/a", 7, Some(3)), "it was deleted");
        assert!(memory.may_look("u") && !memory.may_look("u"));
        memory.forget("u");
        assert!(!memory.is_applied("u", "Deployment/a", 7, Some(3)));
    }
}
