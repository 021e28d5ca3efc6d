//! What to do: from the judged job and what is there to objects, questions and a state. Pure.

use std::time::Duration;

use serde_json::Value;
use watershed_crds::{LastSnapshot, RescaleStatus};

use super::build::{self, Surroundings};
use super::life::{self, Stage};
use super::names::Names;
use super::observe::World;
use super::pods::Trouble;
use super::scale;
use super::validate::{Invalid, Judged};

/// How soon something under way is looked at again. Changes of objects wake the operator anyway; a coordinator does not.
pub(crate) const SOON: Duration = Duration::from_millis(500);
/// How soon a job that runs as wanted is: its coordinator may have lost a worker.
pub(crate) const LATER: Duration = Duration::from_secs(5);
/// How soon a job is in which nothing can happen that no watch tells.
pub(crate) const AT_REST: Duration = Duration::from_secs(60);

/// What is to be done, and how the job is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plan {
    /// Objects to hold, in this order.
    pub(crate) objects: Vec<Value>,
    /// What to ask of the coordinator.
    pub(crate) ask: Option<Ask>,
    /// Pods to remove at once, without waiting for their node.
    pub(crate) removals: Vec<Removal>,
    /// Revisions whose ConfigMap nobody needs any more.
    pub(crate) prune: Vec<String>,
    /// Whether the finaliser is to be on the job; none leaves it as it is.
    pub(crate) finalizer: Option<bool>,
    /// How the job is.
    pub(crate) state: State,
    /// The rescale under way, or the last one.
    pub(crate) rescale: Option<RescaleStatus>,
    /// The snapshot that was taken for a purpose last.
    pub(crate) snapshot: Option<LastSnapshot>,
    /// Whether nothing is said yet: one answer that did not come is no news.
    pub(crate) quiet: bool,
    /// When to look again.
    pub(crate) again: Duration,
}

/// What to ask of a coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// So many workers.
    Scale(u32),
    /// Stop with a snapshot, for a purpose.
    Stop(Purpose),
}

/// A pod that is removed at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Removal {
    /// Its name.
    pub(crate) name: String,
    /// This one, and not a successor.
    pub(crate) uid: String,
    /// Why that is safe.
    pub(crate) why: String,
}

/// Why a job is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// `spec.suspend`.
    Suspend,
    /// Another revision.
    Update,
    /// It is being deleted.
    Delete,
    /// Its input is at its end.
    Finish,
    /// It was stopped by somebody else and is to run.
    Restart,
}

impl Purpose {
    /// One word.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Suspend => "Suspend",
            Self::Update => "Update",
            Self::Delete => "Delete",
            Self::Finish => "Finish",
            Self::Restart => "Restart",
        }
    }
}

/// How a job is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum State {
    /// Nobody looks after it, as an annotation asks.
    Paused,
    /// It cannot be run as it is written.
    Invalid(Invalid),
    /// Its processes come up.
    Starting {
        /// What is awaited.
        why: String,
        /// What is in the way.
        trouble: Option<Trouble>,
    },
    /// It runs as it was asked to.
    Running,
    /// It runs, and its number of workers changes.
    Rescaling {
        /// How far it is, in one word.
        step: &'static str,
        /// What is awaited.
        why: String,
        /// What is in the way.
        trouble: Option<Trouble>,
    },
    /// It runs, and a worker that was told to end hands over what it has. Its successor takes that again.
    Leaving {
        /// Who, and how far it is.
        why: String,
    },
    /// It runs with fewer workers than it should, or begins anew after a loss.
    Recovering {
        /// What is awaited.
        why: String,
        /// What is in the way.
        trouble: Option<Trouble>,
    },
    /// It may run, but its coordinator does not answer.
    Unreachable {
        /// Why not.
        why: String,
        /// What is in the way.
        trouble: Option<Trouble>,
    },
    /// It is being stopped.
    Stopping {
        /// What for.
        purpose: Purpose,
        /// What is awaited.
        why: String,
    },
    /// It is stopped, and stays so until that is changed.
    Suspended,
    /// It has done all there was to do.
    Finished,
}

impl Plan {
    /// Nothing is done.
    pub(crate) fn idle(state: State, world: &World) -> Self {
        Self {
            objects: Vec::new(),
            ask: None,
            removals: Vec::new(),
            prune: Vec::new(),
            finalizer: None,
            state,
            rescale: world.status.rescale.clone(),
            snapshot: world.status.last_snapshot.clone(),
            quiet: false,
            again: LATER,
        }
    }
}

/// Plans.
pub(crate) fn plan(judged: &Result<Judged, Invalid>, names: &Names, world: &World, around: &Surroundings) -> Plan {
    if world.deleted.is_some() {
        return life::leave(judged.as_ref().ok(), world);
    }
    if world.paused {
        return Plan { again: AT_REST, ..Plan::idle(State::Paused, world) };
    }
    let judged = match judged {
        Ok(judged) => judged,
        // What runs goes on as it is: a mistake in the text stops nothing.
        Err(invalid) => return Plan::idle(State::Invalid(invalid.clone()), world),
    };
    if world.foreign {
        let why = "objects of a deleted job of the same name are still being removed".to_owned();
        let mut plan = Plan::idle(State::Starting { why, trouble: None }, world);
        plan.again = SOON;
        return plan;
    }
    let mut plan = Plan::idle(State::Running, world);
    plan.objects = standing(judged, names, world, around);
    plan.finalizer = life::wants_finalizer(judged, world);
    plan.removals = life::removals(world);
    plan.prune = prune(judged, world);
    match life::stage(judged, world) {
        Stage::Start => life::start(&mut plan, judged, names, world, around),
        Stage::Up => scale::steady(&mut plan, judged, names, world, around),
        Stage::Stop(purpose) => life::stop(&mut plan, purpose, judged, names, world, around),
        Stage::Wait(purpose) => {
            plan.state = State::Stopping { purpose, why: life::pods_left(world) };
            plan.again = SOON;
        }
        Stage::Suspended => (plan.state, plan.again) = (State::Suspended, AT_REST),
        Stage::Finished => (plan.state, plan.again) = (State::Finished, AT_REST),
    }
    plan
}

/// The objects that a job has whether it runs or not. The account comes first, since pods are made under it.
fn standing(judged: &Judged, names: &Names, world: &World, around: &Surroundings) -> Vec<Value> {
    let mut objects: Vec<Value> = build::service_account(judged, names).into_iter().collect();
    objects.push(build::coordinator_service(names, world.address.as_deref()));
    objects.push(build::workers_service(names));
    objects.push(build::budget(judged, names));
    objects.extend(build::policy(judged, names, around));
    objects
}

/// Revisions that are neither wanted, nor run, nor the last that was good.
fn prune(judged: &Judged, world: &World) -> Vec<String> {
    let running = [&world.coordinator, &world.workers].into_iter().flatten().map(|w| w.revision.as_str());
    let stable = world.status.stable_revision.as_deref();
    let keep: Vec<&str> = running.chain(stable).chain([judged.revision.as_str()]).collect();
    let pods = world.worker_pods.iter().chain(&world.coordinator_pods);
    let used: Vec<&str> = pods.map(|p| p.revision.as_str()).collect();
    world.revisions.keys().filter(|r| !keep.contains(&r.as_str()) && !used.contains(&r.as_str())).cloned().collect()
}
