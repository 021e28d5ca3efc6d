//! What a state is called and made of; stored with every snapshot.
//!
//! A restored job that lost, renamed or retyped a state must hear so by name. Defaults in its place would be silent loss.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};

/// Describes one state of one operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateDesc {
    /// The name, unique within the operator.
    pub name: String,
    /// Raised by the operator's author when the meaning of the bytes changes.
    pub version: u32,
    /// The type name or schema of the key.
    pub key: String,
    /// The type name or schema of the value.
    pub value: String,
    /// Entries not written for so long (processing time) are gone.
    pub ttl_micros: Option<u64>,
}

impl StateDesc {
    /// A state of these types, version 1, without expiry.
    #[must_use]
    pub fn of<K, V>(name: &str) -> Self {
        let plain = |t: &str| t.replace("alloc::string::", "").replace("watershed_runtime::state::key::", "");
        let (key, value) = (plain(std::any::type_name::<K>()), plain(std::any::type_name::<V>()));
        Self { name: name.into(), version: 1, key, value, ttl_micros: None }
    }

    /// The same with an expiry.
    #[must_use]
    pub fn expiring(mut self, micros: u64) -> Self {
        self.ttl_micros = Some(micros.max(1));
        self
    }

    /// Whether bytes written under `self` can be read under `other`. The expiry may change freely.
    fn reads(&self, other: &Self) -> bool {
        self.version == other.version && self.key == other.key && self.value == other.value
    }
}

/// Refuses a restore in which a stored state has no home or another shape; `place` says whose states they are.
pub fn check_restored(place: &str, stored: &[StateDesc], job: &[StateDesc]) -> Result<()> {
    for s in stored {
        let Some(j) = job.iter().find(|j| j.name == s.name) else {
            let known: Vec<&str> = job.iter().map(|j| j.name.as_str()).collect();
            return Err(Error::new(Kind::Invalid, format!("the snapshot holds state `{}`, which the job no longer has", s.name))
                .at(place)
                .advise(format!("bring `{}` back (the job has: {}), or start without the snapshot", s.name, known.join(", "))));
        };
        if !s.reads(j) {
            let shape = |d: &StateDesc| format!("{} -> {} (version {})", d.key, d.value, d.version);
            return Err(Error::new(
                Kind::Invalid,
                format!("state `{}` was stored as {} but the job has {}", s.name, shape(s), shape(j)),
            )
            .at(place)
            .advise("give the changed state a new name, or start without the snapshot"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(stored: &str, job: StateDesc) -> String {
        match check_restored("node 7", &[StateDesc::of::<u64, u64>(stored)], &[job]) {
            Ok(()) => "ok".into(),
            Err(e) => e.to_string(),
        }
    }

    #[test]
    fn a_lost_or_retyped_state_is_named() {
        assert_eq!(check("n", StateDesc::of::<u64, u64>("n").expiring(5)), "ok");
        assert_eq!(
            check("n", StateDesc::of::<u64, u64>("m")),
            "node 7: the snapshot holds state `n`, which the job no longer has"
        );
        let e = check("n", StateDesc::of::<u64, String>("n"));
        assert_eq!(e, "node 7: state `n` was stored as u64 -> u64 (version 1) but the job has u64 -> String (version 1)");
    }
}
