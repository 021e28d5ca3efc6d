//! A job that is suspended has no pods and keeps its place.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::json;

use super::deaths::ready;
use crate::job;
use crate::kube::is;
use crate::until::until;
use crate::world::{JOB, World};

const PATIENCE: Duration = Duration::from_secs(90);

/// Down, and up again from where it stood.
pub(crate) fn suspend(world: &mut World) -> Result<()> {
    ready(world, 2)?;
    let what = format!("streamjob {JOB}");
    let asked = Instant::now();
    world.kube.patch(&what, &json!({ "spec": { "suspend": true } }))?;
    world.kube.wait(&what, "suspended", PATIENCE, |j| is(j, "Suspended"))?;
    until("its pods to be gone", PATIENCE, || {
        let pods = world.workers()?.len() + world.kube.list("pods", &job::coordinator(JOB))?.len();
        Ok((pods == 0).then_some(()))
    })?;
    // Workers of a job that is stopped hand nothing over: they end at once.
    World::told(&world.bars.time("suspend → no pods", asked.elapsed(), Duration::from_secs(15)));
    world.job(2)?.right()?;
    world.kube.patch(&what, &json!({ "spec": { "suspend": false } }))?;
    // The checker would tell any row that is written a second time or left out.
    world.settled(2, PATIENCE)?;
    world.job(2)?.more(3200, PATIENCE)
}
