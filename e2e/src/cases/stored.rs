//! Jobs outlive the definitions they were stored under.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::command::run;
use crate::job::{IDLE, stream_job};
use crate::kube::{is, text};
use crate::world::World;

/// Stored, the chart applied again, and read: nothing of the spec has changed, and the pods are the same.
pub(crate) fn stored(world: &mut World) -> Result<()> {
    world.space()?;
    world.kube.apply(&stream_job(&world.settings, "stored", 1, IDLE))?;
    world.kube.wait("streamjob stored", "ready", Duration::from_secs(60), |j| is(j, "Ready"))?;
    let spec =
        |world: &World| Ok::<_, anyhow::Error>(world.kube.get("streamjob stored")?.context("it is there")?.get("spec").cloned());
    let pod = |world: &World| {
        Ok::<_, anyhow::Error>(world.kube.get("pod stored-worker-0")?.and_then(|p| p.pointer("/metadata/uid").cloned()))
    };
    let before: (Option<Value>, Option<Value>) = (spec(world)?, pod(world)?);
    let chart = world.settings.chart.with_file_name("watershed-crds");
    let versions: Value = serde_json::from_str(&run("kubectl", &["version", "-o", "json"], None)?)?;
    let server = text(&versions, "/serverVersion/gitVersion");
    let chart = chart.display().to_string();
    let definitions = run("helm", &["template", "watershed-crds", &chart, "--kube-version", server], None)?;
    run("kubectl", &["apply", "--server-side", "--force-conflicts", "-f", "-"], Some(&definitions))?;
    super::install::install(world)?;
    world.kube.wait("streamjob stored", "ready", Duration::from_secs(60), |j| is(j, "Ready"))?;
    let after = (spec(world)?, pod(world)?);
    ensure!(before == after, "before: {before:?}\nafter: {after:?}");
    world.kube.words("delete streamjob stored --wait --timeout=60s").map(drop)
}
