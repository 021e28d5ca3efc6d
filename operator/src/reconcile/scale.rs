//! A job that runs: its number of workers, and what it waits for. Pure.
//!
//! ```text
//!   more:   raise the StatefulSet ─► all have registered ─► ask the coordinator ─► key groups have moved
//!   fewer:  ask the coordinator ─► key groups have moved ─► nothing needs the last workers ─► lower the StatefulSet
//! ```
//!
//! The number in the spec is compared with what is there at each look, so the newest target wins whatever was under way. Workers are
//! asked for only when they are all there: until then nothing moves, and what runs does not notice.

use watershed_crds::RescaleStatus;
use watershed_job::manifest::OnRescaleFailure;
use watershed_wire::v1::Phase;

use super::ask::{Answer, Says};
use super::build::{self, Surroundings, Told};
use super::life::{Pods, coordinator_trouble, workloads};
use super::names::Names;
use super::observe::World;
use super::plan::{Ask, LATER, Plan, Purpose, SOON, State};
use super::pods::Trouble;
use super::report::{seconds_of, time};
use super::validate::Judged;

/// A rescale that was given up.
const FAILED: &str = "Failed";
/// A rescale that is done.
const DONE: &str = "Done";

/// Whether nothing moves for this rescale any more.
pub(crate) fn is_over(rescale: &RescaleStatus) -> bool {
    rescale.completion_time.is_some() || rescale.step == FAILED
}

/// Keeps a running job as it is wanted.
pub(crate) fn steady(plan: &mut Plan, judged: &Judged, names: &Names, world: &World, around: &Surroundings) {
    let there = world.workers.as_ref().map_or(0, |w| w.replicas);
    let target = judged.job.replicas.get();
    let pods = match &world.answer {
        Some(Answer::Says(says)) => rescale(plan, judged, world, says, there),
        Some(Answer::Silent(why)) => {
            silent(plan, world, why);
            // Never fewer while nobody can say whether they are needed.
            if there == 0 || world.status.term.is_none() { target } else { there.max(target) }
        }
        None => {
            plan.state = State::Starting {
                why: "the coordinator's Service has no address yet".into(),
                trouble: coordinator_trouble(world),
            };
            plan.again = SOON;
            if there == 0 { target } else { there }
        }
    };
    if !world.revisions.contains_key(&judged.revision) {
        plan.objects.push(build::revision_map(judged, names, around));
    }
    // What a coordinator begins with is what the present one was asked for.
    let told = match (&plan.ask, &world.answer) {
        (Some(Ask::Scale(n)), _) => *n,
        (_, Some(Answer::Says(says))) if says.wanted > 0 => says.wanted,
        // It may be silent because it was told of another operator.
        (_, Some(Answer::Silent(_))) if world.status.term.is_some() && world.silent > super::life::SUSPICION => there.max(1),
        _ => 0,
    };
    if let Some(address) = world.address.as_deref().filter(|_| told > 0) {
        plan.objects.push(build::told_map(judged, names, Told { replicas: told, address }, around));
    }
    let pods = Pods { revision: &judged.revision, coordinator: 1, workers: pods, outcome: "" };
    workloads(plan, judged, names, world, around, pods);
}

/// The coordinator does not answer.
fn silent(plan: &mut Plan, world: &World, why: &str) {
    let trouble = coordinator_trouble(world);
    let coming = !world.coordinator_pods.iter().any(|p| p.ready);
    plan.again = SOON;
    plan.state = if world.status.term.is_none() {
        State::Starting { why: "the coordinator is being started".into(), trouble }
    } else if coming || trouble.is_some() {
        State::Recovering { why: "the coordinator is being started again; rows go on flowing meanwhile".into(), trouble }
    } else {
        plan.quiet = world.silent < super::life::SUSPICION;
        State::Unreachable { why: format!("the coordinator does not answer: {why}"), trouble }
    };
    if world.silent > super::life::SUSPICION * 12 {
        plan.again = LATER;
    }
}

