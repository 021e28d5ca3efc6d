//! The resource: version, kind, metadata, and the spec in it.
//!
//! Metadata is Kubernetes' own; only what a job's author writes is typed closely. The rest is read so that a job fetched from an
//! API server (`kubectl get -o yaml`) can be run as it is.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Spec;

/// The API group of every resource of Watershed.
pub const GROUP: &str = "watershed.dev";
/// The versions this build reads, newest first.
pub const VERSIONS: &[&str] = &["v1alpha1"];
/// The kind of a job.
pub const KIND: &str = "StreamJob";

/// A streaming job: a dataflow, its workers, its snapshots.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StreamJob {
    /// The group and version: `watershed.dev/v1alpha1`.
    #[schemars(extend("enum" = ["watershed.dev/v1alpha1"]))]
    pub api_version: String,
    /// Always `StreamJob`.
    #[schemars(extend("enum" = ["StreamJob"]))]
    pub kind: String,
    /// Name, namespace, labels, annotations.
    pub metadata: Metadata,
    /// The desired state.
    pub spec: Spec,
    /// The observed state, written by the operator; not read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<serde_json::Value>,
}

/// The identity of the job. Fields that only an API server writes are read and not used, so that a job fetched from one can be run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Metadata {
    /// The job's name: a DNS label of at most 45 characters.
    #[schemars(regex(pattern = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"), length(min = 1, max = 45))]
    pub name: String,
    /// The namespace; not used when run locally.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Written by the API server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creation_timestamp: Option<String>,
    /// Written by the API server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deletion_timestamp: Option<String>,
    /// Written by the API server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deletion_grace_period_seconds: Option<i64>,
    /// Written by controllers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub finalizers: Vec<String>,
    /// Written by the API server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    /// Written by the API server.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub managed_fields: Vec<serde_json::Value>,
    /// Written by controllers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub owner_references: Vec<serde_json::Value>,
    /// Written by the API server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_version: Option<String>,
    /// Written by the API server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
}
