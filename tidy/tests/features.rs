//! Builds that do not repeat themselves: every verb asks for the same features of a dependency.
//!
//! Cargo compiles a crate once for each set of features. So where two commands ask for two sets, the second compiles the crate again, and
//! all that stands on it: for one feature of `chrono` that is Arrow and DataFusion. The commands are those of the Makefile and of
//! `e2e/images`, read from there; what each asks for is `cargo tree`'s answer, offline and without compiling. The crate `workspace-hack`
//! makes the answers equal.

#![allow(clippy::expect_used, reason = "helpers of tests fail by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use watershed_tidy::{files, none, root};

/// Arguments of the build that all commands are compared to: every package, its tests included.
const ALL: &[&str] = &["--workspace", "--edges", "normal,build,dev"];

/// A crate with its version → the sets of features it is compiled with (one for programs, and another for the compiler's plug-ins).
type Asked = BTreeMap<String, BTreeSet<String>>;

fn asked(arguments: &[&str]) -> Asked {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let fixed = ["tree", "--offline", "--locked", "--prefix", "none", "--format", "{p}|{f}"];
    let out = Command::new(cargo).args(fixed).args(arguments).current_dir(root()).output().expect("cargo runs");
    assert!(out.status.success(), "cargo tree {arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
    let mut asked = Asked::new();
    for line in String::from_utf8(out.stdout).expect("cargo writes UTF-8").lines() {
        // A star stands for what has been listed above already.
        let Some((package, features)) = line.trim_end_matches(" (*)").split_once('|') else { continue };
        // Packages of the workspace have a path behind their version, and features of their own.
        if !package.contains(" (/") {
            asked.entry(package.to_owned()).or_default().insert(features.to_owned());
        }
    }
    asked
}

/// The builds of the Makefile, as arguments of `cargo tree`; with their text, for the message.
fn commands() -> Vec<(String, Vec<String>)> {
    let makefile = std::fs::read_to_string(root().join("Makefile")).expect("there is a Makefile");
    let mut texts: Vec<String> = makefile
        .lines()
        .filter_map(|line| line.split_once("$(CARGO) "))
        .map(|(_, command)| command.split(" -- ").next().unwrap_or_default().to_owned())
        .filter(|command| ["build ", "run ", "test ", "clippy "].iter().any(|verb| command.starts_with(verb)))
        .collect();
    // The README's first command takes the default members, and each image is a package of its own.
    texts.extend(["watershed-cli", "watershed-operator", "watershed-e2e"].map(|package| format!("build -p {package}")));
    texts.sort();
    texts.dedup();
    texts.into_iter().map(|text| (text.clone(), tree(&text))).collect()
}

fn tree(command: &str) -> Vec<String> {
    let mut words = command.split(' ').map(str::to_owned);
    let tests =
        words.next().is_some_and(|verb| verb == "test") || command.contains("--all-targets") || command.contains("--example");
    let mut arguments = vec!["--edges".to_owned(), if tests { "normal,build,dev" } else { "normal,build" }.to_owned()];
    while let Some(word) = words.next() {
        match word.as_str() {
            "-p" | "--features" | "--exclude" => arguments.extend([word, words.next().unwrap_or_default()]),
            "--workspace" => arguments.push(word),
            _ => {}
        }
    }
    arguments
}

#[test]
fn every_verb_compiles_the_same_dependencies() {
    let all = asked(ALL);
    let commands = commands();
    assert!(commands.len() > 8, "the Makefile has other commands than this test can read: {commands:?}");
    let mut breaches = Vec::new();
    for (text, arguments) in &commands {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        for (package, sets) in asked(&arguments) {
            let known = all.get(&package).cloned().unwrap_or_default();
            for set in sets.difference(&known) {
                let known = known.iter().map(|set| format!("[{set}]")).collect::<Vec<_>>().join(" or ");
                breaches.push(format!("{package} with [{set}] in `cargo {text}`, with {known} in the whole workspace"));
            }
        }
    }
    none(&breaches, "dependencies compiled again with other features (name the features in workspace-hack/Cargo.toml)");
}

/// A library with these features would bring them to its users.
#[test]
fn only_programs_and_tests_depend_on_the_features_of_all() {
    let libraries =
        ["runtime", "runtime/columnar", "runtime/wire", "worker", "worker/job", "worker/sql", "worker/connectors", "crds"];
    let mut breaches = Vec::new();
    for file in files(&["toml"]) {
        let Some(folder) = file.path.strip_suffix("/Cargo.toml").filter(|folder| libraries.contains(folder)) else { continue };
        let mut section = "";
        for line in file.text.lines() {
            if line.starts_with('[') {
                section = line;
            } else if line.starts_with("workspace-hack") && section != "[dev-dependencies]" {
                breaches.push(format!("{folder}: `{line}` in {section}"));
            }
        }
    }
    none(&breaches, "libraries that depend on workspace-hack");
}
