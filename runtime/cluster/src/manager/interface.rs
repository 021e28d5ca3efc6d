//! What goes into the manager and what it wants done: closed enums.

use watershed_runtime::env::Discovered;
use watershed_runtime::error::{Error, Result};
use watershed_runtime::graph::NodeIndex;
use watershed_runtime::protocol::log::Put;
use watershed_runtime::protocol::maintenance::Chore;
use watershed_runtime::protocol::manifest::{HandleEntry, StateFile};
use watershed_runtime::protocol::named::NamedSnapshot;

use crate::membership::{Refusal, Registration};
use crate::messages::{Envelope, ToCoordinator, ToWorker};

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// Time passed.
    Tick,
    /// A worker wants to take part; answered with [`Action::Admit`] or [`Action::Refuse`] for this ticket.
    Register(u64, Registration),
    /// A worker's session has a connection.
    Connected(u32),
    /// A worker's session has lost its connection; the session stands.
    Disconnected(u32),
    /// A sign of life of a worker.
    Heartbeat(u32),
    /// A worker has said something in its session.
    Message(u32, Envelope, ToCoordinator),
    /// The answer to [`Action::Io`] with this number.
    Io(u64, IoReply),
    /// A user asks for something; answered with [`Action::Reply`] for this number.
    Request(u64, Request),
    /// The user who asked has gone.
    Abandoned(u64),
}

/// What is to be done, in the order given.
#[derive(Debug)]
#[must_use]
pub enum Action {
    /// A worker takes part: its session begins, in the name of a manager of this term.
    Admit {
        /// The registration.
        ticket: u64,
        /// The worker's number.
        worker: u32,
        /// The newest term that the manager knows.
        term: u64,
    },
    /// A worker does not take part, and is told why.
    Refuse(u64, Refusal, String),
    /// A worker's session ends, if it has one: what it has not acknowledged is gone.
    EndSession(u32),
    /// Tell a worker something in its session; a worker without one hears nothing.
    Send(u32, Envelope, ToWorker),
    /// Ask the storage, the sinks or the sources; the answer bears the same number.
    Io(u64, Io),
    /// What was asked under this number is not waited for any more: it may happen, now or later, or not.
    AbandonIo(u64),
    /// Answer a user.
    Reply(u64, Reply),
    /// Tell the people who watch, in a sentence.
    Tell(String),
    /// The job is over, or this manager's part in it.
    End(Result<Outcome>),
}

/// What is asked of the outside.
#[derive(Debug)]
pub enum Io {
    /// Read an object; answer [`IoReply::Got`].
    Get(String),
    /// Create-only put of a log entry; answer [`IoReply::Put`], where an error is [`Put::Ambiguous`].
    Create {
        /// The object.
        name: String,
        /// Its content.
        bytes: Vec<u8>,
    },
    /// The hint at the end of the log; not answered, and may fail.
    Hint(u64),
    /// Make this output visible, in this order; answer [`IoReply::Committed`].
    Commit(Vec<HandleEntry>),
    /// Look through a source; answer [`IoReply::Discovered`].
    Discover(NodeIndex),
    /// Merge or delete; answer [`IoReply::Merged`], [`IoReply::Collected`] or [`IoReply::ChoreFailed`].
    Chore(Chore),
    /// Create the object of a named snapshot; answer [`IoReply::Named`].
    Name {
        /// The request that it answers.
        request: u64,
        /// What it says.
        snapshot: Box<NamedSnapshot>,
    },
}

/// An answer of the outside.
#[derive(Debug)]
pub enum IoReply {
    /// An object's bytes, or that there is none.
    Got(Option<Vec<u8>>),
    /// How a put went.
    Put(Put),
    /// Output is visible.
    Committed,
    /// What a source has.
    Discovered(NodeIndex, Discovered),
    /// Files have become one; the names of those that it replaces.
    Merged(StateFile, Vec<String>),
    /// What nothing reaches is deleted.
    Collected,
    /// A merge (with the name of its file) or a deletion has failed: it is tried again another time.
    ChoreFailed(Option<String>),
    /// How the put of a named snapshot went.
    Named(u64, Result<Put>),
    /// What was asked cannot be had.
    Failed(Error),
}

/// What a user asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// So many workers, or slots where the target counts slots; answered at once.
    Scale(u32),
    /// Stop with a snapshot.
    Stop,
    /// Read nothing more, let everything come out, and finish.
    Drain,
    /// Name the job as of the next barrier.
    Snapshot {
        /// The name.
        name: String,
        /// Answer when it is stored; otherwise at once.
        wait: bool,
    },
}

/// An answer to a user.
#[derive(Debug)]
pub enum Reply {
    /// It is accepted, with what there was before or what there is to say.
    Scaled(u32),
    /// The job is being stopped.
    Stopping,
    /// It is being drained.
    Draining,
    /// The snapshot is of this epoch.
    Snapshot(u64),
    /// It is not done, for this reason.
    Refused(Error),
}

/// How a job ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All input has been read and everything is committed.
    Finished,
    /// The job was stopped; it goes on from here at the next start.
    Stopped,
    /// There was nothing to do: the job had finished before.
    AlreadyFinished,
}

/// What a start found in the storage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// The epoch it goes on from; 0 for a job that begins.
    pub epoch: u64,
    /// Stored states (`node.state`) that go on.
    pub kept: Vec<String>,
    /// States that the storage does not have: they begin empty.
    pub empty: Vec<String>,
    /// Stored states given up, as was asked.
    pub dropped: Vec<String>,
}
