//! The executor of a job manager: its [`Action`]s become reads and writes of the storage, commits, discoveries, and messages.
//!
//! Each kind of work that may block has a thread of its own, and the answer comes back as an event: a store that is away never keeps the
//! manager from answering. How workers and users are reached is the affair of [`Clients`]: in the same process for a local job, through
//! sessions for one in many processes.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use watershed_cluster::manager::{Action, Event, Io, IoReply, JobManager, Outcome, Reply, Settings};
use watershed_cluster::{Envelope, Patience, Refusal, Target, ToWorker};
use watershed_runtime::env::SinkHandle;
use watershed_runtime::error::{Error, Kind, Result};
use watershed_runtime::graph::{Graph, NodeIndex};
use watershed_runtime::key::KeySpace;
use watershed_runtime::protocol::entry::{LATEST, name as entry_name};
use watershed_runtime::protocol::epoch::Pace;
use watershed_runtime::protocol::log::Put;
use watershed_runtime::protocol::maintenance::{Chore, Collect, Merge};
use watershed_runtime::protocol::manifest::{HandleEntry, StateFile};
use watershed_runtime::protocol::named::{FOLDER, NamedSnapshot, Pins, object_of};
use watershed_runtime::protocol::rescale::Sizes;
use watershed_runtime::protocol::rules::RuleSet;
use watershed_runtime::protocol::state_file;

use crate::clock::{now, unique};
use crate::pool::Worker;
use crate::store::Store;

/// The longest sleep of the manager with a run, and without one.
const NAP: Duration = Duration::from_millis(100);
const NAP_WITHOUT_RUN: Duration = Duration::from_millis(50);

/// The settings of a job with an epoch a second.
pub(crate) fn settings(job: String, graph: Graph, target: Target) -> Settings {
    Settings {
        job,
        graph: Arc::new(graph),
        keys: KeySpace::default(),
        may_drop: Vec::new(),
        drop_unmatched: false,
        pace: pace(Duration::from_secs(1)),
        sizes: Sizes::default(),
        target,
        patience: Patience::default(),
        uid: unique(),
        rules: RuleSet::ALL,
    }
}

/// The pace of epochs of this length.
pub(crate) fn pace(epoch: Duration) -> Pace {
    Pace { interval_micros: u64::try_from(epoch.as_micros()).unwrap_or(u64::MAX), max_in_flight: 3 }
}

/// The workers and the users of a manager.
pub(crate) trait Clients {
    /// A worker takes part: its session begins.
    fn admit(&mut self, ticket: u64, worker: u32, term: u64);
    /// A worker does not take part.
    fn refuse(&mut self, ticket: u64, reason: Refusal, why: String);
    /// A worker's session ends.
    fn end_session(&mut self, worker: u32);
    /// Tells a worker something.
    fn send(&mut self, worker: u32, envelope: Envelope, message: ToWorker) -> Result<()>;
    /// Answers a user.
    fn reply(&mut self, request: u64, reply: Reply);
    /// Tells the people who watch, in a sentence.
    fn tell(&mut self, sentence: &str);
}

/// Takes the answers of the outside: the number of what was asked, and the answer.
pub(crate) type Answers = Arc<dyn Fn(u64, IoReply) + Send + Sync>;

/// Threads for what may block.
#[derive(Debug)]
struct Pools {
    log: Worker,
    commit: Worker,
    discover: Worker,
    chores: Worker,
    snapshots: Worker,
}

impl Pools {
    fn new() -> Result<Self> {
        Ok(Self {
            log: Worker::new("log")?,
            commit: Worker::new("commit")?,
            discover: Worker::new("discover")?,
            chores: Worker::new("chores")?,
            snapshots: Worker::new("snapshots")?,
        })
    }

    /// Gives up waiting for them.
    fn leave(self) {
        let Self { log, commit, discover, chores, snapshots } = self;
        [log, commit, discover, chores, snapshots].into_iter().for_each(Worker::leave);
    }
}

/// A job manager and its hands.
pub(crate) struct Executor {
    manager: JobManager,
    graph: Arc<Graph>,
    store: Store,
    pools: Pools,
    pins: Arc<Mutex<Pins>>,
    answers: Answers,
}

impl Executor {
    /// A manager that begins.
    pub(crate) fn start(settings: Settings, store: Store, answers: Answers, clients: &mut impl Clients) -> Result<Self> {
        let graph = settings.graph.clone();
        let (manager, first) = JobManager::new(settings, now())?;
        let mut this = Self { manager, graph, store, pools: Pools::new()?, pins: Arc::default(), answers };
        this.carry_out(first, clients)?;
        Ok(this)
    }

    /// The manager, to look at.
    pub(crate) fn manager(&self) -> &JobManager {
        &self.manager
    }

    /// The place of the snapshots.
    pub(crate) fn place(&self) -> &str {
        self.store.place()
    }

    /// The time until something is due by itself.
    pub(crate) fn nap(&self) -> Duration {
        let Some(due) = self.manager.next_due() else { return NAP_WITHOUT_RUN };
        Duration::from_micros(u64::try_from(due.saturating_sub(now())).unwrap_or(0)).clamp(Duration::from_micros(200), NAP)
    }

    /// Steps the manager and carries its actions out. `Some`, or an error, when the job is over.
    pub(crate) fn step(&mut self, event: Event, clients: &mut impl Clients) -> Result<Option<Outcome>> {
        let actions = self.manager.step(event, now());
        self.carry_out(actions, clients)
    }

