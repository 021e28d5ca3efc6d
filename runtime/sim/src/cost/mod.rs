//! The cost of a live rescale in time: the engine's own slots under a clock that charges for each piece of work.
//!
//! Real slots, one job manager and one task manager run in one thread: a job of one worker that has room for all slots. A step of a slot
//! takes as long as the rows it took, the warm-up it encoded and the state it took in are said to take; what it sends arrives after a
//! latency, bulk state after a share of the network; rows arrive at a fixed rate, whether or not anybody has time for them. So a row's
//! latency is the wait that a user would see, in *virtual* time, with ten gigabytes on a machine that has not a tenth of it: an entry of
//! the engine stands for many, and the warm-up is charged for all of them.
//!
//! The model shows the shape of a pause and what bounds it. It does not predict a given machine; for that there are real runs. Where it
//! simplifies, it does so to the rescale's disadvantage: an entry that is sent again is charged like the many it stands for.
//!
//! `flow` is the job with its open-loop source and its measuring sink, `engine` the clock over what is `due`, `executor` carries out what
//! the two machines want, `setting` says what things cost, `report` gives the numbers as text.

mod due;
mod engine;
mod executor;
mod flow;
mod report;
mod setting;

pub use engine::{rescale, stop_and_copy};
pub use report::table;
pub use setting::{Setting, Told};
