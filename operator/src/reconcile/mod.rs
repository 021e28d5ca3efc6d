//! One look at one job: what is there, what is wanted, what follows.
//!
//! ```text
//!   observe (reads) → validate (pure) → plan (pure) → apply (writes) → report (status of what was answered)
//! ```
//!
//! Only the ends hold a client. [`plan`] sees values and gives values, so each of its rules is a row of a table in its tests. Nothing is
//! remembered that cannot be seen again: a plan follows from the objects there are and from what the coordinator answers now, so an
//! operator that is killed anywhere goes on where it was. What only paces (how long a coordinator has been silent) is in [`memory`], and
//! losing it costs a delay.
//!
//! | file | what |
//! |---|---|
//! | `look` | the five steps |
//! | `names` | what a job's objects are called, and their labels |
//! | `validate` | the resource becomes a judged job, its revision and its storage |
//! | `observe`, `pods` | what is there: objects, pods and what is wrong with them, what the coordinator says |
//! | `ask` | talking to a coordinator |
//! | `build` | one Kubernetes object a file |
//! | `pause` | what a rescale has cost |
//! | `plan`, `life`, `scale` | what to do: the life of the job, and its number of workers |
//! | `apply` | doing it |
//! | `report`, `conditions` | saying it |
//! | `keys` | what tokens are checked with |
//! | `memory` | what is remembered between two looks |

pub(crate) mod apply;
pub(crate) mod ask;
mod build;
mod conditions;
mod keys;
mod life;
mod look;
pub(crate) mod memory;
mod names;
mod observe;
mod pause;
mod plan;
mod pods;
mod report;
mod scale;
#[cfg(test)]
mod tests;
mod validate;

pub(crate) use apply::MANAGER;
pub(crate) use build::Surroundings;
pub(crate) use keys::Keys;
pub(crate) use look::reconcile;
pub(crate) use names::{JOB, Names};
pub(crate) use report::JobGauge;
pub(crate) use validate::storage_of;
