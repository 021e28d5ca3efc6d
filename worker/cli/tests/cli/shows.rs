//! The commands that only look.

use crate::bench::Bench;

const EXAMPLES: [&str; 2] = ["wordcount.yaml", "clicks.yaml"];

fn example(name: &str) -> String {
    format!("{}/../../examples/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_examples_are_valid() {
    for name in EXAMPLES {
        let said = Bench::new().run(&["validate", &example(name)]);
        said.says(&["is valid"]);
        assert_eq!(said.err, "", "{name}");
    }
}

#[test]
fn validate_looks_at_every_file() {
    let bench = Bench::new();
    bench.write("bad.yaml", "kind: StreamJob\n");
    let said = bench.run(&["validate", "bad.yaml", &example("clicks.yaml")]);
    said.fails(2, &["bad.yaml:1:1"]);
    assert!(said.out.contains("`clicks` is valid"), "{said:?}");
}

#[test]
fn explain_shows_the_plan_and_the_graph() {
    let bench = Bench::new();
    bench.run(&["explain", &example("clicks.yaml")]).says(&["Sink clicks_by_page", "tumble 10 s", "Source clicks"]);
    bench.run(&["explain", &example("clicks.yaml"), "--dot"]).says(&["digraph \"clicks\" {", "style=bold", "->"]);
}

#[test]
fn completions_are_scripts_of_the_shell() {
    let bench = Bench::new();
    bench.run(&["completions", "bash"]).says(&["_watershed()", "--storage"]);
    bench.run(&["completions", "fish"]).says(&["complete -c watershed"]);
    assert_eq!(bench.run(&["completions", "cobol"]).code, 2);
}

#[test]
fn snapshots_of_a_job_that_never_ran_are_an_error_and_looking_makes_none() {
    let bench = Bench::new();
    bench.run(&["snapshots", "list", "j"]).fails(2, &["no snapshots", "--storage"]);
    assert!(!bench.path().join(".watershed").exists());
}

#[test]
fn help_tells_the_exit_codes() {
    Bench::new().run(&["--help"]).says(&["Exit codes:", "130"]);
}
