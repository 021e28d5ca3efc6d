//! The JSON schema says what the reader does.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::expect_used,
    reason = "helpers of tests fail by panicking"
)]

use serde_json::Value;
use watershed_job::{parse_manifest, schema};

fn definition<'a>(schema: &'a Value, name: &str, field: &str) -> &'a Value {
    schema.pointer(&format!("/$defs/{name}/properties/{field}")).unwrap_or_else(|| panic!("{name}.{field}"))
}

/// The least and the most of the schema are accepted, one beyond is not: the two say the same.
#[test]
fn the_bounds_of_the_schema_are_the_bounds_of_the_reader() {
    let schema = schema();
    for (name, field, before, after) in [
        ("Spec", "replicas", "keyGroups: 32768, replicas: ", ""),
        ("Spec", "threadsPerWorker", "threadsPerWorker: ", ""),
        ("Spec", "keyGroups", "keyGroups: ", ""),
        ("Snapshots", "epochPeriodMilliseconds", "snapshots: {epochPeriodMilliseconds: ", "}"),
        ("Retention", "maxCount", "snapshots: {retention: {maxCount: ", "}}"),
        ("Retention", "maxAgeSeconds", "snapshots: {retention: {maxAgeSeconds: ", "}}"),
        ("Update", "progressDeadlineSeconds", "update: {progressDeadlineSeconds: ", "}"),
        ("Rescale", "cooldownPeriodSeconds", "rescale: {cooldownPeriodSeconds: ", "}"),
        ("Rescale", "deadlineSeconds", "rescale: {deadlineSeconds: ", "}"),
        ("Health", "maxRestarts", "health: {maxRestarts: ", "}"),
        ("Health", "restartPeriodSeconds", "health: {restartPeriodSeconds: ", "}"),
        ("Health", "snapshotProgressTimeoutSeconds", "health: {snapshotProgressTimeoutSeconds: ", "}"),
        ("Snapshots", "periodSeconds", "snapshots: {periodSeconds: ", "}"),
    ] {
        let at = definition(&schema, name, field);
        let bound =
            |which: &str| at.get(which).and_then(Value::as_i64).unwrap_or_else(|| panic!("{name}.{field} has no {which}"));
        let (least, most) = (bound("minimum"), bound("maximum"));
        for (value, legal) in [(least, true), (most, true), (least - 1, false), (most + 1, false)] {
            let text = format!(
                "apiVersion: watershed.dev/v1alpha1\nkind: StreamJob\nmetadata: {{name: a}}\nspec: {{sql: x, {before}{value}{after}}}\n"
            );
            assert_eq!(parse_manifest("a.yaml", &text).is_ok(), legal, "{name}.{field} = {value}");
        }
    }
}

#[test]
fn every_field_has_a_description() {
    fn walk(schema: &Value, path: &str) {
        for (name, field) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            assert!(field.get("description").is_some_and(Value::is_string), "{path}.{name} says nothing");
        }
    }
    let schema = schema();
    walk(&schema, "");
    for (name, definition) in schema.get("$defs").and_then(Value::as_object).expect("definitions") {
        walk(definition, name);
    }
}

#[test]
fn defaults_and_closed_objects_are_in_the_schema() {
    let schema = schema();
    assert_eq!(definition(&schema, "Spec", "keyGroups").get("default"), Some(&serde_json::json!(4096)));
    assert_eq!(definition(&schema, "Spec", "replicas").get("default"), Some(&serde_json::json!(1)));
    assert_eq!(definition(&schema, "Spec", "sql").get("default"), None);
    assert_eq!(schema.pointer("/$defs/Spec/additionalProperties"), Some(&Value::Bool(false)));
}
