//! The coordinator and the workers, kept alive: whoever ends is started again, as a cluster would, and how each ended is judged.
//!
//! Ends that are in order: killed by us; code 3 (something was not to be reached, which is worth another try); code 4 (fenced) of a
//! coordinator that slept while another took its place; 0 of a process that was told to end, and of
//! all once the job is to stop. Anything else is a breach: a panic, damaged
//! snapshots, a defect, a job refused.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::net::{Machine, Net};
use crate::process::{Ended, Process};
use crate::steward::Seen;
use crate::storage::Storage;

const PORT: u16 = 7100;
const WORKER_PORT: u16 = 7101;
/// The time for which a post stays empty, at first and at most.
const REST: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(3));
/// A process that lives longer has begun well.
const WELL: Duration = Duration::from_secs(10);

/// A place that is to be filled.
#[derive(Debug)]
struct Post {
    process: Option<Process>,
    started: Instant,
    rest: Duration,
    /// The last process of this place was killed.
    killed: bool,
}

impl Post {
    fn new() -> Self {
        Self { process: None, started: Instant::now(), rest: Duration::ZERO, killed: false }
    }
}

/// An end that nobody has ordered.
#[derive(Clone, Debug)]
pub(crate) struct End {
    pub(crate) who: String,
    pub(crate) how: Ended,
    pub(crate) said: String,
    /// Against the rules above.
    pub(crate) breach: bool,
}

/// All processes of the job.
#[derive(Debug)]
pub(crate) struct Cast {
    dir: PathBuf,
    port: u16,
    pub(crate) wanted: u32,
    coordinator: Post,
    workers: BTreeMap<u32, Post>,
    /// Processes started so far: part of each log's name.
    lives: u32,
    /// Coordinators whose place another has taken while they slept.
    former: Vec<Process>,
    pub(crate) stopping: bool,
    /// The coordinator has ended after the order to stop.
    pub(crate) stopped: bool,
    pub(crate) ends: Vec<End>,
}

