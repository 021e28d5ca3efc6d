//! Access to a job's pods: their service account, the network policy, and the disruption budget.

use serde_json::{Value, json};
use watershed_job::manifest::NetworkPolicyMode;

use super::environment::Environment;
use crate::reconcile::names::{COORDINATOR_PORT, HTTP_PORT, JOB, Names, WORKER, WORKER_PORT};
use crate::reconcile::validate::Validated;

/// The service account, unless the job names one. Its token is not mounted: nothing in a job's pods speaks to the API server.
pub(crate) fn service_account(validated: &Validated, names: &Names) -> Option<Value> {
    if validated.job.pod.service_account_name.is_some() {
        return None;
    }
    Some(json!({
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": names.metadata(&names.job, None),
        "automountServiceAccountToken": false,
    }))
}

/// The disruption budget of the workers. A worker that is not ready (it has no session) may always be evicted: a job that cannot start
/// must not keep a node from being drained.
pub(crate) fn budget(validated: &Validated, names: &Names) -> Value {
    json!({
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": names.metadata(&names.worker(), Some(WORKER)),
        "spec": {
            "maxUnavailable": validated.job.pod.disruption_budget.max_unavailable,
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": {"matchLabels": names.selector(WORKER)},
        },
    })
}

/// The network policy: the job's own pods and the operator get in, and collectors to the metrics. Egress stays open, since only the job's
/// author knows which services the job calls. (No policy keeps a kubelet away from the pods of its own node.)
pub(crate) fn policy(validated: &Validated, names: &Names, environment: &Environment) -> Option<Value> {
    match validated.job.pod.network_policy {
        NetworkPolicyMode::None => return None,
        NetworkPolicyMode::Managed => {}
    }
    let port = |port: u16| json!({"port": port, "protocol": "TCP"});
    let own = json!({"podSelector": {"matchLabels": {JOB: names.job}}});
    let operator = json!({
        "namespaceSelector": environment.operator_namespace.as_ref().map_or_else(
            || json!({}),
            |ns| json!({"matchLabels": {"kubernetes.io/metadata.name": ns}}),
        ),
        "podSelector": {"matchLabels": {"app.kubernetes.io/name": "watershed-operator"}},
    });
    let mut metrics = json!({"ports": [port(HTTP_PORT)]});
    if let (false, Some(rule)) = (environment.metrics_namespaces.is_empty(), metrics.as_object_mut()) {
        let some = json!({"key": "kubernetes.io/metadata.name", "operator": "In", "values": environment.metrics_namespaces});
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
