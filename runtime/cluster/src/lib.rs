//! The life of a job as pure machines: who takes part, when a run begins and from what, how a worker leaves, what happens when storage is
//! away.
//!
//! Two machines talk to each other. The [`JobManager`] is the coordinator's process: it knows the workers, finds the end of the log, claims
//! a term, takes running slots over or begins a run, and steps the [`Coordinator`](watershed_runtime::coordinator::Coordinator) of that
//! run. A [`TaskManager`] is a worker's process: it has slots, keeps a journal of them, writes their state files, and obeys the newest
//! manager. Each is stepped: an event and the time go in, actions come out, in the order in which they must be carried out. Neither has a
//! clock, a thread, a socket or a source of chance.
//!
//! ```text
//!   JobManager ── ToWorker (in a session) ──► TaskManager ── commands ──► slots
//!      │  ▲ ◄──────── ToCoordinator ──────────     │  ▲ ◄──── reports ─────
//!    Io│  │IoReply                          Upload │  │ Uploaded
//!      ▼  │                                        ▼  │
//!      storage, sinks, sources                    storage
//! ```
//!
//! Two executors carry actions out: the shell (`watershed`), with threads, object storage and sockets, and the simulator (`watershed-sim`).
//! A job in one process is one manager and one worker joined by a session that loses nothing; a job in many processes is the same with a
//! network in between. There is no other road.
//!
//! | file | what |
//! |---|---|
//! | `messages` | what the two say to each other |
//! | `membership`, `capacity` | who is there, who is lost, who may begin; whether state fits |
//! | `manager` | the manager; a file for each phase |
//! | `task_manager` | the worker's side |
//! | `link` | a session's lossless link over connections that drop |
//! | `status` | the one model of how a job is |
//! | `patience` | how long each wait is |

mod capacity;
mod dataflow;
pub mod link;
pub mod manager;
pub mod membership;
pub mod messages;
mod patience;
pub mod status;
pub mod task_manager;

pub use dataflow::{difference, fingerprint, shape_text};
pub use manager::{Action, Event, Io, IoReply, JobManager, Outcome, Reply, Request, Restored, Settings, name_taken};
pub use membership::{Refusal, Registration, Target, number_of};
pub use messages::{Begin, Envelope, Member, ToCoordinator, ToWorker};
pub use patience::Patience;
pub use status::JobStatus;
pub use task_manager::{TaskManager, WorkerAction, WorkerEnd, WorkerEvent};
