//! A Rust program of a user's own, in an image of its own.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use crate::job::stream_job;
use crate::until::until;
use crate::world::World;

/// It runs to its end, and says so.
pub(crate) fn program(world: &mut World) -> Result<()> {
    world.space()?;
    let mut job = stream_job(&world.settings, "sessions", 2, "");
    if let Some(spec) = job.get_mut("spec").and_then(Value::as_object_mut) {
        spec.remove("sql");
        spec.insert("image".to_owned(), json!(world.settings.program));
    }
    world.kube.apply(&job)?;
    until("its output or its end", Duration::from_secs(90), || {
        let job = world.kube.get("streamjob sessions")?;
        Ok(job.filter(|j| crate::kube::is(j, "Ready") || crate::kube::is(j, "Finished")))
    })?;
    world.kube.words("delete streamjob sessions --wait --timeout=60s").map(drop)
}
