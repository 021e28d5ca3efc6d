//! A job is deleted, in every phase of its life.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::json;

use super::refused::with;
use crate::job::{IDLE, stream_job};
use crate::kube::name;
use crate::until::until;
use crate::world::{JOB, World};

const SOON: Duration = Duration::from_secs(60);

/// The long job, while it runs: it is gone, and so is everything that was made for it.
pub(crate) fn running(world: &mut World) -> Result<()> {
    world.job(1)?;
    world.end()?;
    nothing_left(world, JOB)
}

/// Just applied; while it is scaled; while it is suspended; while it cannot start; with its storage out of reach.
pub(crate) fn phases(world: &mut World) -> Result<()> {
    world.space()?;
    for phase in ["applied", "scaling", "suspending", "broken", "no-storage"] {
        let name = format!("gone-{phase}");
        let job = stream_job(&world.settings, &name, 1, if phase == "broken" { "SELECT" } else { IDLE });
        // Nothing answers at this address: a deletion that wants a last snapshot cannot have it.
        let lost = json!({ "snapshots": { "onDelete": "Take", "storage": { "s3": { "endpoint": "http://172.30.0.1:9" } } } });
        let job = if phase == "no-storage" { with(job, &lost) } else { job };
        world.kube.apply(&job)?;
        let what = format!("streamjob {name}");
        match phase {
            "scaling" => {
                world.kube.words(&format!("wait --for=condition=Ready {} --timeout=60s", what.replace(' ', "/")))?;
                world.kube.words(&format!("scale {what} --replicas 2"))?;
            }
            "suspending" => {
                world.kube.words(&format!("wait --for=condition=Ready {} --timeout=60s", what.replace(' ', "/")))?;
                world.kube.patch(&what, &json!({ "spec": { "suspend": true } }))?;
            }
            _ => {
                world.kube.wait(&what, "seen by the operator", SOON, |j| j.pointer("/status/conditions").is_some())?;
            }
        }
        let started = Instant::now();
        world.kube.words(&format!("delete {what} --wait --timeout=150s"))?;
        let line = match phase {
            // It waits for the snapshot that cannot be taken, and no longer than a minute.
            "no-storage" => world.bars.time("delete with the storage gone", started.elapsed(), Duration::from_secs(75)),
            _ => world.bars.note(&format!("delete while {phase}"), format!("{:.1} s", started.elapsed().as_secs_f64())),
        };
        World::told(&line);
        nothing_left(world, &name)?;
    }
    Ok(())
}

/// Everything that the operator made for a job is gone.
fn nothing_left(world: &World, job: &str) -> Result<()> {
    let kinds = "pods,statefulsets,deployments,services,configmaps,pdb,networkpolicies,serviceaccounts";
    until(&format!("everything of {job} to be gone"), SOON, || {
        let left = world.kube.list(kinds, &format!("watershed.dev/job={job}"))?;
        let names: Vec<&str> = left.iter().map(name).collect();
        ensure!(names.is_empty(), "{names:?} are left");
        Ok(Some(()))
    })
}
