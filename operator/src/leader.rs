//! One of several operators leads, by a Lease.
//!
//! A lease that somebody else holds counts as given up when *this* process has seen it unchanged for its whole duration: clocks of other
//! machines are not compared. Each write says which version it replaces, so of two that try at once one is refused. A leader that cannot
//! renew in time ends its process: what it had begun is what any other would do, and jobs are fenced by their own terms, not by this.

use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::Client;
use kube::api::{Api, ObjectMeta, PostParams};

use crate::context::Context;
use crate::log::Level;
use crate::settings::LeaseSettings;

/// Why an operator ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It was asked to.
    Asked,
    /// It cannot go on: the lead is lost.
    Lost,
}

/// Takes part in the election.
pub(crate) struct Elector {
    leases: Api<Lease>,
    settings: LeaseSettings,
    identity: String,
}

/// What was seen of a lease, and since when.
#[derive(Clone, Debug, PartialEq)]
struct Sight {
    version: Option<String>,
    since: Instant,
}

/// What to do about a lease. Pure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Move {
    Create,
    Renew,
    Take,
    Wait,
}

fn next(lease: Option<&Lease>, me: &str, unchanged: Duration, duration: Duration) -> Move {
    let Some(lease) = lease else { return Move::Create };
    let holder = lease.spec.as_ref().and_then(|s| s.holder_identity.as_deref()).unwrap_or_default();
    match holder {
        holder if holder == me => Move::Renew,
        "" => Move::Take,
        _ if unchanged >= duration => Move::Take,
        _ => Move::Wait,
    }
}

impl Elector {
    /// For a lease, under a name of one's own.
    pub(crate) fn new(client: Client, settings: LeaseSettings, identity: String) -> Self {
        Self { leases: Api::namespaced(client, &settings.namespace), settings, identity }
    }

    /// Waits for the lead, works as long as it lasts, and gives it back at the end.
    pub(crate) async fn lead(&self, context: &Context, work: impl Future<Output = ()>, asked: impl Future<Output = ()>) -> Ended {
        tokio::pin!(asked);
        tokio::select! {
            () = self.acquire(context) => {}
            () = &mut asked => return Ended::Asked,
        }
        context.metrics.leader.store(true, std::sync::atomic::Ordering::Relaxed);
        context.log.say(Level::Info, "leads", &[("identity", &self.identity)]);
        let ended = tokio::select! {
            () = work => Ended::Lost,
            () = self.keep(context) => Ended::Lost,
            () = &mut asked => Ended::Asked,
        };
        context.metrics.leader.store(false, std::sync::atomic::Ordering::Relaxed);
        if ended == Ended::Asked {
            self.release().await;
        }
        ended
    }

    async fn acquire(&self, context: &Context) {
        let mut sight: Option<Sight> = None;
        loop {
            match self.attempt(&mut sight).await {
                Ok(true) => return,
                Ok(false) => {}
                Err(e) => context.log.say(Level::Warning, "no lease", &[("error", &crate::error_text(&e))]),
            }
            tokio::time::sleep(self.settings.retry).await;
        }
    }

    /// Ends when the lead is lost.
    async fn keep(&self, context: &Context) {
        let mut renewed = Instant::now();
        let mut sight = None;
        while renewed.elapsed() < self.settings.renew_deadline {
            tokio::time::sleep(self.settings.retry).await;
            match tokio::time::timeout(self.settings.renew_deadline, self.attempt(&mut sight)).await {
                Ok(Ok(true)) => renewed = Instant::now(),
                Ok(Ok(false)) => break,
                Ok(Err(e)) => context.log.say(Level::Warning, "lease not renewed", &[("error", &crate::error_text(&e))]),
                Err(_) => context.log.say(Level::Warning, "lease not renewed", &[("error", "no answer")]),
            }
        }
        context.log.say(Level::Error, "lost the lead", &[("identity", &self.identity)]);
    }

    /// Whether this process holds the lease now.
    async fn attempt(&self, sight: &mut Option<Sight>) -> Result<bool, kube::Error> {
        let lease = self.leases.get_opt(&self.settings.name).await?;
        let version = lease.as_ref().and_then(|l| l.metadata.resource_version.clone());
        if sight.as_ref().is_none_or(|s| s.version != version) {
            *sight = Some(Sight { version, since: Instant::now() });
        }
        let unchanged = sight.as_ref().map(|s| s.since.elapsed()).unwrap_or_default();
        let written = match next(lease.as_ref(), &self.identity, unchanged, self.settings.duration) {
            Move::Wait => return Ok(false),
            Move::Create => self.leases.create(&PostParams::default(), &self.lease(None)).await,
            Move::Renew | Move::Take => {
                self.leases.replace(&self.settings.name, &PostParams::default(), &self.lease(lease)).await
            }
        };
        match written {
            Ok(_) => Ok(true),
            // Somebody was quicker.
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
            Err(e) => Err(e),
        }
    }

    fn lease(&self, before: Option<Lease>) -> Lease {
        let now = MicroTime(Timestamp::now());
        let mut lease = before.unwrap_or_default();
        let spec = lease.spec.take().unwrap_or_default();
        let mine = spec.holder_identity.as_deref() == Some(&self.identity);
        lease.metadata = ObjectMeta {
            name: Some(self.settings.name.clone()),
            namespace: Some(self.settings.namespace.clone()),
            ..lease.metadata
        };
        lease.spec = Some(LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(self.settings.duration.as_secs()).ok(),
            acquire_time: if mine { spec.acquire_time } else { Some(now.clone()) },
            lease_transitions: Some(spec.lease_transitions.unwrap_or(0) + i32::from(!mine)),
            renew_time: Some(now),
            ..spec
        });
        lease
    }

    /// Another need not wait for the lease to run out. That it could not be said costs the others that wait.
    async fn release(&self) {
        let Ok(Some(mut lease)) = self.leases.get_opt(&self.settings.name).await else { return };
        if let Some(spec) = lease.spec.as_mut().filter(|s| s.holder_identity.as_deref() == Some(&self.identity)) {
            spec.holder_identity = Some(String::new());
            let _waits = self.leases.replace(&self.settings.name, &PostParams::default(), &lease).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(by: &str) -> Lease {
        Lease { spec: Some(LeaseSpec { holder_identity: Some(by.into()), ..LeaseSpec::default() }), ..Lease::default() }
    }

    #[test]
    fn a_lease_is_taken_when_it_was_seen_unchanged_for_its_whole_duration() {
        let duration = Duration::from_secs(15);
        let after = |seconds: u64, lease: Option<&Lease>| next(lease, "me", Duration::from_secs(seconds), duration);
        assert_eq!(after(0, None), Move::Create);
        assert_eq!(after(14, Some(&held("other"))), Move::Wait);
        assert_eq!(after(15, Some(&held("other"))), Move::Take);
        assert_eq!(after(0, Some(&held("me"))), Move::Renew);
        assert_eq!(after(0, Some(&held(""))), Move::Take);
    }
}
