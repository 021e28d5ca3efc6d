//! The manager's state: the phase that it is in, what users asked for, and what each phase has to remember.

use std::collections::BTreeSet;

use watershed_runtime::coordinator::{Coordinator, Run};
use watershed_runtime::graph::NodeIndex;
use watershed_runtime::key::{Assignment, SlotId};
use watershed_runtime::protocol::claim::{Claim, LogScan};
use watershed_runtime::protocol::log::Tail;
use watershed_runtime::protocol::maintenance::Maintenance;

use super::interface::{Outcome, Restored};
use crate::membership::Target;

/// The phase of the job, as the manager sees it.
#[derive(Debug)]
pub(crate) enum Phase {
    /// The manager waits for workers.
    Gathering(Gathering),
    /// The log is read to its end.
    Reading(Reading),
    /// The next term is claimed.
    Claiming(Box<Claiming>),
    /// A run is under way.
    Running(Box<Running>),
    /// The job had finished before; what its last manifest owes is committed.
    Committing(Outcome),
    /// Something that a run needs is away: nothing is tried before this time.
    Resting(i64),
    /// The job is over, or this manager's part in it.
    Ended,
}

/// Requests of users for the job, whatever phase it is in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wishes {
    pub(crate) target: Target,
    /// The job is being stopped. If its run ends before that is done, the last manifest is the snapshot: there is nothing to begin again
    /// for.
    pub(crate) stopping: bool,
    /// The job is to be drained: each run that begins is told, until one has done it.
    pub(crate) draining: bool,
}

/// The numbers of a manager's runs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Runs {
    /// The newest term in the log that it knows.
    pub(crate) term: u64,
    /// True if the log had a manifest when this manager began.
    pub(crate) ran_before: bool,
    /// Runs it has begun or taken over.
    pub(crate) begun: u64,
    /// Workers that were lost while they took part.
    pub(crate) lost: u64,
    /// The reason why the last run ended, or why none begins.
    pub(crate) recovering: Option<String>,
    /// The stored states that the newest run found.
    pub(crate) restored: Restored,
}

/// The manager waits for workers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gathering;

/// Looks for newer terms.
#[derive(Debug, Default)]
pub(super) struct NewerTerm {
    /// A look under way, and its number.
    pub(super) scan: Option<(u64, LogScan)>,
    /// The time at which the next read is due; `None` before the first has ended.
    pub(super) due: Option<i64>,
}

impl NewerTerm {
    /// True once the log has been read for newer terms.
    pub(super) fn looked(&self) -> bool {
        self.due.is_some()
    }

    /// True if this is the number of the read under way.
    pub(super) fn asked(&self, io: u64) -> bool {
        self.scan.as_ref().is_some_and(|(id, _)| *id == io)
    }
}

/// The log is read to its end.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(super) scan: LogScan,
    pub(super) tries: u32,
}

/// The next term is claimed.
#[derive(Debug)]
pub(crate) struct Claiming {
    pub(super) claim: Claim,
    pub(super) tail: Tail,
    pub(super) tries: u32,
}

/// Failures so far, for the decision between a retry and the end of the process.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Retry {
    /// True once this manager has published an epoch.
    pub(super) worked: bool,
    /// The time since which runs have failed because something is away.
    pub(super) failing: Option<i64>,
}

impl Retry {
    /// An epoch has been published.
    pub(super) fn worked(&mut self) {
        *self = Self { worked: true, failing: None };
    }
}

/// A run of the job.
#[derive(Debug)]
pub struct Running {
    /// The run: it may be older than this manager.
    pub run: Run,
    /// The coordinator of the run.
    pub coordinator: Coordinator,
    /// Workers that have been told of this run.
    pub(super) told: BTreeSet<u32>,
    /// The slots that were asked for last.
    pub(super) asked: Option<BTreeSet<SlotId>>,
    /// The table when these were asked for.
    pub(crate) began_rescale: Option<Assignment>,
    /// The time at which the newest manifest got into the log.
    pub(crate) published: Option<i64>,
    pub(super) maintenance: Maintenance,
    /// Sources that are to be looked through again, and when.
    pub(super) rounds: Vec<(i64, NodeIndex)>,
}

impl Running {
    pub(super) fn new(run: Run, coordinator: Coordinator, told: BTreeSet<u32>, maintenance: Maintenance) -> Self {
        Self { run, coordinator, told, asked: None, began_rescale: None, published: None, maintenance, rounds: Vec::new() }
    }

    /// A worker is lost: whether the run is over with it.
    pub(super) fn lost(&mut self, worker: u32, each: u16) -> bool {
        self.told.remove(&worker);
        self.asked = None;
        let its = |slot: SlotId| u32::from(slot.0 / each.max(1)) == worker;
        self.coordinator.gone(its);
        self.coordinator.needs(its)
    }
}
