//! A node loses its power: nobody hears it go.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::deaths::{ready, recovered};
use crate::kube::{is, text};
use crate::world::World;

const PATIENCE: Duration = Duration::from_secs(120);

/// A node with a worker, and not with the coordinator.
pub(crate) fn worker(world: &mut World) -> Result<()> {
    ready(world, 3)?;
    if victim(world)?.is_none() {
        // A drain has left them together: those that come now are spread.
        ready(world, 1)?;
        ready(world, 3)?;
    }
    let victim = victim(world)?.context("no node has a worker and neither the coordinator nor the reader")?;
    cut(world, &victim, "power cut of a worker's node", Some(Duration::from_secs(15)))
}

fn victim(world: &World) -> Result<Option<String>> {
    let spared = [text(&world.coordinator()?, "/spec/nodeName").to_owned(), reader(world)?];
    let mut nodes = world.workers()?.into_iter().map(|p| text(&p, "/spec/nodeName").to_owned());
    Ok(nodes.find(|n| !spared.contains(n)))
}

/// The coordinator's node.
pub(crate) fn coordinator(world: &mut World) -> Result<()> {
    ready(world, 3)?;
    let victim = text(&world.coordinator()?, "/spec/nodeName").to_owned();
    let safe = reader(world)?;
    if victim == safe {
        // It is made again elsewhere: the reader has to see the end.
        world.kube.run(&["cordon", &safe])?;
        let moved = world.coordinator().and_then(|c| world.kube.run(&["delete", "pod", crate::kube::name(&c)]));
        let settled = moved.and_then(|_| world.settled(3, PATIENCE));
        world.kube.run(&["uncordon", &safe])?;
        settled?;
    }
    let victim = text(&world.coordinator()?, "/spec/nodeName").to_owned();
    cut(world, &victim, "power cut of the coordinator's node", None)
}

fn reader(world: &World) -> Result<String> {
    let pod = world.kube.get("pod reader")?.context("the reader is there")?;
    Ok(text(&pod, "/spec/nodeName").to_owned())
}

fn cut(world: &mut World, node: &str, what: &str, bar: Option<Duration>) -> Result<()> {
    let machine = world.machine.clone().context("the nodes are in our hands")?;
    let at = Instant::now();
    machine.cut_power(node)?;
    let recovered = recovered(world, at, 3, what, bar);
    machine.power_on(node)?;
    world.kube.wait(&format!("node {node}"), "ready again", PATIENCE, |n| is(n, "Ready"))?;
    recovered?;
    // What the node did last, and does first, must not be seen in the output.
    world.job(3)?.more(8000, PATIENCE)?;
    world.settled(3, PATIENCE)?;
    let gone = world.workers()?.len();
    ensure!(gone == 3, "there are {gone} workers after the node came back");
    world.job(3)?.right()
}
