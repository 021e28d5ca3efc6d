//! The command line of a job: the same flags, messages and exit codes for the stock binary and for a program of one's own.
//!
//! A Rust program calls [`main`] and is a complete binary. The stock binary (`watershed-cli`) reads manifests and SQL files, and shares
//! everything from there on. Text becomes typed flags once (`flags`), flags and what the job says become [`Settings`] once, and nothing
//! below looks at arguments or at the environment again.
//!
//! | file | what |
//! |---|---|
//! | `flags` | what may be typed |
//! | `settings` | what it means: flags over the job's own words over defaults |
//! | `run` | a job with everything around it: signals, its service, HTTP, live line |
//! | `serve` (feature `grpc`) | the service of a job in one process, on a Unix socket |
//! | `snapshots`, `explain` | the other commands |
//! | `cluster` (feature `grpc`) | a job in many processes: coordinator, worker |
//! | `reach` | flags and variables by which a coordinator is reached |
//! | `steer`, `drain` | what a running job is asked; the end of a job that drains |
//! | `shown` | its status, as a table and as JSON |
//! | `leave` | a worker that is told to end |
//! | `supervised` | processes that somebody else looks after |
//! | `exit` | from an error to an exit code |
//! | `program` | [`main`] |

#[cfg(feature = "grpc")]
pub mod cluster;
#[cfg(feature = "grpc")]
mod drain;
mod exit;
mod explain;
pub mod flags;
#[cfg(feature = "grpc")]
mod leave;
mod program;
#[cfg(feature = "grpc")]
mod reach;
mod run;
#[cfg(feature = "grpc")]
mod serve;
mod settings;
#[cfg(feature = "grpc")]
mod shown;
mod signals;
mod snapshots;
#[cfg(feature = "grpc")]
mod steer;
#[cfg(feature = "grpc")]
mod supervised;

pub use exit::{EXIT_CODES, Printed, exit_code, report};
pub use explain::{dot, outline};
pub use program::{main, main_from};
pub use run::run;
pub use settings::Settings;
pub use signals::{EndsWhenTold, ends_when_told};
pub use snapshots::{delete, list, show};

pub use crate::telemetry::log::Format;
