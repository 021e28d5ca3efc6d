//! The resource definitions for the API server.
//!
//! The schema is that of the types; the rest (names, columns, the scale subresource) is here. Four details are changed on the way, each
//! because a cluster is stricter than a file: storage is needed, since pods share no directory; the least of `replicas` is a rule with
//! a sentence instead of a bound, so that `kubectl scale --replicas=0` says what to do; the name is checked, since other objects' names
//! are made from it; and fields without an effect in a cluster are refused ([`crate::absent`]).

use serde_json::{Map, Value, json};
use watershed_job::manifest::Spec;

use crate::resource::{CATEGORY, GROUP, VERSION};
use crate::snapshot::{SnapshotSpec, SnapshotStatus};
use crate::status::JobStatus;
use crate::structural;

/// The parts of a schema that an API server would refuse; none, if the schema is sound.
#[must_use]
pub fn leftovers(schema: &Value) -> Vec<String> {
    structural::leftovers(schema, "")
}

/// The names of a kind.
struct Names {
    kind: &'static str,
    singular: &'static str,
    plural: &'static str,
    short: &'static str,
    description: &'static str,
}

/// The definition of `StreamJob`.
#[must_use]
pub fn stream_job() -> Value {
    let names = Names {
        kind: "StreamJob",
        singular: "streamjob",
        plural: "streamjobs",
        short: "sj",
        description: "A streaming job: a dataflow, its workers, its snapshots.",
    };
    let mut spec = structural::schema::<Spec>();
    if let Some(replicas) = spec.pointer_mut("/properties/replicas").and_then(Value::as_object_mut) {
        replicas.remove("minimum");
    }
    add_rules(
        &mut spec,
        json!([{
            "rule": "has(self.snapshots) && has(self.snapshots.storage)",
            "message": "spec.snapshots.storage is missing: pods share no directory, so give one of s3, gcs, azure, persistentVolumeClaim",
        }]),
    );
    let missing = crate::absent::refuse(&mut spec);
    add_rules(&mut spec, missing);
    let mut root = schema(&names, spec, structural::schema::<JobStatus>());
    add_rules(
        &mut root,
        json!([{
            "rule": "self.metadata.name.size() <= 45 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
            "message": "the name of a StreamJob has at most 45 characters: lower-case letters, digits and '-', beginning with a letter",
        }]),
    );
    let columns = json!([
        column("Desired", "integer", ".spec.replicas", 0),
        column("Ready", "integer", ".status.readyReplicas", 0),
        column("Status", "string", ".status.conditions[?(@.type==\"Ready\")].reason", 0),
        column("Snapshot", "date", ".status.lastSnapshot.completionTime", 0),
        column("Age", "date", ".metadata.creationTimestamp", 0),
        column("Rescaling", "string", ".status.conditions[?(@.type==\"Rescaling\")].reason", 1),
        column("Term", "integer", ".status.term", 1),
        column("Image", "string", ".status.image", 1),
        column("Message", "string", ".status.conditions[?(@.type==\"Ready\")].message", 1),
    ]);
    let subresources = json!({
        "status": {},
        "scale": {
            "specReplicasPath": ".spec.replicas",
            "statusReplicasPath": ".status.replicas",
            "labelSelectorPath": ".status.selector",
        },
    });
    definition(&names, &root, &columns, &subresources)
}

/// The definition of `StreamSnapshot`.
#[must_use]
pub fn stream_snapshot() -> Value {
    let names = Names {
        kind: "StreamSnapshot",
        singular: "streamsnapshot",
        plural: "streamsnapshots",
        short: "ssnap",
        description: "A snapshot of a job that has a name and outlives it.",
    };
    let mut root = schema(&names, structural::schema::<SnapshotSpec>(), structural::schema::<SnapshotStatus>());
    if let Some(fields) = root.as_object_mut() {
        fields.insert("required".into(), json!(["spec"]));
    }
    add_rules(
        &mut root,
        json!([{
            "rule": "self.metadata.name.size() <= 54 && self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
            "message": "the name of a StreamSnapshot has at most 54 characters: lower-case letters, digits and '-', with a letter or digit at both ends",
        }]),
    );
    let columns = json!([
        column("Job", "string", ".spec.jobName", 0),
        column("Complete", "string", ".status.conditions[?(@.type==\"Complete\")].status", 0),
        column("Epoch", "integer", ".status.epoch", 0),
        column("Age", "date", ".metadata.creationTimestamp", 0),
        column("Location", "string", ".status.location", 1),
    ]);
    definition(&names, &root, &columns, &json!({ "status": {} }))
}

fn schema(names: &Names, spec: Value, status: Value) -> Value {
    let of = |mut schema: Value, description: &str| {
        if let Some(fields) = schema.as_object_mut() {
            fields.insert("description".into(), json!(description));
        }
        schema
    };
    json!({
        "type": "object",
        "description": names.description,
        "properties": {
            "apiVersion": {"type": "string", "description": format!("{GROUP}/{VERSION}")},
            "kind": {"type": "string", "description": names.kind},
            // The API server knows the schema of metadata, and takes no description of it.
            "metadata": {"type": "object"},
            "spec": of(spec, "The desired state."),
            "status": of(without_defaults(status), "The observed state, written by the operator alone."),
        },
        "required": ["spec"],
    })
}

/// The schema of a status without defaults. The operator writes a status whole; defaults would be checked against the bounds beside them,
/// which an empty text does not meet. The keys of a list are required instead.
fn without_defaults(mut schema: Value) -> Value {
    if let Some(fields) = schema.as_object_mut() {
        fields.remove("default");
        if let Some(keys) = fields.get("x-kubernetes-list-map-keys").cloned()
            && let Some(items) = fields.get_mut("items").and_then(Value::as_object_mut)
        {
            items.insert("required".into(), keys);
        }
        for nested in ["properties", "items", "additionalProperties"] {
            match fields.get_mut(nested) {
                Some(Value::Object(all)) if nested == "properties" => {
                    all.values_mut().for_each(|v| *v = without_defaults(v.take()))
                }
                Some(one) => *one = without_defaults(one.take()),
                None => {}
            }
        }
    }
    schema
}

/// Adds rules to those that a schema has.
fn add_rules(schema: &mut Value, rules: Value) {
    let Some(fields) = schema.as_object_mut() else { return };
    let known = fields.entry("x-kubernetes-validations").or_insert_with(|| json!([]));
    if let (Value::Array(known), Value::Array(rules)) = (known, rules) {
        known.extend(rules);
    }
}

fn column(name: &str, kind: &str, path: &str, priority: u8) -> Value {
    let mut column = json!({ "name": name, "type": kind, "jsonPath": path });
    if priority > 0
        && let Some(fields) = column.as_object_mut()
    {
        fields.insert("priority".into(), json!(priority));
    }
    column
}

fn definition(names: &Names, schema: &Value, columns: &Value, subresources: &Value) -> Value {
    let mut annotations = Map::new();
    annotations.insert("helm.sh/resource-policy".into(), json!("keep"));
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{}.{GROUP}", names.plural), "annotations": annotations},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": names.kind,
                "listKind": format!("{}List", names.kind),
                "singular": names.singular,
                "plural": names.plural,
                "shortNames": [names.short],
                "categories": [CATEGORY],
            },
            "versions": [{
                "name": VERSION,
                "served": true,
                "storage": true,
                "additionalPrinterColumns": columns,
                "subresources": subresources,
                "schema": {"openAPIV3Schema": schema},
            }],
        },
    })
}
