//! A Rust program of a user's own, in an image of its own.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use super::refused::with;
use crate::job::stream_job;
use crate::kube::condition;
use crate::objects::{OUT, claim, credentials};
use crate::world::World;

/// It runs to its end, and says so.
pub(crate) fn program(world: &mut World) -> Result<()> {
    world.space()?;
    world.kube.apply(&claim("sessions", &world.settings))?;
    let mut job = with(stream_job(&world.settings, "sessions", 2, ""), &parts(&world.settings.program));
    if let Some(spec) = job.get_mut("spec").and_then(Value::as_object_mut) {
        spec.remove("sql");
    }
    world.kube.apply(&job)?;
    let finished = |j: &Value| condition(j, "Ready").is_some_and(|(status, reason, _)| status == "True" && reason == "Finished");
    world.kube.wait("streamjob sessions", "finished", Duration::from_secs(120), finished)?;
    world.kube.words("delete streamjob sessions --wait --timeout=60s")?;
    world.kube.words("delete pvc sessions --wait=false").map(drop)
}

/// Its image, where it writes to, and a variable that tells it so.
fn parts(image: &str) -> Value {
    let mut env = credentials();
    if let Some(list) = env.as_array_mut() {
        list.push(json!({ "name": "SESSIONS", "value": format!("{OUT}/sessions") }));
    }
    json!({ "image": image, "env": env, "podTemplate": { "spec": {
        "containers": [{ "name": "watershed", "volumeMounts": [{ "name": "out", "mountPath": OUT }] }],
        "volumes": [{ "name": "out", "persistentVolumeClaim": { "claimName": "sessions" } }],
    } } })
}
