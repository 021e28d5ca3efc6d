//! The binary as a user meets it: what it says, where it says it, and with which code it ends.

#![allow(clippy::panic, clippy::expect_used, clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod bench;
mod fails;
mod processes;
mod runs;
mod shows;
mod sql;
mod told;
