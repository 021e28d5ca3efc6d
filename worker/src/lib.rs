//! Stateful stream processing in Rust: the library a job depends on.
//!
//! A job is a graph of streams ([`stream`]); [`LocalJob`] runs it on this machine with a directory (or an object store) for its
//! snapshots. The engine itself is `watershed-runtime`; this crate is the shell around it: threads, storage, clocks.
//!
//! | module | what |
//! |---|---|
//! | `io` | typed files, generators and standard streams for Rust jobs |
//! | [`store`] | object storage as the engine needs it: create-only puts, probed at the start |
//! | `slots` | one thread a slot |
//! | `root`, `stored` | a job's storage: its root object; ranges of stored state |
//! | `executor` | carries out what a job manager (`watershed-cluster`) wants: storage, commits, discoveries |
//! | `worker_host` | carries out what a task manager wants: slots as threads, state files |
//! | `requests` | users who wait for an answer |
//! | [`local`] | `run`: a manager and one worker in this process |
//! | [`cli`] | `main`: a job's program as a complete command line |
//! | `cluster` (feature `grpc`) | one job in many processes: coordinator, workers, supervisor |
//! | `transport` (feature `grpc`) | links between processes that survive dropped connections |
//! | [`http`], `telemetry` | watching a running job from outside |

#[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
mod address;
#[cfg(feature = "cli")]
pub mod cli;
mod clock;
#[cfg(feature = "grpc")]
pub mod cluster;
mod executor;
#[cfg(feature = "http")]
pub mod http;
pub mod io;
pub mod local;
#[cfg(all(feature = "http", any(feature = "cli", feature = "grpc")))]
mod metrics;
mod pool;
mod requests;
mod root;
mod slots;
pub mod store;
mod stored;
pub mod telemetry;
#[cfg(feature = "grpc")]
pub mod transport;
mod worker_host;

#[cfg(feature = "cli")]
pub use cli::main;
pub use local::{Handle, LocalJob, Outcome, Progress, Restored};
pub use watershed_cluster::JobStatus;
pub use watershed_connectors as connectors;
pub use watershed_runtime as runtime;
pub use watershed_runtime::error::{Error, Kind, Result, explain};
pub use watershed_runtime::key::{Key, Str};
pub use watershed_runtime::operator::window::WindowResult;
pub use watershed_runtime::stream::{self, Job, Stream};
pub use watershed_runtime::time::Time;
