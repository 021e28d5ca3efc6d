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

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use watershed_runtime::coordinator::Coordinator;
use watershed_runtime::error::{Error, Kind, Result};
use watershed_runtime::graph::{Graph, NodeShape};
use watershed_runtime::key::{Assignment, KeySpace, SlotId};
use watershed_runtime::protocol::epoch::Pace;
use watershed_runtime::protocol::log::LogWriter;
use watershed_runtime::protocol::restart;
use watershed_runtime::protocol::rules::RuleSet;
use watershed_runtime::slot::{MoveStats, NodeStats};
use watershed_runtime::state::StateDesc;

use crate::clock::{now, unique};
use crate::host::{Host, HostEvent, Workers, explain_fenced};
use crate::restore::{Restore, claim, read_log, root};
use crate::slots::{Directory, SlotMessage};
use crate::store::Store;
use crate::upkeep::Upkeep;

/// What somebody outside wants of a running job.
#[derive(Debug)]
pub(crate) enum Control {
    Scale(u16),
    Stop,
    Status(Sender<(Status, Directory)>),
}

/// A job to be run in this process.
#[derive(Debug)]
pub struct LocalJob {
    name: String,
    graph: Graph,
    slots: u16,
    epoch: Duration,
    storage: Option<String>,
    fresh: bool,
    keys: KeySpace,
    window: u32,
    may_drop: Vec<String>,
    drop_unmatched: bool,
}

/// What a start found in the storage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// The epoch it goes on from; 0 for a job that begins.
    pub epoch: u64,
    /// Stored states (`node.state`) that go on.
    pub kept: Vec<String>,
    /// States that the storage does not have: they begin empty.
    pub empty: Vec<String>,
    /// Stored states given up, as was asked.
    pub dropped: Vec<String>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All input has been read and everything is committed.
    Finished,
    /// The job was stopped; it goes on from here at the next start.
    Stopped,
    /// There was nothing to do: the job had finished before.
    AlreadyFinished,
}

/// The numbers of a running job.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// The coordinator's term.
    pub term: u64,
    /// The last published epoch.
    pub epoch: u64,
    /// Slots that take part.
    pub slots: Vec<u16>,
    /// For each slot, its nodes' numbers, in the graph's order.
    pub nodes: Vec<(u16, Vec<NodeStats>)>,
    /// Key groups by slot.
    pub groups: BTreeMap<u16, usize>,
    /// The owner of each key group.
    pub owners: Vec<u16>,
    /// For each slot, what it has come across in moving key groups.
    pub moves: Vec<(u16, MoveStats)>,
    /// The newest wish is met and durable.
    pub settled: bool,
    /// For whom the job waits, besides for rows.
    pub waiting: Vec<String>,
    /// How long ago this process published an epoch.
    pub snapshot_age: Option<Duration>,
}

/// Another name for [`Status`] in progress displays.
pub type Progress = Status;

impl Status {
    /// What the coordinator knows by itself.
    pub(crate) fn of(coordinator: &Coordinator) -> Self {
        let mut status = Self {
            term: coordinator.term(),
            epoch: coordinator.last().epoch,
            slots: coordinator.members().iter().map(|s| s.0).collect(),
            settled: coordinator.settled(),
            waiting: coordinator.waiting(),
            ..Self::default()
        };
        for slot in coordinator.table().table() {
            *status.groups.entry(slot.0).or_default() += 1;
            status.owners.push(slot.0);
        }
        status
    }

    /// Adds what the slots know. Waits for them, so it is done on the asker's thread and never on the coordinator's.
    fn ask(mut self, directory: &Directory) -> Self {
        let (to, answers) = channel();
        for slot in directory.all() {
            directory.send(slot, SlotMessage::Stats(to.clone()));
        }
        drop(to);
        // A slot answers between two steps; one that is gone does not count.
        while let Ok((slot, nodes, waiting, moves)) = answers.recv_timeout(Duration::from_secs(2)) {
            self.nodes.push((slot.0, nodes));
            self.moves.push((slot.0, moves));
            self.waiting.extend(waiting);
        }
        self.nodes.sort_by_key(|(s, _)| *s);
        self
    }
}

