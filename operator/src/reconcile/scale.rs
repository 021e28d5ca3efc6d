//! A job that runs: its number of workers, and the events that it waits for. Pure.
//!
//! ```text
//!   more:   raise the StatefulSet ─► all have registered ─► ask the coordinator ─► key groups have moved
//!   fewer:  ask the coordinator ─► key groups have moved ─► nothing needs the last workers ─► lower the StatefulSet
//! ```
//!
//! The number in the spec is compared with the number of workers in each reconciliation, so the newest target wins whatever was under way.
//! Workers are asked for only when they are all there: until then nothing moves, and what runs does not notice. The StatefulSet is lowered
//! in one place ([`keep_running`]), and only by workers that may go.

use std::time::Duration;

use watershed_crds::RescaleStatus;
use watershed_job::manifest::OnRescaleFailure;
use watershed_wire::v1::Phase;

use super::answer::{Answer, CoordinatorStatus};
use super::cluster::{ClusterState, SILENCE_LIMIT};
use super::input::Input;
use super::plan::{Decision, LATER, Request, SOON, State};
use super::pods::Problem;
use super::purpose::Purpose;
use super::rescale_step::RescaleStep;
use super::times::{seconds_of, time};
use super::workloads::{Replicas, revision_map, start_map, workloads};

/// The part of a decision that is about the number of workers.
struct Part {
    state: State,
    again: Duration,
    /// The number of workers' pods that is wanted; fewer than there are only as far as workers may go.
    pods: u32,
    request: Option<Request>,
    /// The rescale to report; none leaves it as it is.
    rescale: Option<RescaleStatus>,
    quiet: bool,
}

impl Part {
    fn new(state: State, pods: u32) -> Self {
        Self { state, again: SOON, pods, request: None, rescale: None, quiet: false }
    }
}

/// The decision for a job that is to run and does.
pub(crate) fn keep_running(of: Input<'_>) -> Decision {
    let cluster = of.cluster;
    let there = cluster.workloads.worker_replicas();
    let target = of.validated.job.replicas.get();
    let part = match &cluster.coordinator.answer {
        Some(Answer::Status(status)) => Rescale { of, status, there, target }.next(),
        // No worker goes while it is not known whether it is needed.
        Some(Answer::Silent(why)) => silent(cluster, why, if cluster.job.has_run() { there.max(target) } else { target }),
        None => {
            let why = "the coordinator's Service has no address yet".into();
            let pods = if there == 0 { target } else { there };
            Part::new(State::Starting { why, problem: cluster.coordinator_problem() }, pods)
        }
    };
    let pods = match cluster.coordinator.status() {
        Some(status) if part.pods < there => status.lowest(there, part.pods),
        Some(_) | None => part.pods,
    };
    let mut decision = Decision::new(part.state, part.again, cluster);
    decision.quiet = part.quiet;
    decision.request = part.request;
    decision.rescale = part.rescale.or(decision.rescale);
    decision.objects.extend(revision_map(of));
    decision.objects.extend(initial_workers(cluster, part.request, there).and_then(|workers| start_map(of, workers)));
    let pods = Replicas { revision: &of.validated.revision, coordinator: 1, workers: pods, outcome: "" };
    decision.objects.extend(workloads(of, pods));
    decision
}

/// The number of workers that a new coordinator begins with: the one that the present coordinator was asked for.
fn initial_workers(cluster: &ClusterState, request: Option<Request>, there: u32) -> Option<u32> {
    match (request, &cluster.coordinator.answer) {
        (Some(Request::Scale(n)), _) => Some(n),
        (_, Some(Answer::Status(status))) => Some(status.wanted).filter(|n| *n > 0),
        // The coordinator may be silent because its parameters name another operator, so they are written again.
        (_, Some(Answer::Silent(_))) if cluster.job.has_run() && cluster.coordinator.silent > SILENCE_LIMIT => Some(there.max(1)),
        (_, Some(Answer::Silent(_)) | None) => None,
    }
}

