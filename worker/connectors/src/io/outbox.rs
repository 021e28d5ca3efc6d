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

use super::{lock, pool};

/// From here up a slot is woken when bytes have been written.
const LOW: usize = SINK_BUDGET / 2;

/// Does the operations of one outbox.
pub(crate) trait Worker: Send + 'static {
    /// What it can be asked to do.
    type Op: Send + 'static;
    /// Does one; may block.
    fn run(&mut self, op: Self::Op) -> Result<(), Error>;
}

/// The slot's end.
pub(crate) struct Outbox<W: Worker> {
    shared: Arc<Mutex<State<W>>>,
}

impl<W: Worker> fmt::Debug for Outbox<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox").finish_non_exhaustive()
    }
}

struct State<W: Worker> {
    /// Absent while an I/O thread has it.
    worker: Option<W>,
    queue: VecDeque<(usize, W::Op)>,
    /// Bytes pushed and not yet done.
    bytes: usize,
    pushed: u64,
    done: u64,
    failed: Failed,
    waker: Option<Waker>,
}

enum Failed {
    No,
    New(Error),
    Told(String),
}

impl<W: Worker> Outbox<W> {
    pub(crate) fn new(worker: W) -> Self {
        let state =
            State { worker: Some(worker), queue: VecDeque::new(), bytes: 0, pushed: 0, done: 0, failed: Failed::No, waker: None };
        Self { shared: Arc::new(Mutex::new(state)) }
    }

    /// Queues an operation that carries `bytes` bytes; the answer is its number for [`Outbox::done`].
    pub(crate) fn push(&self, op: W::Op, bytes: usize) -> Result<u64, Error> {
        let mut state = lock(&self.shared);
        state.check()?;
        state.queue.push_back((bytes, op));
        state.bytes += bytes;
        state.pushed += 1;
        let number = state.pushed;
        if let Some(worker) = state.worker.take() {
            let shared = Arc::clone(&self.shared);
            drop(state);
            pool::submit(move || run(&shared, worker));
        }
        Ok(number)
    }

    /// Whether operation `number` and all before it are done; if not, the waker is called when there is news.
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
        if matches!(state.failed, Failed::New(_)) {
            // The slot must come and fetch the error.
            return 0;
        }
        if state.bytes >= LOW {
            state.waker = Some(waker.clone());
        }
        state.bytes
    }
}

impl<W: Worker> State<W> {
    fn check(&mut self) -> Result<(), Error> {
        match std::mem::replace(&mut self.failed, Failed::No) {
            Failed::No => Ok(()),
            Failed::New(error) => {
                self.failed = Failed::Told(error.to_string());
                Err(error)
            }
            Failed::Told(text) => {
                let error = Error::new(Kind::Unavailable, format!("writing has failed before: {text}"));
                self.failed = Failed::Told(text);
                Err(error)
            }
        }
    }
}

fn run<W: Worker>(shared: &Mutex<State<W>>, mut worker: W) {
    loop {
        let next = {
            let mut state = lock(shared);
            match state.queue.pop_front() {
                Some(next) => next,
                None => {
                    state.worker = Some(worker);
                    return;
                }
            }
        };
        let (bytes, op) = next;
        let result = worker.run(op);
        let mut state = lock(shared);
        state.bytes -= bytes;
        state.done += 1;
        if let Err(error) = result {
            state.failed = Failed::New(error);
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

    /// Does each operation when it is told to, and answers with it.
    struct Told(Receiver<()>, Vec<u32>, Sender<Vec<u32>>);

    impl Worker for Told {
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
        let (go, told) = channel();
        let (done, seen) = channel();
        let outbox = Outbox::new(Told(told, Vec::new(), done));
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
        let (go, told) = channel();
        let outbox = Outbox::new(Told(told, Vec::new(), channel().0));
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
