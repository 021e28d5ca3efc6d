//! `run`: a whole job inside this process, the same coordinator and slots as anywhere else.
//!
//! ```no_run
//! # fn main() -> watershed::Result<()> {
//! use watershed::{Job, LocalJob, io};
//! let job = Job::new();
//! io_words(&job);
//! LocalJob::new("words", job.build()?).slots(2).run()?;
//! # fn io_words(_: &Job) {}
//! # Ok(()) }
//! ```

use std::collections::VecDeque;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use watershed_cluster::manager::{Event, IoReply, JobManager, Reply, Settings};
use watershed_cluster::task_manager::{WorkerAction, WorkerEvent};
use watershed_cluster::{
    Envelope, JobStatus, Member, Refusal, Registration, Request, Target, TaskManager, ToWorker, fingerprint, shape_text,
};
pub use watershed_cluster::{Outcome, Restored};
use watershed_runtime::error::{Error, Result};
use watershed_runtime::graph::Graph;
use watershed_runtime::key::KeySpace;
use watershed_runtime::slot::{MoveStats, NodeStats};

use crate::clock::{now, unique};
use crate::executor::{Answers, Clients, Executor, pace, settings};
use crate::requests::{Waiter, Waiters};
use crate::root;
use crate::slots::{Directory, SlotNumbers};
use crate::store::Store;
use crate::worker_host::{Events, Place, WINDOW, Ways, WorkerHost};

/// The number of the only worker.
const WORKER: u32 = 0;
/// The time between two heartbeats, in microseconds.
const HEARTBEAT: i64 = 500_000;

/// An event for the job's thread.
pub(crate) enum LocalEvent {
    /// An answer of the outside to the manager.
    Io(u64, IoReply),
    /// An event of the worker.
    Worker(WorkerEvent),
    /// A user asks for something, and may wait for the answer.
    Request(Request, Option<Box<dyn Waiter>>),
    /// A look at the manager.
    Look(Box<dyn FnOnce(&JobManager) + Send>),
}

/// A job to be run in this process.
#[derive(Debug)]
pub struct LocalJob {
    settings: Settings,
    fresh: bool,
    storage: Option<String>,
}

/// The status of a running job: the manager's view, and the numbers of the slots.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// The manager's view. `wanted` counts slots, and `waiting` has what the slots wait for, too.
    pub job: JobStatus,
    /// The numbers of each slot's nodes, in the graph's order.
    pub nodes: Vec<(u16, Vec<NodeStats>)>,
    /// The cost of moving key groups, by slot.
    pub moves: Vec<(u16, MoveStats)>,
}

impl Deref for Progress {
    type Target = JobStatus;

    fn deref(&self) -> &JobStatus {
        &self.job
    }
}

/// Steers a running job from another thread.
#[derive(Clone, Debug)]
pub struct Handle {
    queue: Sender<LocalEvent>,
    directory: Directory,
}

impl std::fmt::Debug for LocalEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LocalEvent")
    }
}

impl Handle {
    /// Runs on with so many slots, without stopping.
    pub fn scale(&self, slots: u16) {
        self.ask(Request::Scale(u32::from(slots.max(1))), None);
    }

    /// Stops with a snapshot: what has been read is worked off and committed.
    pub fn stop(&self) {
        self.ask(Request::Stop, None);
    }

    /// Drains: sources read nothing more, windows and timers that are open come out, and the job is finished.
    pub fn drain(&self) {
        self.ask(Request::Drain, None);
    }

    /// The job's numbers; `None` when it is over.
    #[must_use]
    pub fn status(&self) -> Option<Progress> {
        let mut progress = Progress { job: self.job()?, ..Progress::default() };
        // The slots answer between two steps; the manager's thread does not wait for them.
        for SlotNumbers { slot, nodes, waiting, moves, blocked: _ } in self.directory.numbers(Duration::from_secs(2)) {
            progress.nodes.push((slot.0, nodes));
            progress.moves.push((slot.0, moves));
            progress.job.waiting.extend(waiting);
        }
        Some(progress)
    }

