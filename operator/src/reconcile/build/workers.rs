//! The workers: a StatefulSet, and the headless Service that it needs.
//!
//! The pod management policy is `Parallel`, since workers do not wait for each other, and the update strategy `OnDelete`, since the
//! operator orders the roll: one change is one stop and one start, not as many as there are workers. A worker advertises its pod's address
//! and not its DNS name, which resolvers would know only seconds after a pod came back.

use serde_json::{Value, json};

use super::environment::Environment;
use super::pod::{Role, template as pod};
use crate::reconcile::names::{COORDINATOR_ADDRESS, Names, REVISION, WORKER, WORKER_PORT};
use crate::reconcile::validate::Validated;

/// The template of a worker's pod.
pub(super) fn template(validated: &Validated, names: &Names, environment: &Environment) -> Value {
    let mut args = vec!["worker".to_owned()];
    if validated.is_sql() {
        args.push("/etc/watershed/job/job.yaml".into());
    }
    args.extend(["--log-format".into(), "json".into()]);
    args.extend(validated.spec.args.iter().cloned());
    let field = |path: &str| json!({"fieldRef": {"apiVersion": "v1", "fieldPath": path}});
    let env = vec![
        json!({"name": "POD_IP", "valueFrom": field("status.podIP")}),
        json!({"name": "WATERSHED_NAME", "valueFrom": field("metadata.name")}),
        json!({"name": "WATERSHED_COORDINATOR", "valueFrom": {"configMapKeyRef": {"name": names.coordinator(), "key": COORDINATOR_ADDRESS}}}),
        json!({"name": "WATERSHED_LISTEN", "value": format!("0.0.0.0:{WORKER_PORT}")}),
        json!({"name": "WATERSHED_ADVERTISE", "value": format!("$(POD_IP):{WORKER_PORT}")}),
        json!({"name": "WATERSHED_SLOTS", "value": validated.job.threads_per_worker.get().to_string()}),
        json!({"name": "WATERSHED_SUPERVISED", "value": "true"}),
    ];
    // A worker that ends hands its key groups over first, which may take as long as a rescale.
    let grace_seconds = validated.job.rescale.deadline.as_secs() + 30;
    let resources = json!(validated.job.pod.resources);
    pod(validated, names, environment, Role { component: WORKER, args, env, port: WORKER_PORT, grace_seconds, resources })
}

/// The workers' StatefulSet.
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

/// The workers' headless Service.
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
