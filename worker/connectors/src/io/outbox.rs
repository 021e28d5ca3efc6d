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

    /// Bytes not yet done; above the budget the waker is called when they have become fewer.
    pub(crate) fn backlog(&self, waker: &Waker) -> usize {
        let mut state = lock(&self.shared);
        if matches!(state.failed, Failed::New(_)) {
            // The slot must come and fetch the error.
            return 0;
        }
        if state.bytes > SINK_BUDGET {
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
        let news = state.queue.is_empty() || state.bytes <= SINK_BUDGET / 2;
        if let Some(waker) = if news { state.waker.take() } else { None } {
            drop(state);
            waker.wake();
        }
    }
}
