//! Telemetry of a running job for a person or a log collector: few events, and on a terminal one line that keeps itself up to date.
//!
//! All of it goes to standard error: standard output belongs to the rows of `print` and `stdout`. Nothing here is on a hot path: numbers
//! are asked for a few times a second, and only while somebody looks.
//!
//! | file | what |
//! |---|---|
//! | `names` | what the job's nodes are called |
//! | `rates` | from counters to rows a second |
//! | `line` | the live line |
//! | `log` | events as text or JSON, and the screen they share with the line |
//! | `calendar` | times as people write them |

#[cfg(feature = "cli")]
mod calendar;
#[cfg(feature = "cli")]
pub(crate) mod line;
#[cfg(feature = "cli")]
pub(crate) mod log;
pub(crate) mod names;
#[cfg(feature = "cli")]
mod rates;

#[cfg(feature = "cli")]
pub(crate) use calendar::rfc3339;
pub use names::{NodeKind, NodeName};
