//! The charts as helm renders them. Where there is no helm the tests say so and hold nothing.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "helpers of tests fail by panicking, and say what they skip"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// `$HELM`, the one in the path, or the one that the suite's cluster was built with.
fn helm() -> Option<PathBuf> {
    let works = |helm: &PathBuf| Command::new(helm).arg("version").output().is_ok_and(|o| o.status.success());
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    let built = cache.map(|c| c.join("watershed/cluster/bin/helm"));
    let found = std::env::var_os("HELM").map(PathBuf::from).into_iter().chain([PathBuf::from("helm")]).chain(built).find(works);
    if found.is_none() {
        eprintln!("helm is not here (set HELM, or run `make cluster-up` once): the charts were not rendered");
    }
    found
}

fn run(helm: &Path, arguments: &[&str]) -> Output {
    Command::new(helm).args(arguments).current_dir(root()).output().expect("helm runs")
}

fn render(helm: &Path, values: &[&str]) -> Output {
    let mut arguments = vec!["template", "watershed", "charts/watershed", "--namespace", "system", "--kube-version", "1.34.0"];
    values.iter().for_each(|v| arguments.extend(["--set", v]));
    run(helm, &arguments)
}

fn rendered(helm: &Path, values: &[&str]) -> String {
    let output = render(helm, values);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // Blanks at the ends of lines are helm's, and golden files may have none.
    String::from_utf8(output.stdout).unwrap().lines().map(|l| format!("{}\n", l.trim_end())).collect()
}

#[test]
fn the_charts_are_sound() {
    let Some(helm) = helm() else { return };
    for chart in ["charts/watershed", "charts/watershed-crds"] {
        let output = run(&helm, &["lint", "--strict", chart]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}

#[test]
fn what_is_installed_is_what_it_was() {
    let Some(helm) = helm() else { return };
    insta::assert_snapshot!("chart", rendered(&helm, &["crds.install=false"]));
    let other = [
        "crds.install=false",
        "watchNamespaces={shop,lab}",
        "replicas=1",
        "leaderElection.enabled=false",
        "authentication.enabled=false",
        "image.registry=registry.example",
        "image.digest=sha256:0000000000000000000000000000000000000000000000000000000000000000",
        "imagePullSecrets[0].name=pull",
        "serviceMonitor.enabled=true",
        "podMonitor.enabled=true",
        "podMonitor.labels.release=prometheus",
        "metrics.namespaces={monitoring}",
        "commonLabels.team=data",
        "nodeSelector.disk=fast",
        "serviceAccount.create=false",
        "serviceAccount.name=mine",
        "priorityClassName=high",
        "networkPolicy.enabled=false",
    ];
    insta::assert_snapshot!("chart-namespaced", rendered(&helm, &other));
}

#[test]
fn definitions_are_kept_when_the_chart_goes() {
    let Some(helm) = helm() else { return };
    let all = rendered(&helm, &[]);
    assert_eq!(all.matches("kind: CustomResourceDefinition").count(), 2);
    assert_eq!(all.matches("helm.sh/resource-policy: keep").count(), 2);
}

#[test]
fn the_operator_has_no_right_to_secrets_and_none_to_everything() {
    let Some(helm) = helm() else { return };
    for values in [&[][..], &["watchNamespaces={shop}"]] {
        let all = rendered(&helm, values);
        let rules: Vec<&str> = all.lines().filter(|l| l.contains("resources: [") || l.contains("verbs: [")).collect();
        assert!(!rules.is_empty());
        assert!(rules.iter().all(|r| !r.contains("secrets") && !r.contains('*')), "{rules:#?}");
    }
    let namespaced = rendered(&helm, &["watchNamespaces={shop}"]);
    assert!(!namespaced.contains("kind: ClusterRole\n"), "with namespaces named there is no role of the cluster");
}

#[test]
fn wrong_values_are_refused_by_name() {
    let Some(helm) = helm() else { return };
    for (value, part) in [
        ("replicas=0", "replicas"),
        ("replica=3", "replica"),
        ("image.pullPolicy=Sometimes", "pullPolicy"),
        ("image.digest=abc", "digest"),
        ("podMonitor.interval=often", "interval"),
        ("podMonitor.enable=true", "enable"),
        ("crds.instal=true", "instal"),
        ("podDisruptionBudget.maxUnavailable=abc", "maxUnavailable"),
    ] {
        let output = render(&helm, &[value]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(part), "{value}: {said}");
    }
}
