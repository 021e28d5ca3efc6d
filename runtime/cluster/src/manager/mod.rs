//! The job manager: the coordinator's process as a pure machine.
//!
//! ```text
//!             enough workers          end of the log            ours
//!  Gathering ───────────────► Reading ──────────────► Claiming ───────► Running ──► Ended
//!     ▲  ▲                      │ ▲        another was faster │            │
//!     │  └── no worker left, ───┘ └───────────────────────────┘            │ a worker is lost, storage is away
//!     │      too little memory                                             ▼
//!     └──────────────────────────────────────────────────────────────── Resting
//! ```
//!
//! A *run* begins with each claimed term: a manifest to begin from, and the slots of the workers that are there. Losing a worker ends a
//! run, and the next begins with the survivors at once. The slots that an earlier manager has left running are taken over as they are
//! (`adopting`); where that cannot be, a new run begins (`beginning`), which is always right. Both claim the next term first, so an older
//! manager can write nothing any more (I10).
//!
//! | file | what |
//! |---|---|
//! | `interface`, `settings`, `phase` | events and actions; what it is told before; what it knows of its own progress |
//! | `machine` | the step |
//! | `gathering` | waiting for workers, and looking for newer terms meanwhile |
//! | `claiming` | reading the log to its end, and claiming the next term |
//! | `adopting`, `beginning` | from a claimed term to a run |
//! | `running` | the run: effects of its coordinator become actions; files are merged, sources looked through again |
//! | `leaving` | workers that were told to end |
//! | `resting` | what happens when something that a run needs is away |
//! | `requests`, `savepoints` | what a user asks: scale, stop, drain, snapshot; snapshots that are to get a name |

mod adopting;
mod beginning;
mod claiming;
mod gathering;
mod interface;
mod leaving;
mod machine;
mod phase;
mod requests;
mod resting;
mod running;
mod savepoints;
mod settings;

pub use interface::{Action, Event, Io, IoReply, Outcome, Reply, Request, Restored};
pub use machine::JobManager;
pub(crate) use phase::Phase;
pub use phase::Running;
pub use savepoints::name_taken;
pub use settings::Settings;

#[cfg(test)]
mod tests;
