//! The pod template that coordinator and worker share: restricted, with a read-only root file system.
//!
//! The template has three layers: defaults, which an author may replace, then the author's `podTemplate`, then the fields that the operator
//! must control. Both pods have one container of ours, called `watershed`.

use serde_json::{Map, Value, json};

use super::environment::{Environment, account};
use super::merge::merge;
use crate::reconcile::names::{HTTP_PORT, Names, REVISION};
use crate::reconcile::validate::{CLAIM_MOUNT, Validated};

/// The user that the stock images run as.
const USER: u32 = 65_532;
/// The time for which a pod stays bound to a node that does not answer (Kubernetes' default is five minutes).
const UNREACHABLE_SECONDS: u32 = 5;
/// The name of our container.
pub(super) const CONTAINER: &str = "watershed";
/// The audience of a job's tokens.
pub(super) const AUDIENCE: &str = "watershed";

/// The difference between a coordinator's pod and a worker's.
pub(super) struct Role {
    /// The component of the pod.
    pub(super) component: &'static str,
    /// The arguments of the container.
    pub(super) args: Vec<String>,
    /// The container's environment variables.
    pub(super) env: Vec<Value>,
    /// The port at which the process listens.
    pub(super) port: u16,
    /// The termination grace period.
    pub(super) grace_seconds: u64,
    /// The container's resource requests and limits.
    pub(super) resources: Value,
}

/// The template of a pod.
pub(super) fn template(validated: &Validated, names: &Names, environment: &Environment, role: Role) -> Value {
    let author = Value::Object(validated.job.pod.template.clone());
    let component = role.component;
    let mut labels = names.labels(Some(component));
    if let Some(fields) = labels.as_object_mut() {
        fields.insert(REVISION.into(), json!(validated.revision));
    }
    let ours = json!({
        "metadata": {"labels": labels},
        "spec": ours(validated, names, environment, &role),
    });
    let mut whole = merge(merge(defaults(names, &role), author), ours);
    // Our container is also known by its place: it is the first one.
    if let Some(containers) = whole.pointer_mut("/spec/containers").and_then(Value::as_array_mut) {
        containers.sort_by_key(|c| c.get("name").and_then(Value::as_str) != Some(CONTAINER));
    }
    whole
}

/// The defaults, which the author may replace.
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
                // A process is alive while its loop turns. A process that hangs is given longer than storage is retried (three minutes):
                // one that waits for its storage reports why and goes on, and killing it would not help. A coordinator is ready when it
                // answers, a worker when it has a session. Probes are frequent, since a client that waits for a job waits for them.
                "startupProbe": {"httpGet": asked("/healthz"), "periodSeconds": 1, "timeoutSeconds": 5, "failureThreshold": 60},
                "readinessProbe": {"httpGet": asked("/readyz"), "periodSeconds": 2, "timeoutSeconds": 2, "failureThreshold": 3},
                "livenessProbe": {"httpGet": asked("/healthz"), "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 15},
            }],
        },
    })
}

/// The fields that the author cannot replace.
fn ours(validated: &Validated, names: &Names, environment: &Environment, role: &Role) -> Value {
    let mut volumes = vec![json!({"name": "tmp", "emptyDir": {}})];
    let mut mounts = vec![json!({"name": "tmp", "mountPath": "/tmp"})];
    let mut env = role.env.clone();
    env.push(json!({"name": "WATERSHED_HTTP", "value": format!("0.0.0.0:{HTTP_PORT}")}));
    if validated.is_sql() {
        let only = json!([{"key": "job.yaml", "path": "job.yaml"}]);
        volumes.push(json!({"name": "job", "configMap": {"name": names.revision(&validated.revision), "items": only}}));
        mounts.push(json!({"name": "job", "mountPath": "/etc/watershed/job", "readOnly": true}));
    }
    if let Some(claim) = &validated.claim {
        volumes.push(json!({"name": "storage", "persistentVolumeClaim": {"claimName": claim}}));
        mounts.push(json!({"name": "storage", "mountPath": CLAIM_MOUNT}));
    }
    if environment.keys.is_some() {
        let (volume, mount, variables) = token(names);
        volumes.extend(volume);
        mounts.extend(mount);
        env.extend(variables);
    }
    let spec = &validated.spec;
    // The author's variables come first: variables of ours replace those of the same name.
    let mut variables: Vec<Value> =
        spec.env.iter().map(|v| json!(v)).filter(|v| !env.iter().any(|e| e.get("name") == v.get("name"))).collect();
    variables.extend(env);
    let mut container = json!({
        "name": CONTAINER,
        "image": validated.image,
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
        "serviceAccountName": account(validated, names),
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

/// The volumes, mounts and variables for the token that the job's processes show one another, and for the keys they check it with. Nothing
/// of it is secret to the API server: the kubelet writes the token, and the keys are public.
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
