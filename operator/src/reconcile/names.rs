//! The names of a job's objects, their labels, and the annotations that the operator keeps on them.
//!
//! A name has at most 45 characters (a rule of the resource), so that each of these is a legal one: the longest is a worker's
//! `controller-revision-hash`, the name and 18 more.

use std::collections::BTreeMap;

use kube::ResourceExt;
use serde_json::{Value, json};
use watershed_crds::StreamJob;

use crate::error::{Error, Result};

/// The operator's name as field manager and in the label of managed objects.
pub(crate) const MANAGER: &str = "watershed-operator";
/// The label of every object of a job; its value is the job's name.
pub(crate) const JOB: &str = "watershed.dev/job";
/// The label and annotation of a pod or workload that holds its revision.
pub(crate) const REVISION: &str = "watershed.dev/revision";
/// The annotation of the coordinator's Deployment that holds the outcome of the job or of its stop.
pub(crate) const OUTCOME: &str = "watershed.dev/outcome";
/// The outcome of a job whose input is at its end.
pub(crate) const FINISHED: &str = "Finished";
/// The outcome of a stop without the snapshot that was to be taken. The annotation is written in the same request that takes the pods
/// away, so an operator that is killed between that and its report still knows.
pub(crate) const SNAPSHOT_FAILED: &str = "SnapshotFailed";
/// The finaliser of jobs that take a snapshot when they are deleted.
pub(crate) const FINALIZER: &str = "watershed.dev/last-snapshot";
/// The label of an object's component.
pub(crate) const COMPONENT: &str = "app.kubernetes.io/component";
/// The component of a worker.
pub(crate) const WORKER: &str = "worker";
/// The component of a coordinator.
pub(crate) const COORDINATOR: &str = "coordinator";
/// The component of a ConfigMap that holds a revision.
pub(crate) const REVISION_MAP: &str = "revision";
/// The port at which a coordinator listens.
pub(crate) const COORDINATOR_PORT: u16 = 7100;
/// The port at which a worker listens.
pub(crate) const WORKER_PORT: u16 = 7101;
/// The port of `/healthz`, `/readyz` and `/metrics` in both.
pub(crate) const HTTP_PORT: u16 = 9090;

/// The key of the pod templates in a revision's ConfigMap.
pub(crate) const TEMPLATES: &str = "templates.json";
/// The key of the coordinator's address in the ConfigMap with the start parameters.
pub(crate) const COORDINATOR_ADDRESS: &str = "coordinator";

/// The names of a job's objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Names {
    /// The job's own name.
    pub(crate) job: String,
    /// The job's namespace.
    pub(crate) namespace: String,
    /// The job's identity, for owner references.
    pub(crate) uid: String,
}

impl Names {
    /// The names that follow from a job as the API server has it.
    pub(crate) fn of(job: &StreamJob) -> Result<Self> {
        Ok(Self {
            job: job.metadata.name.clone().ok_or(Error::Nameless("name"))?,
            namespace: job.namespace().ok_or(Error::Nameless("namespace"))?,
            uid: job.uid().ok_or(Error::Nameless("uid"))?,
        })
    }

    /// The name of the coordinator's Deployment and Service, and of the ConfigMap with the start parameters.
    pub(crate) fn coordinator(&self) -> String {
        format!("{}-coordinator", self.job)
    }

    /// The name of the workers' StatefulSet.
    pub(crate) fn worker(&self) -> String {
        format!("{}-worker", self.job)
    }

    /// The name of the workers' headless Service.
    pub(crate) fn workers(&self) -> String {
        format!("{}-workers", self.job)
    }

    /// The name of a revision's ConfigMap.
    pub(crate) fn revision(&self, revision: &str) -> String {
        format!("{}-{revision}", self.job)
    }

    /// The labels by which the pods of a component are found; they never change.
    pub(crate) fn selector(&self, component: &str) -> BTreeMap<String, String> {
        BTreeMap::from([(JOB.to_owned(), self.job.clone()), (COMPONENT.to_owned(), component.to_owned())])
    }

    /// The selector as text, for `kubectl scale` and autoscalers: of the workers only, or the coordinator would be averaged in.
    pub(crate) fn selector_text(&self, component: &str) -> String {
        let all: Vec<String> = self.selector(component).iter().map(|(k, v)| format!("{k}={v}")).collect();
        all.join(",")
    }

    /// The labels of an object.
    pub(crate) fn labels(&self, component: Option<&str>) -> Value {
        let mut labels = json!({
            "app.kubernetes.io/name": "watershed",
            "app.kubernetes.io/instance": self.job,
            "app.kubernetes.io/managed-by": MANAGER,
            JOB: self.job,
        });
        if let (Some(component), Some(fields)) = (component, labels.as_object_mut()) {
            fields.insert(COMPONENT.into(), json!(component));
        }
        labels
    }

    /// The metadata of an object that is deleted with the job.
    pub(crate) fn metadata(&self, name: &str, component: Option<&str>) -> Value {
        json!({
            "name": name,
            "namespace": self.namespace,
            "labels": self.labels(component),
            "ownerReferences": [{
                "apiVersion": format!("{}/{}", watershed_crds::GROUP, watershed_crds::VERSION),
                "kind": "StreamJob",
                "name": self.job,
                "uid": self.uid,
                "controller": true,
                "blockOwnerDeletion": true,
            }],
        })
    }
}
