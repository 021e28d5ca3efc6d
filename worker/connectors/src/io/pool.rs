//! A few threads for blocking work.
//!
//! A task is one bounded piece of work (a chunk or two, a write, a sync): work that has more to do is submitted again, so
//! that one slow file delays others by a piece and not by its length. Work that may block for ever (standard input) gets a thread of
//! its own through [`detached`].

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, LazyLock, Mutex};
use std::thread;

use super::mutex::lock;

/// Threads of the pool: enough to overlap a sync with reads; the slots need the cores.
const THREADS: usize = 3;

type Task = Box<dyn FnOnce() + Send>;

static POOL: LazyLock<Pool> = LazyLock::new(|| Pool::start(THREADS));

struct Pool {
    tasks: Mutex<Sender<Task>>,
    started: bool,
}

impl Pool {
    fn start(threads: usize) -> Self {
        let (tasks, queue) = channel::<Task>();
        let queue = Arc::new(Mutex::new(queue));
        let started = (0..threads).filter(|i| {
            let queue = Arc::clone(&queue);
            thread::Builder::new().name(format!("watershed-io-{i}")).spawn(move || work(&queue)).is_ok()
        });
        let started = started.count() > 0;
        Self { tasks: Mutex::new(tasks), started }
    }
}

fn work(queue: &Mutex<Receiver<Task>>) {
    loop {
        // The lock is held while waiting: exactly one idle thread waits in `recv`, the others for the lock.
        let task = lock(queue).recv();
        match task {
            Ok(task) => task(),
            Err(_) => return,
        }
    }
}

/// Runs `task` on the pool; in the caller's thread if the system gave no thread at all.
pub(crate) fn submit(task: impl FnOnce() + Send + 'static) {
    if POOL.started {
        // The receiver lives as long as the static pool's threads.
        let _ = lock(&POOL.tasks).send(Box::new(task));
    } else {
        task();
    }
}

/// Runs `task` on a thread of its own, for work that may block for ever.
pub(crate) fn detached(name: &str, task: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    thread::Builder::new().name(name.to_owned()).spawn(task).map(drop)
}
