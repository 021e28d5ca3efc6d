//! Jobs from right manifests.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::expect_used,
    reason = "helpers of tests fail by panicking"
)]

use std::time::Duration;

use watershed_job::job::{Cadence, JobName, Program, Restore, Storage};
use watershed_job::manifest::{IntOrString, NetworkPolicyMode, RescaleStrategy, StreamJob, UnmatchedState, UpdateMode};
use watershed_job::{Document, parse_manifest, parse_sql, read};

const SMALL: &str =
    "apiVersion: watershed.dev/v1alpha1\nkind: StreamJob\nmetadata:\n  name: word-count\nspec:\n  sql: |\n    SELECT 1;\n";

#[track_caller]
fn accepts(text: &str) -> Document {
    parse_manifest("job.yaml", text).unwrap_or_else(|refusal| panic!("{refusal}"))
}

#[test]
fn a_small_manifest_gets_every_default() {
    let job = accepts(SMALL).job;
    assert_eq!(job.name.as_str(), "word-count");
    assert_eq!((job.slots(), job.key_groups.get(), job.suspend), (1, 4096, false));
    assert_eq!(job.snapshots.storage, None);
    assert_eq!(job.snapshots.epoch_period.get(), Duration::from_secs(1));
    assert_eq!(job.snapshots.cadence, Cadence::Every(Duration::from_secs(300)));
    assert_eq!((job.snapshots.retention.max_count, job.snapshots.retention.max_age), (10, Duration::from_secs(86_400)));
    assert_eq!((job.update.mode, job.rescale.strategy), (UpdateMode::Snapshot, RescaleStrategy::Live));
    assert_eq!(job.restore_from, None);
    assert_eq!(job.unmatched_state, UnmatchedState::Fail);
    assert_eq!(job.pod.disruption_budget.max_unavailable, IntOrString::Int(1));
    assert_eq!(Storage::local_directory(&job.name).to_str(), Some(".watershed/word-count"));
}

const FULL: &str = include_str!("full.yaml");

#[test]
fn every_field_of_the_resource_is_read() {
    let document = accepts(FULL);
    let job = document.job;
    assert_eq!(job.slots(), 6);
    assert_eq!(job.key_groups.get(), 1024);
    assert_eq!(job.snapshots.storage.as_ref().map(Storage::kind), Some("s3"));
    assert_eq!(
        job.snapshots.storage.as_ref().and_then(Storage::url).as_deref(),
        Some("s3://data/jobs/clicks?region=eu-west-3&endpoint=http://minio:9000")
    );
    assert!(
        matches!(&job.snapshots.cadence, Cadence::At { schedule, time_zone } if schedule.as_str() == "0 3 * * *" && time_zone.as_deref() == Some("Europe/Paris"))
    );
    assert_eq!(job.restore_from, Some(Restore::Snapshot("before-the-change".to_owned())));
    assert_eq!((job.nonces.restore, job.nonces.restart, job.nonces.snapshot), (Some(1), Some(2), Some(3)));
    assert_eq!(job.pod.network_policy, NetworkPolicyMode::None);
    assert_eq!(job.pod.disruption_budget.max_unavailable, IntOrString::Text("25%".to_owned()));
    assert_eq!(job.pod.template.get("spec").and_then(|s| s.get("terminationGracePeriodSeconds")), Some(&serde_json::json!(600)));
    assert_eq!(job.pod.tls_secret.as_deref(), Some("clicks-tls"));
    let paths: Vec<&str> = document.kubernetes_only.iter().map(|p| p.path.as_str()).collect();
    assert!(paths.contains(&"spec.podTemplate") && paths.contains(&"spec.tls"), "{paths:?}");
}

/// Fails when a field is added to the types and not to the file: every field must be exercised.
#[test]
fn the_full_manifest_leaves_no_field_out() {
    let schema = watershed_job::schema();
    for (object, path) in [
        ("Spec", "spec"),
        ("Snapshots", "spec.snapshots"),
        ("Update", "spec.update"),
        ("Rescale", "spec.rescale"),
        ("Health", "spec.health"),
    ] {
        let fields = schema.pointer(&format!("/$defs/{object}/properties")).and_then(|p| p.as_object()).expect("a definition");
        for field in fields.keys() {
            assert!(FULL.contains(&format!("{field}:")) || field == "periodSeconds", "{path}.{field} is not in full.yaml");
        }
    }
}

