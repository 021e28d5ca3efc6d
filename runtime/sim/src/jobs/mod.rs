//! The jobs that are simulated, each with an oracle: the answer computed from the rows alone, without the engine.
//!
//! | job | what it is there for |
//! |---|---|
//! | `count` | combiner, updating aggregate, upsert sink |
//! | `totals` | an aggregate that speaks once, at the end of the input |
//! | `windows` | sliding windows behind a combiner; no row is late |
//! | `late` | windows without a combiner, rows far behind the watermark on a side output |
//! | `sessions` | two sources in one stream, session windows by timers |
//! | `join` | two inputs, rows matched within an interval, state cleared by timers |
//! | `timers` | timers that set timers, keyed state read when they fire |
//! | `chain` | updating aggregate → re-keyed MAX → upsert sink: every update of a key once and in order |
//! | `rolls` | the same with the engine's own updating aggregate in front |
//! | `cascade` | timers and windows in two keyed stages: event time across a move |
//! | `copy` | no keyed state at all |
//! | `depths` | sinks at different depths; stages that speak at the end, one behind the other |

mod cascade;
mod chain;
mod count;
mod join;
mod kind;
mod plain;
mod sessions;
mod timers;
mod windows;

pub mod input;
pub mod row;

pub use kind::{Check, Env, Expected, JobKind};