impl Cast {
    /// A cast without processes yet.
    pub(crate) fn new(dir: &Path, net: &Net, wanted: u32) -> Self {
        let free = || std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).map_or(PORT, |a| a.port());
        Self {
            dir: dir.to_owned(),
            port: if net.can_cut() { PORT } else { free() },
            wanted,
            coordinator: Post::new(),
            workers: BTreeMap::new(),
            lives: 0,
            former: Vec::new(),
            stopping: false,
            stopped: false,
            ends: Vec::new(),
        }
    }

    /// The coordinator's address.
    pub(crate) fn address(&self, net: &Net) -> String {
        format!("{}:{}", net.address(Machine::Coordinator), self.port)
    }

    fn start(&mut self, who: &str, mut command: std::process::Command) -> Result<Process, String> {
        command.current_dir(&self.dir).args(["--log-format", "json"]);
        self.lives += 1;
        let log = self.dir.join(format!("logs/{:04}-{who}.log", self.lives));
        Process::start(command, &log).map_err(|e| format!("{who} cannot be started: {e}"))
    }

    /// Judges who has ended, fills empty posts, and lets go whom nothing needs.
    pub(crate) fn tick(&mut self, net: &Net, storage: &Storage, seen: &Seen) -> Result<(), String> {
        self.bury();
        if self.stopped {
            return Ok(());
        }
        // A job that is being stopped ends by itself; killed processes come back, as they would in a cluster.
        let stopping = self.stopping;
        let due = |post: &Post| post.process.is_none() && post.started.elapsed() >= post.rest && (post.killed || !stopping);
        let program = std::env::current_exe().map_err(|e| format!("this program cannot be found: {e}"))?;
        if due(&self.coordinator) {
            let listen = if net.can_cut() { format!("0.0.0.0:{}", self.port) } else { self.address(net) };
            let mut command = net.on(net.holder, &program);
            command.args(["coordinator", "--listen", &listen, "--epoch", "250ms", "--storage", &storage.url()]);
            command.args(["--replicas", &self.wanted.to_string()]);
            storage.tell(net, &mut command);
            let process = self.start("coordinator", command)?;
            fill(&mut self.coordinator, process);
        }
        for number in 0..self.wanted {
            if !due(self.workers.entry(number).or_insert_with(Post::new)) {
                continue;
            }
            let machine = Machine::Worker(number);
            let mut command = net.on(machine, &program);
            command.args(["worker", "--name", &format!("worker-{number}"), "--coordinator", &self.address(net)]);
            if net.can_cut() {
                command.args(["--listen", &format!("0.0.0.0:{WORKER_PORT}")]);
                command.args(["--advertise", &format!("{}:{WORKER_PORT}", net.address(machine))]);
            }
            storage.tell(net, &mut command);
            let process = self.start(&format!("worker-{number}"), command)?;
            if let Some(post) = self.workers.get_mut(&number) {
                fill(post, process);
            }
        }
        // Only what was said after the wish counts.
        if seen.wanted == self.wanted {
            let wanted = self.wanted;
            self.workers.retain(|number, _| *number < wanted || !seen.free.contains(number));
        }
        Ok(())
    }

    fn bury(&mut self) {
        let mut ends = Vec::new();
        let stopping = self.stopping;
        let posts = std::iter::once(("coordinator".to_owned(), &mut self.coordinator))
            .chain(self.workers.iter_mut().map(|(n, p)| (format!("worker-{n}"), p)));
        for (who, post) in posts {
            let Some(how) = post.process.as_mut().and_then(Process::ended) else { continue };
            let Some(process) = post.process.take() else { continue };
            self.stopped |= stopping && who == "coordinator" && how == Ended::Code(0);
            judge(&who, &process, how, stopping, &mut ends);
            post.killed = process.doomed;
            post.rest = if post.started.elapsed() > WELL { REST.0 } else { (post.rest * 2).clamp(REST.0, REST.1) };
            post.started = Instant::now();
        }
        self.former.retain_mut(|process| {
            let Some(how) = process.ended() else { return true };
            judge("former coordinator", process, how, stopping, &mut ends);
            false
        });
        let wanted = self.wanted;
        self.workers.retain(|n, p| *n < wanted || p.process.is_some());
        self.ends.append(&mut ends);
    }

    /// The last snapshot can be read once everything is over. `last`: it says that the job was stopped with it. If not, what is said of it.
    pub(crate) fn snapshot_is_whole(&self, net: &Net, storage: &Storage, last: bool) -> Result<(), String> {
        let program = std::env::current_exe().map_err(|e| format!("this program cannot be found: {e}"))?;
        let mut command = net.on(net.holder, &program);
        command.args(["snapshots", "show", "--storage", &storage.url()]).current_dir(&self.dir);
        storage.tell(net, &mut command);
        let said = command.output().map_err(|e| format!("snapshots cannot be asked for: {e}"))?;
        let text = String::from_utf8_lossy(&said.stdout);
        match said.status.success() {
            true if !last || text.contains("the job's last") => Ok(()),
            true => Err(format!("it is not the job's last: {}", text.lines().next().unwrap_or_default())),
            false => Err(String::from_utf8_lossy(&said.stderr).into_owned()),
        }
    }

    /// The job has stopped: from now on everything is started again. Workers of the former start may still be ending.
    pub(crate) fn begin_again(&mut self) {
        self.workers.values_mut().filter_map(|p| p.process.as_mut()).for_each(|p| p.told = true);
        (self.stopping, self.stopped) = (false, false);
    }

    /// The process of a worker that was told to end has ended.
    pub(crate) fn has_left(&self, number: u32) -> bool {
        self.workers.get(&number).and_then(|p| p.process.as_ref()).is_none_or(|p| !p.told)
    }

    /// The process of a worker.
    pub(crate) fn worker(&mut self, number: u32) -> Option<&mut Process> {
        self.workers.get_mut(&number)?.process.as_mut()
    }

    /// The coordinator's process.
    pub(crate) fn coordinator(&mut self) -> Option<&mut Process> {
        self.coordinator.process.as_mut()
    }

    /// The coordinator does no longer count: the next one is started elsewhere.
    pub(crate) fn depose(&mut self) {
        self.former.extend(self.coordinator.process.take());
        self.coordinator.rest = Duration::ZERO;
    }

    /// Deposed coordinators.
    pub(crate) fn former(&mut self) -> &mut Vec<Process> {
        &mut self.former
    }

    /// Every process of the job.
    pub(crate) fn all(&mut self) -> impl Iterator<Item = &mut Process> {
        std::iter::once(&mut self.coordinator).chain(self.workers.values_mut()).filter_map(|p| p.process.as_mut())
    }
}

fn fill(post: &mut Post, process: Process) {
    post.process = Some(process);
    post.started = Instant::now();
}

fn judge(who: &str, process: &Process, how: Ended, stopping: bool, ends: &mut Vec<End>) {
    if process.doomed {
        return;
    }
    let in_order = match how {
        Ended::Code(3) => true,
        Ended::Code(0) => stopping || process.told,
        Ended::Code(4) => who.ends_with("coordinator") && process.slept,
        Ended::Code(_) | Ended::Signal(_) => false,
    };
    ends.push(End { who: who.to_owned(), how, said: process.last_words(3), breach: !in_order });
}
