//! The chart is installed as the documentation says.

use std::time::Instant;

use anyhow::{Result, ensure};

use crate::command::run;
use crate::kube::{Kube, number};
use crate::world::{SYSTEM, World};

/// `helm upgrade --install`, waiting for what it installs.
pub(crate) fn install(world: &mut World) -> Result<()> {
    let started = Instant::now();
    let chart = world.settings.chart.display().to_string();
    let (operator, worker) = (split(&world.settings.operator), split(&world.settings.worker));
    let mut values = vec!["crds.install=true".to_owned()];
    for (name, (registry, repository, tag)) in [("image", operator), ("workerImage", worker)] {
        values.extend([("registry", registry), ("repository", repository), ("tag", tag)].map(|(k, v)| format!("{name}.{k}={v}")));
    }
    if !world.settings.chart.join("charts").exists() {
        run("helm", &["dependency", "build", &chart], None)?;
    }
    let mut args =
        vec!["upgrade", "--install", "watershed", &chart, "--namespace", SYSTEM, "--create-namespace", "--wait", "--timeout=90s"];
    for value in &values {
        args.extend(["--set", value]);
    }
    run("helm", &args, None)?;
    World::told(&world.bars.note("helm install → operator ready", format!("{:.1} s", started.elapsed().as_secs_f64())));
    let deployments = world.system.list("deployments", "app.kubernetes.io/name=watershed-operator")?;
    ensure!(!deployments.is_empty(), "the chart installed no deployment");
    ensure!(deployments.iter().all(|d| number(d, "/status/readyReplicas") >= 1), "helm came back before the operator was ready");
    // What the definitions say is part of the manual.
    let explained = Kube::new("default").words("explain streamjob.spec.replicas")?;
    ensure!(explained.contains("suspend"), "kubectl explain does not say how to stop a job: {explained}");
    Ok(())
}

/// An image's registry, repository and tag.
fn split(image: &str) -> (&str, &str, &str) {
    let (name, tag) = image.rsplit_once(':').unwrap_or((image, "latest"));
    let (registry, repository) = name.split_once('/').unwrap_or(("", name));
    (registry, repository, tag)
}
