//! The cut-over, exhaustively.
//!
//! ```text
//!   U0, U1 ─edge 0─► stage 0 of slots S, T, … ─edge 1─► [stage 1 of the same slots ─edge 2─►] X0, X1
//! ```
//!
//! A record is one frame; a channel has one credit; control items need none. A key's state is a bit mask: one bit a record that took
//! effect, and one for each stage's event-time timer at [`TIMER_TS`]. Every effect emits one row that carries the mask, so
//! "each consumer sees masks grow by one bit" is I2 and I3 at once. Rows are checked against watermarks wherever they arrive and leave
//! (I6), access against ownership (I1), manifests against the source prefix they claim to be (I2), recovery against the manifest.
//!
//! A state from which nothing but a crash leads on must be the end of the run with the right result. All runs are finite, so
//! that is freedom from deadlock and from gating or waiting for ever (I12).
//!
//! One file a part: [`config`] (what is run), [`state`], [`flow`] (rows and watermarks), [`moves`] (the roles' effects), [`epochs`]
//! (barriers, manifests, recovery), [`steps`] (which step is possible when).

pub mod config;
mod epochs;
mod flow;
mod moves;
pub mod state;
mod steps;

pub use config::Config;
pub use steps::CutModel;

/// The event time of every timer.
pub const TIMER_TS: u8 = 10;
