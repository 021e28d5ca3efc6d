//! A `StreamJob` as the API server holds it.

use kube::core::ObjectMeta;
use serde::{Deserialize, Serialize};
use watershed_job::manifest::{self, Spec};

use crate::resource::resource;
use crate::status::JobStatus;

/// A streaming job: a dataflow, its workers, its snapshots.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamJob {
    /// `watershed.dev/v1alpha1`.
    #[serde(default = "api_version")]
    pub api_version: String,
    /// `StreamJob`.
    #[serde(default = "kind")]
    pub kind: String,
    /// The name, the namespace and the fields that the API server keeps.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// The desired state.
    #[serde(default)]
    pub spec: Spec,
    /// The observed state, written by the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<JobStatus>,
}

resource!(StreamJob, "StreamJob", "streamjobs");

fn api_version() -> String {
    format!("{}/{}", crate::GROUP, crate::VERSION)
}

fn kind() -> String {
    manifest::KIND.to_owned()
}

impl StreamJob {
    /// The job as a manifest, for the validation that the command line has.
    #[must_use]
    pub fn manifest(&self) -> manifest::StreamJob {
        let metadata = manifest::Metadata {
            name: self.metadata.name.clone().unwrap_or_default(),
            namespace: self.metadata.namespace.clone(),
            ..manifest::Metadata::default()
        };
        manifest::StreamJob { api_version: api_version(), kind: kind(), metadata, spec: self.spec.clone(), status: None }
    }
}