/// The part for a coordinator that does not answer.
fn silent(cluster: &ClusterState, why: &str, pods: u32) -> Part {
    let problem = cluster.coordinator_problem();
    let coming = !cluster.pods.coordinator.iter().any(|p| p.ready);
    let silent = cluster.coordinator.silent;
    let again = if silent > SILENCE_LIMIT * 12 { LATER } else { SOON };
    let (state, quiet) = if !cluster.job.has_run() {
        (State::Starting { why: "the coordinator is being started".into(), problem }, false)
    } else if coming || problem.is_some() {
        let why = "the coordinator is being started again; rows go on flowing meanwhile".into();
        (State::Recovering { why, problem }, false)
    } else {
        let why = format!("the coordinator does not answer: {why}");
        (State::Unreachable { why, problem }, silent < SILENCE_LIMIT)
    };
    Part { again, quiet, ..Part::new(state, pods) }
}

/// A job whose coordinator answers: the number of workers that is wanted against the number there is.
#[derive(Clone, Copy)]
struct Rescale<'a> {
    of: Input<'a>,
    status: &'a CoordinatorStatus,
    there: u32,
    target: u32,
}

impl Rescale<'_> {
    fn cluster(&self) -> &ClusterState {
        self.of.cluster
    }

    /// The next step.
    fn next(&self) -> Part {
        let Self { status, there, target, .. } = *self;
        let missing: Vec<u32> = (0..target).filter(|w| !status.connected(*w)).collect();
        let as_asked = target == status.wanted && there == target;
        let complete = status.owned_by_first(target) && missing.is_empty();
        if as_asked && complete && status.phase == Phase::Running {
            return Part { again: LATER, rescale: self.done(), ..Part::new(State::Running, target) };
        }
        if as_asked && status.phase == Phase::Draining {
            let why = "the job is drained: it reads nothing more, and finishes when what is open has come out".into();
            let state = State::Stopping { purpose: Purpose::Finish, why };
            return Part { rescale: self.done().filter(|_| complete), ..Part::new(state, target) };
        }
        let running = matches!(status.phase, Phase::Running | Phase::Rescaling);
        let first = !self.cluster().job.has_run() || status.era.is_none();
        if !running && (first || as_asked) {
            return self.waiting(first, &missing);
        }
        if as_asked
            && running
            && let Some(why) = self.leaving()
        {
            return Part::new(State::Leaving { why }, target);
        }
        if as_asked && !self.under_way() {
            let why = reason(status, &missing, "workers that came back are taking their key groups");
            return Part::new(State::Recovering { why, problem: self.problem(&missing) }, target);
        }
        self.change(&missing)
    }

    /// The part for a job without a run: it comes up, or begins anew after a loss. No worker goes meanwhile.
    fn waiting(&self, first: bool, missing: &[u32]) -> Part {
        let Self { status, there, target, .. } = *self;
        let why = reason(status, missing, "workers are being started");
        let problem = self.problem(missing);
        let state = if first { State::Starting { why, problem } } else { State::Recovering { why, problem } };
        let over = matches!(status.phase, Phase::Stopped | Phase::Finished | Phase::Failed);
        let request = (first && status.wanted != target && !over).then_some(Request::Scale(target));
        Part { request, ..Part::new(state, target.max(there)) }
    }

    /// A sentence about the workers that were told to end and still take part.
    fn leaving(&self) -> Option<String> {
        let ending = self.cluster().pods.workers.iter().filter(|p| p.deleting && !p.node_gone);
        let there: Vec<(&str, u32)> = ending
            .filter_map(|p| {
                let number = p.ordinal.filter(|n| *n < self.target && self.status.connected(*n))?;
                Some((p.name.as_str(), self.status.groups_of(number)))
            })
            .collect();
        let groups: u32 = there.iter().map(|(_, groups)| groups).sum();
        match there.as_slice() {
            [] => None,
            [(name, _)] => Some(format!("{name} was told to end and hands {groups} key groups to the other workers")),
            many => Some(format!("{} workers were told to end and hand {groups} key groups to the others", many.len())),
        }
    }

    /// The reported rescale, if it is the one to this target.
    fn reported(&self) -> Option<&RescaleStatus> {
        self.cluster().job.status.rescale.as_ref().filter(|r| r.to_replicas == signed(self.target))
    }

    fn failed(&self) -> bool {
        self.reported().is_some_and(|r| RescaleStep::Failed.is_of(r))
    }

    /// The rescale to this target is under way.
    fn under_way(&self) -> bool {
        self.reported().is_some_and(|r| !RescaleStep::Done.is_of(r) && !RescaleStep::Failed.is_of(r))
    }

    /// The problem of a pod whose worker is missing, or of the StatefulSet that cannot create it.
    fn problem(&self, missing: &[u32]) -> Option<Problem> {
        let cluster = self.cluster();
        let of_pod = missing.iter().find_map(|n| cluster.pods.worker(*n)?.problem.clone());
        let without_pod = missing.iter().any(|n| cluster.pods.worker(*n).is_none());
        let of_set = || cluster.workloads.workers.as_ref().filter(|_| without_pod).and_then(|w| w.problem.clone());
        of_pod.or_else(of_set)
    }

    /// The reported rescale as it is when it is done.
    fn done(&self) -> Option<RescaleStatus> {
        let cluster = self.cluster();
        let mut status = cluster.job.status.rescale.clone()?;
        if !RescaleStep::Done.is_of(&status) && status.to_replicas == signed(self.target) {
            let began = status.start_time.as_deref().and_then(seconds_of);
            status.step = RescaleStep::Done.word().into();
            status.completion_time = Some(time(cluster.now));
            status.last_duration_milliseconds = began.map(|b| (cluster.now - b).max(0) * 1000);
            status.moved_key_groups = status.total_key_groups;
            status.last_pause_milliseconds =
                cluster.coordinator.counted.as_ref().and_then(|before| super::pause::longest(before, &self.status.moves));
        }
        Some(status)
    }

    /// The seconds for which no other rescale may begin.
    fn cooldown(&self) -> i64 {
        let last = self.cluster().job.status.rescale.as_ref().filter(|r| RescaleStep::Done.is_of(r));
        let done = last.and_then(|r| r.completion_time.as_deref()).and_then(seconds_of);
        let cooldown = i64::try_from(self.of.validated.job.rescale.cooldown.as_secs()).unwrap_or(i64::MAX);
        done.map_or(0, |done| done.saturating_add(cooldown) - self.cluster().now).max(0)
    }

    /// The seconds for which the rescale has been under way.
    fn since(&self) -> i64 {
        let began = self.reported().and_then(|r| r.start_time.as_deref()).and_then(seconds_of);
        began.map_or(0, |began| self.cluster().now - began)
    }

    /// The next step of a change of the number of workers.
    fn change(&self, missing: &[u32]) -> Part {
        let Self { of, status, there, target } = *self;
        let fresh = target != status.wanted;
        if fresh && self.failed() {
            return self.given_up();
        }
        if fresh && !self.under_way() && self.cooldown() > 0 {
            return self.cooling();
        }
        let highest = there.max(target);
        let lowest = status.lowest(there, target);
        let (step, why, pods, request) = if fresh && target > status.wanted && !missing.is_empty() {
            (RescaleStep::Provisioning, reason(&CoordinatorStatus::default(), missing, ""), highest, None)
        } else if fresh {
            let request = Some(Request::Scale(target));
            (RescaleStep::Moving, format!("key groups move to {target} workers"), highest, request)
        } else if lowest > target {
            let last = lowest - 1;
            let why = format!("worker {last} still holds something: key groups, or output that is not committed");
            (RescaleStep::Releasing, why, lowest, None)
        } else {
            (RescaleStep::Moving, reason(status, missing, &format!("key groups move to {target} workers")), target, None)
        };
        let rescale = &of.validated.job.rescale;
        let deadline = i64::try_from(rescale.deadline.as_secs()).unwrap_or(i64::MAX);
        let late = step == RescaleStep::Provisioning && self.since() > deadline;
        if late && rescale.on_failure == OnRescaleFailure::Revert {
            return self.given_up();
        }
        let state = State::Rescaling { step, why, problem: self.problem(missing) };
        Part { request, rescale: Some(self.at(step)), ..Part::new(state, pods) }
    }

    /// The part for the cool-down after the last rescale.
    fn cooling(&self) -> Part {
        let seconds = self.cooldown();
        let until = time(self.cluster().now + seconds);
        let why = format!("the next rescale may begin at {until} (spec.rescale.cooldownPeriodSeconds)");
        let state = State::Rescaling { step: RescaleStep::Cooldown, why, problem: None };
        let again = SOON.max(Duration::from_secs(u64::try_from(seconds).unwrap_or(1)));
        Part { again, ..Part::new(state, self.there.max(self.status.wanted)) }
    }

    /// The part for a rescale that is given up: the new workers did not come. Those that came go again, and the job goes on as it was.
    fn given_up(&self) -> Part {
        let seconds = self.of.validated.job.rescale.deadline.as_secs();
        let before = self.cluster().job.condition("Rescaling").filter(|c| c.reason == RescaleStep::Failed.word());
        let reported = before.filter(|_| self.failed()).map(|c| c.message.clone());
        let problem = self.problem(&(0..self.target).collect::<Vec<_>>());
        let cause = problem.as_ref().map(|p| format!(": {}", p.message)).unwrap_or_default();
        let why = format!(
            "{} workers were not there within {seconds} s (spec.rescale.deadlineSeconds), so the job goes on with {}{cause}; \
             change spec.replicas to try again",
            self.target, self.status.wanted
        );
        // The pods that were in the way are gone; the report of their problem stays.
        let state = State::Rescaling { step: RescaleStep::Failed, why: reported.unwrap_or(why), problem: None };
        Part { again: LATER, rescale: Some(self.at(RescaleStep::Failed)), ..Part::new(state, self.status.wanted) }
    }

    /// The rescale to report at a step.
    fn at(&self, step: RescaleStep) -> RescaleStatus {
        let groups = |of: &dyn Fn(u32) -> bool| -> i64 {
            self.status.workers.iter().filter(|w| of(w.number)).map(|w| i64::from(w.groups)).sum()
        };
        let total: i64 = groups(&|_| true);
        let known = self.reported().filter(|r| !RescaleStep::Done.is_of(r));
        let from = known.map_or_else(|| signed(self.status.wanted), |r| r.from_replicas);
        // The groups that have to move: new workers get their share, workers that go give all they have.
        let (to, before) = (i64::from(self.target), i64::from(from.max(1)));
        let to_move = if to > before { total * (to - before) / to } else { total * (before - to) / before };
        let beyond = |w: u32| i64::from(w) >= before.min(to);
        let moved = if to > before { groups(&beyond) } else { to_move - groups(&beyond) };
        RescaleStatus {
            from_replicas: from,
            to_replicas: signed(self.target),
            step: step.word().to_owned(),
            start_time: known.and_then(|r| r.start_time.clone()).or_else(|| Some(time(self.cluster().now))),
            completion_time: None,
            moved_key_groups: Some(moved.clamp(0, to_move)),
            total_key_groups: Some(to_move),
            last_duration_milliseconds: known.and_then(|r| r.last_duration_milliseconds),
            last_pause_milliseconds: known.and_then(|r| r.last_pause_milliseconds),
        }
    }
}

/// A sentence about what the job waits for: in the coordinator's words, or the workers that are missing.
fn reason(status: &CoordinatorStatus, missing: &[u32], otherwise: &str) -> String {
    if let Some(first) = status.waiting.first() {
        return format!("waiting {first}");
    }
    match missing {
        [] => otherwise.to_owned(),
        [one] => format!("waiting for worker {one} to register"),
        many => format!("waiting for {} workers to register", many.len()),
    }
}

fn signed(n: u32) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}
