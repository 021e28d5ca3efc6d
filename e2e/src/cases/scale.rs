//! The number of workers changes while rows flow.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::check::timeline::Delays;
use crate::world::{JOB, World};

/// The first row of a new job.
pub(crate) fn first(world: &mut World) -> Result<()> {
    let took = world.begin(1)?;
    World::told(&world.bars.time("kubectl apply → first output row", took, Duration::from_secs(10)));
    world.job(1)?.more(2000, Duration::from_secs(30))
}

/// Out and in again.
pub(crate) fn one_three_two(world: &mut World) -> Result<()> {
    world.job(1)?.more(1000, Duration::from_secs(30))?;
    to(world, 3, "1 → 3")?;
    to(world, 2, "3 → 2").map(drop)
}

/// The bar of the issue.
pub(crate) fn two_four(world: &mut World) -> Result<()> {
    world.job(2)?;
    to(world, 2, "… → 2")?;
    let took = to(world, 4, "2 → 4")?;
    World::told(&world.bars.time("kubectl scale 2 → 4 → all four process", took, Duration::from_secs(15)));
    to(world, 2, "4 → 2").map(drop)
}

/// Scales the long job, waits until it has settled, and says what its output saw of it.
pub(crate) fn to(world: &mut World, replicas: u32, what: &str) -> Result<Duration> {
    let patience = Duration::from_secs(90);
    world.job(2)?.more(3200, patience)?;
    let before = Instant::now();
    // Scaling to what is there must not be taken for a rescale that went well.
    world.kube.words(&format!("scale streamjob {JOB} --replicas {replicas}"))?;
    world.settled(i64::from(replicas), patience)?;
    let took = before.elapsed();
    let after = Instant::now();
    let watch = world.job(2)?;
    watch.more(3200, patience)?;
    let end = Instant::now();
    let seen = watch.seen();
    let calm = (before.checked_sub(Duration::from_secs(2)).context("the clock began long ago")?, before);
    let delays = [(calm.0, before, calm), (before, after, calm), (after, end, (after, end))]
        .map(|(from, to, base)| seen.timeline.delays(from, to, base).unwrap_or_default());
    let silence = seen.timeline.silence(before, after);
    drop(seen);
    let p99 = delays.map(|Delays { p99, .. }| p99.to_string()).join(" / ");
    World::told(&world.bars.time(&format!("{what}: longest silence of output"), silence, Duration::from_secs(1)));
    World::told(&world.bars.note(&format!("{what}: p99 of a row's delay before / during / after, ms"), p99));
    World::told(&world.bars.note(&format!("{what}: settled after"), format!("{:.1} s", took.as_secs_f64())));
    world.job(2)?.right()?;
    Ok(took)
}
