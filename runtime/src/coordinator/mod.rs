//! The coordinator of a job: one pure step function over everything that concerns more than one slot.
//!
//! The coordinator puts the machines of [`crate::protocol`] together: the manifest log, epochs, the rescale, whose turn it is, and which
//! slot reads which split. It does no I/O: an [`Input`] goes in, [`Effect`]s come out, in the order in which they must be carried out. A
//! thread with an object store, and a simulator, drive the same code.
//!
//! A coordinator dies with everything it knows. What its successor needs stands in the log and with the slots: [`WorkerJournal`] is what
//! a process remembers of them, and [`Coordinator::adopt`] goes on from there while they run.
//!
//! Order that matters: a new slot exists before the barrier at which it joins is sent; a split is given to its new reader only after
//! the old one has said where it stands; nothing is committed before the manifest that names it is in the log (I7).

mod adopt;
mod effects;
mod journal;
mod machine;
mod parts;
mod progress;
mod run_journal;
mod splits;

pub use effects::{Effect, Input, NewSlot};
pub use journal::{Run, SlotJournal, WorkerJournal};
pub use machine::Coordinator;
pub use progress::EpochProgress;
