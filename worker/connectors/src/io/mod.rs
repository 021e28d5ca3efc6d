//! The threads behind connectors: slots never block, so somebody else does.
//!
//! [`pool`] runs short blocking work (reads, writes, syncs), [`timer`] wakes slots at an instant, [`outbox`] is an ordered queue
//! from a slot to the pool. One pool and one timer a process, started when first needed: a process with a thousand tables
//! must not have a thousand threads.

pub(crate) mod outbox;
pub(crate) mod pool;
pub(crate) mod timer;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks; a thread that died with the lock held left consistent data, since every critical section here is a few moves.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
