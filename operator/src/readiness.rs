//! The readiness of an operator among several: it can reach the lease of the leader.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The readiness for the leader election.
#[derive(Debug, Default)]
pub(crate) struct Readiness {
    /// The time since which the lease could not be reached, and the last error.
    failing: Mutex<Option<(Instant, String)>>,
}

impl Readiness {
    fn failing(&self) -> std::sync::MutexGuard<'_, Option<(Instant, String)>> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that the lease was read, or written.
    pub(crate) fn lease_reached(&self) {
        *self.failing() = None;
    }

    /// Notes that the lease could not be read or written.
    pub(crate) fn lease_failed(&self, why: String) {
        let mut failing = self.failing();
        let since = failing.as_ref().map_or_else(Instant::now, |(since, _)| *since);
        *failing = Some((since, why));
    }

    /// The obstacle to leading, a sentence, once it has lasted for `limit`.
    pub(crate) fn obstacle(&self, limit: Duration) -> Option<String> {
        let failing = self.failing();
        let (since, why) = failing.as_ref().filter(|(since, _)| since.elapsed() >= limit)?;
        let seconds = since.elapsed().as_secs();
        Some(format!(
            "the lease of the leader could not be read or written for {seconds} s: {why}; this operator can neither lead nor see a leader: \
             check the Role and the RoleBinding of its service account for leases"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operator_that_cannot_reach_the_lease_is_not_ready_after_a_while() {
        let readiness = Readiness::default();
        assert_eq!(readiness.obstacle(Duration::ZERO), None, "no attempt has failed");
        readiness.lease_failed("leases is forbidden".into());
        assert_eq!(readiness.obstacle(Duration::from_secs(600)), None, "one error is not enough");
        let since = readiness.failing().as_ref().map(|(since, _)| *since);
        readiness.lease_failed("leases is still forbidden".into());
        assert_eq!(readiness.failing().as_ref().map(|(since, _)| *since), since, "the first error counts");
        assert!(readiness.obstacle(Duration::ZERO).unwrap().contains("still forbidden"));
        readiness.lease_reached();
        assert_eq!(readiness.obstacle(Duration::ZERO), None);
    }
}
