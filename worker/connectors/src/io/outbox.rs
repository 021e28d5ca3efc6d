//! An ordered queue of blocking operations, from one slot to the I/O threads.
//!
//! Operations of one outbox run one after another, in order, at most one at a time; different outboxes run side by side. After
//! a failure nothing more of the outbox is run: a sink that lost a write must never seal what came after it.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::task::Waker;

use watershed_runtime::env::SINK_BUDGET;
use watershed_runtime::error::{Error, Kind};

use super::mutex::lock;
use super::pool;

/// From here up a slot is woken when bytes have been written.
const LOW: usize = SINK_BUDGET / 2;

/// The far end of one outbox: executes its operations on an I/O thread.
pub(crate) trait Executor: Send + 'static {
    /// An operation.
    type Op: Send + 'static;
    /// Executes one operation; may block.
    fn run(&mut self, op: Self::Op) -> Result<(), Error>;
}

/// The slot's end.
pub(crate) struct Outbox<E: Executor> {
    shared: Arc<Mutex<OutboxState<E>>>,
}

impl<E: Executor> fmt::Debug for Outbox<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox").finish_non_exhaustive()
    }
}

struct OutboxState<E: Executor> {
    /// Absent while an I/O thread has it.
    executor: Option<E>,
    queue: VecDeque<(usize, E::Op)>,
    /// Bytes pushed and not yet done.
    bytes: usize,
    pushed: u64,
    done: u64,
    failure: Failure,
    waker: Option<Waker>,
}

/// The first error of an outbox: its slot gets the error itself once, and its text from then on.
enum Failure {
    None,
    Unreported(Error),
    Reported(String),
}

impl<E: Executor> Outbox<E> {
    pub(crate) fn new(executor: E) -> Self {
        let state = OutboxState {
            executor: Some(executor),
            queue: VecDeque::new(),
            bytes: 0,
            pushed: 0,
            done: 0,
            failure: Failure::None,
            waker: None,
        };
        Self { shared: Arc::new(Mutex::new(state)) }
    }

    /// Queues an operation that carries `bytes` bytes; the answer is its number for [`Outbox::done`].
    pub(crate) fn push(&self, op: E::Op, bytes: usize) -> Result<u64, Error> {
        let mut state = lock(&self.shared);
        state.check()?;
        state.queue.push_back((bytes, op));
        state.bytes += bytes;
        state.pushed += 1;
        let number = state.pushed;
        if let Some(executor) = state.executor.take() {
            let shared = Arc::clone(&self.shared);
            drop(state);
            pool::submit(move || run(&shared, executor));
        }
        Ok(number)
    }

    /// True if operation `number` and all before it are done; if not, the waker is called when there is news.
    pub(crate) fn done(&self, number: u64, waker: &Waker) -> Result<bool, Error> {
        let mut state = lock(&self.shared);
        state.check()?;
        if state.done >= number {
            return Ok(true);
        }
        state.waker = Some(waker.clone());
        Ok(false)
    }

    /// Bytes not yet done. When they come near the budget (the caller may hold some more of its own) the waker is called as soon
    /// as they have become fewer.
    pub(crate) fn backlog(&self, waker: &Waker) -> usize {
        let mut state = lock(&self.shared);
        if matches!(state.failure, Failure::Unreported(_)) {
            // The slot must come and fetch the error.
            return 0;
        }
        if state.bytes >= LOW {
            state.waker = Some(waker.clone());
        }
        state.bytes
    }
}

impl<E: Executor> OutboxState<E> {
    fn check(&mut self) -> Result<(), Error> {
        match std::mem::replace(&mut self.failure, Failure::None) {
            Failure::None => Ok(()),
            Failure::Unreported(error) => {
                self.failure = Failure::Reported(error.to_string());
                Err(error)
            }
            Failure::Reported(text) => {
                let error = Error::new(Kind::Unavailable, format!("writing has failed before: {text}"));
                self.failure = Failure::Reported(text);
                Err(error)
            }
        }
    }
}

fn run<E: Executor>(shared: &Mutex<OutboxState<E>>, mut executor: E) {
    loop {
        let next = {
            let mut state = lock(shared);
            match state.queue.pop_front() {
                Some(next) => next,
                None => {
                    state.executor = Some(executor);
                    return;
                }
            }
        };
        let (bytes, op) = next;
        let result = executor.run(op);
        let mut state = lock(shared);
        state.bytes -= bytes;
        state.done += 1;
        if let Err(error) = result {
            state.failure = Failure::Unreported(error);
            state.queue.clear();
            state.bytes = 0;
        }
        // Wake on the way down past half of the budget, when all is done and on failure: not once a write.
        let news = state.queue.is_empty() || state.bytes <= LOW;
        if let Some(waker) = if news { state.waker.take() } else { None } {
            drop(state);
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::task::Wake;
    use std::time::{Duration, Instant};

    use super::*;

    /// An executor that does each operation when the test permits it, and reports all that it has done.
    struct Stepped(Receiver<()>, Vec<u32>, Sender<Vec<u32>>);

    impl Executor for Stepped {
        type Op = u32;

        fn run(&mut self, op: u32) -> Result<(), Error> {
            self.0.recv().map_err(|_| Error::new(Kind::Unavailable, "gone"))?;
            self.1.push(op);
            self.2.send(self.1.clone()).map_err(|_| Error::new(Kind::Unavailable, "gone"))
        }
    }

    struct Woken(AtomicU64);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn until(what: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !what() {
            assert!(Instant::now() < deadline, "it never came");
            std::thread::yield_now();
        }
    }

    #[test]
    fn operations_run_in_order_and_a_full_outbox_wakes_its_slot_when_there_is_room() {
        let (go, permits) = channel();
        let (done, seen) = channel();
        let outbox = Outbox::new(Stepped(permits, Vec::new(), done));
        let woken = Arc::new(Woken(AtomicU64::new(0)));
        let waker = Waker::from(Arc::clone(&woken));
        for op in 0..3 {
            outbox.push(op, SINK_BUDGET / 2).unwrap();
        }
        assert!(outbox.backlog(&waker) > SINK_BUDGET);
        go.send(()).unwrap();
        assert_eq!(seen.recv().unwrap(), [0]);
        go.send(()).unwrap();
        until(|| woken.0.load(Ordering::SeqCst) == 1);
        assert_eq!(outbox.backlog(&waker), SINK_BUDGET / 2);
        assert!(!outbox.done(3, &waker).unwrap());
        go.send(()).unwrap();
        until(|| woken.0.load(Ordering::SeqCst) == 2);
        assert!(outbox.done(3, &waker).unwrap());
        assert_eq!(seen.iter().take(2).last().unwrap(), [0, 1, 2]);
    }

    #[test]
    fn after_a_failure_nothing_more_is_done() {
        let (go, permits) = channel();
        let outbox = Outbox::new(Stepped(permits, Vec::new(), channel().0));
        drop(go);
        let number = outbox.push(1, 1).unwrap();
        let failed = std::cell::RefCell::new(None);
        until(|| {
            *failed.borrow_mut() = outbox.done(number, Waker::noop()).err();
            failed.borrow().is_some()
        });
        assert_eq!(failed.into_inner().unwrap().to_string(), "gone");
        assert_eq!(outbox.push(2, 1).unwrap_err().to_string(), "writing has failed before: gone");
        assert_eq!(outbox.backlog(Waker::noop()), 0);
    }
}
