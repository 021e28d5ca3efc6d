//! What the objects of a job are called, and the labels they are found by.
//!
//! A name has at most 45 characters (a rule of the resource), so that each of these is a legal one: the longest is a worker's
//! `controller-revision-hash`, the name and 18 more.

use std::collections::BTreeMap;

use kube::ResourceExt;
use serde_json::{Value, json};
use watershed_crds::StreamJob;

use crate::error::{Error, Result};

/// The label that every object of a job has.
pub(crate) const JOB: &str = "watershed.dev/job";
/// The label and annotation of the revision a pod or workload is of.
pub(crate) const REVISION: &str = "watershed.dev/revision";
/// The annotation of a coordinator whose job is over.
pub(crate) const OUTCOME: &str = "watershed.dev/outcome";
/// The finaliser of jobs that take a snapshot when they are deleted.
pub(crate) const FINALIZER: &str = "watershed.dev/last-snapshot";
/// The label of what a pod is.
pub(crate) const COMPONENT: &str = "app.kubernetes.io/component";
/// The component of a worker.
pub(crate) const WORKER: &str = "worker";
/// The component of a coordinator.
pub(crate) const COORDINATOR: &str = "coordinator";
/// Where a coordinator listens.
pub(crate) const COORDINATOR_PORT: u16 = 7100;
/// Where a worker listens.
pub(crate) const WORKER_PORT: u16 = 7101;
/// Where both tell how they are: `/healthz`, `/readyz`, `/metrics`.
pub(crate) const HTTP_PORT: u16 = 9090;

/// The names of a job's objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Names {
    /// The job's own.
    pub(crate) job: String,
    /// Its namespace.
    pub(crate) namespace: String,
    /// Its identity, for owner references.
    pub(crate) uid: String,
}

impl Names {
    /// Of a job as the API server has it.
    pub(crate) fn of(job: &StreamJob) -> Result<Self> {
        Ok(Self {
            job: job.metadata.name.clone().ok_or(Error::Nameless("name"))?,
            namespace: job.namespace().ok_or(Error::Nameless("namespace"))?,
            uid: job.uid().ok_or(Error::Nameless("uid"))?,
        })
    }

    /// The Deployment and the Service of the coordinator, and the ConfigMap of what it is told.
    pub(crate) fn coordinator(&self) -> String {
        format!("{}-coordinator", self.job)
    }

    /// The StatefulSet of the workers.
    pub(crate) fn worker(&self) -> String {
        format!("{}-worker", self.job)
    }

    /// The headless Service of the workers.
    pub(crate) fn workers(&self) -> String {
        format!("{}-workers", self.job)
    }

    /// The ConfigMap of a revision.
    pub(crate) fn revision(&self, revision: &str) -> String {
        format!("{}-{revision}", self.job)
    }

    /// The labels by which the pods of a component are found; they never change.
    pub(crate) fn selector(&self, component: &str) -> BTreeMap<String, String> {
        BTreeMap::from([(JOB.to_owned(), self.job.clone()), (COMPONENT.to_owned(), component.to_owned())])
    }

    /// The same as text, for `kubectl scale` and autoscalers: workers only, or the coordinator would be averaged in.
    pub(crate) fn selector_text(&self, component: &str) -> String {
        let all: Vec<String> = self.selector(component).iter().map(|(k, v)| format!("{k}={v}")).collect();
        all.join(",")
    }

    /// The labels of an object.
    pub(crate) fn labels(&self, component: Option<&str>) -> Value {
        let mut labels = json!({
            "app.kubernetes.io/name": "watershed",
            "app.kubernetes.io/instance": self.job,
            "app.kubernetes.io/managed-by": "watershed-operator",
            JOB: self.job,
        });
        if let (Some(component), Some(fields)) = (component, labels.as_object_mut()) {
            fields.insert(COMPONENT.into(), json!(component));
        }
        labels
    }

    /// The metadata of an object that goes when the job goes.
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
