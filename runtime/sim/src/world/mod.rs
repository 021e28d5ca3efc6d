//! The world: everything around the engine, in one thread, from a seed.
//!
//! | file | what |
//! |---|---|
//! | `plan`, `fault_plan` | what a seed decides before the first step: the job; its processes and what goes wrong |
//! | `rng`, `trace`, `cover` | chance; the record of a run; what it came across |
//! | `env`, `clock` | what all processes stand on; what time it is to each |
//! | `store`, `fate`, `source`, `sink` | the outside: objects, what the store makes of a question, input, output and its judge |
//! | `net` | queues between slots, first in, first out |
//! | `slot`, `cluster_run` | a slot; the slots of one run, and what is under way between them |
//! | `session`, `worker`, `manager` | a worker's session; the processes, each around a machine of the production |
//! | `cluster_world`, `actions`, `processes`, `faults` | scheduler; executor of managers; registration and supervision; faults and wishes |
//! | `ending` | stop and drain, and what is checked of them |
//! | `laws` | what is checked of every manifest and of every owner |
//! | `run`, `outcome` | a seed to its end; what is asked for, and how it went |
//! | `small` | two slots and one cut, for a model |

mod actions;
mod clock;
mod cluster_run;
mod cluster_world;
pub mod cover;
pub mod ending;
mod env;
mod fate;
mod fault_plan;
mod faults;
mod laws;
mod manager;
pub mod net;
mod outcome;
pub mod plan;
mod processes;
pub mod rng;
pub mod run;
mod session;
mod shown;
pub mod sink;
mod slot;
mod small;
pub mod source;
pub mod store;
pub mod trace;
mod worker;

pub use small::{Opening, Small, Turn, small_plan};
