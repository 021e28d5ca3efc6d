//! Bad input: a code, and a message that says what, where and what to do.

use std::os::unix::fs::PermissionsExt;

use crate::bench::Bench;

const HEAD: &str = "apiVersion: watershed.dev/v1alpha1\nkind: StreamJob\nmetadata:\n  name: j\nspec:\n";

const SQL: &str = "CREATE TABLE t (word STRING) WITH ('connector' = 'filesystem', 'path' = 'in', 'format' = 'json');
CREATE TABLE o (word STRING) WITH ('connector' = 'filesystem', 'path' = 'out', 'format' = 'json');
INSERT INTO o SELECT word FROM t;\n";

fn check(file: &str, text: &str, code: i32, words: &[&str]) {
    let bench = Bench::new();
    bench.write(file, text);
    bench.run(&["run", file]).fails(code, words);
    assert!(!bench.path().join("out").exists(), "a job that cannot run touches nothing");
}

#[test]
fn an_unknown_field_is_named_with_its_place_and_the_nearest_right_one() {
    check("j.yaml", &format!("{HEAD}  threadsPerWorke: 2\n  sql: SELECT 1\n"), 2, &["j.yaml:6:3", "threadsPerWorker"]);
}

#[test]
fn a_newer_version_is_refused_before_anything_else() {
    let text = HEAD.replace("v1alpha1", "v9") + "  unheardOf: 1\n";
    check("j.yaml", &text, 2, &["j.yaml:1:", "v9", "v1alpha1"]);
}

#[test]
fn a_text_that_is_no_manifest_is_refused() {
    check("j.yaml", "a: [", 2, &["j.yaml:"]);
    check("j.yaml", "just text\n", 2, &["j.yaml:1:1"]);
}

#[test]
fn a_file_that_is_not_there_is_named() {
    Bench::new().run(&["run", "nowhere.yaml"]).fails(2, &["nowhere.yaml", "cannot be read", "help:"]);
}

#[test]
fn a_wrong_option_is_refused_with_its_place_in_the_manifest() {
    let wrong = SQL.replacen("'format' = 'json'", "'format' = 'json', 'json.ignore-parse-error' = 'true'", 1);
    let words = ["json.ignore-parse-error", "did you mean", "json.ignore-parse-errors"];
    let indented = wrong.replace('\n', "\n    ");
    check("j.yaml", &format!("{HEAD}  sql: |\n    {indented}\n"), 2, &[&["j.yaml:7:"], &words[..]].concat());
    check("q.sql", &wrong, 2, &[&["q.sql:1:"], &words[..]].concat());
}

#[test]
fn a_column_that_is_not_there_is_refused_with_its_place() {
    check("q.sql", &SQL.replace("SELECT word FROM", "SELECT wrod FROM"), 2, &["q.sql:3:22", "wrod"]);
}

#[test]
fn missing_input_is_named() {
    let bench = Bench::new();
    bench.write("q.sql", SQL);
    bench.run(&["run", "q.sql"]).fails(3, &["in", "help:"]);
}

#[test]
fn a_malformed_row_is_named_by_file_and_line_after_what_came_before_is_committed() {
    let bench = Bench::new();
    bench.write("q.sql", SQL);
    bench.write("in/a.jsonl", "{\"word\":\"a\"}\n{\"word\":\n");
    bench.run(&["run", "q.sql"]).fails(1, &["a.jsonl", "line 2", "json.ignore-parse-errors"]);
    let rows: String = std::fs::read_dir(bench.path().join("out"))
        .unwrap()
        .flatten()
        .filter(|e| e.file_type().unwrap().is_file())
        .map(|e| std::fs::read_to_string(e.path()).unwrap())
        .collect();
    assert_eq!(rows, "{\"word\":\"a\"}\n");
}

#[test]
fn storage_that_this_build_does_not_know_is_refused() {
    let bench = Bench::new();
    bench.write("q.sql", SQL);
    bench.run(&["run", "q.sql", "--storage", "ftp://host/x"]).fails(2, &["ftp", "s3://"]);
}

#[test]
fn storage_without_permission_is_unavailable() {
    let bench = Bench::new();
    bench.write("q.sql", SQL);
    bench.write("in/a.jsonl", "");
    let locked = bench.path().join("locked");
    std::fs::create_dir(&locked).unwrap();
    std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o555)).unwrap();
    if std::fs::write(locked.join("probe"), "").is_ok() {
        // The superuser may write anywhere: a file in the way takes the part of the missing permission.
        std::fs::remove_file(locked.join("probe")).unwrap();
        std::fs::write(locked.join("state"), "").unwrap();
    }
    bench.run(&["run", "q.sql", "--storage", "locked/state"]).fails(3, &["locked/state", "help:"]);
}

#[test]
fn a_wrong_flag_is_a_usage_error() {
    let bench = Bench::new();
    for args in
        [&["run"][..], &["run", "q.sql", "--slots", "0"], &["run", "q.sql", "--epoch", "1 fortnight"], &["rnu", "q.sql"], &[]]
    {
        assert_eq!(bench.run(args).code, 2, "{args:?}");
    }
}

#[test]
fn a_job_that_does_not_run_is_not_scaled() {
    Bench::new().run(&["scale", "j", "--slots", "2"]).fails(3, &["the job `j` does not run here", ".watershed/j", "--storage"]);
}
