//! The engine of Watershed: dataflow, exchange, time, state and every protocol as a pure step function.
//!
//! Reading order: [`key`] and [`time`] (what everything is measured in), [`container`] (what flows), [`env`] (the seams to the
//! world), [`graph`] and [`operator`] (what a job is made of), [`slot`] (how it runs), [`state`] (what it remembers), [`protocol`]
//! (how it survives and moves), [`stream`] (how a Rust program writes one).
//!
//! Nothing in this crate reads a clock, spawns a thread, sleeps, draws a random number or touches a socket.

pub mod container;
pub mod coordinator;
pub mod env;
pub mod error;
pub mod frame;
pub mod graph;
pub mod key;
pub mod messages;
pub mod operator;
pub mod protocol;
pub mod slot;
pub mod state;
pub mod stream;
pub mod time;
