//! The engine of Watershed: dataflow, exchange, time, state and every protocol as a pure step function.
//!
//! Reading order: [`key`] and [`time`] (what everything is measured in), [`container`] (what flows), [`env`] (the seams to the
//! world).
//!
//! Nothing in this crate reads a clock, spawns a thread, sleeps, draws a random number or touches a socket.

pub mod container;
pub mod env;
pub mod error;
pub mod key;
pub mod protocol;
pub mod state;
pub mod time;
