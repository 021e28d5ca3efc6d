//! Two jobs in one namespace.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::job::{self, IDLE, stream_job};
use crate::kube::{is, name, number};
use crate::world::{JOB, World};

/// The second one comes, is scaled and goes; the first is not touched.
pub(crate) fn two(world: &mut World) -> Result<()> {
    world.job(2)?;
    let term = |w: &World| Ok::<_, anyhow::Error>(w.kube.get(&format!("streamjob {JOB}"))?.map(|j| number(&j, "/status/term")));
    let before = (term(world)?, pods(world)?);
    world.kube.apply(&stream_job(&world.settings, "second", 1, IDLE))?;
    let ready = |n: i64| move |j: &serde_json::Value| is(j, "Ready") && number(j, "/status/readyReplicas") == n;
    world.kube.wait("streamjob second", "ready", Duration::from_secs(60), ready(1))?;
    world.kube.words("scale streamjob second --replicas 2")?;
    world.kube.wait("streamjob second", "ready with 2 workers", Duration::from_secs(60), ready(2))?;
    world.kube.words("delete streamjob second --wait --timeout=60s")?;
    let after = (term(world)?, pods(world)?);
    ensure!(before == after, "the first job was touched: {before:?} is now {after:?}");
    world.job(2)?.more(1600, Duration::from_secs(60))
}

fn pods(world: &World) -> Result<Vec<String>> {
    Ok(world.kube.list("pods", &job::workers(JOB))?.iter().map(|p| name(p).to_owned()).collect())
}
