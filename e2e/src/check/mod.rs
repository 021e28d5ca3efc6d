//! The checking consumer: it reads what a job has committed, and holds every row against what it must be.
//!
//! ```text
//! pod: tail ──files──► watch (thread) ──► epochs: in order ──► checker: right or wrong
//!                                     └─► timeline: when what came, how late, how long nothing did
//! ```

pub(crate) mod checker;
pub(crate) mod epochs;
pub(crate) mod expect;
pub(crate) mod tail;
pub(crate) mod timeline;
pub(crate) mod watch;