    /// The manager's view; `None` when the job is over.
    pub(crate) fn job(&self) -> Option<JobStatus> {
        let (to, answer) = channel();
        let look = move |manager: &JobManager| {
            let _gone = to.send(manager.status(now()));
        };
        self.look(Box::new(look)).then(|| answer.recv().ok()).flatten()
    }

    /// Asks for something. False when the job is over.
    pub(crate) fn ask(&self, request: Request, waiter: Option<Box<dyn Waiter>>) -> bool {
        self.queue.send(LocalEvent::Request(request, waiter)).is_ok()
    }

    /// Looks at the manager, on its thread. False when the job is over.
    pub(crate) fn look(&self, look: Box<dyn FnOnce(&JobManager) + Send>) -> bool {
        self.queue.send(LocalEvent::Look(look)).is_ok()
    }

    /// The slots.
    #[cfg(all(feature = "cli", feature = "grpc"))]
    pub(crate) fn directory(&self) -> &Directory {
        &self.directory
    }
}

/// A job that is ready to run: its state found, its term claimed, its slots being made.
pub struct Ready {
    run: LocalRun,
    over: Option<Outcome>,
    restored: Restored,
}

impl std::fmt::Debug for Ready {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ready").field("place", &self.place()).finish_non_exhaustive()
    }
}

impl LocalJob {
    /// A job under a name: with one slot, an epoch a second, and `./.watershed/<name>` for its snapshots.
    #[must_use]
    pub fn new(name: impl Into<String>, graph: Graph) -> Self {
        Self { settings: settings(name.into(), graph, Target::Slots(1)), fresh: false, storage: None }
    }

    /// The number of engine threads.
    #[must_use]
    pub fn slots(mut self, slots: u16) -> Self {
        self.settings.target = Target::Slots(slots.max(1));
        self
    }

    /// The time between two snapshots; output is committed with each.
    #[must_use]
    pub fn epoch(mut self, every: Duration) -> Self {
        self.settings.pace = pace(every);
        self
    }

    /// The place of snapshots: a directory or a URL.
    #[must_use]
    pub fn storage(mut self, url: impl Into<String>) -> Self {
        self.storage = Some(url.into());
        self
    }

    /// Throws earlier snapshots of the job away.
    #[must_use]
    pub fn fresh(mut self, fresh: bool) -> Self {
        self.fresh = fresh;
        self
    }

    /// The number of key groups; only the first start of a job can set it.
    #[must_use]
    pub fn keys(mut self, keys: KeySpace) -> Self {
        self.settings.keys = keys;
        self
    }

    /// Stored states (`node.state`) that may be given up because the job no longer has them.
    #[must_use]
    pub fn may_drop(mut self, states: Vec<String>) -> Self {
        self.settings.may_drop = states;
        self
    }

    /// Gives up every stored state that the job no longer has.
    #[must_use]
    pub fn drop_unmatched(mut self, drop: bool) -> Self {
        self.settings.drop_unmatched = drop;
        self
    }

    /// The default place of a job's snapshots.
    #[must_use]
    pub fn default_storage(name: &str) -> PathBuf {
        PathBuf::from(".watershed").join(name)
    }

    /// Runs to the end of all input, or until stopped through a [`Handle`].
    pub fn run(self) -> Result<Outcome> {
        self.prepare()?.run()
    }

    /// Opens storage, claims the job, finds its state and begins to make its slots.
    pub fn prepare(self) -> Result<Ready> {
        let Self { mut settings, fresh, storage } = self;
        let url = storage.unwrap_or_else(|| Self::default_storage(&settings.job).display().to_string());
        let store = root::open(&mut settings, fresh, &url)?;
        let mut run = LocalRun::new(settings, store)?;
        let over = run.prepare()?;
        let restored = run.executor.manager().restored().cloned().unwrap_or_default();
        Ok(Ready { run, over, restored })
    }
}

