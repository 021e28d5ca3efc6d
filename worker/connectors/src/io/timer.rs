//! Wakes slots at an instant: one thread with a heap, asleep until the next one is due.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::sync::{Arc, Condvar, LazyLock, Mutex, PoisonError};
use std::task::Waker;
use std::time::Instant;

use super::mutex::lock;
use super::pool;

struct Alarm {
    at: Instant,
    waker: Waker,
}

impl PartialEq for Alarm {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}
impl Eq for Alarm {}
impl PartialOrd for Alarm {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Alarm {
    fn cmp(&self, other: &Self) -> Ordering {
        self.at.cmp(&other.at)
    }
}

#[derive(Default)]
struct Timer {
    alarms: Mutex<BinaryHeap<Reverse<Alarm>>>,
    changed: Condvar,
}

static TIMER: LazyLock<Option<Arc<Timer>>> = LazyLock::new(|| {
    let timer = Arc::new(Timer::default());
    let runs = Arc::clone(&timer);
    pool::detached("watershed-timer", move || runs.run()).ok().map(|()| timer)
});

impl Timer {
    fn run(&self) {
        let mut alarms = lock(&self.alarms);
        loop {
            let now = Instant::now();
            while alarms.peek().is_some_and(|a| a.0.at <= now) {
                if let Some(Reverse(alarm)) = alarms.pop() {
                    alarm.waker.wake();
                }
            }
            let next = alarms.peek().map(|a| a.0.at.saturating_duration_since(now));
            alarms = match next {
                Some(wait) => self.changed.wait_timeout(alarms, wait).unwrap_or_else(PoisonError::into_inner).0,
                None => self.changed.wait(alarms).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }
}

/// Wakes `waker` at `at`; at once if the system gave no thread for timers (the slot then polls, late but never stuck).
pub(crate) fn wake_at(at: Instant, waker: &Waker) {
    match &*TIMER {
        Some(timer) => {
            lock(&timer.alarms).push(Reverse(Alarm { at, waker: waker.clone() }));
            timer.changed.notify_one();
        }
        None => waker.wake_by_ref(),
    }
}
