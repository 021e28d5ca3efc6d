//! Saying how the job is: its status, and an Event where something changed. Written only where it differs from what is there.

use k8s_openapi::jiff::Timestamp;
use kube::Resource;
use kube::api::{Api, Patch, PatchParams};
use kube::runtime::events::{Event, EventType};
use serde_json::json;
use watershed_crds::{Condition, JobStatus, StreamJob, Truth};

use super::ask::Answer;
use super::conditions::conditions;
use super::names::{Names, WORKER};
use super::observe::{Seen, World};
use super::plan::{Plan, State};
use super::validate::{Invalid, Judged};
use crate::context::Context;
use crate::error::{Result, Tried};
use crate::log::Level;

/// A time as the API writes it.
pub(crate) fn time(seconds: i64) -> String {
    Timestamp::from_second(seconds).map(|t| t.to_string()).unwrap_or_default()
}

/// A time as it was written.
pub(crate) fn seconds_of(time: &str) -> Option<i64> {
    time.parse::<Timestamp>().ok().map(|t| t.as_second())
}

/// The status that follows. Pure.
pub(crate) fn status(job: &StreamJob, names: &Names, judged: &Result<Judged, Invalid>, plan: &Plan, seen: &Seen) -> JobStatus {
    let world = &seen.world;
    let before = &world.status;
    let generation = job.metadata.generation;
    let target = judged.as_ref().ok().map(|j| j.revision.clone());
    let current = world.workers.as_ref().map(|w| w.revision.clone());
    let count = |of: &dyn Fn(&super::pods::PodSeen) -> bool| {
        i32::try_from(world.worker_pods.iter().filter(|p| !p.deleting && of(p)).count()).unwrap_or(i32::MAX)
    };
    let (term, generation_of_flow) = match &world.answer {
        Some(Answer::Says(says)) => says.era.map_or((None, None), |(t, g)| (i64::try_from(t).ok(), i64::try_from(g).ok())),
        Some(Answer::Silent(_)) => (before.term, before.generation),
        None => (None, None),
    };
    let mut world_then = world.clone();
    world_then.status.last_snapshot.clone_from(&plan.snapshot);
    JobStatus {
        observed_generation: generation,
        replicas: count(&|_| true),
        ready_replicas: count(&|p| p.ready),
        updated_replicas: count(&|p| target.as_deref() == Some(p.revision.as_str())),
        selector: names.selector_text(WORKER),
        term,
        generation: generation_of_flow,
        current_revision: current.clone(),
        update_revision: target,
        stable_revision: if plan.state == State::Running { current } else { before.stable_revision.clone() },
        image: seen.image.clone(),
        last_snapshot: plan.snapshot.clone(),
        rescale: plan.rescale.clone(),
        conditions: conditions(&plan.state, &world_then, generation, &time(world.now)),
    }
}

/// Writes it, if it differs.
pub(crate) async fn report(
    job: &StreamJob,
    names: &Names,
    judged: &Result<Judged, Invalid>,
    plan: &Plan,
    seen: &Seen,
    context: &Context,
) -> Result<()> {
    context.metrics.gauge(&names.namespace, &names.job, gauge(plan, &seen.world));
    if plan.finalizer == Some(false) && seen.world.deleted.is_some() {
        // The object is gone.
        return Ok(());
    }
    let now = status(job, names, judged, plan, seen);
    if plan.quiet || now == seen.world.status {
        return Ok(());
    }
    tell(job, names, &seen.world.status.conditions, &now.conditions, context).await;
    let jobs: Api<StreamJob> = Api::namespaced(context.client.clone(), &names.namespace);
    // A merge patch takes away only what is said to be null.
    let mut patch = json!({ "status": now });
    let old = json!(seen.world.status);
    if let (Some(old), Some(fields)) = (old.as_object(), patch.pointer_mut("/status").and_then(serde_json::Value::as_object_mut))
    {
        for gone in old.keys() {
            fields.entry(gone.clone()).or_insert(serde_json::Value::Null);
        }
    }
    match jobs.patch_status(&names.job, &PatchParams::default(), &Patch::Merge(&patch)).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        other => other.map(|_| ()).tried(|| format!("report the status of {}", names.job)),
    }
}

/// An Event for each condition that says something new to a person. That one cannot be written blocks nothing.
async fn tell(job: &StreamJob, names: &Names, before: &[Condition], now: &[Condition], context: &Context) {
    for condition in now.iter().filter(|c| matches!(c.kind.as_str(), "Ready" | "Rescaling")) {
        let known = before.iter().find(|c| c.kind == condition.kind);
        let same = known.is_some_and(|k| k.reason == condition.reason && k.status == condition.status);
        let quiet = condition.kind == "Rescaling" && condition.status != Truth::True;
        if same || quiet {
            continue;
        }
        let wrong = now.iter().any(|c| c.kind == "Degraded" && c.status == Truth::True && c.reason == condition.reason);
        let note: String = condition.message.chars().take(1000).collect();
        let said =
            [("job", names.job.as_str()), ("namespace", &names.namespace), ("reason", &condition.reason), ("message", &note)];
        context.log.say(if wrong { Level::Warning } else { Level::Info }, "changed", &said);
        let event = Event {
            type_: if wrong { EventType::Warning } else { EventType::Normal },
            reason: condition.reason.clone(),
            note: Some(note),
            action: condition.kind.clone(),
            secondary: None,
        };
        if let Err(e) = context.recorder.publish(&event, &job.object_ref(&())).await {
            context.log.say(Level::Warning, "event refused", &[("job", &names.job), ("error", &e.to_string())]);
        }
    }
}

/// What is measured of a job.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct JobGauge {
    /// Whether it is as its spec asks.
    pub(crate) ready: bool,
    /// Workers that the coordinator wants.
    pub(crate) wanted: u32,
    /// Workers whose pod is ready.
    pub(crate) pods_ready: u32,
    /// The coordinator's term.
    pub(crate) term: Option<u64>,
    /// The last published epoch.
    pub(crate) epoch: Option<u64>,
    /// How long the last rescale took.
    pub(crate) rescale_seconds: Option<f64>,
    /// For how long the longest batch of rows waited in it.
    pub(crate) pause_seconds: Option<f64>,
}

fn gauge(plan: &Plan, world: &World) -> JobGauge {
    let says = match &world.answer {
        Some(Answer::Says(says)) => Some(says),
        Some(Answer::Silent(_)) | None => None,
    };
    JobGauge {
        ready: matches!(plan.state, State::Running | State::Finished),
        wanted: says.map_or(0, |s| s.wanted),
        pods_ready: u32::try_from(world.worker_pods.iter().filter(|p| p.ready).count()).unwrap_or(u32::MAX),
        term: says.and_then(|s| s.era).map(|(term, _)| term),
        epoch: says.map(|s| s.epoch),
        rescale_seconds: plan.rescale.as_ref().and_then(|r| r.last_duration_milliseconds).map(|ms| ms as f64 / 1000.0),
        pause_seconds: plan.rescale.as_ref().and_then(|r| r.last_pause_milliseconds).map(|ms| ms as f64 / 1000.0),
    }
}