/// Steers a running job from another thread.
#[derive(Clone, Debug)]
pub struct Handle {
    sender: Sender<HostEvent>,
}

impl Handle {
    /// Runs on with so many slots, without stopping.
    pub fn scale(&self, slots: u16) {
        let _over = self.sender.send(HostEvent::Control(Control::Scale(slots.max(1))));
    }

    /// Stops with a snapshot: what has been read is worked off and committed.
    pub fn stop(&self) {
        let _over = self.sender.send(HostEvent::Control(Control::Stop));
    }

    /// The job's numbers; `None` when it is over.
    #[must_use]
    pub fn status(&self) -> Option<Status> {
        let (to, answer) = channel();
        self.sender.send(HostEvent::Control(Control::Status(to))).ok()?;
        let (status, directory) = answer.recv().ok()?;
        Some(status.ask(&directory))
    }
}

/// A job that is ready to run: its state restored, its term claimed.
pub struct Ready {
    host: Host,
    coordinator: Option<Coordinator>,
    events: Receiver<HostEvent>,
    finished: bool,
    place: String,
    restored: Restored,
}

impl std::fmt::Debug for Ready {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ready").field("place", &self.place).finish_non_exhaustive()
    }
}

/// How often a lost claim is tried again: each loss means that another process wrote to the log in between.
const CLAIMS: u32 = 1000;

/// A job whose term is ours.
struct TakenOver {
    start: restart::Start,
    log: LogWriter,
    restored: Restored,
    descs: Arc<Vec<(u64, StateDesc)>>,
}

impl LocalJob {
    /// A job under a name: with one slot, an epoch a second, and `./.watershed/<name>` for its snapshots.
    #[must_use]
    pub fn new(name: impl Into<String>, graph: Graph) -> Self {
        Self {
            name: name.into(),
            graph,
            slots: 1,
            epoch: Duration::from_secs(1),
            storage: None,
            fresh: false,
            keys: KeySpace::default(),
            window: 16384,
            may_drop: Vec::new(),
            drop_unmatched: false,
        }
    }

    /// How many engine threads.
    #[must_use]
    pub fn slots(mut self, slots: u16) -> Self {
        self.slots = slots.max(1);
        self
    }

    /// How often a snapshot is taken and output committed.
    #[must_use]
    pub fn epoch(mut self, every: Duration) -> Self {
        self.epoch = every;
        self
    }

