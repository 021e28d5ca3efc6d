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
    /// Its name.
    pub name: JobName,
    /// Its namespace, where the manifest says one.
    pub namespace: Option<String>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
    /// What runs.
    pub program: Program,
    /// Whether it is to be stopped, with a final snapshot.
    pub suspend: bool,
    /// How many workers.
    pub replicas: Replicas,
    /// Slots of a worker.
    pub threads_per_worker: ThreadsPerWorker,
    /// Slices of the key space.
    pub key_groups: KeyGroups,
    /// How a changed job replaces the running one.
    pub update: Update,
    /// How the number of workers changes.
    pub rescale: Rescale,
    /// Snapshots.
    pub snapshots: Snapshots,
    /// What it starts from, where not from its own latest snapshot.
    pub restore_from: Option<Restore>,
    /// Numbers whose change asks for something.
    pub nonces: Nonces,
    /// What a restore does with state nobody asks for.
    pub unmatched_state: manifest::UnmatchedState,
    /// When it is given up.
    pub health: Health,
    /// What only Kubernetes acts on.
    pub pod: Pod,
}

impl Job {
    /// How many slots (engine threads) the whole job has; never more than key groups.
    #[must_use]
    pub fn slots(&self) -> u32 {
        self.replicas.get().saturating_mul(self.threads_per_worker.get())
    }
}

/// How a changed job replaces the running one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Update {
    /// What the changed job starts from.
    pub mode: manifest::UpdateMode,
    /// What happens where the final snapshot cannot be taken.
    pub on_snapshot_failure: manifest::OnSnapshotFailure,
    /// How long it may take to make progress.
    pub progress_deadline: Duration,
    /// What happens when it does not.
    pub rollback: manifest::Rollback,
}

/// How the number of workers changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rescale {
    /// Live, or by a restart.
    pub strategy: manifest::RescaleStrategy,
    /// The least time between two.
    pub cooldown: Duration,
    /// How long one may take.
    pub deadline: Duration,
    /// What happens when it takes longer.
    pub on_failure: manifest::OnRescaleFailure,
}

/// When a failing job is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    /// How many restarts within the period are borne.
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

/// What only Kubernetes acts on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pod {
    /// When the image is pulled.
    pub image_pull_policy: Option<manifest::PullPolicy>,
    /// Secrets to pull it with.
    pub image_pull_secrets: Vec<manifest::LocalReference>,
    /// Environment variables.
    pub env: Vec<manifest::EnvVar>,
    /// ConfigMaps and Secrets that become environment variables.
    pub env_from: Vec<serde_json::Map<String, serde_json::Value>>,
    /// What a worker may use of its node.
    pub resources: manifest::Resources,
    /// The account of the pods.
    pub service_account_name: Option<String>,
    /// The rest of a pod.
    pub template: serde_json::Map<String, serde_json::Value>,
    /// How many may be down by intent.
    pub disruption_budget: manifest::PodDisruptionBudget,
    /// Whether the operator keeps a network policy.
    pub network_policy: manifest::NetworkPolicyMode,
    /// The Secret with the certificates.
    pub tls_secret: Option<String>,
}
