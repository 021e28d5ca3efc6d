//! Each object as a cluster gets it. A changed object changes running jobs; a changed template restarts only jobs of a new revision.

use serde_json::{Value, json};

use super::{names, validated};
use crate::reconcile::build::{self, Environment};
use crate::reconcile::key_set::KeySet;
use crate::reconcile::validate::Validated;

fn environment() -> Environment {
    Environment {
        operator: Some("system:serviceaccount:watershed:watershed-operator".into()),
        operator_namespace: Some("watershed".into()),
        metrics_namespaces: vec!["monitoring".into()],
        keys: KeySet::parse(r#"{"keys":[{"kid":"a"}]}"#).ok(),
    }
}

fn yaml(object: &Value) -> String {
    watershed_crds::to_yaml(object)
}

fn of(more: &Value) -> Validated {
    validated(more).unwrap()
}

/// A newer operator must not restart jobs: revisions are named by the spec alone, and their name may never change.
#[test]
fn the_name_of_a_revision_follows_from_the_spec_alone() {
    assert_eq!(of(&json!({})).revision, "f19411ffd0");
    for same in [json!({"replicas": 7}), json!({"suspend": true}), json!({"rescale": {"deadlineSeconds": 10}})] {
        assert_eq!(of(&same).revision, of(&json!({})).revision, "{same}");
    }
    for other in [json!({"sql": "x"}), json!({"threadsPerWorker": 2}), json!({"restartNonce": 1}), json!({"image": "a:1"})] {
        assert_ne!(of(&other).revision, of(&json!({})).revision, "{other}");
    }
}

#[test]
fn the_manifest_of_a_revision_is_read_by_the_processes_as_it_was_written() {
    for sql in ["SELECT 1;\n", "a\n  b\n\nc", "x\n\n\n", "  led by blanks", "tab\there", "- {not: yaml}\n# 'no comment'"] {
        let validated = of(&json!({"sql": sql, "threadsPerWorker": 2, "replicas": 9}));
        let document = watershed_job::parse_manifest("job.yaml", &validated.manifest).unwrap();
        let watershed_job::job::Program::Sql { text, .. } = &document.job.program else { panic!("{sql}") };
        assert_eq!(text.as_str(), sql, "{}", validated.manifest);
        assert_eq!((document.job.name.as_str(), document.job.threads_per_worker.get()), ("clicks", 2));
        assert_eq!(document.job.replicas.get(), 1, "the number of workers is no part of a revision");
    }
}

#[test]
fn objects_are_what_they_were() {
    let job = of(&json!({
        "replicas": 3, "threadsPerWorker": 2,
        "env": [{"name": "AWS_REGION", "value": "eu"}], "envFrom": [{"secretRef": {"name": "s3"}}],
        "resources": {"requests": {"cpu": "500m"}},
        "podTemplate": {
            "metadata": {"annotations": {"a": "b"}},
            "spec": {
                "nodeSelector": {"disk": "fast"},
                "containers": [{"name": "sidecar", "image": "s:1"}, {"name": "watershed", "image": "ignored", "env": [{"name": "X", "value": "1"}]}],
            },
        },
    }));
    let (names, environment) = (names(), environment());
    let templates = build::templates(&job, &names, &environment);
    insta::assert_snapshot!("deployment", yaml(&build::deployment(&names, "rev", &templates["coordinator"], 1, "")));
    insta::assert_snapshot!("statefulset", yaml(&build::stateful_set(&names, "rev", &templates["worker"], 3)));
    let rest: Vec<String> = [
        build::service_account(&job, &names).unwrap(),
        build::coordinator_service(&names, None),
        build::workers_service(&names),
        build::budget(&job, &names),
        build::policy(&job, &names, &environment).unwrap(),
        build::start_map(&job, &names, build::StartParameters { replicas: 3, address: "10.96.0.7" }, &environment),
    ]
    .iter()
    .map(yaml)
    .collect();
    insta::assert_snapshot!("others", rest.join("---\n"));
}

#[test]
fn a_volume_of_snapshots_is_mounted_and_a_program_of_one_s_own_gets_no_manifest() {
    let claim = json!({"snapshots": {"storage": {"persistentVolumeClaim": {"claimName": "c"}}}});
    let template = build::templates(&of(&claim), &names(), &Environment::default());
    let mounts = template.pointer("/worker/spec/containers/0/volumeMounts").unwrap().to_string();
    assert!(mounts.contains("/var/lib/watershed"), "{mounts}");
    let env = template.pointer("/coordinator/spec/containers/0/env").unwrap().to_string();
    assert!(env.contains(r#"{"name":"WATERSHED_STORAGE","value":"/var/lib/watershed/clicks"}"#), "{env}");
    let own = of(&json!({"sql": null, "image": "mine:1", "args": ["--flag"]}));
    let template = build::templates(&own, &names(), &Environment::default());
    let args = template.pointer("/worker/spec/containers/0/args").unwrap();
    assert_eq!(args, &json!(["worker", "--log-format", "json", "--flag"]));
}

#[test]
fn what_this_operator_cannot_do_is_refused_by_name() {
    for (spec, part) in [
        (json!({"update": {"mode": "Stateless"}}), "spec.update.mode"),
        (json!({"rescale": {"strategy": "Restart"}}), "spec.rescale.strategy"),
        (json!({"restoreFrom": {"location": "s3://x"}}), "spec.restoreFrom"),
        (json!({"tls": {"secretName": "x"}}), "spec.tls"),
    ] {
        let refused = validated(&spec).unwrap_err();
        assert_eq!(refused.reason, "NotSupportedYet");
        assert!(refused.message.starts_with(part), "{}", refused.message);
    }
    assert_eq!(validated(&json!({"snapshots": {}})).unwrap_err().reason, "StorageMissing");
}
