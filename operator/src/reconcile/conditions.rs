//! The conditions of a job, made from the plan. Pure.
//!
//! `Ready` is the summary: the job is as its spec asks, be that running, suspended or finished. `Available` says that rows flow, which is
//! also so while a job is rescaled. `Reconciling` and `Stalled` are for tools that know no StreamJob (kstatus). All conditions are present
//! from the first report on, so that no client waits for one that never comes.

use watershed_crds::{Condition, Truth};
use watershed_wire::v1::Phase;

use super::cluster::{ClusterState, LAST_SNAPSHOT};
use super::names::SNAPSHOT_FAILED;
use super::plan::{Decision, Request, State};
use super::pods::Problem;
use super::rescale_step::RescaleStep;

/// A condition without its times.
struct Draft {
    kind: &'static str,
    truth: Truth,
    reason: String,
    message: String,
}

impl Draft {
    fn new(kind: &'static str, is: bool, reason: &str, message: &str) -> Self {
        let truth = if is { Truth::True } else { Truth::False };
        Self { kind, truth, reason: reason.to_owned(), message: message.to_owned() }
    }

    fn unknown(kind: &'static str, reason: &str) -> Self {
        Self { kind, truth: Truth::Unknown, reason: reason.to_owned(), message: String::new() }
    }
}

/// The summary of a state, the condition `Ready`: its status, its reason and its message.
pub(super) fn summary(state: &State) -> (Truth, String, String) {
    let unless = |problem: &Option<Problem>, reason: &str, why: &str| match problem {
        Some(p) => (Truth::False, p.reason.to_owned(), p.message.clone()),
        None => (Truth::False, reason.to_owned(), why.to_owned()),
    };
    match state {
        State::Paused => (
            Truth::Unknown,
            "Paused".into(),
            "the annotation watershed.dev/pause-reconciliation is there: the operator leaves the job alone until it is removed"
                .into(),
        ),
        State::Invalid(invalid) => (Truth::False, invalid.reason.into(), invalid.message.clone()),
        State::Starting { why, problem } => unless(problem, "Starting", why),
        State::Running => (Truth::True, "Running".into(), "every worker that is wanted takes part".into()),
        State::Rescaling { step: RescaleStep::Failed, why, .. } => (Truth::False, "RescaleFailed".into(), why.clone()),
        State::Rescaling { why, problem, .. } => unless(problem, "Rescaling", why),
        State::Leaving { why } => (Truth::False, "WorkerLeaving".into(), why.clone()),
        State::Recovering { why, problem } => unless(problem, "Recovering", why),
        State::Unreachable { why, problem } => unless(problem, "CoordinatorUnreachable", why),
        State::Stopping { purpose, why } => (Truth::False, purpose.reason().into(), why.clone()),
        State::Suspended => {
            (Truth::True, "Suspended".into(), "spec.suspend is true; set it to false to go on from the last snapshot".into())
        }
        State::Finished => (Truth::True, "Finished".into(), "the input is at its end and all output is committed".into()),
    }
}

/// The condition `Available`: rows flow.
fn available(state: &State, cluster: &ClusterState) -> Draft {
    let flow = |phase: Phase| matches!(phase, Phase::Running | Phase::Rescaling | Phase::Draining);
    let coordinator = &cluster.coordinator;
    // Rows flow without their coordinator; only epochs wait.
    let away = matches!(state, State::Unreachable { .. }) || coordinator.is_silent() && matches!(state, State::Recovering { .. });
    if away {
        Draft::unknown("Available", "CoordinatorUnreachable")
    } else {
        let flows = coordinator.phase().is_some_and(flow);
        Draft::new("Available", flows, if flows { "RowsFlow" } else { "NotRunning" }, "")
    }
}

fn progressing(state: &State) -> bool {
    match state {
        State::Starting { problem, .. } => !problem.as_ref().is_some_and(|p| p.fatal),
        State::Rescaling { step, .. } => *step != RescaleStep::Failed,
        State::Leaving { .. } | State::Recovering { .. } | State::Stopping { .. } | State::Unreachable { .. } => true,
        State::Paused | State::Invalid(_) | State::Running | State::Suspended | State::Finished => false,
    }
}

