//! The report of a reconciliation: the job's status, and an Event for each condition that says something new. The status is written only
//! where it differs from the one that is there.

use kube::Resource;
use kube::api::{Api, Patch, PatchParams};
use kube::runtime::events::{Event, EventType};
use serde_json::json;
use watershed_crds::{Condition, JobStatus, StreamJob, Truth};

use super::cluster::{ClusterState, LAST_SNAPSHOT};
use super::conditions::conditions;
use super::names::{MANAGER, Names, WORKER};
use super::observe::Observation;
use super::plan::{Plan, State};
use super::pods::PodState;
use super::times::time;
use super::validate::{Invalid, Validated};
use crate::context::Context;
use crate::error::{Result, Tried};
use crate::log::Level;
use crate::metrics::JobGauge;

/// The status that follows from a plan. Pure.
pub(crate) fn status(
    job: &StreamJob,
    names: &Names,
    validated: &Result<Validated, Invalid>,
    plan: &Plan,
    observation: &Observation,
) -> JobStatus {
    let (cluster, decision) = (&observation.cluster, &plan.decision);
    let before = &cluster.job.status;
    let generation = job.metadata.generation;
    let target = validated.as_ref().ok().map(|v| v.revision.clone());
    let current = cluster.workloads.workers.as_ref().map(|w| w.revision.clone());
    let count = |of: &dyn Fn(&PodState) -> bool| {
        i32::try_from(cluster.pods.workers.iter().filter(|p| !p.deleting && of(p)).count()).unwrap_or(i32::MAX)
    };
    let (term, generation_of_flow) = era(cluster);
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
        stable_revision: if decision.state == State::Running { current } else { before.stable_revision.clone() },
        image: observation.image.clone(),
        last_snapshot: decision.snapshot.clone(),
        rescale: decision.rescale.clone(),
        conditions: conditions(decision, cluster, generation, &time(cluster.now)),
    }
}

/// The term and generation to report. The last known ones stay as long as there is to be a coordinator, also while it is silent or has no
/// run yet: that the job has run says whether its workers may hold something.
fn era(cluster: &ClusterState) -> (Option<i64>, Option<i64>) {
    let before = (cluster.job.status.term, cluster.job.status.generation);
    match cluster.coordinator.status().and_then(|s| s.era) {
        Some((term, generation)) => (i64::try_from(term).ok(), i64::try_from(generation).ok()),
        None if cluster.workloads.coordinator.as_ref().is_some_and(|c| c.replicas > 0) => before,
        None => (None, None),
    }
}

/// Writes the status, if it differs.
pub(crate) async fn report(
    job: &StreamJob,
    names: &Names,
    validated: &Result<Validated, Invalid>,
    plan: &Plan,
    observation: &Observation,
    context: &Context,
) -> Result<()> {
    let cluster = &observation.cluster;
    context.metrics.gauge(&names.namespace, &names.job, gauge(plan, cluster));
    if plan.finalizer == Some(false) && cluster.job.deleted.is_some() {
        // The object is gone.
        return Ok(());
    }
    let now = status(job, names, validated, plan, observation);
    if plan.decision.quiet || now == cluster.job.status {
        return Ok(());
    }
    for news in news(&cluster.job.status.conditions, &now.conditions) {
        publish(job, names, news, context).await;
    }
    let jobs: Api<StreamJob> = Api::namespaced(context.client.clone(), &names.namespace);
    // A merge patch removes only the fields that are null in it.
    let mut patch = json!({ "status": now });
    let old = json!(cluster.job.status);
    if let (Some(old), Some(fields)) = (old.as_object(), patch.pointer_mut("/status").and_then(serde_json::Value::as_object_mut))
    {
        for gone in old.keys() {
            fields.entry(gone.clone()).or_insert(serde_json::Value::Null);
        }
    }
    let as_operator = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
    match jobs.patch_status(&names.job, &as_operator, &Patch::Merge(&patch)).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        other => other.map(|_| ()).tried(|| format!("report the status of {}", names.job)),
    }
}

/// A condition that says something new to a person, and whether it is a warning.
pub(super) struct News<'a> {
    pub(super) condition: &'a Condition,
    pub(super) warning: bool,
}

/// The conditions that say something new to a person. A rescale is announced by `Rescaling` with its step, not by `Ready` once more; a
/// snapshot is announced only if it was not taken.
pub(super) fn news<'a>(before: &[Condition], now: &'a [Condition]) -> Vec<News<'a>> {
    let mut all = Vec::new();
    for condition in now {
        let announced = match condition.kind.as_str() {
            "Ready" => condition.reason != "Rescaling",
            "Rescaling" => condition.status == Truth::True,
            LAST_SNAPSHOT => condition.status == Truth::False,
            _ => false,
        };
        let same = |k: &Condition| {
            let as_before = k.reason == condition.reason && k.status == condition.status;
            k.kind == condition.kind && as_before && (k.kind != LAST_SNAPSHOT || k.message == condition.message)
        };
        if announced && !before.iter().any(same) {
            let degraded = now.iter().any(|c| c.kind == "Degraded" && c.status == Truth::True && c.reason == condition.reason);
            all.push(News { condition, warning: degraded || condition.kind == LAST_SNAPSHOT });
        }
    }
    all
}

/// Writes a log line and an Event. An Event that cannot be written blocks nothing.
async fn publish(job: &StreamJob, names: &Names, News { condition, warning }: News<'_>, context: &Context) {
    let note: String = condition.message.chars().take(1000).collect();
    let fields =
        [("job", names.job.as_str()), ("namespace", &names.namespace), ("reason", &condition.reason), ("message", &note)];
    context.log.event(if warning { Level::Warning } else { Level::Info }, "changed", &fields);
    let event = Event {
        type_: if warning { EventType::Warning } else { EventType::Normal },
        reason: condition.reason.clone(),
        note: Some(note),
        action: condition.kind.clone(),
        secondary: None,
    };
    if let Err(e) = context.recorder.publish(&event, &job.object_ref(&())).await {
        context.log.event(Level::Warning, "event refused", &[("job", &names.job), ("error", &e.to_string())]);
    }
}

fn gauge(plan: &Plan, cluster: &ClusterState) -> JobGauge {
    let status = cluster.coordinator.status();
    let rescale = plan.decision.rescale.as_ref();
    JobGauge {
        ready: plan.decision.state.is_as_wanted(),
        wanted: status.map_or(0, |s| s.wanted),
        pods_ready: u32::try_from(cluster.pods.workers.iter().filter(|p| p.ready).count()).unwrap_or(u32::MAX),
        term: status.and_then(|s| s.era).map(|(term, _)| term),
        epoch: status.map(|s| s.epoch),
        rescale_seconds: rescale.and_then(|r| r.last_duration_milliseconds).map(|ms| ms as f64 / 1000.0),
        pause_seconds: rescale.and_then(|r| r.last_pause_milliseconds).map(|ms| ms as f64 / 1000.0),
    }
}
