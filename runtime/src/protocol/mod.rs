//! Every protocol as a pure step function: no clock, no store, no channel, no `async`. An event goes in, effects come out.
//!
//! The same types run in production, in the seeded simulator and in the model checker (`runtime/sim/src/model`), so what was
//! checked is what runs. The laws are numbered and quoted by number everywhere:
//!
//! - **I1** At most one slot has a key group Active; access to a group that is not Active is an error, never a default.
//! - **I2** Every record between two consecutive manifests takes effect exactly once in the later one.
//! - **I3** Per key, effects keep their order end to end, also across a move.
//! - **I4** The assignment changes only by a cut-over, and becomes durable only in a manifest.
//! - **I5** A manifest names only complete, immutable files; each key group, split and sink segment has exactly one owner in it.
//! - **I6** No output below an emitted watermark; no record becomes late because of a move.
//! - **I7** External effects of epoch e happen only after manifest e exists, and only under its term.
//! - **I8** No slot is released while a live manifest names it as owner or its sink handles are uncommitted.
//! - **I9** Barrier alignment and cut-over never overlap. A cut is open from the first Fence until the target reports Active.
//! - **I10** Terms are totally ordered by manifest slots.
//! - **I11** A group is cut only while the last *published* manifest carries its previous cut.
//! - **I12** No cycle of waits.
//! - **I13** Every buffer is bounded in bytes; every wait has a deadline and a text that says for whom it waits.
//! - **I14** Nothing a live reader needs is collected: readers pin.
//! - **I15** A drain ends reading at a barrier: no row behind it takes effect, and every row before it is in the output with everything
//!   that comes of it at the end of time, each window that was open once. The manifest of that barrier says so, and no later one says
//!   otherwise.
//!
//! [`rules`] lists every rule that upholds them, each with a switch that exists only in mutants; [`cut`] is what one slot does in
//! a cut-over. The rest is the coordinator's: [`turns`] (barrier or cut), [`epoch`] and [`merge`] (from barrier to manifest to commit),
//! [`plan`] and [`rescale`], the log ([`manifest`], [`entry`], [`log`], [`claim`]), [`restart`], the storage ([`state_file`],
//! [`maintenance`], [`gc`], [`named`]).

pub mod claim;
pub mod cut;
pub mod entry;
pub mod epoch;
pub mod gc;
pub mod log;
pub mod maintenance;
pub mod manifest;
pub mod merge;
pub mod named;
pub mod plan;
pub mod rescale;
pub mod restart;
pub mod rules;
pub mod state_file;
pub mod turns;
