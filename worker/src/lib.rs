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
//! | `restore`, `stored` | from manifest and state files back into slots |
//! | `named` | snapshots with a name |
//! | `takeover` | what the storage has, compared with the job and claimed |
//! | `host`, `crew` | the coordinator's surroundings: carries its effects out, to slots that are threads here |
//! | [`local`] | `run`: all of it in this process |
//! | [`cli`] | `main`: a job's program as a complete command line |
//! | `cluster` (feature `grpc`) | one job in many processes: coordinator, workers, supervisor |
//! | `transport` (feature `grpc`) | links between processes that survive dropped connections |
//! | `control`, [`http`], `telemetry` | steering and watching a running job from outside |

#[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
mod address;
#[cfg(feature = "cli")]
pub mod cli;
mod clock;
#[cfg(feature = "grpc")]
pub mod cluster;
#[cfg(feature = "cli")]
mod control;
mod crew;
mod host;
#[cfg(feature = "http")]
pub mod http;
pub mod io;
pub mod local;
#[cfg(feature = "http")]
mod metrics;
mod named;
mod pool;
mod restore;
mod slots;
pub mod store;
mod stored;
mod takeover;
pub mod telemetry;
#[cfg(feature = "grpc")]
pub mod transport;
mod upkeep;

#[cfg(feature = "cli")]
pub use cli::main;
pub use local::{Handle, LocalJob, Outcome, Progress, Status};
pub use takeover::Restored;
pub use watershed_connectors as connectors;
pub use watershed_runtime as runtime;
pub use watershed_runtime::error::{Error, Kind, Result, explain};
pub use watershed_runtime::key::{Key, Str};
pub use watershed_runtime::operator::window::WindowResult;
pub use watershed_runtime::stream::{self, Job, Stream};
pub use watershed_runtime::time::Time;