impl Ready {
    /// Steers the job while [`Ready::run`] runs in another thread.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.run.handle.clone()
    }

    /// The state that was found in the storage.
    #[must_use]
    pub fn restored(&self) -> &Restored {
        &self.restored
    }

    /// The place of the snapshots.
    #[must_use]
    pub fn place(&self) -> &str {
        self.run.executor.place()
    }

    /// Hears, in a sentence, how the job's run ends and another begins.
    #[must_use]
    pub fn tells(mut self, tells: impl Fn(&str) + Send + 'static) -> Self {
        self.run.link.tells = Box::new(tells);
        self
    }

    /// Runs to the end of all input, or until stopped.
    pub fn run(mut self) -> Result<Outcome> {
        loop {
            if let Some(outcome) = self.over {
                return Ok(outcome);
            }
            self.over = self.run.turn()?;
        }
    }
}

/// An event for one of the two machines.
enum Turn {
    Manager(Event),
    Worker(WorkerEvent),
}

/// The session between the manager and its only worker: what one says is the other's next event.
struct Link {
    /// Messages in both directions, in order.
    turns: VecDeque<Turn>,
    /// The number of the session.
    session: u64,
    waiters: Waiters,
    refused: Option<Error>,
    tells: Box<dyn Fn(&str) + Send>,
}

impl Clients for Link {
    fn admit(&mut self, _: u64, worker: u32, term: u64) {
        self.session += 1;
        let session = WorkerEvent::Session { term, session: self.session };
        self.turns.extend([Turn::Manager(Event::Connected(worker)), Turn::Worker(session)]);
    }

    fn refuse(&mut self, _: u64, _: Refusal, why: String) {
        self.refused = Some(Error::broken("local session", why));
    }

    fn end_session(&mut self, _: u32) {
        self.turns.retain(|t| !matches!(t, Turn::Worker(WorkerEvent::Message(..)) | Turn::Manager(Event::Message(..))));
    }

    fn send(&mut self, _: u32, envelope: Envelope, message: ToWorker) -> Result<()> {
        self.turns.push_back(Turn::Worker(WorkerEvent::Message(self.session, envelope, message)));
        Ok(())
    }

    fn reply(&mut self, request: u64, reply: Reply) {
        self.waiters.answer(request, reply);
    }

    fn tell(&mut self, sentence: &str) {
        (self.tells)(sentence);
    }
}

/// A worker without others.
struct Alone;

impl Ways for Alone {
    fn enter(&mut self, _: u64, _: &[Member], _: &Directory) {}
}

/// A manager and its only worker in this thread.
struct LocalRun {
    executor: Executor,
    worker: TaskManager,
    host: WorkerHost,
    link: Link,
    place: Place,
    events: Receiver<LocalEvent>,
    handle: Handle,
    /// The time of the last heartbeat.
    heartbeat: i64,
}

impl LocalRun {
    fn new(settings: Settings, store: Store) -> Result<Self> {
        let (queue, events) = channel();
        let (told, happened, directory) = (queue.clone(), queue.clone(), Directory::default());
        let answers: Answers = Arc::new(move |number, reply| {
            let _over = told.send(LocalEvent::Io(number, reply));
        });
        let worker_events: Events = Arc::new(move |event| {
            let _over = happened.send(LocalEvent::Worker(event));
        });
        let registration = registration(&settings)?;
        let (graph, patience, rules) = (settings.graph.clone(), settings.patience.leave, settings.rules);
        let mut link =
            Link { turns: VecDeque::new(), session: 0, waiters: Waiters::default(), refused: None, tells: Box::new(|_| ()) };
        let place = Place { store: store.clone(), window: WINDOW };
        let executor = Executor::start(settings, store, answers, &mut link)?;
        let mut run = Self {
            executor,
            worker: TaskManager::new(graph.clone(), WORKER, patience, rules),
            host: WorkerHost::new(graph, directory.clone(), worker_events, Arc::default())?,
            link,
            place,
            events,
            handle: Handle { queue, directory },
            heartbeat: now(),
        };
        run.take(Turn::Manager(Event::Register(0, registration)))?;
        Ok(run)
    }

