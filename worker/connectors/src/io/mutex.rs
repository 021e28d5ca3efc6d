//! Locks that outlive a thread that died with them.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks; a thread that died with the lock held left consistent data, since every critical section here is a few moves.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
