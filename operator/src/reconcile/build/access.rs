//! Who a job's pods are, who may talk to them, and how many may be taken away at a time.

use serde_json::{Value, json};
use watershed_job::manifest::NetworkPolicyMode;

use super::Surroundings;
use crate::reconcile::names::{COORDINATOR_PORT, HTTP_PORT, JOB, Names, WORKER, WORKER_PORT};
use crate::reconcile::validate::Judged;

/// The account, unless the job names one. Its token is not mounted: nothing in a job's pods speaks to the API server.
pub(crate) fn service_account(judged: &Judged, names: &Names) -> Option<Value> {
    if judged.job.pod.service_account_name.is_some() {
        return None;
    }
    Some(json!({
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": names.metadata(&names.job, None),
        "automountServiceAccountToken": false,
    }))
}

/// How many workers may be down by intent. One that is not ready (it has no session) may always be evicted: a job that cannot start must not
/// keep a node from being drained.
pub(crate) fn budget(judged: &Judged, names: &Names) -> Value {
    json!({
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": names.metadata(&names.worker(), Some(WORKER)),
        "spec": {
            "maxUnavailable": judged.job.pod.disruption_budget.max_unavailable,
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": {"matchLabels": names.selector(WORKER)},
        },
    })
}

/// Only the job's own pods and the operator get in, and to the metrics whoever collects them. What the job calls out to nobody knows but its
/// author, so that stays open. (What a kubelet asks of the pods of its own node no policy keeps away.)
pub(crate) fn policy(judged: &Judged, names: &Names, around: &Surroundings) -> Option<Value> {
    match judged.job.pod.network_policy {
        NetworkPolicyMode::None => return None,
        NetworkPolicyMode::Managed => {}
    }
    let port = |port: u16| json!({"port": port, "protocol": "TCP"});
    let own = json!({"podSelector": {"matchLabels": {JOB: names.job}}});
    let operator = json!({
        "namespaceSelector": around.operator_namespace.as_ref().map_or_else(
            || json!({}),
            |ns| json!({"matchLabels": {"kubernetes.io/metadata.name": ns}}),
        ),
        "podSelector": {"matchLabels": {"app.kubernetes.io/name": "watershed-operator"}},
    });
    let mut metrics = json!({"ports": [port(HTTP_PORT)]});
    if let (false, Some(rule)) = (around.metrics_namespaces.is_empty(), metrics.as_object_mut()) {
        let some = json!({"key": "kubernetes.io/metadata.name", "operator": "In", "values": around.metrics_namespaces});
        rule.insert("from".into(), json!([{"namespaceSelector": {"matchExpressions": [some]}}]));
    }
    Some(json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": names.metadata(&names.job, None),
        "spec": {
            "podSelector": {"matchLabels": {JOB: names.job}},
            "policyTypes": ["Ingress"],
            "ingress": [
                {"from": [own], "ports": [port(COORDINATOR_PORT), port(WORKER_PORT)]},
                {"from": [operator], "ports": [port(COORDINATOR_PORT)]},
                metrics,
            ],
        },
    }))
}
