//! The pod that coordinator and worker have in common: restricted, with a read-only root, and under it what the job's author wrote.
//!
//! Three layers: defaults (which an author may replace), the author's `podTemplate`, and what the operator must have its way with. Both
//! pods have one container of ours, called `watershed`.

use serde_json::{Map, Value, json};

use super::merge::merge;
use super::{Surroundings, account};
use crate::reconcile::names::{HTTP_PORT, Names, REVISION};
use crate::reconcile::validate::{CLAIM_MOUNT, Judged};

/// The user that the stock images run as.
const USER: u32 = 65_532;
/// For how long a pod stays bound to a node that does not answer (Kubernetes' default is five minutes).
const UNREACHABLE_SECONDS: u32 = 5;
/// The name of our container.
pub(super) const CONTAINER: &str = "watershed";
/// Who a token of the job is for.
pub(super) const AUDIENCE: &str = "watershed";

/// What differs between a coordinator's pod and a worker's.
pub(super) struct Role {
    /// The component.
    pub(super) component: &'static str,
    /// The arguments of the container.
    pub(super) args: Vec<String>,
    /// Its variables.
    pub(super) env: Vec<Value>,
    /// The port it listens at.
    pub(super) port: u16,
    /// How long it may take to end.
    pub(super) grace_seconds: u64,
    /// What it may use of its node.
    pub(super) resources: Value,
}

/// The template of a pod.
pub(super) fn template(judged: &Judged, names: &Names, around: &Surroundings, role: Role) -> Value {
    let author = Value::Object(judged.job.pod.template.clone());
    let component = role.component;
    let mut labels = names.labels(Some(component));
    if let Some(fields) = labels.as_object_mut() {
        fields.insert(REVISION.into(), json!(judged.revision));
    }
    let ours = json!({
        "metadata": {"labels": labels},
        "spec": ours(judged, names, around, &role),
    });
    let mut whole = merge(merge(defaults(names, &role), author), ours);
    // Which container is ours is known by its place, too: it is the first one.
    if let Some(containers) = whole.pointer_mut("/spec/containers").and_then(Value::as_array_mut) {
        containers.sort_by_key(|c| c.get("name").and_then(Value::as_str) != Some(CONTAINER));
    }
    whole
}

/// What the author may replace.
fn defaults(names: &Names, role: &Role) -> Value {
    let leaves =
        |key: &str| json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": UNREACHABLE_SECONDS});
    let asked = |path: &str| json!({"path": path, "port": "http"});
    json!({
        "spec": {
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "terminationGracePeriodSeconds": role.grace_seconds,
            "securityContext": {
                "runAsNonRoot": true, "runAsUser": USER, "runAsGroup": USER, "fsGroup": USER,
                "fsGroupChangePolicy": "OnRootMismatch", "seccompProfile": {"type": "RuntimeDefault"},
            },
            "tolerations": [leaves("node.kubernetes.io/not-ready"), leaves("node.kubernetes.io/unreachable")],
            "topologySpreadConstraints": [{
                "maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": names.selector(role.component)},
            }],
            "containers": [{
                "name": CONTAINER,
                "securityContext": {
                    "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]},
                },
                // Alive: its loop turns. One that hangs is given longer than storage is asked again and again (three minutes): a process that
                // waits for its storage says why and goes on, and killing it would help nobody. Ready: a coordinator answers, a worker has a
                // session. Asked often, since whoever waits for a job waits for this.
                "startupProbe": {"httpGet": asked("/healthz"), "periodSeconds": 1, "timeoutSeconds": 5, "failureThreshold": 60},
                "readinessProbe": {"httpGet": asked("/readyz"), "periodSeconds": 2, "timeoutSeconds": 2, "failureThreshold": 3},
                "livenessProbe": {"httpGet": asked("/healthz"), "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 15},
            }],
        },
    })
}

