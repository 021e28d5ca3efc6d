//! The workers: a StatefulSet, and the headless Service that it needs.
//!
//! `Parallel`, since workers do not wait for each other, and `OnDelete`, since the operator orders the roll: one change is one stop and one
//! start, not as many as there are workers. A worker says its pod's address to the others and not its DNS name, which would be known to
//! the resolvers only seconds after a pod came back.

use serde_json::{Value, json};

use super::Surroundings;
use super::configs::TOLD_ADDRESS;
use super::pod::{Role, template as pod};
use crate::reconcile::names::{Names, REVISION, WORKER, WORKER_PORT};
use crate::reconcile::validate::Judged;

/// The template of a worker's pod.
pub(super) fn template(judged: &Judged, names: &Names, around: &Surroundings) -> Value {
    let mut args = vec!["worker".to_owned()];
    if judged.is_sql() {
        args.push("/etc/watershed/job/job.yaml".into());
    }
    args.extend(["--log-format".into(), "json".into()]);
    args.extend(judged.spec.args.iter().cloned());
    let field = |path: &str| json!({"fieldRef": {"apiVersion": "v1", "fieldPath": path}});
    let env = vec![
        json!({"name": "POD_IP", "valueFrom": field("status.podIP")}),
        json!({"name": "WATERSHED_NAME", "valueFrom": field("metadata.name")}),
        json!({"name": "WATERSHED_COORDINATOR", "valueFrom": {"configMapKeyRef": {"name": names.coordinator(), "key": TOLD_ADDRESS}}}),
        json!({"name": "WATERSHED_LISTEN", "value": format!("0.0.0.0:{WORKER_PORT}")}),
        json!({"name": "WATERSHED_ADVERTISE", "value": format!("$(POD_IP):{WORKER_PORT}")}),
        json!({"name": "WATERSHED_SLOTS", "value": judged.job.threads_per_worker.get().to_string()}),
        json!({"name": "WATERSHED_SUPERVISED", "value": "true"}),
    ];
    // Long enough for what it has to go elsewhere.
    let grace_seconds = judged.job.rescale.deadline.as_secs() + 30;
    let resources = json!(judged.job.pod.resources);
    pod(judged, names, around, Role { component: WORKER, args, env, port: WORKER_PORT, grace_seconds, resources })
}

/// The StatefulSet.
pub(crate) fn stateful_set(names: &Names, revision: &str, template: &Value, replicas: u32) -> Value {
    let mut metadata = names.metadata(&names.worker(), Some(WORKER));
    if let Some(fields) = metadata.as_object_mut() {
        fields.insert("annotations".into(), json!({REVISION: revision}));
    }
    json!({
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": metadata,
        "spec": {
            "replicas": replicas,
            "revisionHistoryLimit": 1,
            "serviceName": names.workers(),
            "podManagementPolicy": "Parallel",
            "updateStrategy": {"type": "OnDelete"},
            "selector": {"matchLabels": names.selector(WORKER)},
            "template": template,
        },
    })
}

/// The headless Service.
pub(crate) fn workers_service(names: &Names) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": names.metadata(&names.workers(), Some(WORKER)),
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": true,
            "selector": names.selector(WORKER),
            "ports": [{"name": "grpc", "port": WORKER_PORT, "targetPort": "grpc", "protocol": "TCP"}],
        },
    })
}