    /// Goes on until the job's run has begun. `Some` when it is over by then.
    fn prepare(&mut self) -> Result<Option<Outcome>> {
        while self.executor.manager().restored().is_none() {
            let over = self.turn()?;
            if over.is_some() {
                return Ok(over);
            }
        }
        Ok(None)
    }

    /// Takes the next event. `Some` when the job is over.
    fn turn(&mut self) -> Result<Option<Outcome>> {
        let turn = match self.events.recv_timeout(self.executor.nap()) {
            Ok(LocalEvent::Io(number, reply)) => Turn::Manager(Event::Io(number, reply)),
            Ok(LocalEvent::Worker(event)) => Turn::Worker(event),
            Ok(LocalEvent::Request(request, waiter)) => Turn::Manager(self.link.waiters.ask(request, waiter)),
            Ok(LocalEvent::Look(look)) => {
                look(self.executor.manager());
                // However often it is looked at, time passes.
                Turn::Manager(Event::Tick)
            }
            Err(RecvTimeoutError::Timeout) => Turn::Manager(Event::Tick),
            Err(RecvTimeoutError::Disconnected) => return Ok(Some(Outcome::Stopped)),
        };
        let at = now();
        if at - self.heartbeat > HEARTBEAT {
            self.heartbeat = at;
            self.link.turns.push_back(Turn::Manager(Event::Heartbeat(WORKER)));
            self.link.turns.extend(self.link.waiters.abandoned().into_iter().map(Turn::Manager));
        }
        self.take(turn)
    }

    /// Steps the machines until neither has anything more to say.
    fn take(&mut self, turn: Turn) -> Result<Option<Outcome>> {
        self.link.turns.push_back(turn);
        let mut over = None;
        while let Some(turn) = self.link.turns.pop_front() {
            match turn {
                Turn::Manager(event) => over = self.executor.step(event, &mut self.link)?.or(over),
                Turn::Worker(event) => {
                    for action in self.worker.step(event) {
                        self.carry_out(action)?;
                    }
                }
            }
        }
        self.link.refused.take().map_or(Ok(over), Err)
    }

    fn carry_out(&mut self, action: WorkerAction) -> Result<()> {
        match action {
            WorkerAction::Send(envelope, message) => {
                self.link.turns.push_back(Turn::Manager(Event::Message(WORKER, envelope, message)));
            }
            WorkerAction::Begin(begin, mine) => self.host.begin(*begin, &mine, self.place.clone(), &mut Alone)?,
            WorkerAction::Command(slot, command) => self.host.command(slot, command),
            WorkerAction::Start(run, new) => self.host.start(run, new)?,
            WorkerAction::Release(slot) => self.host.release(slot),
            WorkerAction::Upload { run, slot, epoch, runs } => self.host.upload(run, slot, epoch, runs),
            WorkerAction::Tell(sentence) => (self.link.tells)(&sentence),
            // The manager's end is the job's, and nobody else is there.
            WorkerAction::End(_) | WorkerAction::Members(_) => {}
        }
        Ok(())
    }
}

/// The only worker: it has room for any number of slots.
fn registration(settings: &Settings) -> Result<Registration> {
    let shape = settings.graph.shape()?.nodes;
    Ok(Registration {
        job: settings.job.clone(),
        name: format!("local-{WORKER}"),
        incarnation: unique(),
        slots: u32::try_from(settings.keys.groups()).unwrap_or(u32::MAX),
        address: String::new(),
        memory_bytes: 0,
        fingerprint: fingerprint(&shape),
        shape: shape_text(&shape),
    })
}