    /// Where snapshots go: a directory or a URL.
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
        self.keys = keys;
        self
    }

    /// Stored states (`node.state`) that may be given up because the job no longer has them.
    #[must_use]
    pub fn may_drop(mut self, states: Vec<String>) -> Self {
        self.may_drop = states;
        self
    }

    /// Gives up every stored state that the job no longer has.
    #[must_use]
    pub fn drop_unmatched(mut self, drop: bool) -> Self {
        self.drop_unmatched = drop;
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

    /// Storage that is this job's and honours create-only puts, and how the job hashes.
    fn open_storage(&self) -> Result<(Store, KeySpace)> {
        let url = self.storage.clone().unwrap_or_else(|| Self::default_storage(&self.name).display().to_string());
        let store = Store::open(&url)?;
        store.probe()?;
        if self.fresh {
            for name in store.list("")? {
                store.delete(&name)?;
            }
        }
        let keys = root(&store, &self.name, self.keys)?;
        Ok((store, keys))
    }

    /// Reads the log, checks that the job can go on from its end, and claims the next term. Whoever runs the job now may publish
    /// between the reading and the claim: then the claim is lost, and the log is read again. The newcomer wins in the end (I10).
    fn take_over(&self, store: &Store, graph: &Graph, keys: KeySpace, uid: &str) -> Result<TakenOver> {
        let shape = graph.shape()?.nodes;
        let tables = |n: &NodeShape| n.states.iter().map(|s| (n.id.table(&s.name), s.clone())).collect::<Vec<_>>();
        let descs = Arc::new(shape.iter().flat_map(tables).collect());
        for tries in 0.. {
            let tail = read_log(store)?;
            let stored = tail.last.as_ref().map_or(&[][..], |(_, m)| m.graph.as_slice());
            let shapes = restart::compare(stored, &shape);
            let mut may_drop = self.may_drop.clone();
            if self.drop_unmatched {
                may_drop.extend(shapes.missing.iter().chain(&shapes.changed).cloned());
            }
            let job = restart::Job {
                fingerprint: 0,
                graph: shape.clone(),
                fresh: Assignment::even(keys, self.slots),
                slots: (0..self.slots).map(SlotId).collect(),
                may_drop: may_drop.into_iter().collect(),
            };
            let start = restart::start(&tail, &job)?;
            let mut log = LogWriter::new(&tail, RuleSet::ALL);
            match claim(store, &mut log, uid) {
                Err(e) if e.kind() == Kind::Fenced && tries < CLAIMS => {}
                claimed => {
                    claimed?;
                    let (empty, dropped) = (start.empty.clone(), start.dropped.clone());
                    let restored = Restored { epoch: start.manifest.epoch, kept: shapes.kept, empty, dropped };
                    return Ok(TakenOver { start, log, restored, descs });
                }
            }
        }
        Err(Error::broken("I10", "claiming a term ended without an answer"))
    }

    /// Opens storage, claims the job, restores its state and starts its slots.
    pub fn prepare(self) -> Result<Ready> {
        self.graph.check()?;
        let (store, keys) = self.open_storage()?;
        let graph = Arc::new(self.graph.clone());
        for (_, node, sink) in graph.sinks() {
            sink.check().map_err(|e| e.at(node.name.clone()))?;
        }
        let uid = unique();
        let taken = self.take_over(&store, &graph, keys, &uid)?;
        let TakenOver { start, log, restored, descs } = taken;
        let (sender, events) = channel();
        let directory = Directory::default();
        let restore = Restore {
            store: store.clone(),
            graph: graph.clone(),
            manifest: Arc::new(start.manifest.clone()),
            table: start.table.clone(),
            term: log.term(),
            window: self.window,
        };
        let slots = if start.finished { BTreeMap::new() } else { restore.slots(&directory, &sender)? };
        let pace = Pace { interval_micros: u64::try_from(self.epoch.as_micros()).unwrap_or(u64::MAX), max_in_flight: 3 };
        let clock = u64::try_from(now()).unwrap_or(0);
        let coordinator = Coordinator::new(graph.clone(), log, &start, &uid, pace, clock, RuleSet::ALL);
        let place = store.place().to_owned();
        let host = Host {
            graph,
            store,
            directory,
            slots,
            sender,
            window: self.window,
            keys,
            descs,
            workers: Workers::new()?,
            upkeep: Upkeep::new()?,
            rounds: Vec::new(),
            published: None,
        };
        Ok(Ready { host, coordinator: Some(coordinator), events, finished: start.finished, place, restored })
    }
}

impl Ready {
    /// Steers the job while [`Ready::run`] runs in another thread.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle { sender: self.host.sender.clone() }
    }

    /// What the start found in the storage.
    #[must_use]
    pub fn restored(&self) -> &Restored {
        &self.restored
    }

    /// Where the snapshots are.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Runs to the end of all input, or until stopped.
    pub fn run(mut self) -> Result<Outcome> {
        let Some(mut coordinator) = self.coordinator.take() else {
            return Err(Error::new(Kind::Broken, "the job has run already"));
        };
        if self.finished {
            // The last manifest names output that may not be visible yet: committing again is harmless.
            let handles = coordinator.last().handles_in_order();
            crate::host::commit_handles(&self.host.graph, &handles)?;
            return Ok(Outcome::AlreadyFinished);
        }
        let place = self.place.clone();
        self.host.run(&mut coordinator, &self.events).map_err(|e| explain_fenced(e, &place))?;
        Ok(if coordinator.finished() { Outcome::Finished } else { Outcome::Stopped })
    }
}
