//! The judged job as a whole: every concern of it, typed.
//!
//! No field is an `Option` that cannot be `None`, no number is without its unit: periods are durations, counts are within their
//! limits. What only Kubernetes acts on is kept apart in [`Pod`], so that nobody else has to step over it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{JobName, KeyGroups, Program, Replicas, Restore, Snapshots, ThreadsPerWorker};
use crate::manifest;

/// A judged job.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// The job's name.
    pub name: JobName,
    /// The job's namespace, where the manifest says one.
    pub namespace: Option<String>,
    /// Labels of the job.
    pub labels: BTreeMap<String, String>,
    /// Annotations of the job.
    pub annotations: BTreeMap<String, String>,
    /// The program that runs.
    pub program: Program,
    /// True if the job is to be stopped, with a final snapshot.
    pub suspend: bool,
    /// The number of workers.
    pub replicas: Replicas,
    /// Slots of a worker.
    pub threads_per_worker: ThreadsPerWorker,
    /// Slices of the key space.
    pub key_groups: KeyGroups,
    /// The way in which a changed job replaces the running one.
    pub update: Update,
    /// The way in which the number of workers changes.
    pub rescale: Rescale,
    /// Snapshots.
    pub snapshots: Snapshots,
    /// The start state, where the job does not go on from its own latest snapshot.
    pub restore_from: Option<Restore>,
    /// Numbers whose change asks for something.
    pub nonces: Nonces,
    /// The policy, on restore, for state that no operator asks for.
    pub unmatched_state: manifest::UnmatchedState,
    /// The limits after which a failing job is given up.
    pub health: Health,
    /// Fields that only Kubernetes acts on.
    pub pod: Pod,
}

impl Job {
    /// The number of slots (engine threads) of the whole job; never more than key groups.
    #[must_use]
    pub fn slots(&self) -> u32 {
        self.replicas.get().saturating_mul(self.threads_per_worker.get())
    }
}

/// The way in which a changed job replaces the running one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Update {
    /// The start state of the changed job.
    pub mode: manifest::UpdateMode,
    /// The policy for a final snapshot that cannot be taken.
    pub on_snapshot_failure: manifest::OnSnapshotFailure,
    /// The time in which the change must make progress.
    pub progress_deadline: Duration,
    /// The policy for a change that makes none.
    pub rollback: manifest::Rollback,
}

/// The way in which the number of workers changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rescale {
    /// Live, or by a restart.
    pub strategy: manifest::RescaleStrategy,
    /// The least time between two.
    pub cooldown: Duration,
    /// The longest time of one rescale.
    pub deadline: Duration,
    /// The policy for a rescale that takes longer.
    pub on_failure: manifest::OnRescaleFailure,
}

/// The limits after which a failing job is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    /// The number of restarts that are borne within the period.
    pub max_restarts: u32,
    /// The period they are counted over.
    pub restart_period: Duration,
    /// A job without a new snapshot for so long is restarted.
    pub snapshot_progress_timeout: Duration,
}

/// Numbers whose change asks for something; their values mean nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Nonces {
    /// Restore once more.
    pub restore: Option<i64>,
    /// Restart.
    pub restart: Option<i64>,
    /// Take a snapshot now.
    pub snapshot: Option<i64>,
}

/// Fields that only Kubernetes acts on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pod {
    /// The image's pull policy.
    pub image_pull_policy: Option<manifest::PullPolicy>,
    /// Secrets to pull it with.
    pub image_pull_secrets: Vec<manifest::LocalReference>,
    /// Environment variables.
    pub env: Vec<manifest::EnvVar>,
    /// ConfigMaps and Secrets that become environment variables.
    pub env_from: Vec<serde_json::Map<String, serde_json::Value>>,
    /// Resources of its node that a worker may use.
    pub resources: manifest::Resources,
    /// The account of the pods.
    pub service_account_name: Option<String>,
    /// The rest of a pod.
    pub template: serde_json::Map<String, serde_json::Value>,
    /// The number of workers that may be down by intent.
    pub disruption_budget: manifest::PodDisruptionBudget,
    /// The keeper of the network policy: the operator, or none.
    pub network_policy: manifest::NetworkPolicyMode,
    /// The Secret with the certificates.
    pub tls_secret: Option<String>,
}
