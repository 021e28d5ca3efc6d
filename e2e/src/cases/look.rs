//! What a user sees of a job that runs, and its snapshot under a name.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::kube::{condition, is, number, text};
use crate::world::{JOB, World};

/// The everyday commands.
pub(crate) fn look(world: &mut World) -> Result<()> {
    world.job(1)?;
    let kube = &world.kube;
    kube.words(&format!("wait --for=condition=Ready sj/{JOB} --timeout=60s"))?;
    let table = kube.words("get sj")?;
    let head = table.lines().next().unwrap_or_default();
    for column in ["DESIRED", "READY", "STATUS", "SNAPSHOT", "AGE"] {
        ensure!(head.contains(column), "kubectl get sj has no column {column}: {head}");
    }
    let line = table.lines().find(|l| l.starts_with(JOB)).context("the job is in the list")?;
    World::told(line);
    ensure!(kube.words("get streaming")?.contains(JOB), "the category `streaming` does not list the job");
    let described = kube.words(&format!("describe sj {JOB}"))?;
    ensure!(described.contains("Conditions:") && described.contains("Events:"), "kubectl describe says too little: {described}");
    for (field, word) in [("streamjob", "spec"), ("streamjob.spec.sql", "SQL"), ("streamjob.status.conditions", "status")] {
        ensure!(kube.words(&format!("explain {field}"))?.contains(word), "kubectl explain {field} does not speak of {word}");
    }
    let job = kube.get(&format!("sj {JOB}"))?.context("the job is there")?;
    ensure!(is(&job, "Ready") && is(&job, "Available"), "the job is not ready and available: {job}");
    ensure!(number(&job, "/status/observedGeneration") == number(&job, "/metadata/generation"), "the status is of an older spec");
    ensure!(text(&job, "/status/selector").contains('='), "the scale subresource has no selector");
    let scale = kube.words(&format!("get sj {JOB} --subresource=scale -o jsonpath={{.status.selector}}"))?;
    ensure!(!scale.is_empty(), "autoscalers would find no pods");
    Ok(())
}

/// A StreamSnapshot of the long job, and one of no job.
pub(crate) fn snapshot(world: &mut World) -> Result<()> {
    world.job(1)?;
    let kube = &world.kube;
    let of = |name: &str, job: &str| -> Value {
        json!({
            "apiVersion": "watershed.dev/v1alpha1", "kind": "StreamSnapshot", "metadata": { "name": name },
            "spec": { "jobName": job, "timeoutSeconds": 10 },
        })
    };
    kube.apply(&of("kept", JOB))?;
    kube.apply(&of("of-nothing", "nothing"))?;
    let kept = kube.wait("ssnap kept", "complete", Duration::from_secs(30), |s| is(s, "Complete"))?;
    ensure!(
        number(&kept, "/status/epoch") > 0 && text(&kept, "/status/location").contains("snapshot/kept-"),
        "it says too little: {kept}"
    );
    let failed = kube.wait("ssnap of-nothing", "given up", Duration::from_secs(60), |s| is(s, "Failed"))?;
    let why = condition(&failed, "Failed").map_or("", |c| c.2);
    ensure!(why.contains("there is no StreamJob `nothing`"), "it does not say what is in the way: {why}");
    let mut bad = of("deleted-with", JOB);
    if let Some(spec) = bad.get_mut("spec").and_then(Value::as_object_mut) {
        spec.insert("deletionPolicy".into(), json!("Delete"));
    }
    ensure!(
        kube.refused(&bad)?.contains("does not exist in this version"),
        "deletionPolicy: Delete has no effect, and is not refused"
    );
    kube.words("delete ssnap kept of-nothing --wait --timeout=30s").map(drop)
}
