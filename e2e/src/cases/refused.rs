//! What cannot work is refused at once, or says in a condition and an Event what is wrong and what to do.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::job::{IDLE, stream_job};
use crate::kube::{condition, text};
use crate::until::until;
use crate::world::{JOB, World};

const SOON: Duration = Duration::from_secs(60);

/// By `kubectl scale` and by `kubectl apply`.
pub(crate) fn zero(world: &mut World) -> Result<()> {
    world.job(1)?;
    let Err(refused) = world.kube.words(&format!("scale streamjob {JOB} --replicas 0")) else {
        anyhow::bail!("kubectl scale --replicas 0 was not refused");
    };
    ensure!(format!("{refused:#}").contains("suspend"), "the refusal does not say what to do: {refused:#}");
    let applied = world.kube.refused(&stream_job(&world.settings, "none", 0, IDLE))?;
    ensure!(applied.contains("suspend"), "the refusal does not say what to do: {applied}");
    Ok(())
}

/// What has no effect is refused with a sentence, and a job without it is not.
pub(crate) fn absent(world: &mut World) -> Result<()> {
    world.space()?;
    for (parts, words) in [
        (json!({ "health": { "maxRestarts": 3 } }), "spec.health does not exist in this version"),
        (json!({ "update": { "rollback": "Manual" } }), "spec.update.rollback does not exist in this version"),
        (json!({ "snapshots": { "retention": { "maxCount": 3 } } }), "retention do not exist in this version"),
        (json!({ "snapshots": { "deletionPolicy": "Delete" } }), "deletionPolicy: Delete does not exist in this version"),
        (json!({ "restoreFrom": { "snapshotName": "a" } }), "spec.restoreFrom and spec.restoreNonce do not exist"),
    ] {
        let said = world.kube.refused(&with(stream_job(&world.settings, "absent", 1, IDLE), &parts))?;
        ensure!(said.contains(words), "{parts} is refused with: {said}");
    }
    Ok(())
}

/// A table that is not there.
pub(crate) fn bad_sql(world: &mut World) -> Result<()> {
    let job = stream_job(&world.settings, "bad-sql", 1, "INSERT INTO nowhere SELECT 1 FROM nothing;");
    says(world, "bad-sql", &job, &["nothing"])
}

/// An image that does not exist.
pub(crate) fn bad_image(world: &mut World) -> Result<()> {
    let job = with(stream_job(&world.settings, "bad-image", 1, IDLE), &json!({ "image": "watershed.test/nothing:here" }));
    says(world, "bad-image", &job, &["watershed.test/nothing:here"])
}

/// A bucket that does not exist.
pub(crate) fn bad_storage(world: &mut World) -> Result<()> {
    let job = stream_job(&world.settings, "bad-storage", 1, IDLE);
    let storage = json!({ "snapshots": { "storage": { "s3": { "bucket": "there-is-no-such-bucket" } } } });
    says(world, "bad-storage", &with(job, &storage), &["there-is-no-such-bucket"])
}

/// More memory than any node has.
pub(crate) fn unschedulable(world: &mut World) -> Result<()> {
    let job = stream_job(&world.settings, "too-big", 1, IDLE);
    says(world, "too-big", &with(job, &json!({ "resources": { "requests": { "memory": "100Ti" } } })), &["memory"])
}

/// The job with parts of its spec replaced.
#[must_use]
pub(crate) fn with(mut job: Value, parts: &Value) -> Value {
    if let Some(spec) = job.get_mut("spec") {
        merge(spec, parts);
    }
    job
}

fn merge(into: &mut Value, parts: &Value) {
    match (into, parts) {
        (Value::Object(into), Value::Object(parts)) => {
            for (name, part) in parts {
                merge(into.entry(name.clone()).or_insert(Value::Null), part);
            }
        }
        (into, parts) => *into = parts.clone(),
    }
}

/// Applies a job that cannot work, waits until a condition and an Event say all the words, and deletes it.
fn says(world: &mut World, name: &str, job: &Value, words: &[&str]) -> Result<()> {
    world.space()?;
    world.kube.apply(job)?;
    let what = format!("streamjob {name}");
    let has = |text: &str| words.iter().all(|w| text.contains(w));
    let told = world.kube.wait(&what, "not ready, with the reason", SOON, |j| {
        condition(j, "Ready").is_some_and(|(status, _, message)| status != "True" && has(message))
    })?;
    let (_, reason, message) = condition(&told, "Ready").context("it was just seen")?;
    World::told(&format!("{reason}: {}", message.lines().next().unwrap_or_default()));
    until("an Event with the reason", SOON, || {
        let events = world.kube.get(&format!("events --field-selector involvedObject.name={name}"))?.context("a list")?;
        let all = events.pointer("/items").and_then(Value::as_array).cloned().unwrap_or_default();
        Ok(all.iter().any(|e| text(e, "/type") == "Warning" && has(text(e, "/message"))).then_some(()))
    })?;
    world.kube.words(&format!("delete streamjob {name} --wait --timeout=60s")).map(drop)
}
