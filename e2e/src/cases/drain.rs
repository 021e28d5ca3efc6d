//! A node is drained while the job runs.

use anyhow::{Context, Result};

use super::deaths::{planned, ready};
use crate::kube::text;
use crate::world::World;

/// `kubectl drain`, then the node is given back. Not the coordinator's node: without one nothing is committed for a moment, which is another case.
pub(crate) fn drain(world: &mut World) -> Result<()> {
    ready(world, 3)?;
    let reader = world.kube.get("pod reader")?.context("the reader is there")?;
    let safe = text(&reader, "/spec/nodeName").to_owned();
    let coordinator = text(&world.coordinator()?, "/spec/nodeName").to_owned();
    let nodes: Vec<String> = world.workers()?.iter().map(|p| text(p, "/spec/nodeName").to_owned()).collect();
    let node = nodes.into_iter().find(|n| *n != safe && *n != coordinator);
    let node = node.context("no node has a worker and neither the coordinator nor the reader")?;
    let drained = planned(world, "node drained", |world| {
        world.kube.run(&["drain", &node, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=120s"]).map(drop)
    });
    world.kube.run(&["uncordon", &node])?;
    drained
}
