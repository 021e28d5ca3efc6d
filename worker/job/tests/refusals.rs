//! Refusals of wrong manifests: where, which field, why, what to do.
//!
//! Messages are compared whole: they are what a user meets first.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::expect_used,
    reason = "helpers of tests fail by panicking"
)]

use watershed_job::parse_manifest;

/// A manifest whose `spec` begins in line 4.
fn with_spec(spec: &str) -> String {
    let mut text = "apiVersion: watershed.dev/v1alpha1\nkind: StreamJob\nmetadata: {name: clicks}\nspec:\n".to_owned();
    for line in spec.lines() {
        text.push_str(&format!("  {line}\n"));
    }
    text
}

#[track_caller]
fn refuses(text: &str, expected: &[&str]) {
    let refusal = parse_manifest("job.yaml", text).expect_err("the manifest is wrong");
    assert_eq!(refusal.to_string().lines().collect::<Vec<_>>(), expected, "in\n{text}");
}

#[track_caller]
fn refuses_spec(spec: &str, expected: &[&str]) {
    refuses(&with_spec(&format!("sql: SELECT 1\n{spec}")), expected);
}

#[test]
fn an_unknown_field_names_its_place_and_the_nearest_right_one() {
    refuses_spec(
        "snapshots:\n  retention:\n    maxCuont: 3",
        &["job.yaml:8:7: spec.snapshots.retention.maxCuont: unknown field", "  help: did you mean `maxCount`?"],
    );
}

#[test]
fn every_unknown_field_is_reported_at_once_together_with_broken_rules() {
    refuses_spec(
        "replicsa: 3\nkeyGroups: 1000\nupdate: {mod: Snapshot}",
        &[
            "job.yaml:6:3: spec.replicsa: unknown field",
            "  help: did you mean `replicas`?",
            "job.yaml:7:14: spec.keyGroups: 1000 is not a power of two",
            "  help: use 512 or 1024",
            "job.yaml:8:12: spec.update.mod: unknown field",
            "  help: did you mean `mode`?",
        ],
    );
}

#[test]
fn a_field_at_the_wrong_level_is_sent_home() {
    refuses_spec(
        "epochPeriodMilliseconds: 50",
        &[
            "job.yaml:6:3: spec.epochPeriodMilliseconds: unknown field",
            "  help: this field belongs to `spec.snapshots`: check the indentation",
        ],
    );
}

#[test]
fn a_name_from_another_system_is_translated() {
    refuses_spec("parallelism: 4", &["job.yaml:6:3: spec.parallelism: unknown field", "  help: here this is `spec.replicas`"]);
}

#[test]
fn a_wrong_type_says_what_was_expected_and_what_was_found() {
    for (spec, expected) in [
        ("replicas: three", "job.yaml:6:13: spec.replicas: expected a whole number, found the text `three`"),
        ("replicas: 1.5", "job.yaml:6:13: spec.replicas: expected a whole number, found the number `1.5`"),
        ("replicas: [1]", "job.yaml:6:13: spec.replicas: expected a whole number, found a list"),
        ("suspend: 1", "job.yaml:6:12: spec.suspend: expected true or false, found the number `1`"),
        ("snapshots: daily", "job.yaml:6:14: spec.snapshots: expected fields (`name: value`), found the text `daily`"),
        ("args: one", "job.yaml:6:9: spec.args: expected a list, found the text `one`"),
        ("args: [{a: 1}]", "job.yaml:6:10: spec.args[0]: expected text, found fields"),
        ("env: [{value: x}]", "job.yaml:6:9: spec.env[0]: the field `name` is missing"),
        ("update: {mode: [x]}", "job.yaml:6:18: spec.update.mode: expected a word, found a list"),
        (
            "replicas: 9223372036854775808",
            "job.yaml:6:13: spec.replicas: 9223372036854775808 is out of range: -9223372036854775808 to 9223372036854775807",
        ),
    ] {
        let text = with_spec(&format!("sql: SELECT 1\n{spec}"));
        let refusal = parse_manifest("job.yaml", &text).expect_err(spec);
        assert_eq!(refusal.to_string().lines().next(), Some(expected), "{spec}");
    }
}

#[test]
fn a_number_or_boolean_where_text_belongs_is_told_to_be_quoted() {
    refuses_spec(
        "env: [{name: A, value: yes}]",
        &[
            "job.yaml:6:26: spec.env[0].value: expected text, found `yes`, which YAML reads as true",
            "  help: write \"yes\" in quotes",
        ],
    );
}

