//! `run --replicas N`: a coordinator and its workers as processes of this machine, started, watched and started again.
//!
//! Child processes are kept here as a cluster keeps pods: as many workers as are wanted, one that dies is replaced, one that
//! is not wanted any more ends once the coordinator says that nothing needs it. The children are given by the caller as commands, so that
//! the stock binary and a program of one's own are supervised alike.

use std::collections::BTreeMap;
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use watershed_runtime::error::{Error, Kind, Result};

use super::client::Client;
use crate::transport::Network;

/// The time between two looks at the children.
const LOOK: Duration = Duration::from_millis(50);
/// The time between two questions to the coordinator.
const ASK: Duration = Duration::from_millis(300);
/// The rest of a child that dies at once, at first; doubled with every death in a row.
const REST: Duration = Duration::from_millis(100);
const LONGEST_REST: Duration = Duration::from_secs(5);
/// A child that lives longer than this has begun well.
const WELL: Duration = Duration::from_secs(10);

/// The exit code of a process that could not reach something: worth another try.
const UNAVAILABLE: i32 = 3;

/// The supervisor: commands for its children, and their number.
pub struct Supervisor {
    /// The coordinator, told how many workers are wanted.
    pub coordinator: Box<dyn Fn(u32) -> Command>,
    /// A worker, by number.
    pub worker: Box<dyn Fn(u32) -> Command>,
    /// The coordinator's address.
    pub address: String,
    /// Workers to begin with.
    pub replicas: u32,
    /// The network by which the coordinator is reached.
    pub network: Network,
    /// Set to true, it stops the job, or ends a coordinator that does not listen yet.
    pub told: Arc<AtomicBool>,
    /// Hears what happens, in a sentence.
    pub says: Box<dyn Fn(&str)>,
}

impl std::fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Supervisor").field("address", &self.address).finish_non_exhaustive()
    }
}

/// A child, or when it may be started again.
#[derive(Debug)]
struct Post {
    child: Option<Child>,
    started: Instant,
    rest: Duration,
}

impl Post {
    fn new() -> Self {
        Self { child: None, started: Instant::now(), rest: Duration::ZERO }
    }

    /// Starts the child unless it runs or has to rest. True if it was started.
    fn fill(&mut self, what: &str, command: impl FnOnce() -> Command) -> Result<bool> {
        if self.child.is_some() || self.started.elapsed() < self.rest {
            return Ok(false);
        }
        let child = command().spawn().map_err(|e| Error::new(Kind::Unavailable, format!("cannot start {what}")).because(e))?;
        (self.child, self.started) = (Some(child), Instant::now());
        Ok(true)
    }

    fn id(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// The child's exit code, if it has ended; 255 for one that was killed.
    fn ended(&mut self, what: &str) -> Result<Option<i32>> {
        let Some(child) = &mut self.child else { return Ok(None) };
        let status = child.try_wait().map_err(|e| Error::new(Kind::Unavailable, format!("cannot wait for {what}")).because(e))?;
        let Some(status) = status else { return Ok(None) };
        self.child = None;
        self.rest = match (self.started.elapsed() > WELL, self.rest) {
            (true, _) => Duration::ZERO,
            (false, Duration::ZERO) => REST,
            (false, rest) => (rest * 2).min(LONGEST_REST),
        };
        Ok(Some(status.code().unwrap_or(255)))
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _gone = child.kill();
            let _reaped = child.wait();
        }
    }
}

impl Supervisor {
    /// The coordinator has taken the wish to stop. False where nothing listens.
    fn stops(&self) -> bool {
        Client::connect(&self.address, self.network.clone()).and_then(|mut c| c.stop()).is_ok()
    }

    /// Runs until the coordinator ends by itself; its exit code. A coordinator that was killed, or could not reach something, is started
    /// again.
    pub fn run(self) -> Result<i32> {
        let (mut coordinator, mut workers) = (Post::new(), BTreeMap::<u32, Post>::new());
        let (mut wanted, mut asked, mut client) = (self.replicas, Instant::now(), None::<Client>);
        let outcome = loop {
            if self.told.swap(false, Ordering::SeqCst) && !self.stops() {
                (self.says)("the coordinator does not listen: there is nothing to stop");
                coordinator.kill();
                workers.values_mut().for_each(Post::kill);
                break 0;
            }
            if coordinator.fill("the coordinator", || (self.coordinator)(wanted))? {
                (self.says)(&format!("the coordinator is process {}", coordinator.id()));
            }
            for number in 0..wanted {
                let post = workers.entry(number).or_insert_with(Post::new);
                if post.fill("a worker", || (self.worker)(number))? {
                    (self.says)(&format!("worker {number} is process {}", post.id()));
                }
            }
            std::thread::sleep(LOOK);
            match coordinator.ended("the coordinator")? {
                // Killed, or something it needs was not to be reached: it goes on from the log.
                Some(255 | UNAVAILABLE) => (self.says)("the coordinator has ended; starting it again"),
                Some(code) => break code,
                None => {}
            }
            for (number, post) in &mut workers {
                if let Some(code) = post.ended("a worker")?
                    && *number < wanted
                {
                    (self.says)(&format!("worker {number} has ended with code {code}; starting it again"));
                }
            }
            workers.retain(|number, post| *number < wanted || post.child.is_some());
            if asked.elapsed() < ASK {
                continue;
            }
            asked = Instant::now();
            if client.is_none() {
                client = Client::connect(&self.address, self.network.clone()).ok();
            }
            let Some(c) = &mut client else { continue };
            match c.status() {
                Ok(status) => wanted = status.wanted.max(1),
                Err(_) => {
                    client = None;
                    continue;
                }
            }
            if workers.keys().any(|n| *n >= wanted) {
                for free in c.releasable().unwrap_or_default().into_iter().filter(|w| w.releasable) {
                    if let Some(mut post) = workers.remove(&free.worker) {
                        post.kill();
                        (self.says)(&format!("worker {} is not needed any more", free.worker));
                    }
                }
            }
        };
        farewell(&mut workers)?;
        Ok(outcome)
    }
}

/// The coordinator has told the workers that the job is over; those that have not heard it are not waited for.
fn farewell(workers: &mut BTreeMap<u32, Post>) -> Result<()> {
    let until = Instant::now() + Duration::from_secs(2);
    while Instant::now() < until && !workers.is_empty() {
        for post in workers.values_mut() {
            post.ended("a worker")?;
        }
        workers.retain(|_, post| post.child.is_some());
        std::thread::sleep(LOOK);
    }
    workers.values_mut().for_each(Post::kill);
    Ok(())
}

impl Drop for Post {
    fn drop(&mut self) {
        self.kill();
    }
}
