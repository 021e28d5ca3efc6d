//! The coordinator: a Deployment of one, and the Service it is found by.
//!
//! Strategy `Recreate`: two at a time would only fence each other. The number of workers is read from a ConfigMap when the process starts, so
//! that a job that was scaled and whose coordinator then dies begins with the right number, while the template stays what it is.

use serde_json::{Value, json};

use super::Surroundings;
use super::pod::{Role, template as pod};
use crate::reconcile::names::{COORDINATOR, COORDINATOR_PORT, Names, OUTCOME, REVISION};
use crate::reconcile::validate::Judged;

/// The template of its pod.
pub(super) fn template(judged: &Judged, names: &Names, around: &Surroundings) -> Value {
    let mut args = vec!["coordinator".to_owned()];
    if judged.is_sql() {
        args.push("/etc/watershed/job/job.yaml".into());
    } else {
        args.push("--epoch".into());
        args.push(format!("{}ms", judged.job.snapshots.epoch_period.get().as_millis()));
    }
    args.extend(["--log-format".into(), "json".into()]);
    args.extend(judged.spec.args.iter().cloned());
    let from_map = json!({"configMapKeyRef": {"name": names.coordinator(), "key": "replicas"}});
    let env = vec![
        json!({"name": "WATERSHED_LISTEN", "value": format!("0.0.0.0:{COORDINATOR_PORT}")}),
        json!({"name": "WATERSHED_STORAGE", "value": judged.storage}),
        json!({"name": "WATERSHED_REPLICAS", "valueFrom": from_map}),
        json!({"name": "WATERSHED_KEY_GROUPS", "value": judged.job.key_groups.get().to_string()}),
        json!({"name": "WATERSHED_SUPERVISED", "value": "true"}),
    ];
    let resources = json!({"requests": {"cpu": "50m", "memory": "64Mi"}});
    pod(judged, names, around, Role { component: COORDINATOR, args, env, port: COORDINATOR_PORT, grace_seconds: 10, resources })
}

/// The Deployment.
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

/// The Service. Addresses of pods that are not ready are published too. There is one coordinator at a time (`Recreate`), so nobody is led to
/// the wrong one: before it listens a caller is refused at once, as without an address, and when it does nobody waits for a probe, which
/// would cost each new coordinator two or three seconds. A Service that somebody deleted comes back with the address that workers were told.
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
