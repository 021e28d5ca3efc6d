//! Standard input and output, and the sinks that show or drop rows.
//!
//! These are not exactly-once and do not pretend to be: what stood on standard input is gone once it is read, and a row is
//! visible as soon as it is written, again after a restart.

mod blackhole;
mod input;
mod output;

pub use blackhole::Blackhole;
pub use input::Stdin;
pub use output::{Output, Target};
