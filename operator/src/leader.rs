//! The election of a leader among several operators, by a Lease.
//!
//! A lease that another process holds counts as given up when *this* process has seen it unchanged for its whole duration: clocks of other
//! machines are not compared. Each write names the version it replaces, so of two concurrent writes one is refused. A leader that cannot
//! renew in time ends its process: any other would have done what it had begun, and jobs are fenced by their own terms, not by this.

use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::Client;
use kube::api::{Api, ObjectMeta, PostParams};

use crate::context::Context;
use crate::error::error_text;
use crate::log::Level;
use crate::settings::LeaseSettings;

/// The reason why an operator ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// A signal asked the process to end.
    Requested,
    /// The lead is lost, or the process cannot serve.
    Lost,
}

/// A candidate of the election.
pub(crate) struct Elector {
    leases: Api<Lease>,
    settings: LeaseSettings,
    identity: String,
}

/// A version of the lease, and the time since which it has been seen.
#[derive(Clone, Debug, PartialEq)]
struct SeenVersion {
    version: Option<String>,
    since: Instant,
}

/// The next action on a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Create,
    Renew,
    Take,
    Wait,
}

/// The action that follows from a lease and the time for which it has not changed. Pure.
fn next(lease: Option<&Lease>, me: &str, unchanged: Duration, duration: Duration) -> Action {
    let Some(lease) = lease else { return Action::Create };
    let holder = lease.spec.as_ref().and_then(|s| s.holder_identity.as_deref()).unwrap_or_default();
    match holder {
        holder if holder == me => Action::Renew,
        "" => Action::Take,
        _ if unchanged >= duration => Action::Take,
        _ => Action::Wait,
    }
}

impl Elector {
    /// A candidate for a lease, under its own name.
    pub(crate) fn new(client: Client, settings: LeaseSettings, identity: String) -> Self {
        Self { leases: Api::namespaced(client, &settings.namespace), settings, identity }
    }

    /// Waits for the lead, works as long as it lasts, and gives the lease back at the end.
    pub(crate) async fn lead(&self, context: &Context, work: impl Future<Output = ()>, asked: impl Future<Output = ()>) -> Exit {
        tokio::pin!(asked);
        tokio::select! {
            () = self.acquire(context) => {}
            () = &mut asked => return Exit::Requested,
        }
        context.metrics.leader.store(true, std::sync::atomic::Ordering::Relaxed);
        context.log.event(Level::Info, "leads", &[("identity", &self.identity)]);
        let ended = tokio::select! {
            () = work => Exit::Lost,
            () = self.keep(context) => Exit::Lost,
            () = &mut asked => Exit::Requested,
        };
        context.metrics.leader.store(false, std::sync::atomic::Ordering::Relaxed);
        if ended == Exit::Requested {
            self.release().await;
        }
        ended
    }

    async fn acquire(&self, context: &Context) {
        let mut seen: Option<SeenVersion> = None;
        loop {
            match self.attempt(&mut seen).await {
                Ok(true) => {
                    context.readiness.lease_reached();
                    return;
                }
                Ok(false) => context.readiness.lease_reached(),
                Err(e) => {
                    let why = error_text(&e);
                    context.log.event(Level::Warning, "no lease", &[("error", &why)]);
                    context.readiness.lease_failed(why);
                }
            }
            tokio::time::sleep(self.settings.retry).await;
        }
    }

    /// Renews the lease until the lead is lost.
    async fn keep(&self, context: &Context) {
        let mut renewed = Instant::now();
        let mut seen = None;
        while renewed.elapsed() < self.settings.renew_deadline {
            tokio::time::sleep(self.settings.retry).await;
            match tokio::time::timeout(self.settings.renew_deadline, self.attempt(&mut seen)).await {
                Ok(Ok(true)) => renewed = Instant::now(),
                Ok(Ok(false)) => break,
                Ok(Err(e)) => context.log.event(Level::Warning, "lease not renewed", &[("error", &error_text(&e))]),
                Err(_) => context.log.event(Level::Warning, "lease not renewed", &[("error", "no answer")]),
            }
        }
        context.log.event(Level::Error, "lost the lead", &[("identity", &self.identity)]);
    }

    /// Reads the lease and creates, renews or takes it where it may; true if this process holds it now.
    async fn attempt(&self, seen: &mut Option<SeenVersion>) -> Result<bool, kube::Error> {
        let lease = self.leases.get_opt(&self.settings.name).await?;
        let version = lease.as_ref().and_then(|l| l.metadata.resource_version.clone());
        if seen.as_ref().is_none_or(|s| s.version != version) {
            *seen = Some(SeenVersion { version, since: Instant::now() });
        }
        let unchanged = seen.as_ref().map(|s| s.since.elapsed()).unwrap_or_default();
        let written = match next(lease.as_ref(), &self.identity, unchanged, self.settings.duration) {
            Action::Wait => return Ok(false),
            Action::Create => self.leases.create(&PostParams::default(), &self.lease(None)).await,
            Action::Renew | Action::Take => {
                self.leases.replace(&self.settings.name, &PostParams::default(), &self.lease(lease)).await
            }
        };
        match written {
            Ok(_) => Ok(true),
            // Another process was quicker.
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

    /// Gives the lease back, so that another process need not wait until it runs out. An error only costs that wait.
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
        assert_eq!(after(0, None), Action::Create);
        assert_eq!(after(14, Some(&held("other"))), Action::Wait);
        assert_eq!(after(15, Some(&held("other"))), Action::Take);
        assert_eq!(after(0, Some(&held("me"))), Action::Renew);
        assert_eq!(after(0, Some(&held(""))), Action::Take);
    }
}
