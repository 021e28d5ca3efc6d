//! Pods die: by hand, by `kill -9`, and the coordinator at the worst moment.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::kube::{name, number, text};
use crate::world::{JOB, World};

const PATIENCE: Duration = Duration::from_secs(90);

/// `kubectl delete pod` of a worker: it hands its key groups over before it ends, so nothing is begun anew.
pub(crate) fn deleted(world: &mut World) -> Result<()> {
    ready(world, 3)?;
    let victim = world.workers()?.pop().context("the job has workers")?;
    planned(world, "worker pod deleted", |world| {
        world.kube.run(&["delete", "pod", name(&victim), "--wait=false"])?;
        let at = text(&victim, "/metadata/uid");
        let gone = |p: &serde_json::Value| text(p, "/metadata/uid") != at;
        world.kube.wait(&format!("pod {}", name(&victim)), "another", PATIENCE, gone).map(drop)
    })
}

/// Something that ends workers by intent. The run goes on: its generation stays, and output is silent for a second at most.
pub(crate) fn planned(world: &mut World, what: &str, act: impl FnOnce(&mut World) -> Result<()>) -> Result<()> {
    let before = generation(world)?;
    let at = Instant::now();
    act(world)?;
    recovered(world, at, 3, what, Some(Duration::from_secs(1)))?;
    let after = generation(world)?;
    ensure!(before == after, "{what}: the job was begun anew (generation {before}, then {after})");
    Ok(())
}

/// The generation of the long job's dataflow, which grows with each beginning anew.
fn generation(world: &World) -> Result<i64> {
    let job = world.kube.get(&format!("streamjob {JOB}"))?.context("the job is there")?;
    Ok(number(&job, "/status/generation"))
}

/// `kill -9` of a worker's process.
pub(crate) fn killed(world: &mut World) -> Result<()> {
    ready(world, 3)?;
    let victim = world.workers()?.pop().context("the job has workers")?;
    let machine = world.machine.clone().context("the nodes are in our hands")?;
    let at = Instant::now();
    machine.kill_container(text(&victim, "/spec/nodeName"), text(&victim, "/status/containerStatuses/0/containerID"))?;
    recovered(world, at, 3, "worker kill -9", Some(Duration::from_secs(5)))
}

/// The coordinator's pod is deleted while key groups move.
pub(crate) fn coordinator(world: &mut World) -> Result<()> {
    ready(world, 2)?;
    let coordinator = world.coordinator()?;
    world.kube.words(&format!("scale streamjob {JOB} --replicas 3"))?;
    world.kube.wait(&format!("pod {JOB}-worker-2"), "running", PATIENCE, |p| text(p, "/status/phase") == "Running")?;
    let at = Instant::now();
    world.kube.run(&["delete", "pod", name(&coordinator), "--wait=false", "--grace-period=0", "--force"])?;
    recovered(world, at, 3, "coordinator deleted in the middle of 2 → 3", None)
}

/// Brings the long job to a number of workers, all of them ready.
pub(crate) fn ready(world: &mut World, replicas: u32) -> Result<()> {
    world.job(replicas)?;
    world.kube.words(&format!("scale streamjob {JOB} --replicas {replicas}"))?;
    world.settled(i64::from(replicas), PATIENCE)?;
    world.job(replicas)?.more(1600, PATIENCE)
}

/// Waits until the long job writes again and has all of its workers, and tells how long it was silent.
pub(crate) fn recovered(world: &mut World, at: Instant, replicas: i64, what: &str, bar: Option<Duration>) -> Result<()> {
    world.job(1)?.more(4800, PATIENCE)?;
    world.settled(replicas, PATIENCE)?;
    let all = at.elapsed();
    let watch = world.job(1)?;
    watch.more(3200, PATIENCE)?;
    let silence = watch.seen().timeline.silence(at, Instant::now());
    let silent = format!("{what} → output again (longest silence)");
    let line = match bar {
        Some(bar) => world.bars.time(&silent, silence, bar),
        None => world.bars.note(&silent, format!("{:.2} s", silence.as_secs_f64())),
    };
    World::told(&line);
    World::told(&world.bars.note(&format!("{what} → {replicas} workers ready again"), format!("{:.1} s", all.as_secs_f64())));
    world.job(1)?.right()
}