/// What nobody may replace.
fn ours(judged: &Judged, names: &Names, around: &Surroundings, role: &Role) -> Value {
    let mut volumes = vec![json!({"name": "tmp", "emptyDir": {}})];
    let mut mounts = vec![json!({"name": "tmp", "mountPath": "/tmp"})];
    let mut env = role.env.clone();
    env.push(json!({"name": "WATERSHED_HTTP", "value": format!("0.0.0.0:{HTTP_PORT}")}));
    if judged.is_sql() {
        let only = json!([{"key": "job.yaml", "path": "job.yaml"}]);
        volumes.push(json!({"name": "job", "configMap": {"name": names.revision(&judged.revision), "items": only}}));
        mounts.push(json!({"name": "job", "mountPath": "/etc/watershed/job", "readOnly": true}));
    }
    if let Some(claim) = &judged.claim {
        volumes.push(json!({"name": "storage", "persistentVolumeClaim": {"claimName": claim}}));
        mounts.push(json!({"name": "storage", "mountPath": CLAIM_MOUNT}));
    }
    if around.keys.is_some() {
        let (volume, mount, variables) = token(names);
        volumes.extend(volume);
        mounts.extend(mount);
        env.extend(variables);
    }
    let spec = &judged.spec;
    // The author's variables come first: ours of the same name count more.
    let mut variables: Vec<Value> =
        spec.env.iter().map(|v| json!(v)).filter(|v| !env.iter().any(|e| e.get("name") == v.get("name"))).collect();
    variables.extend(env);
    let mut container = json!({
        "name": CONTAINER,
        "image": judged.image,
        "args": role.args,
        "env": variables,
        "ports": [
            {"name": "grpc", "containerPort": role.port, "protocol": "TCP"},
            {"name": "http", "containerPort": HTTP_PORT, "protocol": "TCP"},
        ],
        "resources": role.resources,
        "volumeMounts": mounts,
        "terminationMessagePolicy": "FallbackToLogsOnError",
    });
    let mut pod = json!({
        "serviceAccountName": account(judged, names),
        "restartPolicy": "Always",
        "volumes": volumes,
    });
    if let (Some(container), Some(pod)) = (container.as_object_mut(), pod.as_object_mut()) {
        some(container, "envFrom", &spec.env_from);
        if let Some(policy) = spec.image_pull_policy {
            container.insert("imagePullPolicy".into(), json!(policy));
        }
        some(pod, "imagePullSecrets", &spec.image_pull_secrets);
        pod.insert("containers".into(), json!([container]));
    }
    pod
}

fn some<T: serde::Serialize>(fields: &mut Map<String, Value>, name: &str, list: &[T]) {
    if !list.is_empty() {
        fields.insert(name.into(), json!(list));
    }
}

/// The token that the job's processes show one another, and what they check it with. Nothing of it is secret to the API server: the
/// kubelet writes the token, and the keys are public.
fn token(names: &Names) -> (Vec<Value>, Vec<Value>, Vec<Value>) {
    let source = json!({"serviceAccountToken": {"audience": AUDIENCE, "expirationSeconds": 3600, "path": "token"}});
    let volumes = vec![
        json!({"name": "token", "projected": {"sources": [source]}}),
        json!({"name": "keys", "configMap": {"name": names.coordinator(), "items": [{"key": "jwks.json", "path": "jwks.json"}]}}),
    ];
    let mounts = vec![
        json!({"name": "token", "mountPath": "/var/run/secrets/watershed", "readOnly": true}),
        json!({"name": "keys", "mountPath": "/etc/watershed/keys", "readOnly": true}),
    ];
    let env = vec![
        json!({"name": "WATERSHED_TOKEN_FILE", "value": "/var/run/secrets/watershed/token"}),
        json!({"name": "WATERSHED_TOKEN_KEYS", "value": "/etc/watershed/keys/jwks.json"}),
        json!({"name": "WATERSHED_TOKEN_AUDIENCE", "value": AUDIENCE}),
        json!({"name": "WATERSHED_TOKEN_SUBJECTS", "valueFrom": {"configMapKeyRef": {"name": names.coordinator(), "key": "subjects"}}}),
    ];
    (volumes, mounts, env)
}
