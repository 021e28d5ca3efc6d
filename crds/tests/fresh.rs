//! The generated files are those that the types make, and an API server would take them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail by panicking"
)]

use serde_json::Value;
use watershed_crds::{StreamJob, stream_job, stream_snapshot};

#[test]
fn the_generated_files_are_fresh() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for (path, text) in watershed_crds::files() {
        let there = std::fs::read_to_string(root.join(path)).unwrap_or_default();
        assert!(there == text, "{path} is not what the types make: run `cargo run -p watershed-crds` and commit it");
    }
}

/// Descriptions end up in a chart's template and in Markdown: nothing in them may be taken for either.
#[test]
fn nothing_in_a_definition_is_taken_for_a_template() {
    for (path, text) in watershed_crds::files() {
        assert!(!text.contains("{{"), "{path}");
    }
}

#[test]
fn schemas_are_structural_and_every_field_is_described() {
    for definition in [stream_job(), stream_snapshot()] {
        let schema = definition.pointer("/spec/versions/0/schema/openAPIV3Schema").unwrap();
        let left = watershed_crds::definition::leftovers(schema);
        assert!(left.is_empty(), "{left:#?}");
    }
}

#[test]
fn what_the_scale_subresource_needs_is_there() {
    let definition = stream_job();
    let spec = definition.pointer("/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties").unwrap();
    assert_eq!(spec.pointer("/replicas/default"), Some(&Value::from(1)), "GET /scale fails without a default");
    assert_eq!(spec.pointer("/replicas/minimum"), None, "a bound would hide the sentence of the rule");
    let status = definition.pointer("/spec/versions/0/schema/openAPIV3Schema/properties/status/properties").unwrap();
    assert_eq!(status.pointer("/selector/type"), Some(&Value::from("string")));
}

#[test]
fn defaults_are_filled_in_by_the_api_server() {
    let definition = stream_job();
    let at = |path: &str| {
        let whole = format!("/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties{path}");
        definition.pointer(&whole).cloned().unwrap_or(Value::Null)
    };
    assert_eq!(at("/rescale/properties/cooldownPeriodSeconds/default"), 60);
    assert_eq!(at("/rescale/default/cooldownPeriodSeconds"), 60);
    assert_eq!(at("/suspend/default"), false);
    assert_eq!(at("/update/properties/mode/enum"), serde_json::json!(["Snapshot", "LatestSnapshot", "Stateless"]));
}

#[test]
fn a_job_of_a_newer_version_can_be_read() {
    let text = r#"{"apiVersion":"watershed.dev/v1alpha1","kind":"StreamJob","metadata":{"name":"a"},
        "spec":{"sql":"x","newField":1,"snapshots":{"alsoNew":{}}},"status":{"conditions":[],"new":true}}"#;
    let job: StreamJob = serde_json::from_str(text).unwrap();
    assert_eq!(job.spec.replicas, 1);
    assert_eq!(job.manifest().metadata.name, "a");
}

/// Defaults of refused fields may not be filled in: every job would be refused.
#[test]
fn what_has_no_effect_is_refused_and_has_no_default() {
    let definition = stream_job();
    let spec = definition.pointer("/spec/versions/0/schema/openAPIV3Schema/properties/spec").unwrap();
    for field in ["/health", "/update/properties/rollback", "/snapshots/properties/retention"] {
        let schema = spec.pointer(&format!("/properties{field}")).unwrap();
        assert_eq!(schema.get("default"), None, "{field}");
        assert!(schema["description"].as_str().unwrap().starts_with("Not in this version"), "{field}");
    }
    assert_eq!(spec.pointer("/properties/update/default/rollback"), None);
    assert_eq!(spec.pointer("/properties/snapshots/default/retention"), None);
    assert_eq!(spec.pointer("/properties/update/default/mode"), Some(&Value::from("Snapshot")));
    let rules = spec["x-kubernetes-validations"].as_array().unwrap();
    let of = |text: &str| serde_json::from_str::<watershed_crds::Spec>(text).unwrap();
    for (text, part) in [
        (r#"{"health": {"maxRestarts": 3}}"#, "spec.health"),
        (r#"{"update": {"rollback": "Manual"}}"#, "spec.update.rollback"),
        (r#"{"update": {"mode": "Stateless"}}"#, "Stateless"),
        (r#"{"rescale": {"strategy": "Restart"}}"#, "Restart"),
        (r#"{"snapshots": {"retention": {"maxCount": 3}}}"#, "retention"),
        (r#"{"snapshots": {"schedule": "0 * * * *"}}"#, "schedule"),
        (r#"{"snapshots": {"deletionPolicy": "Delete"}}"#, "deletionPolicy"),
        (r#"{"restoreFrom": {"snapshotName": "a"}}"#, "spec.restoreFrom"),
        (r#"{"snapshotNonce": 1}"#, "spec.snapshotNonce"),
        (r#"{"tls": {"secretName": "a"}}"#, "spec.tls"),
    ] {
        let sentence = watershed_crds::absent(&of(text)).unwrap_or_else(|| panic!("{text} is let through"));
        assert!(sentence.starts_with("spec.") && sentence.contains(part), "{text}: {sentence}");
        assert!(rules.iter().any(|r| r["message"] == sentence), "the API server does not know: {sentence}");
    }
    assert_eq!(watershed_crds::absent(&of("{}")), None);
}