#[test]
fn json_is_read_as_well_and_means_the_same() {
    let json = r#"{"apiVersion": "watershed.dev/v1alpha1", "kind": "StreamJob",
        "metadata": {"name": "word-count"}, "spec": {"sql": "SELECT 1;\n"}}"#;
    let (from_json, from_yaml) = (accepts(json).job, accepts(SMALL).job);
    assert_eq!(from_json.name, from_yaml.name);
    assert_eq!(from_json.snapshots, from_yaml.snapshots);
}

#[test]
fn documents_of_other_kinds_are_left_alone_and_noticed() {
    let text = format!(
        "apiVersion: v1\nkind: Secret\nstringData: {{a: b}}\n---\n{SMALL}---\napiVersion: watershed.dev/v1alpha1\nkind: StreamSnapshot\n"
    );
    let document = accepts(&text);
    let notices: Vec<String> = document.notices.iter().map(ToString::to_string).collect();
    assert_eq!(
        notices,
        ["1:1: the document of kind Secret is not read here", "13:1: the document of kind StreamSnapshot is not read here"]
    );
}

#[test]
fn a_job_fetched_from_an_api_server_can_be_run() {
    let text = SMALL.replace(
        "  name: word-count\n",
        "  name: word-count\n  uid: abc\n  resourceVersion: \"12\"\n  generation: 3\n  creationTimestamp: \"2030-01-01T00:00:00Z\"\n  managedFields: [{manager: kubectl}]\n",
    ) + "status:\n  observedGeneration: 3\n";
    assert_eq!(accepts(&text).job.name.as_str(), "word-count");
}

#[test]
fn null_means_not_given() {
    let text = format!("{SMALL}  replicas: null\n  snapshots: ~\n  restoreFrom:\n");
    assert_eq!(accepts(&text).job, accepts(SMALL).job);
}

#[test]
fn aliases_are_unfolded() {
    let text = format!("{SMALL}  args: &list [a, b]\n  podTemplate: {{spec: {{x: *list}}}}\n");
    assert_eq!(accepts(&text).job.pod.template.get("spec"), Some(&serde_json::json!({"x": ["a", "b"]})));
}

#[test]
fn an_image_is_a_program_and_beside_sql_another_worker() {
    let image = "apiVersion: watershed.dev/v1alpha1\nkind: StreamJob\nmetadata: {name: a}\nspec: {image: 'x/y:1', args: [z]}\n";
    let document = accepts(image);
    assert_eq!(document.job.program, Program::Image { image: "x/y:1".to_owned(), args: vec!["z".to_owned()] });
    assert_eq!(document.kubernetes_only, []);
    let both = accepts(&format!("{SMALL}  image: x/y:1\n"));
    assert!(matches!(both.job.program, Program::Sql { image: Some(_), .. }));
    assert_eq!(both.kubernetes_only.first().map(|p| p.path.as_str()), Some("spec.image"));
}

#[test]
fn a_sql_file_is_a_default_job_named_after_it() {
    for (file, name) in [("QUERY.sql", "query"), ("some/dir/Word Count.SQL", "word-count"), (r"C:\jobs\top_10.sql", "top-10")] {
        let job = read(file, b"SELECT 1").unwrap().job;
        assert_eq!(job.name.as_str(), name, "{file}");
        assert!(matches!(&job.program, Program::Sql { text, .. } if text.as_str() == "SELECT 1"));
    }
    assert!(parse_sql("1.sql", "SELECT 1").unwrap_err().to_string().contains("rename the file"));
    assert!(parse_sql("a.sql", " \n").unwrap_err().to_string().contains("no SQL"));
}

#[test]
fn types_write_what_they_read() {
    let document = accepts(FULL);
    let manifest: StreamJob = serde_json::from_value(serde_json::json!({
        "apiVersion": "watershed.dev/v1alpha1", "kind": "StreamJob", "metadata": {"name": "a"},
        "spec": {"sql": "x", "somethingNewer": {"a": 1}, "replicas": 2}
    }))
    .expect("an operator reads what a newer one wrote");
    let text = serde_json::to_string(&manifest).unwrap();
    let again: StreamJob = serde_json::from_str(&text).unwrap();
    assert_eq!(manifest, again);
    assert_eq!(parse_manifest("a.json", &text).unwrap().job.name, JobName::new("a").unwrap());
    drop(document);
}