/// What a coordinator that answers is asked; how many pods there are to be.
fn rescale(plan: &mut Plan, judged: &Judged, world: &World, says: &Says, there: u32) -> u32 {
    let target = judged.job.replicas.get();
    let change = Change { judged, world, says, there, target };
    let missing: Vec<u32> = (0..target).filter(|w| !says.connected(*w)).collect();
    let running = matches!(says.phase, Phase::Running | Phase::Rescaling);
    let first = world.status.term.is_none() || says.era.is_none();
    if target == says.wanted
        && there == target
        && says.phase == Phase::Running
        && says.owned_by_first(target)
        && missing.is_empty()
    {
        plan.state = State::Running;
        plan.rescale = change.done();
        plan.again = LATER;
        return target;
    }
    plan.again = SOON;
    if target == says.wanted && there == target && says.phase == Phase::Draining {
        let why = "the job is drained: it reads nothing more, and finishes when what is open has come out".into();
        plan.state = State::Stopping { purpose: Purpose::Finish, why };
        if says.owned_by_first(target) && missing.is_empty() {
            plan.rescale = change.done();
        }
        return target;
    }
    if !running && (first || target == says.wanted && there == target) {
        let why = reason(says, &missing, "workers are being started");
        let trouble = change.trouble(&missing);
        plan.state = if first { State::Starting { why, trouble } } else { State::Recovering { why, trouble } };
        if first && says.wanted != target && running_or_waiting(says.phase) {
            plan.ask = Some(Ask::Scale(target));
        }
        return target.max(there);
    }
    if target == says.wanted
        && there == target
        && running
        && let Some(why) = leaving(world, says, target)
    {
        plan.state = State::Leaving { why };
        return target;
    }
    if target == says.wanted && there == target && !change.under_way() {
        let why = reason(says, &missing, "workers that came back are taking their key groups");
        plan.state = State::Recovering { why, trouble: change.trouble(&missing) };
        return target;
    }
    change.go(plan, &missing)
}

/// Workers that were told to end, and still take part.
fn leaving(world: &World, says: &Says, target: u32) -> Option<String> {
    let ending = world.worker_pods.iter().filter(|p| p.deleting && !p.node_gone);
    let there: Vec<(&str, u32)> = ending
        .filter_map(|p| {
            let number = p.ordinal.filter(|n| *n < target && says.connected(*n))?;
            Some((p.name.as_str(), says.groups_of(number)))
        })
        .collect();
    let groups: u32 = there.iter().map(|(_, groups)| groups).sum();
    match there.as_slice() {
        [] => None,
        [(name, _)] => Some(format!("{name} was told to end and hands {groups} key groups to the other workers")),
        many => Some(format!("{} workers were told to end and hand {groups} key groups to the others", many.len())),
    }
}

fn running_or_waiting(phase: Phase) -> bool {
    !matches!(phase, Phase::Stopped | Phase::Finished | Phase::Failed)
}

/// What is awaited, in the words of who waits.
fn reason(says: &Says, missing: &[u32], otherwise: &str) -> String {
    if let Some(first) = says.waiting.first() {
        return format!("waiting {first}");
    }
    match missing {
        [] => otherwise.to_owned(),
        [one] => format!("waiting for worker {one} to register"),
        many => format!("waiting for {} workers to register", many.len()),
    }
}

/// A change of the number of workers.
struct Change<'a> {
    judged: &'a Judged,
    world: &'a World,
    says: &'a Says,
    there: u32,
    target: u32,
}

