//! A job in many processes: workers with some slots each, coordinators that come and go, and sessions between them.
//!
//! Each process dies alone. A coordinator that dies leaves its slots running, and the next one takes them over, or begins a new run from the last manifest
//! with the workers that are there. A worker that dies takes its slots with it. Sessions lose what was under way when they end, and nothing else;
//! channels between slots belong to a run, and nothing of one gets into another.
//!
//! | file | what |
//! |---|---|
//! | `plan` | what a seed decides besides the job |
//! | `clock` | what time it is to a process |
//! | `band` | the slots of one run and what is under way between them |
//! | `worker` | a process with slots: its book, its session, its uploads |
//! | `office` | a process that coordinates, or wants to |
//! | `take` | how an office comes to coordinate |
//! | `ops` | what an office asks of the outside |
//! | `place` | the scheduler and the faults |
//! | `small` | two slots and one cut, for a model |

mod band;
mod clock;
mod office;
mod ops;
mod place;
mod plan;
mod small;
mod take;
mod worker;

pub(super) use clock::Clock;
pub(super) use place::run;
pub use small::{Opening, Small, Turn, small_plan};
