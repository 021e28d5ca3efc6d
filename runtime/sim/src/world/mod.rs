//! The world: everything around the engine, in one thread, from a seed.
//!
//! | file | what |
//! |---|---|
//! | `plan` | what a seed decides before the first step |
//! | `rng`, `trace`, `cover` | chance; the record of a run; what it came across |
//! | `store`, `source`, `sink` | the outside: objects, input, output and its judge |
//! | `net` | queues between slots, first in, first out |
//! | `process` | slots and a coordinator under way: a process that can die |
//! | `start`, `effects`, `ops` | how a process starts; what it does for its coordinator; what the store makes of that |
//! | `ending` | stop and drain, and what is checked of them |
//! | `laws` | what is checked of every manifest and of every owner |
//! | `run` | the scheduler, and the faults |
//! | `cluster` | the same job in many processes, which die one by one |

mod cluster;
pub mod cover;
mod effects;
pub mod ending;
mod laws;
pub mod net;
mod ops;
pub mod plan;
mod process;
pub mod rng;
pub mod run;
pub mod sink;
pub mod source;
mod start;
pub mod store;
pub mod trace;

pub use cluster::{Opening, Small, Turn, small_plan};
