//! What is the case, in the words of Kubernetes' conventions: conditions, from the state of a job. Pure.
//!
//! `Ready` is the summary: the job is as its spec asks. `Available` says that rows flow, which is also so while a job is rescaled. `Reconciling`
//! and `Stalled` are what tools look at that know no StreamJob (kstatus). All are always there, so that nobody waits for one that never comes.

use watershed_crds::{Condition, Truth};

use super::ask::Answer;
use super::observe::World;
use super::plan::{Purpose, State};
use super::pods::Trouble;
use watershed_wire::v1::Phase;

/// One condition without its times.
struct Said {
    kind: &'static str,
    truth: Truth,
    reason: String,
    message: String,
}

/// The summary of a state: whether it is ready, why, in a word and a sentence.
pub(super) fn summary(state: &State) -> (Truth, String, String) {
    let troubled = |word: &str, why: &str, trouble: &Option<Trouble>| match trouble {
        Some(t) => (Truth::False, t.reason.to_owned(), t.message.clone()),
        None => (Truth::False, word.to_owned(), why.to_owned()),
    };
    match state {
        State::Paused => (
            Truth::Unknown,
            "Paused".into(),
            "the annotation watershed.dev/pause-reconciliation is there: the operator leaves the job alone until it is removed"
                .into(),
        ),
        State::Invalid(invalid) => (Truth::False, invalid.reason.into(), invalid.message.clone()),
        State::Starting { why, trouble } => troubled("Starting", why, trouble),
        State::Running => (Truth::True, "Running".into(), "every worker that is wanted takes part".into()),
        State::Rescaling { step, why, trouble } => match (*step, trouble) {
            ("Failed", _) => (Truth::False, "RescaleFailed".into(), why.clone()),
            (_, Some(t)) => (Truth::False, t.reason.into(), t.message.clone()),
            (_, None) => (Truth::False, "Rescaling".into(), why.clone()),
        },
        State::Leaving { why } => (Truth::False, "WorkerLeaving".into(), why.clone()),
        State::Recovering { why, trouble } => troubled("Recovering", why, trouble),
        State::Unreachable { why, trouble } => troubled("CoordinatorUnreachable", why, trouble),
        State::Stopping { purpose, why } => {
            let word = match purpose {
                Purpose::Suspend => "Suspending",
                Purpose::Update => "Updating",
                Purpose::Delete => "Deleting",
                Purpose::Finish => "Finishing",
                Purpose::Restart => "Restarting",
            };
            (Truth::False, word.into(), why.clone())
        }
        State::Suspended => {
            (Truth::False, "Suspended".into(), "spec.suspend is true; set it to false to go on from the last snapshot".into())
        }
        State::Finished => (Truth::True, "Finished".into(), "the input is at its end and all output is committed".into()),
    }
}

/// Whether rows flow.
fn available(state: &State, world: &World) -> Said {
    let flow = |phase: Phase| matches!(phase, Phase::Running | Phase::Rescaling | Phase::Draining);
    let flows = matches!(&world.answer, Some(Answer::Says(s)) if flow(s.phase));
    let silent = matches!(world.answer, Some(Answer::Silent(_)));
    // Rows flow without their coordinator; only epochs wait.
    let away = matches!(state, State::Unreachable { .. }) || silent && matches!(state, State::Recovering { .. });
    let (truth, reason) = if away {
        (Truth::Unknown, "CoordinatorUnreachable")
    } else if flows {
        (Truth::True, "RowsFlow")
    } else {
        (Truth::False, "NotRunning")
    };
    Said { kind: "Available", truth, reason: reason.into(), message: String::new() }
}

fn progressing(state: &State) -> bool {
    match state {
        State::Starting { trouble, .. } => !trouble.as_ref().is_some_and(|t| t.fatal),
        State::Rescaling { step, .. } => *step != "Failed",
        State::Leaving { .. } | State::Recovering { .. } | State::Stopping { .. } | State::Unreachable { .. } => true,
        State::Paused | State::Invalid(_) | State::Running | State::Suspended | State::Finished => false,
    }
}

fn trouble(state: &State) -> Option<&Trouble> {
    match state {
        State::Starting { trouble, .. }
        | State::Rescaling { trouble, .. }
        | State::Recovering { trouble, .. }
        | State::Unreachable { trouble, .. } => trouble.as_ref(),
        State::Paused
        | State::Invalid(_)
        | State::Running
        | State::Leaving { .. }
        | State::Stopping { .. }
        | State::Suspended
        | State::Finished => None,
    }
}

fn said(kind: &'static str, is: bool, reason: &str, message: &str) -> Said {
    let truth = if is { Truth::True } else { Truth::False };
    Said { kind, truth, reason: reason.to_owned(), message: message.to_owned() }
}

fn all(state: &State, world: &World) -> Vec<Said> {
    let (ready, reason, message) = summary(state);
    let moves = progressing(state);
    let degraded = trouble(state).is_some()
        || matches!(
            state,
            State::Recovering { .. } | State::Unreachable { .. } | State::Invalid(_) | State::Rescaling { step: "Failed", .. }
        );
    let stalled = matches!(state, State::Invalid(_)) || trouble(state).is_some_and(|t| t.fatal);
    let (rescaling, step, why) = if let State::Rescaling { step, why, .. } = state {
        (*step != "Failed", *step, why.as_str())
    } else {
        (false, "AsWanted", "")
    };
    let or = |is: bool, otherwise: &'static str| if is { reason.clone() } else { otherwise.to_owned() };
    let told = |is: bool| if is { message.as_str() } else { "" };
    let snapshot = match &world.status.last_snapshot {
        Some(last) => said("LastSnapshotSucceeded", true, &last.trigger, ""),
        None => {
            Said { kind: "LastSnapshotSucceeded", truth: Truth::Unknown, reason: "NoneAskedFor".into(), message: String::new() }
        }
    };
    vec![
        Said { kind: "Ready", truth: ready, reason: reason.clone(), message: message.clone() },
        available(state, world),
        said("Progressing", moves, &or(moves, "AtRest"), told(moves)),
        said("Degraded", degraded, &or(degraded, "AsWanted"), told(degraded)),
        said(
            "Suspended",
            matches!(state, State::Suspended),
            if matches!(state, State::Suspended) { "Suspended" } else { "NotSuspended" },
            "",
        ),
        said("Rescaling", rescaling, step, why),
        snapshot,
        said(
            "ReconciliationPaused",
            matches!(state, State::Paused),
            if matches!(state, State::Paused) { "Annotation" } else { "NotPaused" },
            "",
        ),
        said("Reconciling", moves, &or(moves, "AtRest"), told(moves)),
        said("Stalled", stalled, &or(stalled, "NotStalled"), told(stalled)),
    ]
}

/// The conditions of a state. A condition that has not changed keeps its time.
pub(crate) fn conditions(state: &State, world: &World, generation: Option<i64>, now: &str) -> Vec<Condition> {
    let with_times = |said: Said| {
        let before = world.status.conditions.iter().find(|c| c.kind == said.kind && c.status == said.truth);
        Condition {
            kind: said.kind.to_owned(),
            status: said.truth,
            reason: said.reason,
            message: said.message,
            last_transition_time: before.map_or_else(|| now.to_owned(), |c| c.last_transition_time.clone()),
            observed_generation: generation,
        }
    };
    all(state, world).into_iter().map(with_times).collect()
}
