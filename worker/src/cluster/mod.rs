//! One job in many processes: a coordinator and its workers.
//!
//! Decisions are made in `watershed-cluster`: a job manager and a task manager, both pure. Here are the two processes that step them and
//! carry out what they want, and the sessions between them.
//!
//! ```text
//!   coordinator: a job manager, its executor ([`crate::executor`]), and a session with each worker
//!        │ begin, commands, start, release, members, end            ▲ journals, reports of slots, heartbeats
//!        ▼ one control session a worker                             │
//!   worker: a task manager, slots as threads ([`crate::worker_host`]), uploads of its own
//!        ◄──────── data and bulk links between workers ────────►
//! ```
//!
//! | file | what |
//! |---|---|
//! | `orders` | messages as items of a control session |
//! | `job`, `coordinator`, `inbox` | what a coordinator is told before it begins; its process; what reaches its thread |
//! | `worker`, `heartbeat` | a worker's process; its sign of life |
//! | `service`, `asked`, `status` | what the command line and an operator ask |
//! | `build` | the build of this program |
//! | `watch` | what both say of themselves to monitors |
//! | `client` | asking a job |
//! | `supervise` | `run --replicas N`: all of it as processes of this machine |

mod asked;
mod build;
pub mod client;
mod coordinator;
pub(crate) mod heartbeat;
pub(crate) mod inbox;
mod job;
mod orders;
pub(crate) mod service;
pub(crate) mod status;
pub mod supervise;
mod watch;
mod worker;

pub use job::CoordinatorJob;
pub use watch::{CoordinatorWatch, WorkerWatch};
pub use worker::{Leaver, WorkerJob};