#[test]
fn a_wrong_word_finds_the_nearest_right_one() {
    refuses_spec(
        "rescale: {strategy: live}",
        &["job.yaml:6:23: spec.rescale.strategy: `live` is not one of Live, Restart", "  help: did you mean `Live`?"],
    );
}

#[test]
fn no_replicas_points_to_suspend() {
    refuses_spec(
        "replicas: 0",
        &[
            "job.yaml:6:13: spec.replicas: a job has at least one worker",
            "  help: to stop the job with a final snapshot, set `spec.suspend: true`",
        ],
    );
}

#[test]
fn slots_beyond_the_key_groups_are_refused() {
    refuses_spec(
        "replicas: 200\nthreadsPerWorker: 2\nkeyGroups: 256",
        &[
            "job.yaml:6:13: spec.replicas: 400 slots need more than the 256 key groups there are",
            "  help: lower `replicas` or `threadsPerWorker`; for a new job, raise `keyGroups`",
        ],
    );
}

#[test]
fn numbers_out_of_range_name_the_range() {
    for (spec, expected) in [
        ("threadsPerWorker: 0", "spec.threadsPerWorker: 0 is out of range: 1 to 256"),
        ("keyGroups: 65536", "spec.keyGroups: 65536 is out of range: 256 to 32768"),
        (
            "snapshots: {epochPeriodMilliseconds: 0}",
            "spec.snapshots.epochPeriodMilliseconds: 0 is out of range: 10 to 600000 milliseconds",
        ),
        ("snapshots: {periodSeconds: -5}", "spec.snapshots.periodSeconds: -5 is out of range: 10 to 2678400 seconds"),
        ("snapshots: {retention: {maxCount: 0}}", "spec.snapshots.retention.maxCount: 0 is out of range: 1 to 10000"),
        ("rescale: {deadlineSeconds: 1}", "spec.rescale.deadlineSeconds: 1 is out of range: 10 to 86400 seconds"),
        ("health: {maxRestarts: -1}", "spec.health.maxRestarts: -1 is out of range: 0 to 10000"),
    ] {
        let refusal = parse_manifest("job.yaml", &with_spec(&format!("sql: SELECT 1\n{spec}"))).expect_err(spec);
        let first = refusal.to_string().lines().next().map(str::to_owned).unwrap_or_default();
        assert!(first.ends_with(expected), "{first}");
    }
}

#[test]
fn there_is_exactly_one_program_one_storage_one_cadence_one_origin() {
    for (spec, path, what) in [
        ("replicas: 1", "spec", "the job has no program"),
        ("sql: ' '", "spec.sql", "there is no SQL in it"),
        ("sql: x\nsnapshots: {storage: {}}", "spec.snapshots.storage", "no kind of storage is given"),
        (
            "sql: x\nsnapshots: {storage: {s3: {bucket: abc}, gcs: {bucket: abc}}}",
            "spec.snapshots.storage",
            "more than one kind of storage is given",
        ),
        (
            "sql: x\nsnapshots: {periodSeconds: 60, schedule: '@daily'}",
            "spec.snapshots.schedule",
            "both `schedule` and `periodSeconds` are given",
        ),
        ("sql: x\nrestoreFrom: {}", "spec.restoreFrom", "nothing to restore from is given"),
        (
            "sql: x\nrestoreFrom: {snapshotName: a, location: b}",
            "spec.restoreFrom",
            "both `snapshotName` and `location` are given",
        ),
        ("sql: x\nenv: [{name: A, value: b, valueFrom: {}}]", "spec.env[0]", "both `value` and `valueFrom` are given"),
    ] {
        let refusal = parse_manifest("job.yaml", &with_spec(spec)).expect_err(spec);
        let problem = refusal.problems().first().expect("a reason");
        assert_eq!((problem.path.as_str(), problem.what.as_str()), (path, what), "{spec}");
    }
}

#[test]
fn storage_names_are_judged_where_they_stand() {
    refuses_spec(
        "snapshots:\n  storage:\n    s3:\n      bucket: s3://data/jobs",
        &[
            "job.yaml:9:17: spec.snapshots.storage.s3.bucket: not the name of a bucket: 3 to 63 lower-case letters, digits, `-`, `_`, `.`",
            "  help: give the bare name, here `data`",
        ],
    );
    for spec in [
        "snapshots: {storage: {s3: {bucket: abc, prefix: a//b}}}",
        "snapshots: {storage: {s3: {bucket: abc, prefix: a/../b}}}",
        "snapshots: {storage: {s3: {bucket: abc, endpoint: 'localhost:9000'}}}",
        "snapshots: {storage: {azure: {account: A, container: abc}}}",
        "snapshots: {storage: {s3: {}}}",
    ] {
        assert!(parse_manifest("job.yaml", &with_spec(&format!("sql: x\n{spec}"))).is_err(), "{spec}");
    }
}

