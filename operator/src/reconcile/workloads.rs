//! The objects of a job with pods: the Deployment and the StatefulSet of a revision, and the ConfigMaps that their pods read. Pure.

use serde_json::Value;

use super::build::{self, StartParameters};
use super::input::Input;

/// The number of pods, and the revision they are of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Replicas<'a> {
    /// The revision of the pods.
    pub(crate) revision: &'a str,
    /// The number of coordinators, 0 or 1.
    pub(crate) coordinator: u32,
    /// The number of workers.
    pub(crate) workers: u32,
    /// The outcome of the job or of its stop, for the coordinator's Deployment.
    pub(crate) outcome: &'a str,
}

/// The Deployment and the StatefulSet with so many pods. The templates are those that the revision was made with.
pub(crate) fn workloads(of: Input<'_>, replicas: Replicas<'_>) -> Vec<Value> {
    let Replicas { revision, coordinator, workers, outcome } = replicas;
    let made;
    let templates = match of.cluster.workloads.revisions.get(revision) {
        Some(stored) => stored,
        None => {
            made = build::templates(of.validated, of.names, of.environment);
            &made
        }
    };
    let template = |component: &str| templates.get(component).unwrap_or(&Value::Null);
    vec![
        build::deployment(of.names, revision, template("coordinator"), coordinator, outcome),
        build::stateful_set(of.names, revision, template("worker"), workers),
    ]
}

/// The ConfigMap of the present revision, unless it is stored already.
pub(crate) fn revision_map(of: Input<'_>) -> Option<Value> {
    let stored = of.cluster.workloads.revisions.contains_key(&of.validated.revision);
    (!stored).then(|| build::revision_map(of.validated, of.names, of.environment))
}

/// The ConfigMap of the start parameters, once the coordinator's Service has an address.
pub(crate) fn start_map(of: Input<'_>, replicas: u32) -> Option<Value> {
    let address = of.cluster.coordinator.address.as_deref()?;
    Some(build::start_map(of.validated, of.names, StartParameters { replicas, address }, of.environment))
}
