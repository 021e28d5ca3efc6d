//! What the operator reports of a job. Everything here was answered by somebody: the API server or the coordinator.
//!
//! Rates and lag are not here: they would be written all the time, and a job at rest writes nothing. They are metrics, and
//! `watershed status`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the operator reports of a job.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct JobStatus {
    /// The generation of the spec that all of this was said of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Workers there are, as pods.
    pub replicas: i32,
    /// Workers whose pod is ready.
    pub ready_replicas: i32,
    /// Workers of the newest revision.
    pub updated_replicas: i32,
    /// The label selector of the workers, for `kubectl scale` and autoscalers.
    pub selector: String,
    /// The coordinator's fencing number; it grows with each run of the dataflow.
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
    /// What is the case.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// A snapshot that was taken for a purpose.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct LastSnapshot {
    /// The epoch that it is.
    pub epoch: i64,
    /// Where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// Why it was taken: Suspend, Update, Delete.
    pub trigger: String,
    /// When it was complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub completion_time: Option<String>,
    /// How many workers the job had.
    pub replicas: i32,
}

/// A change of the number of workers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RescaleStatus {
    /// Workers before.
    pub from_replicas: i32,
    /// Workers after.
    pub to_replicas: i32,
    /// How far it is: Provisioning, Moving, Releasing, Done, Failed.
    pub step: String,
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub start_time: Option<String>,
    /// When it was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub completion_time: Option<String>,
    /// Key groups that the workers of the target own so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moved_key_groups: Option<i64>,
    /// Key groups that have to move.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_key_groups: Option<i64>,
    /// How long it took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_duration_milliseconds: Option<i64>,
    /// For how long the longest batch of rows waited because its key groups moved; absent where nothing moved, or where nobody has counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_pause_milliseconds: Option<i64>,
}

/// True, false, or not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Truth {
    /// It is the case.
    True,
    /// It is not.
    False,
    /// Nobody can say.
    #[default]
    Unknown,
}

/// Something that is the case, or is not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Condition {
    /// What: Ready, Available, Progressing, Degraded, Suspended, Rescaling, …
    #[serde(rename = "type")]
    #[schemars(required, length(min = 1, max = 316))]
    pub kind: String,
    /// Whether it is the case.
    #[schemars(required)]
    pub status: Truth,
    /// Why, in one word that a program can compare.
    #[schemars(required, length(min = 1, max = 1024))]
    pub reason: String,
    /// Why, in a sentence, and what to do.
    #[schemars(required, length(max = 32_768))]
    pub message: String,
    /// When `status` changed last.
    #[schemars(required, extend("format" = "date-time"))]
    pub last_transition_time: String,
    /// The generation of the spec that it was said of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}
