//! The threads behind connectors: slots never block, so other threads do.
//!
//! [`pool`] runs short blocking work (reads, writes, syncs), [`timer`] wakes slots at an instant, [`outbox`] is an ordered queue
//! from a slot to the pool. One pool and one timer a process, started when first needed: a process with a thousand tables
//! must not have a thousand threads.

pub(crate) mod mutex;
pub(crate) mod outbox;
pub(crate) mod pool;
pub(crate) mod timer;
