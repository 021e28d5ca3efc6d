//! What a user sees of a job that runs.

use anyhow::{Context, Result, ensure};

use crate::kube::{is, number, text};
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
