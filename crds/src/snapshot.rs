//! `StreamSnapshot`: a snapshot of a job that has a name and outlives it.
//!
//! The operator asks the job's coordinator to name it, once. The snapshot stays in storage when the job is deleted, and when this object
//! is.

use kube::core::ObjectMeta;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use watershed_job::manifest::DeletionPolicy;

use crate::resource::resource;
use crate::status::Condition;

/// A snapshot of a job that has a name and outlives it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamSnapshot {
    /// `watershed.dev/v1alpha1`.
    #[serde(default)]
    pub api_version: String,
    /// `StreamSnapshot`.
    #[serde(default)]
    pub kind: String,
    /// The name, the namespace and the fields that the API server keeps.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// The desired state.
    pub spec: SnapshotSpec,
    /// The observed state, written by the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<SnapshotStatus>,
}

resource!(StreamSnapshot, "StreamSnapshot", "streamsnapshots");

/// The job of a snapshot, and the policy when this object is deleted. A spec cannot be changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "self == oldSelf", "message": "a snapshot cannot be changed: make another StreamSnapshot"}
]))]
pub struct SnapshotSpec {
    /// The StreamJob of the same namespace that the snapshot is taken of.
    #[schemars(length(min = 1, max = 45))]
    pub job_name: String,
    /// The fate of the stored snapshot when this object is deleted. `Delete` is not in this version.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-validations" = [
        {"rule": "self == 'Retain'", "message": "deletionPolicy: Delete does not exist in this version: use Retain, and `watershed snapshots delete` where the storage can be reached"}
    ]))]
    pub deletion_policy: DeletionPolicy,
    /// The seconds for which the snapshot is attempted, waiting for the job included.
    #[serde(default = "two_minutes")]
    #[schemars(range(min = 1, max = 86_400))]
    pub timeout_seconds: i64,
}

fn two_minutes() -> i64 {
    120
}

/// The status of a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SnapshotStatus {
    /// The generation of the object that this status is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The epoch of the snapshot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch: Option<i64>,
    /// The snapshot's location in object storage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// The number of workers that the job had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i64>,
    /// The time at which the snapshot was complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<String>,
    /// The conditions: Complete, Failed, Progressing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}
