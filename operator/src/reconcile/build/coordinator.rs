//! The coordinator: a Deployment of one pod, and the Service that has its address.
//!
//! The strategy is `Recreate`, since two coordinators at a time would only fence each other. The number of workers is read from a
//! ConfigMap when the process starts, so that a job that was scaled and whose coordinator then dies begins with the right number, while
//! the template stays as it is.

use serde_json::{Value, json};

use super::environment::Environment;
use super::pod::{Role, template as pod};
use crate::reconcile::names::{COORDINATOR, COORDINATOR_PORT, Names, OUTCOME, REVISION};
use crate::reconcile::validate::Validated;

/// The template of the coordinator's pod.
pub(super) fn template(validated: &Validated, names: &Names, environment: &Environment) -> Value {
    let mut args = vec!["coordinator".to_owned()];
    if validated.is_sql() {
        args.push("/etc/watershed/job/job.yaml".into());
    } else {
        args.push("--epoch".into());
        args.push(format!("{}ms", validated.job.snapshots.epoch_period.get().as_millis()));
    }
    args.extend(["--log-format".into(), "json".into()]);
    args.extend(validated.spec.args.iter().cloned());
    let from_map = json!({"configMapKeyRef": {"name": names.coordinator(), "key": "replicas"}});
    let env = vec![
        json!({"name": "WATERSHED_LISTEN", "value": format!("0.0.0.0:{COORDINATOR_PORT}")}),
        json!({"name": "WATERSHED_STORAGE", "value": validated.storage}),
        json!({"name": "WATERSHED_REPLICAS", "valueFrom": from_map}),
        json!({"name": "WATERSHED_KEY_GROUPS", "value": validated.job.key_groups.get().to_string()}),
        json!({"name": "WATERSHED_SUPERVISED", "value": "true"}),
    ];
    let resources = json!({"requests": {"cpu": "50m", "memory": "64Mi"}});
    pod(
        validated,
        names,
        environment,
        Role { component: COORDINATOR, args, env, port: COORDINATOR_PORT, grace_seconds: 10, resources },
    )
}

/// The coordinator's Deployment.
pub(crate) fn deployment(names: &Names, revision: &str, template: &Value, replicas: u32, outcome: &str) -> Value {
    let mut metadata = names.metadata(&names.coordinator(), Some(COORDINATOR));
    if let Some(fields) = metadata.as_object_mut() {
        fields.insert("annotations".into(), json!({REVISION: revision, OUTCOME: outcome}));
    }
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata,
        "spec": {
            "replicas": replicas,
            "revisionHistoryLimit": 0,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": names.selector(COORDINATOR)},
            "template": template,
        },
    })
}

/// The coordinator's Service. Addresses of pods that are not ready are published too. There is one coordinator at a time (`Recreate`), so
/// no client reaches the wrong one: before it listens a client is refused at once, as without an address, and when it does no client waits
/// for a probe, which would cost each new coordinator two or three seconds. A Service that was deleted by hand comes back with the address
/// that workers were given.
pub(crate) fn coordinator_service(names: &Names, address: Option<&str>) -> Value {
    let mut service = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": names.metadata(&names.coordinator(), Some(COORDINATOR)),
        "spec": {
            "type": "ClusterIP",
            "publishNotReadyAddresses": true,
            "selector": names.selector(COORDINATOR),
            "ports": [{"name": "grpc", "port": COORDINATOR_PORT, "targetPort": "grpc", "protocol": "TCP"}],
        },
    });
    if let (Some(address), Some(spec)) = (address, service.pointer_mut("/spec").and_then(Value::as_object_mut)) {
        spec.insert("clusterIP".into(), json!(address));
    }
    service
}
