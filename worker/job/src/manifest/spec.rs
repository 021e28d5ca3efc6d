//! `spec`: the program, its size, and where each other concern is said.
//!
//! Defaults are written into the schema, so that the API server fills them in and `kubectl explain` shows them. Fields without a
//! default are optional on purpose: absent means something of its own there.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    EnvVar, Health, LocalReference, NetworkPolicy, PodDisruptionBudget, Rescale, Resources, RestoreFrom, Snapshots, Tls,
    UnmatchedState, Update,
};

/// The desired state of a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "has(self.sql) || has(self.image)",
        "message": "the job has no program: give spec.sql, or spec.image with a program of your own"
    },
    {
        "rule": "self.replicas * self.threadsPerWorker <= self.keyGroups",
        "message": "more slots (replicas * threadsPerWorker) than keyGroups: lower replicas or threadsPerWorker; a new job may have more keyGroups"
    },
    {
        "rule": "!has(oldSelf.snapshots) || !has(oldSelf.snapshots.storage) || (has(self.snapshots) && has(self.snapshots.storage) && has(self.snapshots.storage.s3) == has(oldSelf.snapshots.storage.s3) && has(self.snapshots.storage.gcs) == has(oldSelf.snapshots.storage.gcs) && has(self.snapshots.storage.azure) == has(oldSelf.snapshots.storage.azure) && has(self.snapshots.storage.persistentVolumeClaim) == has(oldSelf.snapshots.storage.persistentVolumeClaim))",
        "message": "the kind of spec.snapshots.storage cannot be changed: the job's state is there; make a new job"
    }
]))]
pub struct Spec {
    /// The number of workers. To stop a job, use `suspend`.
    #[schemars(range(min = 1, max = 32768), extend("x-kubernetes-validations" = [
        {"rule": "self >= 1", "message": "a job has at least one worker: to stop the job with a final snapshot, set spec.suspend to true"}
    ]))]
    pub replicas: i64,
    /// Takes a final snapshot and stops every worker; false starts them again from it.
    pub suspend: bool,
    /// The program in SQL. Exactly one of `sql` and `image` says what runs; with `sql`, `image` names another stock worker.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 131_072))]
    pub sql: Option<String>,
    /// The image that holds a program of one's own, or another build of the stock worker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The pull policy of the image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_pull_policy: Option<PullPolicy>,
    /// Secrets to pull the image with.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub image_pull_secrets: Vec<LocalReference>,
    /// Arguments of the program.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// Environment variables of the workers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<EnvVar>,
    /// ConfigMaps and Secrets whose keys become environment variables, as in a container.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("items" = {"type": "object", "x-kubernetes-preserve-unknown-fields": true}))]
    pub env_from: Vec<serde_json::Map<String, serde_json::Value>>,
    /// Resources of its node that a worker may use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// The account the pods run under; cloud identity lives here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<String>,
    /// `metadata` and `spec` of a pod, merged by name under what the operator sets.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
    pub pod_template: Option<serde_json::Map<String, serde_json::Value>>,
    /// Slots (engine threads) of a worker.
    #[schemars(range(min = 1, max = 256))]
    pub threads_per_worker: i64,
    /// Slices of the key space, a power of two; the most slots the job can ever have. Cannot be changed.
    #[schemars(range(min = 256, max = 32768), extend("x-kubernetes-validations" = [
        {"rule": "self == oldSelf", "message": "keyGroups cannot be changed: stored state is cut along them; make a new job"},
        {"rule": "self in [256, 512, 1024, 2048, 4096, 8192, 16384, 32768]", "message": "keyGroups is a power of two from 256 to 32768"}
    ]))]
    pub key_groups: i64,
    /// The way in which a changed job replaces the running one.
    pub update: Update,
    /// The way in which a job changes its number of workers.
    pub rescale: Rescale,
    /// Snapshot settings: where they are kept, how often they are taken and how long they live.
    pub snapshots: Snapshots,
    /// The state for the very first start, or for one under a new `restoreNonce`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restore_from: Option<RestoreFrom>,
    /// Change it to restore from `restoreFrom` once more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restore_nonce: Option<i64>,
    /// Change it to restart the job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart_nonce: Option<i64>,
    /// Change it to take a snapshot now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot_nonce: Option<i64>,
    /// The policy, on restore, for state that no operator of the program asks for.
    pub unmatched_state: UnmatchedState,
    /// The limits after which a job that keeps failing is given up, and one that makes no snapshots is restarted.
    pub health: Health,
    /// The number of workers that may be down by intent.
    pub pod_disruption_budget: PodDisruptionBudget,
    /// The network policy for the job.
    pub network_policy: NetworkPolicy,
    /// The Secret with the certificates that workers and coordinator show one another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
}

impl Default for Spec {
    fn default() -> Self {
        Self {
            replicas: 1,
            suspend: false,
            sql: None,
            image: None,
            image_pull_policy: None,
            image_pull_secrets: Vec::new(),
            args: Vec::new(),
            env: Vec::new(),
            env_from: Vec::new(),
            resources: None,
            service_account_name: None,
            pod_template: None,
            threads_per_worker: 1,
            key_groups: 4096,
            update: Update::default(),
            rescale: Rescale::default(),
            snapshots: Snapshots::default(),
            restore_from: None,
            restore_nonce: None,
            restart_nonce: None,
            snapshot_nonce: None,
            unmatched_state: UnmatchedState::default(),
            health: Health::default(),
            pod_disruption_budget: PodDisruptionBudget::default(),
            network_policy: NetworkPolicy::default(),
            tls: None,
        }
    }
}

/// The pull policy of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PullPolicy {
    /// At every start.
    Always,
    /// If the node has no image.
    IfNotPresent,
    /// Never.
    Never,
}
