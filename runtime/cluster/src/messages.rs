//! Messages between a manager and its workers. They go through a session: in order, nothing lost while it stands, and everything that was
//! under way lost when it ends.

use serde::{Deserialize, Serialize};
use watershed_runtime::coordinator::{NewSlot, Run, WorkerJournal};
use watershed_runtime::key::{Assignment, SlotId};
use watershed_runtime::protocol::manifest::Manifest;
use watershed_runtime::slot::{Command, Report};

/// A worker as the others know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The worker's number.
    pub worker: u32,
    /// The worker's name, which ends in the number.
    pub name: String,
    /// The process that bears the name.
    pub incarnation: String,
    /// The address at which other workers reach it.
    pub address: String,
    /// The worker's slots, whether they take part or not.
    pub slots: Vec<SlotId>,
}

/// The manager and the run that a message belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Envelope {
    /// The term of the manager: a worker obeys no older one than the newest it has heard.
    pub term: u64,
    /// The term under which the run was begun; 0 where there is none.
    pub run: u64,
}

/// The beginning of a run, for a worker; also of one that is under way.
#[derive(Clone, Debug)]
pub struct Begin {
    /// The run.
    pub run: Run,
    /// The manifest to begin from; its members are the slots that take part.
    pub manifest: Manifest,
    /// The owner of each key group.
    pub table: Assignment,
    /// All workers that are there, the one that is told included.
    pub members: Vec<Member>,
}

/// A manager to a worker.
#[derive(Debug)]
pub enum ToWorker {
    /// A run begins.
    Begin(Box<Begin>),
    /// For a slot.
    Command(SlotId, Command),
    /// A slot that joins is to be made.
    Start(NewSlot),
    /// A slot has left.
    Release(SlotId),
    /// The workers that are there now.
    Members(Vec<Member>),
    /// The job is over: finished or stopped, or failed for this reason.
    End(Option<String>),
    /// The worker was to leave and may: for this reason.
    Released(String),
}

/// A worker to a manager.
#[derive(Debug)]
pub enum ToCoordinator {
    /// The first message of a session: the journal of the run that the worker is in, if it is in one.
    Journal(Option<Box<WorkerJournal>>),
    /// A report of a slot.
    Report(SlotId, Report),
    /// The worker was told to end, and does when others have what it has.
    Leaving,
}
