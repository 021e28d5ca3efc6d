//! Threads for work that may block: one queue each, jobs in order. A slow store must not hold up commits, nor a merge the log, so each
//! kind of work has a worker of its own.

use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use watershed_runtime::error::{Error, Kind, Result};

type Task = Box<dyn FnOnce() + Send>;

/// A thread with a queue. Dropping it lets the queue run empty first.
#[derive(Debug)]
pub(crate) struct Worker {
    queue: Option<Sender<Task>>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// A worker whose thread has this name.
    pub(crate) fn new(name: &str) -> Result<Self> {
        let (queue, tasks) = channel::<Task>();
        let run = move || tasks.into_iter().for_each(|task| task());
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(run)
            .map_err(|e| Error::new(Kind::Unavailable, format!("cannot start thread {name}")).because(e))?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Drops it without waiting: what is under way and queued is done while others go on, if at all.
    pub(crate) fn leave(mut self) {
        self.thread.take();
    }

    /// Queues a task.
    pub(crate) fn run(&self, task: impl FnOnce() + Send + 'static) {
        if let Some(queue) = &self.queue {
            // The thread ends only after the queue is dropped.
            let _sent = queue.send(Box::new(task));
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.queue.take();
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}
