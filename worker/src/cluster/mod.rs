//! One job in many processes: a coordinator and its workers.
//!
//! ```text
//!   coordinator: takes the job over, hosts the pure coordinator ([`crate::host`]), knows who is there
//!        │ orders (begin, commands, start, release, crew, end)       ▲ reports of slots, heartbeats
//!        ▼ one control session a worker                             │
//!   worker: slots as threads, their routes to slots elsewhere, uploads of its own
//!        ◄──────── data and bulk links between workers ────────►
//! ```
//!
//! A job runs in *runs*: a run begins when the coordinator takes the job over (a new term) and tells every worker that is there from which
//! manifest to begin with which slots. Losing a worker ends the run and begins the next **with the survivors at once**; nobody waits for a
//! replacement, which joins later by a live rescale like any newcomer. Survivors go back to the manifest in memory, by undo images; what was
//! lost is read. An old run is fenced by its term on every channel (I10).
//!
//! A coordinator that is started anew takes the run over as it is: workers keep a book of it, and no slot stops. Where it cannot, it begins a
//! run.
//!
//! | file | what |
//! |---|---|
//! | `begin` | how a run begins: taken over as it runs, or from the last manifest |
//! | `aside` | what may wait for the storage meanwhile |
//! | `look` | whether a newer term has begun while it waits for workers |
//! | `orders` | what coordinator and workers say to each other |
//! | `room` | whether those who are there have room for the state, pure |
//! | `roster` | who is there, pure: numbers, slots, who is lost, who may begin |
//! | `job`, `coordinator`, `told`, `remote` | what a coordinator is told; its process; what it hears; a crew of slots elsewhere |
//! | `worker`, `at_work`, `uploads`, `pulse` | a worker's process; what it does in a session; state files it writes itself; its heartbeat |
//! | `dataflow` | whether two processes run one dataflow, and what differs |
//! | `service`, `status` | what the command line and an operator ask |
//! | `watch` | what both say of themselves to monitors |
//! | `leaving` | workers that were told to end hand over what they have |
//! | `keeping` | snapshots that somebody wants to have |
//! | `client` | asking it |
//! | `supervise` | `run --replicas N`: all of it as processes of this machine |

mod aside;
mod at_work;
mod begin;
pub mod client;
mod coordinator;
mod dataflow;
mod job;
mod keeping;
mod leaving;
mod look;
mod orders;
mod pulse;
mod remote;
mod room;
mod roster;
mod service;
mod status;
pub mod supervise;
mod told;
mod uploads;
mod watch;
mod worker;

pub use job::CoordinatorJob;
pub use watch::{CoordinatorWatch, WorkerWatch};
pub use worker::{Leaver, WorkerJob};