fn degraded(state: &State) -> bool {
    let failed = matches!(state, State::Rescaling { step: RescaleStep::Failed, .. });
    let wrong = matches!(state, State::Recovering { .. } | State::Unreachable { .. } | State::Invalid(_));
    state.problem().is_some() || failed || wrong
}

/// The condition `LastSnapshotSucceeded`, about the last stop that was to take a snapshot. A failure stays until another stop is asked for.
fn last_snapshot(decision: &Decision, cluster: &ClusterState) -> Draft {
    let job = &cluster.job;
    let failed = |message: &str| Draft::new(LAST_SNAPSHOT, false, SNAPSHOT_FAILED, message);
    let effect = "the job goes on from its latest epoch, and reads again what came after it";
    if let Some(fallback) = &decision.fallback {
        let purpose = fallback.purpose.word();
        return failed(&format!("no last snapshot was taken (purpose: {purpose}): {}; {effect}", fallback.why));
    }
    if matches!(decision.request, Some(Request::Stop(_))) {
        return Draft::unknown(LAST_SNAPSHOT, "InProgress");
    }
    let fresh = decision.snapshot.as_ref().filter(|_| decision.snapshot != job.status.last_snapshot);
    match (fresh, job.snapshot_failed(), &decision.snapshot) {
        (Some(snapshot), _, _) => Draft::new(LAST_SNAPSHOT, true, &snapshot.trigger, ""),
        (None, Some(before), _) => failed(&before.message),
        (None, None, _) if cluster.workloads.outcome() == SNAPSHOT_FAILED => {
            failed(&format!("no last snapshot was taken; {effect}"))
        }
        (None, None, Some(last)) => Draft::new(LAST_SNAPSHOT, true, &last.trigger, ""),
        (None, None, None) => Draft::unknown(LAST_SNAPSHOT, "NoneAskedFor"),
    }
}

fn all(decision: &Decision, cluster: &ClusterState) -> Vec<Draft> {
    let state = &decision.state;
    let (ready, reason, message) = summary(state);
    let (moves, degraded) = (progressing(state), degraded(state));
    let stalled = matches!(state, State::Invalid(_)) || state.problem().is_some_and(|p| p.fatal);
    let (rescaling, step, why) = if let State::Rescaling { step, why, .. } = state {
        (*step != RescaleStep::Failed, step.word(), why.as_str())
    } else {
        (false, "AsWanted", "")
    };
    // The reason and message of `Ready` where the condition is true.
    let like_ready = |kind: &'static str, is: bool, otherwise: &str| {
        if is { Draft::new(kind, true, &reason, &message) } else { Draft::new(kind, false, otherwise, "") }
    };
    let (suspended, paused) = (matches!(state, State::Suspended), matches!(state, State::Paused));
    vec![
        Draft { kind: "Ready", truth: ready, reason: reason.clone(), message: message.clone() },
        available(state, cluster),
        like_ready("Progressing", moves, "AtRest"),
        like_ready("Degraded", degraded, "AsWanted"),
        Draft::new("Suspended", suspended, if suspended { "Suspended" } else { "NotSuspended" }, ""),
        Draft::new("Rescaling", rescaling, step, why),
        last_snapshot(decision, cluster),
        Draft::new("ReconciliationPaused", paused, if paused { "Annotation" } else { "NotPaused" }, ""),
        like_ready("Reconciling", moves, "AtRest"),
        like_ready("Stalled", stalled, "NotStalled"),
    ]
}

/// The conditions of a job after a decision. A condition that has not changed keeps its time.
pub(crate) fn conditions(decision: &Decision, cluster: &ClusterState, generation: Option<i64>, now: &str) -> Vec<Condition> {
    let with_times = |draft: Draft| {
        let before = cluster.job.condition(draft.kind).filter(|c| c.status == draft.truth);
        Condition {
            kind: draft.kind.to_owned(),
            status: draft.truth,
            reason: draft.reason,
            message: draft.message,
            last_transition_time: before.map_or_else(|| now.to_owned(), |c| c.last_transition_time.clone()),
            observed_generation: generation,
        }
    };
    all(decision, cluster).into_iter().map(with_times).collect()
}
