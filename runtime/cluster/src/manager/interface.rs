//! Events and actions of the manager, its only input and output: closed enums.

use watershed_runtime::env::Discovered;
use watershed_runtime::error::{Error, Result};
use watershed_runtime::graph::NodeIndex;
use watershed_runtime::protocol::log::Put;
use watershed_runtime::protocol::maintenance::Chore;
use watershed_runtime::protocol::manifest::{HandleEntry, StateFile};
use watershed_runtime::protocol::named::NamedSnapshot;

use crate::membership::{Refusal, Registration};
use crate::messages::{Envelope, ToCoordinator, ToWorker};

/// An input of the manager.
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

/// An effect for the executor; effects are carried out in the order given.
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
    /// The answer to the question with this number is no longer awaited; the operation may still happen, now or later, or not at all.
    AbandonIo(u64),
    /// Answer a user.
    Reply(u64, Reply),
    /// Tell the people who watch, in a sentence.
    Tell(String),
    /// The job is over, or this manager's part in it.
    End(Result<Outcome>),
}

/// A question to the storage, the sinks or the sources.
#[derive(Debug)]
pub enum Io {
    /// Read an object; answer [`IoReply::Got`].
    Get(String),
    /// Create-only put of a log entry; answer [`IoReply::Put`], where an error is [`Put::Ambiguous`].
    Create {
        /// The object.
        name: String,
        /// The bytes to write.
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
        /// The snapshot to write.
        snapshot: Box<NamedSnapshot>,
    },
}

/// An answer of the outside.
#[derive(Debug)]
pub enum IoReply {
    /// An object's bytes, or that there is none.
    Got(Option<Vec<u8>>),
    /// The outcome of a put.
    Put(Put),
    /// Output is visible.
    Committed,
    /// The splits that a source has discovered.
    Discovered(NodeIndex, Discovered),
    /// Files have become one; the names of those that it replaces.
    Merged(StateFile, Vec<String>),
    /// Unreachable files are deleted.
    Collected,
    /// A merge (with the name of its file) or a deletion has failed: it is tried again another time.
    ChoreFailed(Option<String>),
    /// The outcome of the put of a named snapshot, by request.
    Named(u64, Result<Put>),
    /// The operation failed.
    Failed(Error),
}

/// A user's request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Change the number of workers, or of slots where the target counts slots; answered at once.
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
    /// The scale request is accepted; the number is the target before it.
    Scaled(u32),
    /// The job is being stopped.
    Stopping,
    /// The job is being drained.
    Draining,
    /// The snapshot is of this epoch.
    Snapshot(u64),
    /// The request is refused, for this reason.
    Refused(Error),
}

/// The way in which a job ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All input has been read and everything is committed.
    Finished,
    /// The job was stopped; it goes on from here at the next start.
    Stopped,
    /// There was nothing to do: the job had finished before.
    AlreadyFinished,
}

/// The stored states that a start found, compared with those of the job.
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
