//! The objects that a user of the suite's job brings along: credentials, a volume, somebody who reads it.

use serde_json::{Value, json};

use crate::settings::Settings;

/// Where the volume of the output is mounted, in every pod.
pub(crate) const OUT: &str = "/out";

/// A namespace with the strictest of the pod security standards.
#[must_use]
pub(crate) fn namespace(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": { "name": name, "labels": { "pod-security.kubernetes.io/enforce": "restricted", "watershed.test/suite": "e2e" } },
    })
}

/// The credentials of the storage.
#[must_use]
pub(crate) fn secret(settings: &Settings) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "storage" },
        "stringData": { "key": settings.s3_key, "secret": settings.s3_secret },
    })
}

/// A claim of a volume that pods of all nodes mount at once.
#[must_use]
pub(crate) fn claim(name: &str, settings: &Settings) -> Value {
    json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": { "name": name },
        "spec": {
            "accessModes": ["ReadWriteMany"], "storageClassName": settings.storage_class,
            "resources": { "requests": { "storage": "1Gi" } },
        },
    })
}

/// The pod in which output is read.
#[must_use]
pub(crate) fn reader(claim: &str, settings: &Settings, node: Option<&str>) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "reader" },
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "nodeSelector": node.map(|n| json!({ "kubernetes.io/hostname": n })),
            "securityContext": { "runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": { "type": "RuntimeDefault" } },
            "containers": [{
                "name": "reader", "image": settings.suite, "imagePullPolicy": "IfNotPresent", "args": ["rest"],
                "securityContext": {
                    "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": { "drop": ["ALL"] },
                },
                "volumeMounts": [{ "name": "out", "mountPath": OUT }],
            }],
            "volumes": [{ "name": "out", "persistentVolumeClaim": { "claimName": claim } }],
        },
    })
}

/// The variables that give a job's pods the credentials of the storage.
#[must_use]
pub(crate) fn credentials() -> Value {
    let from = |key: &str| json!({ "secretKeyRef": { "name": "storage", "key": key } });
    json!([
        { "name": "AWS_ACCESS_KEY_ID", "valueFrom": from("key") },
        { "name": "AWS_SECRET_ACCESS_KEY", "valueFrom": from("secret") },
        { "name": "AWS_ALLOW_HTTP", "value": "true" },
    ])
}