#[test]
fn a_newer_version_is_told_which_versions_are_read() {
    refuses(
        "apiVersion: watershed.dev/v1beta1\nkind: StreamJob\nspec: {somethingNew: 1}\n",
        &[
            "job.yaml:1:13: apiVersion: this build does not read version `v1beta1`; it reads watershed.dev/v1alpha1",
            "  help: use a build of Watershed that reads it, or write the manifest in a version that this one reads",
        ],
    );
}

#[test]
fn a_wrong_group_or_kind_is_told_the_right_one() {
    refuses(
        "apiVersion: watersehd.dev/v1alpha1\nkind: StreamJob\n",
        &[
            "job.yaml:1:13: apiVersion: `watersehd.dev/v1alpha1` is not a version of StreamJob",
            "  help: write `watershed.dev/v1alpha1`",
        ],
    );
    refuses(
        "apiVersion: watershed.dev/v1alpha1\nkind: Streamjob\n",
        &["job.yaml:2:7: kind: `Streamjob` is not a kind of watershed.dev", "  help: write `StreamJob`"],
    );
    refuses(
        "kind: StreamJob\n",
        &[
            "job.yaml:1:1: apiVersion: not a manifest: the field `apiVersion` is missing",
            "  help: write `apiVersion: watershed.dev/v1alpha1`",
        ],
    );
}

#[test]
fn two_jobs_in_one_file_are_refused() {
    let one = with_spec("sql: SELECT 1");
    refuses(
        &format!("{one}---\n{one}"),
        &[
            "job.yaml:7:1: a second StreamJob in one file; the first begins in line 1",
            "  help: put each job into a file of its own",
        ],
    );
}

#[test]
fn a_file_without_a_job_says_how_one_begins() {
    for text in ["", "---\n", "# nothing\n", "apiVersion: v1\nkind: Secret\n"] {
        refuses(
            text,
            &[
                "job.yaml:1:1: there is no StreamJob in it",
                "  help: a job begins with `apiVersion: watershed.dev/v1alpha1` and `kind: StreamJob`",
            ],
        );
    }
}

#[test]
fn what_is_not_yaml_is_refused_at_its_place() {
    let refusal =
        parse_manifest("job.yaml", "apiVersion: watershed.dev/v1alpha1\nkind: [StreamJob\n").expect_err("an open bracket");
    let problem = refusal.problems().first().expect("a reason");
    assert!(problem.what.starts_with("not YAML: "), "{problem}");
    assert!(problem.position.line >= 2, "{problem}");
}

#[test]
fn a_key_given_twice_is_refused() {
    refuses_spec(
        "replicas: 1\nreplicas: 2",
        &["job.yaml:7:3: spec.replicas: given twice, first in line 6", "  help: keep one of the two"],
    );
}

#[test]
fn constructs_that_hide_meaning_are_refused() {
    for spec in ["args: !custom [a]", "<<: {a: b}", "? [a]\n: b", "args: &a [*a]", "args: *nowhere"] {
        assert!(parse_manifest("job.yaml", &with_spec(&format!("sql: x\n{spec}"))).is_err(), "{spec}");
    }
}

#[test]
fn a_text_that_unfolds_without_bound_is_refused_quickly() {
    let mut spec = "sql: x\npodTemplate:\n  spec:\n    a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for i in 1..30 {
        let before = format!("*a{}", i - 1);
        spec.push_str(&format!("    a{i}: &a{i} [{}]\n", vec![before; 10].join(", ")));
    }
    let refusal = parse_manifest("job.yaml", &with_spec(&spec)).expect_err("a bomb");
    assert!(refusal.to_string().contains("unfolds to more than"), "{refusal}");
    let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    assert!(parse_manifest("job.yaml", &with_spec(&format!("sql: x\npodTemplate: {{a: {deep}}}"))).is_err());
}

#[test]
fn a_file_that_is_not_text_is_refused_at_its_first_wrong_byte() {
    let refusal = watershed_job::read("job.yaml", b"a: 1\nb: \xff\n").expect_err("not UTF-8");
    assert_eq!(refusal.to_string(), "job.yaml:2:4: not UTF-8 text\n  help: save the file as UTF-8");
    assert!(watershed_job::read("job.yaml", &vec![b'a'; 2_000_000]).expect_err("too long").to_string().contains("at most"));
}