    fn carry_out(&mut self, actions: Vec<Action>, clients: &mut impl Clients) -> Result<Option<Outcome>> {
        let mut over = None;
        for action in actions {
            match action {
                Action::Admit { ticket, worker, term } => clients.admit(ticket, worker, term),
                Action::Refuse(ticket, reason, why) => clients.refuse(ticket, reason, why),
                Action::EndSession(worker) => clients.end_session(worker),
                Action::Send(worker, envelope, message) => clients.send(worker, envelope, message)?,
                Action::Io(number, io) => self.ask(number, io),
                Action::AbandonIo(_) => std::mem::replace(&mut self.pools, Pools::new()?).leave(),
                Action::Reply(request, reply) => clients.reply(request, reply),
                Action::Tell(sentence) => clients.tell(&sentence),
                Action::End(outcome) => over = Some(outcome),
            }
        }
        over.transpose().map_err(|e| explain_fenced(e, self.store.place()))
    }

    fn ask(&self, number: u64, io: Io) {
        let store = self.store.clone();
        match io {
            Io::Get(name) => self.run(number, &self.pools.log, move || Ok(IoReply::Got(store.get(&name)?))),
            // An error leaves it open whether the put happened: the log reads back and decides.
            Io::Create { name, bytes } => {
                self.run(number, &self.pools.log, move || Ok(IoReply::Put(store.create(&name, bytes).unwrap_or(Put::Ambiguous))))
            }
            Io::Hint(seq) => self.pools.log.run(move || {
                // A store that refuses it costs the next start some reads.
                let _hint = store.put(LATEST, seq.to_string().into_bytes());
            }),
            Io::Commit(handles) => {
                let graph = self.graph.clone();
                self.run(number, &self.pools.commit, move || {
                    commit_handles(&graph, &handles)?;
                    Ok(IoReply::Committed)
                });
            }
            Io::Discover(node) => {
                let graph = self.graph.clone();
                self.run(number, &self.pools.discover, move || discover(&graph, node));
            }
            Io::Chore(chore) => {
                let pins = self.pins.clone();
                self.run(number, &self.pools.chores, move || Ok(do_chore(&store, &chore, &pins)));
            }
            Io::Name { request, snapshot } => {
                self.run(number, &self.pools.snapshots, move || Ok(IoReply::Named(request, create_snapshot(&store, &snapshot))))
            }
        }
    }

    /// Runs a task that answers.
    fn run(&self, number: u64, pool: &Worker, task: impl FnOnce() -> Result<IoReply> + Send + 'static) {
        let answers = self.answers.clone();
        pool.run(move || answers(number, task().unwrap_or_else(IoReply::Failed)));
    }
}

/// Makes staged output visible, sink by sink, in the order given. Idempotent.
fn commit_handles(graph: &Graph, handles: &[HandleEntry]) -> Result<()> {
    for (_, node, sink) in graph.sinks() {
        let mine: Vec<SinkHandle> = handles.iter().filter(|h| h.handle.sink == node.id.0).map(|h| h.handle.clone()).collect();
        if !mine.is_empty() {
            sink.commit(&mine).map_err(|e| e.at(node.name.clone()))?;
        }
    }
    Ok(())
}

fn discover(graph: &Graph, node: NodeIndex) -> Result<IoReply> {
    let source = graph.sources().find(|(n, ..)| *n == node);
    let (_, named, source) = source.ok_or_else(|| Error::broken("I9", format!("node {} is no source", node.0)))?;
    Ok(IoReply::Discovered(node, source.discover().map_err(|e| e.at(named.name.clone()))?))
}

/// A chore that fails is planned again.
fn do_chore(store: &Store, chore: &Chore, pins: &Mutex<Pins>) -> IoReply {
    match chore {
        Chore::Merge(merge) => match merge_files(store, merge) {
            Ok(file) => IoReply::Merged(file, merge.replaces()),
            Err(_) => IoReply::ChoreFailed(Some(merge.name.clone())),
        },
        Chore::Collect(collect) => match collect_garbage(store, collect, pins) {
            Ok(()) => IoReply::Collected,
            Err(_) => IoReply::ChoreFailed(None),
        },
    }
}

fn merge_files(store: &Store, merge: &Merge) -> Result<StateFile> {
    let missing = |f: &StateFile| Error::new(Kind::Corrupt, "a state file is gone").at(f.name.clone());
    let bytes: Vec<Vec<u8>> = merge.files.iter().map(|f| store.get(&f.name)?.ok_or_else(|| missing(f))).collect::<Result<_>>()?;
    let parts: Vec<&[u8]> = bytes.iter().map(Vec::as_slice).collect();
    let (file, merged) = state_file::merged(merge.name.clone(), &merge.files, &parts, merge.base)?;
    match store.create(&file.name, merged)? {
        Put::Created => Ok(file),
        Put::Exists | Put::Ambiguous => Err(Error::broken("I5", format!("state file `{}` exists already", file.name))),
    }
}

fn collect_garbage(store: &Store, collect: &Collect, pins: &Mutex<Pins>) -> Result<()> {
    // In this order: a snapshot that gets its name in between is among what the manager pins.
    let listed = store.list("state")?;
    let pinned = {
        let mut pins = pins.lock().unwrap_or_else(PoisonError::into_inner);
        pins.files(store.list(FOLDER)?, |name| store.get(name))?
    };
    for name in collect.state(&pinned, listed.iter().map(String::as_str)) {
        store.delete(name)?;
    }
    for seq in collect.log() {
        store.delete(&entry_name(seq))?;
    }
    Ok(())
}

fn create_snapshot(store: &Store, snapshot: &NamedSnapshot) -> Result<Put> {
    store.create(&object_of(&snapshot.name)?, snapshot.encode()?)
}

/// A job that was fenced says by the place of its storage which one it is.
fn explain_fenced(e: Error, place: &str) -> Error {
    if e.kind() == Kind::Fenced { e.at(format!("storage {place}")) } else { e }
}
