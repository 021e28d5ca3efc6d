//! The status of a job. Every value comes from an answer of the API server or of the coordinator.
//!
//! Rates and lag are not here: they would be written all the time, and a job at rest writes nothing. Metrics and `watershed status` have
//! them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The status of a job.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct JobStatus {
    /// The generation of the spec that this status is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The number of worker pods.
    pub replicas: i32,
    /// The number of worker pods that are ready.
    pub ready_replicas: i32,
    /// The number of worker pods of the revision that the spec asks for.
    pub updated_replicas: i32,
    /// The label selector of the workers, for `kubectl scale` and autoscalers.
    pub selector: String,
    /// The coordinator's fencing number, which grows with each run of the dataflow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub term: Option<i64>,
    /// The dataflow's generation within the term.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    /// The revision that the pods are of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_revision: Option<String>,
    /// The revision that the spec asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update_revision: Option<String>,
    /// The last revision that was ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stable_revision: Option<String>,
    /// The image that the workers run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The last snapshot that was taken for a purpose: to suspend, to update, to delete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_snapshot: Option<LastSnapshot>,
    /// The rescale under way, or the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rescale: Option<RescaleStatus>,
    /// The conditions of the job.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// A snapshot that was taken for a purpose.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct LastSnapshot {
    /// The epoch of the snapshot.
    pub epoch: i64,
    /// The location of the job's storage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// The purpose of the snapshot: Suspend, Update, Delete, Finish, Restart.
    pub trigger: String,
    /// The time at which the snapshot was complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub completion_time: Option<String>,
    /// The number of workers that the job had.
    pub replicas: i32,
}

/// A change of the number of workers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RescaleStatus {
    /// The number of workers before.
    pub from_replicas: i32,
    /// The number of workers after.
    pub to_replicas: i32,
    /// The step of the rescale: Provisioning, Moving, Releasing, Done, Failed.
    pub step: String,
    /// The time at which the rescale began.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub start_time: Option<String>,
    /// The time at which the rescale was complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub completion_time: Option<String>,
    /// The number of key groups that have moved so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moved_key_groups: Option<i64>,
    /// The number of key groups that have to move.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_key_groups: Option<i64>,
    /// The duration of the rescale.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_duration_milliseconds: Option<i64>,
    /// The longest wait of a batch of rows whose key groups moved; absent where nothing moved, or where the operator has not seen the
    /// rescale begin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_pause_milliseconds: Option<i64>,
}

/// The status of a condition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Truth {
    /// The condition holds.
    True,
    /// The condition does not hold.
    False,
    /// The operator does not know whether the condition holds.
    #[default]
    Unknown,
}

/// A condition of a resource.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Condition {
    /// The type of the condition: Ready, Available, Progressing, Degraded, Suspended, Rescaling, …
    #[serde(rename = "type")]
    #[schemars(required, length(min = 1, max = 316))]
    pub kind: String,
    /// The status of the condition.
    #[schemars(required)]
    pub status: Truth,
    /// The reason in one word, for programs.
    #[schemars(required, length(min = 1, max = 1024))]
    pub reason: String,
    /// The reason in a sentence, and what to do.
    #[schemars(required, length(max = 32_768))]
    pub message: String,
    /// The time of the last change of `status`.
    #[schemars(required, extend("format" = "date-time"))]
    pub last_transition_time: String,
    /// The generation of the spec that the condition is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}
