//! Architecture is a list of absences: which crate may depend on which, and what each must never reach.
//!
//! The table is that of ARCHITECTURE.md. Dependencies of every kind count (normal, build, development): a test that needs a
//! forbidden crate belongs to the crate that may have it.

#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests fail by panicking")]

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;
use watershed_tidy::{none, root};

/// Crate → what of ours it may depend on. A crate that is not here may not exist.
const ARROWS: &[(&str, &[&str])] = &[
    ("watershed-runtime", &[]),
    ("watershed-cluster", &["watershed-runtime"]),
    ("watershed-sim", &["watershed-runtime", "watershed-cluster"]),
    ("watershed-columnar", &["watershed-runtime"]),
    ("watershed-wire", &[]),
    ("watershed", &["watershed-runtime", "watershed-cluster", "watershed-wire", "watershed-connectors", "watershed-columnar"]),
    ("watershed-cli", &["watershed", "watershed-sql", "watershed-job"]),
    ("watershed-job", &[]),
    ("watershed-sql", &["watershed-runtime", "watershed-columnar", "watershed-connectors"]),
    ("watershed-connectors", &["watershed-runtime", "watershed-columnar"]),
    ("watershed-crds", &["watershed-job"]),
    ("watershed-operator", &["watershed-crds", "watershed-job", "watershed-wire"]),
    ("watershed-bench", &["watershed", "watershed-sql", "watershed-connectors"]),
    ("watershed-chaos", &["watershed"]),
    ("watershed-e2e", &[]),
    ("watershed-tidy", &[]),
    // The features of dependencies, for programs and tests: `features.rs` holds who may depend on it.
    ("workspace-hack", &[]),
];

/// Arrows the table does not have, for tests only: a test that joins two crates sits in one of them.
const FOR_TESTS: &[(&str, &str)] = &[("watershed-sql", "watershed")];

/// The crates that a crate must not reach, by any way, as its users build it. A trailing `*` stands for any ending.
const ABSENCES: &[(&str, &[&str])] = &[
    (
        "watershed-runtime",
        &["tokio", "rand", "getrandom", "mio", "arrow*", "datafusion*", "object_store", "kube*", "tonic", "prost"],
    ),
    (
        "watershed-cluster",
        &["tokio", "rand", "getrandom", "mio", "arrow*", "datafusion*", "object_store", "kube*", "tonic", "prost"],
    ),
    ("watershed-columnar", &["tokio", "datafusion*", "object_store", "kube*", "tonic"]),
    ("watershed-wire", &["arrow*", "datafusion*", "object_store", "kube*", "axum", "aws-lc-sys", "protox", "prost-build"]),
    ("watershed-job", &["tokio", "datafusion*", "kube*", "k8s-openapi", "arrow*", "watershed-runtime"]),
    ("watershed", &["datafusion*", "sqlparser", "kube*", "tonic", "clap_derive", "arrow*"]),
    ("watershed-connectors", &["datafusion*", "sqlparser", "kube*", "tonic"]),
    ("watershed-sql", &["kube*", "tonic", "rdkafka*"]),
    (
        "watershed-operator",
        &["watershed-runtime", "arrow*", "datafusion*", "object_store", "aws-lc-sys", "openssl", "openssl-sys"],
    ),
];

fn metadata() -> Vec<Value> {
    let out = cargo(&["metadata", "--format-version", "1", "--no-deps", "--offline"]);
    let metadata: Value = serde_json::from_str(&out).expect("cargo writes JSON");
    metadata.get("packages").and_then(Value::as_array).expect("cargo lists packages").clone()
}

fn cargo(arguments: &[&str]) -> String {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let out = Command::new(cargo).args(arguments).current_dir(root()).output().expect("cargo runs");
    assert!(out.status.success(), "cargo {arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).expect("cargo writes UTF-8")
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

#[test]
fn every_arrow_is_in_the_table() {
    let table: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    let mut breaches = Vec::new();
    for package in metadata() {
        let name = text(&package, "name");
        let Some(allowed) = table.get(name) else {
            breaches.push(format!("{name} is not in the table: add it here and to ARCHITECTURE.md, or drop it"));
            continue;
        };
        for dependency in package.get("dependencies").and_then(Value::as_array).into_iter().flatten() {
            let (on, kind) = (text(dependency, "name"), text(dependency, "kind"));
            let ours = on == "watershed" || on.starts_with("watershed-");
            let for_tests = kind == "dev" && FOR_TESTS.contains(&(name, on));
            if ours && !allowed.contains(&on) && !for_tests {
                breaches.push(format!("{name} → {on}"));
            }
        }
    }
    none(&breaches, "arrows that the architecture does not have");
}

/// The direction that the table alone does not give: a crate removed from the workspace leaves the table too.
#[test]
fn every_crate_of_the_table_exists() {
    let names: Vec<String> = metadata().iter().map(|p| text(p, "name").to_owned()).collect();
    let gone: Vec<String> = ARROWS.iter().map(|(name, _)| (*name).to_owned()).filter(|name| !names.contains(name)).collect();
    none(&gone, "crates of the table that are not in the workspace");
}

#[test]
fn nothing_forbidden_is_reached() {
    let mut breaches = Vec::new();
    for (package, absent) in ABSENCES {
        let tree = cargo(&["tree", "--package", package, "--edges", "normal", "--prefix", "none", "--format", "{p}"]);
        for reached in tree.lines().filter_map(|line| line.split(' ').next()) {
            let forbidden = absent.iter().any(|name| match name.strip_suffix('*') {
                Some(start) => reached.starts_with(start),
                None => reached == *name,
            });
            if forbidden {
                breaches.push(format!("{package} reaches {reached}"));
            }
        }
    }
    breaches.sort();
    breaches.dedup();
    none(&breaches, "dependencies that must not be reached (find the way with `cargo tree -p CRATE -i DEPENDENCY`)");
}

#[test]
fn every_crate_takes_the_lints_and_versions_of_the_workspace() {
    let workspace = std::fs::read_to_string(root().join("Cargo.toml")).expect("there is a workspace");
    let versions =
        workspace.split("\n[").find(|section| section.starts_with("workspace.dependencies]")).expect("it has versions");
    let mut breaches = Vec::new();
    for package in metadata() {
        let path = text(&package, "manifest_path");
        let manifest = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{path}: {e}"));
        let name = text(&package, "name");
        // A dependency that no other crate names has its only version in the workspace-hack.
        let its_own = |line: &str| {
            name == "workspace-hack" && !versions.contains(&format!("\n{} = ", line.split(' ').next().unwrap_or_default()))
        };
        if !manifest.contains("[lints]\nworkspace = true") {
            breaches.push(format!("{name} does not say `[lints] workspace = true`"));
        }
        for field in ["version", "edition", "rust-version", "license", "repository"] {
            if !manifest.contains(&format!("\n{field}.workspace = true")) {
                breaches.push(format!("{name} does not say `{field}.workspace = true`"));
            }
        }
        let mut in_dependencies = false;
        for line in manifest.lines() {
            if line.starts_with('[') {
                in_dependencies = line.contains("dependencies");
            } else if in_dependencies
                && line.contains('=')
                && !line.starts_with('#')
                && !line.contains("workspace = true")
                && !its_own(line)
            {
                breaches.push(format!("{name}: `{line}`: give the version once, in the workspace"));
            }
        }
    }
    none(&breaches, "crates that go their own way");
}
