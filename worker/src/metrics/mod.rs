//! Numbers of processes in the text format of Prometheus.
//!
//! Names and labels are stable, and what is the same thing has the same name whichever process says it: a node's rows are said by the
//! process that has its slots, a job in one process or a worker; epochs and key groups by who coordinates. Counters carry the slot as a
//! label: a slot counts from its own start, and Prometheus knows how to add what begins anew. All names are in `docs/cli.md`.
//!
//! | file | what |
//! |---|---|
//! | `page` | the text format |
//! | `slots` | what slots say: nodes, and key groups on the move |
//! | `local` (feature `cli`) | a job in one process |
//! | `coordinator`, `worker` (feature `grpc`) | a job in many |

#[cfg(feature = "grpc")]
mod coordinator;
#[cfg(feature = "cli")]
mod local;
mod page;
mod slots;
#[cfg(feature = "grpc")]
mod worker;

#[cfg(feature = "grpc")]
pub(crate) use coordinator::{Numbers, coordinator};
#[cfg(feature = "cli")]
pub(crate) use local::LocalWatch;
#[cfg(feature = "grpc")]
pub(crate) use worker::{WorkerNumbers, worker};