impl Change<'_> {
    fn status(&self) -> Option<&RescaleStatus> {
        self.world.status.rescale.as_ref().filter(|r| r.to_replicas == signed(self.target))
    }

    /// Whether this very change is under way.
    fn under_way(&self) -> bool {
        self.status().is_some_and(|r| r.step != DONE && r.step != FAILED)
    }

    /// What is wrong with the pods that are missing.
    fn trouble(&self, missing: &[u32]) -> Option<Trouble> {
        let of = |n: u32| self.world.worker_pods.iter().find(|p| p.ordinal == Some(n)).and_then(|p| p.trouble.clone());
        missing.iter().find_map(|n| of(*n))
    }

    /// The change as it is done.
    fn done(&self) -> Option<RescaleStatus> {
        let mut status = self.world.status.rescale.clone()?;
        if status.step != DONE && status.to_replicas == signed(self.target) {
            let began = status.start_time.as_deref().and_then(seconds_of);
            status.step = DONE.into();
            status.completion_time = Some(time(self.world.now));
            status.last_duration_milliseconds = began.map(|b| (self.world.now - b).max(0) * 1000);
            status.moved_key_groups = status.total_key_groups;
            status.last_pause_milliseconds =
                self.world.counted.as_ref().and_then(|before| super::pause::longest(before, &self.says.moves));
        }
        Some(status)
    }

    /// For how many seconds no other rescale may begin.
    fn cooling(&self) -> i64 {
        let last = self.world.status.rescale.as_ref().filter(|r| r.step == DONE);
        let done = last.and_then(|r| r.completion_time.as_deref()).and_then(seconds_of);
        let cooldown = i64::try_from(self.judged.job.rescale.cooldown.as_secs()).unwrap_or(i64::MAX);
        done.map_or(0, |done| done.saturating_add(cooldown) - self.world.now).max(0)
    }

    /// For how many seconds it is under way.
    fn since(&self) -> i64 {
        let began = self.status().and_then(|r| r.start_time.as_deref()).and_then(seconds_of);
        began.map_or(0, |began| self.world.now - began)
    }

    /// The next step; how many pods there are to be.
    fn go(&self, plan: &mut Plan, missing: &[u32]) -> u32 {
        let Self { judged, says, there, target, .. } = *self;
        let fresh = target != says.wanted;
        if self.status().is_some_and(|r| r.step == FAILED) && fresh {
            return self.given_up(plan);
        }
        if fresh && !self.under_way() && self.cooling() > 0 {
            let until = time(self.world.now + self.cooling());
            let why = format!("the next rescale may begin at {until} (spec.rescale.cooldownPeriodSeconds)");
            plan.state = State::Rescaling { step: "Cooldown", why, trouble: None };
            plan.again = SOON.max(std::time::Duration::from_secs(u64::try_from(self.cooling()).unwrap_or(1)));
            return there.max(says.wanted);
        }
        let mut pods = there.max(target);
        let (step, why) = if fresh && target > says.wanted && !missing.is_empty() {
            ("Provisioning", reason(&Says::default(), missing, ""))
        } else if fresh {
            plan.ask = Some(Ask::Scale(target));
            ("Moving", format!("key groups move to {target} workers"))
        } else if let Some(last) = (target..there).rev().find(|w| says.held.contains(w)) {
            pods = last + 1;
            ("Releasing", format!("worker {last} still holds something: key groups, or output that is not committed"))
        } else {
            pods = target;
            ("Moving", reason(says, missing, &format!("key groups move to {target} workers")))
        };
        let trouble = self.trouble(missing);
        let deadline = i64::try_from(judged.job.rescale.deadline.as_secs()).unwrap_or(i64::MAX);
        if step == "Provisioning" && self.since() > deadline && judged.job.rescale.on_failure == OnRescaleFailure::Revert {
            return self.given_up(plan);
        }
        plan.rescale = Some(self.at(step));
        plan.state = State::Rescaling { step, why, trouble };
        pods
    }

    /// The workers that were to come did not: those that came go again, and the job goes on as it was.
    fn given_up(&self, plan: &mut Plan) -> u32 {
        let seconds = self.judged.job.rescale.deadline.as_secs();
        let before = self.world.status.conditions.iter().find(|c| c.kind == "Rescaling" && c.reason == FAILED);
        let said = before.filter(|_| self.status().is_some_and(|r| r.step == FAILED)).map(|c| c.message.clone());
        plan.rescale = Some(self.at(FAILED));
        let trouble = self.trouble(&(0..self.target).collect::<Vec<_>>());
        let cause = trouble.as_ref().map(|t| format!(": {}", t.message)).unwrap_or_default();
        let why = format!(
            "{} workers were not there within {seconds} s (spec.rescale.deadlineSeconds), so the job goes on with {}{cause}; \
             change spec.replicas to try again",
            self.target, self.says.wanted
        );
        // The pods that were in the way are gone; what was wrong with them stays said.
        plan.state = State::Rescaling { step: FAILED, why: said.unwrap_or(why), trouble: None };
        plan.again = LATER;
        self.says.wanted
    }

    fn at(&self, step: &str) -> RescaleStatus {
        let groups = |of: &dyn Fn(u32) -> bool| -> i64 {
            self.says.workers.iter().filter(|(w, _, _)| of(*w)).map(|(_, _, groups)| i64::from(*groups)).sum()
        };
        let total: i64 = groups(&|_| true);
        let known = self.status().filter(|r| r.step != DONE);
        let from = known.map_or_else(|| signed(self.says.wanted), |r| r.from_replicas);
        // What has to move: to newcomers their share, from leavers all they had.
        let (to, before) = (i64::from(self.target), i64::from(from.max(1)));
        let to_move = if to > before { total * (to - before) / to } else { total * (before - to) / before };
        let beyond = |w: u32| i64::from(w) >= before.min(to);
        let moved = if to > before { groups(&beyond) } else { to_move - groups(&beyond) };
        RescaleStatus {
            from_replicas: from,
            to_replicas: signed(self.target),
            step: step.to_owned(),
            start_time: known.and_then(|r| r.start_time.clone()).or_else(|| Some(time(self.world.now))),
            completion_time: None,
            moved_key_groups: Some(moved.clamp(0, to_move)),
            total_key_groups: Some(to_move),
            last_duration_milliseconds: known.and_then(|r| r.last_duration_milliseconds),
            last_pause_milliseconds: known.and_then(|r| r.last_pause_milliseconds),
        }
    }
}

fn signed(n: u32) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}
