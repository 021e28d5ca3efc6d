//! One reconciliation of one job: what is there, what is wanted, what follows.
//!
//! ```text
//!   observe (reads) → validate (pure) → decide (pure) → apply (writes) → report (the status)
//! ```
//!
//! Only the ends hold a client. [`decide`] sees values and gives values, so each of its rules is a row of a table in its tests. Nothing is
//! remembered that cannot be seen again: a plan follows from the objects there are and from the coordinator's present answer, so an
//! operator that is killed anywhere goes on where it was. State that only paces (how long a coordinator has been silent) is in [`memory`],
//! and losing it costs a delay.
//!
//! Types come first and I/O last: a file imports only from rows above its own.
//!
//! | file | content |
//! |---|---|
//! | `names`, `times`, `key_set`, `purpose`, `rescale_step` | names of objects and words of the status |
//! | `pods`, `pause` | pods and their problems; the pause of a rescale |
//! | `answer` | the answer of a coordinator, and the rule which workers may go |
//! | `cluster` | the state of a job in the cluster: the input of the plan |
//! | `validate` | the resource becomes a validated job, its revision and its storage |
//! | `plan` | the plan: objects, requests, removals, the state of the job |
//! | `build`, `input`, `workloads` | one kind of Kubernetes object a file, and those with pods together |
//! | `lifecycle`, `scale`, `removal`, then `decide` | the decision: the life of the job, its number of workers, its dead pods |
//! | `client`, `memory` | connections to coordinators; what is remembered between two reconciliations |
//! | `conditions` | the conditions that follow from a plan |
//! | `observe`, `apply`, `report` | reads, writes, the status and Events |
//! | `reconciler` | the five steps |

mod answer;
mod apply;
mod build;
pub(crate) mod client;
mod cluster;
mod conditions;
mod decide;
mod input;
mod key_set;
mod lifecycle;
pub(crate) mod memory;
mod names;
mod observe;
mod pause;
mod plan;
mod pods;
mod purpose;
mod reconciler;
mod removal;
mod report;
mod rescale_step;
mod scale;
#[cfg(test)]
mod tests;
mod times;
mod validate;
mod workloads;

pub(crate) use build::Environment;
pub(crate) use key_set::KeySet;
pub(crate) use names::{JOB, MANAGER, Names};
pub(crate) use reconciler::reconcile;
pub(crate) use validate::storage_of;
