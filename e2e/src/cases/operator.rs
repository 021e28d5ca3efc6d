//! The operator only steers: jobs go on without it, and it finds its way back.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::deaths::{ready, recovered};
use crate::job::{IDLE, stream_job};
use crate::kube::{Kube, is, name, text};
use crate::until::until;
use crate::world::{JOB, World};

const SELECTOR: &str = "app.kubernetes.io/name=watershed-operator";

/// Every replica is deleted at a different moment of a rescale.
pub(crate) fn deleted(world: &mut World) -> Result<()> {
    ready(world, 2)?;
    let at = Instant::now();
    for (round, replicas) in [(0, 3), (1, 2), (2, 3)] {
        world.kube.words(&format!("scale streamjob {JOB} --replicas {replicas}"))?;
        // Another moment each time: at once, when rows have come, when a pod has.
        world.job(2)?.more(800 * round, Duration::from_secs(60))?;
        world.system.run(&["delete", "pods", "-l", SELECTOR, "--wait=false"])?;
    }
    recovered(world, at, 3, "operator deleted three times", None)
}

/// 20 jobs, suspended, so that their pods do not need twenty times the room: nothing may be written to the API server for them.
pub(crate) fn rest(world: &mut World) -> Result<()> {
    world.space()?;
    for n in 0..20 {
        let job = super::refused::with(
            stream_job(&world.settings, &format!("rest-{n}"), 1, IDLE),
            &serde_json::json!({ "suspend": true }),
        );
        world.kube.apply(&job)?;
    }
    for n in 0..20 {
        world.kube.wait(&format!("streamjob rest-{n}"), "suspended", Duration::from_secs(90), |j| is(j, "Suspended"))?;
    }
    let before = versions(&world.kube)?;
    let deadline = Instant::now() + Duration::from_secs(20);
    // Nothing happens, for a time: the only wait of the suite that has no condition.
    until("20 s at rest", Duration::from_secs(30), || Ok((Instant::now() >= deadline).then_some(())))?;
    let after = versions(&world.kube)?;
    let written: Vec<&String> = after.iter().filter(|v| !before.contains(v)).collect();
    ensure!(written.is_empty(), "objects were written at rest: {written:?}");
    if let Some(bytes) = memory(world)? {
        World::told(&world.bars.number("operator at rest with 20 jobs", bytes as f64 / 1_048_576.0, 64.0, "MiB"));
    }
    world
        .kube
        .run(&[
            "delete",
            "streamjobs",
            "--wait",
            "--timeout=90s",
            "-l",
            "!none",
            "--field-selector",
            &format!("metadata.name!={JOB}"),
        ])
        .map(drop)
}

/// Kind, name and version of everything the operator keeps.
fn versions(kube: &Kube) -> Result<Vec<String>> {
    let all = kube
        .get("streamjobs,statefulsets,deployments,services,configmaps,pdb,networkpolicies,serviceaccounts")?
        .context("a list")?;
    let items = all.pointer("/items").and_then(Value::as_array).cloned().unwrap_or_default();
    let of_rest = items.iter().filter(|o| name(o).contains("rest-"));
    Ok(of_rest.map(|o| format!("{} {} {}", text(o, "/kind"), name(o), text(o, "/metadata/resourceVersion"))).collect())
}

/// The memory of the largest operator pod, where metrics are served.
fn memory(world: &World) -> Result<Option<u64>> {
    let Ok(text) = world.system.run(&["top", "pods", "-l", SELECTOR, "--no-headers"]) else { return Ok(None) };
    let megabytes = text.lines().filter_map(|l| l.split_whitespace().nth(2)?.strip_suffix("Mi")?.parse::<u64>().ok());
    Ok(megabytes.max().map(|m| m * 1_048_576))
}
