//! A node is drained while the job runs.

use std::time::Instant;

use anyhow::{Context, Result};

use super::deaths::{ready, recovered};
use crate::kube::text;
use crate::world::World;

/// `kubectl drain`, then the node is given back.
pub(crate) fn drain(world: &mut World) -> Result<()> {
    ready(world, 3)?;
    let reader = world.kube.get("pod reader")?.context("the reader is there")?;
    let safe = text(&reader, "/spec/nodeName").to_owned();
    let nodes: Vec<String> = world.workers()?.iter().map(|p| text(p, "/spec/nodeName").to_owned()).collect();
    let node = nodes.into_iter().find(|n| *n != safe).context("a worker is on another node than the reader")?;
    let at = Instant::now();
    let drained = world.kube.run(&["drain", &node, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=120s"]);
    let recovered = drained.and_then(|_| recovered(world, at, 3, "node drained", None));
    world.kube.run(&["uncordon", &node])?;
    recovered
}
