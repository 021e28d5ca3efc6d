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
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use watershed_runtime::coordinator::{Coordinator, Input};
use watershed_runtime::error::{Error, Kind, Result};
use watershed_runtime::graph::Graph;
use watershed_runtime::key::{KeySpace, SlotId};
use watershed_runtime::protocol::epoch::Pace;
use watershed_runtime::protocol::rules::RuleSet;
use watershed_runtime::slot::{MoveStats, NodeStats};

use crate::clock::unique;
use crate::crew::Threads;
use crate::host::{Host, HostEvent, HostSender, clock, explain_fenced};
use crate::restore::Restore;
use crate::slots::{Directory, SlotNumbers};
use crate::takeover::{Claim, Restored, TakenOver};

/// What somebody outside wants of a running job.
#[derive(Debug)]
pub(crate) enum Control {
    Scale(u16),
    Stop,
    Drain,
    Status(Sender<(Status, Directory)>),
}

/// A job to be run in this process.
#[derive(Debug)]
pub struct LocalJob {
    claim: Claim,
    slots: u16,
    epoch: Duration,
    storage: Option<String>,
    window: u32,
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
        for SlotNumbers { slot, nodes, waiting, moves, blocked: _ } in directory.numbers(Duration::from_secs(2)) {
            self.nodes.push((slot.0, nodes));
            self.moves.push((slot.0, moves));
            self.waiting.extend(waiting);
        }
        self
    }
}

/// Steers a running job from another thread.
#[derive(Clone, Debug)]
pub struct Handle {
    sender: HostSender,
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

    /// Drains: sources read nothing more, windows and timers that are open come out, and the job is finished.
    pub fn drain(&self) {
        let _over = self.sender.send(HostEvent::Control(Control::Drain));
    }

    /// The job's numbers; `None` when it is over.
    #[must_use]
    pub fn status(&self) -> Option<Status> {
        let (to, answer) = channel();
        self.sender.send(HostEvent::Control(Control::Status(to)));
        let (status, directory) = answer.recv().ok()?;
        Some(status.ask(&directory))
    }
}

/// A job that is ready to run: its state restored, its term claimed.
pub struct Ready {
    host: Host<Threads>,
    coordinator: Option<Coordinator>,
    events: Receiver<HostEvent>,
    finished: bool,
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
        let claim = Claim {
            name: name.into(),
            graph: Arc::new(graph),
            fresh: false,
            keys: KeySpace::default(),
            may_drop: Vec::new(),
            drop_unmatched: false,
        };
        Self { claim, slots: 1, epoch: Duration::from_secs(1), storage: None, window: WINDOW }
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
        self.claim.fresh = fresh;
        self
    }

    /// The number of key groups; only the first start of a job can set it.
    #[must_use]
    pub fn keys(mut self, keys: KeySpace) -> Self {
        self.claim.keys = keys;
        self
    }

    /// Stored states (`node.state`) that may be given up because the job no longer has them.
    #[must_use]
    pub fn may_drop(mut self, states: Vec<String>) -> Self {
        self.claim.may_drop = states;
        self
    }

    /// Gives up every stored state that the job no longer has.
    #[must_use]
    pub fn drop_unmatched(mut self, drop: bool) -> Self {
        self.claim.drop_unmatched = drop;
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

    /// Opens storage, claims the job, restores its state and starts its slots.
    pub fn prepare(self) -> Result<Ready> {
        let Self { claim, slots, epoch, storage, window } = self;
        let url = storage.unwrap_or_else(|| Self::default_storage(&claim.name).display().to_string());
        let (store, keys) = claim.open(&url)?;
        let uid = unique();
        let slots = (0..slots).map(SlotId).collect();
        let TakenOver { start, log, restored, descs } = claim.take_over(&store, keys, &slots, &uid)?;
        let graph = claim.graph;
        let (queue, events) = channel();
        let sender = HostSender::from(queue);
        let directory = Directory::default();
        let restore = Restore {
            store: store.clone(),
            graph: graph.clone(),
            manifest: Arc::new(start.manifest.clone()),
            table: start.table.clone(),
            term: log.term(),
            window,
        };
        let slots = if start.finished {
            BTreeMap::new()
        } else {
            restore.slots(&start.manifest.members, BTreeMap::new(), &directory, &sender)?
        };
        let crew = Threads { graph: graph.clone(), directory, slots, sender: sender.clone(), window };
        let coordinator = Coordinator::new(graph.clone(), log, &start, &uid, pace(epoch), clock(), RuleSet::ALL);
        let host = Host::new(graph, store, crew, sender, keys, descs)?;
        Ok(Ready { host, coordinator: Some(coordinator), events, finished: start.finished, restored })
    }
}

/// Rows that may be under way on a channel, until a slot knows how fast it is.
pub(crate) const WINDOW: u32 = 16384;

/// How epochs follow each other.
pub(crate) fn pace(epoch: Duration) -> Pace {
    Pace { interval_micros: u64::try_from(epoch.as_micros()).unwrap_or(u64::MAX), max_in_flight: 3 }
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
        self.host.store.place()
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
        let place = self.place().to_owned();
        self.steer(&mut coordinator).map_err(|e| explain_fenced(e, &place))?;
        Ok(if coordinator.finished() { Outcome::Finished } else { Outcome::Stopped })
    }

    /// Runs until the job is over. The error a source met (after everything before it was committed), or the one that stopped the job.
    fn steer(&mut self, coordinator: &mut Coordinator) -> Result<()> {
        if self.host.begin(coordinator)? {
            return Ok(());
        }
        loop {
            let input = match self.events.recv_timeout(self.host.nap(coordinator)) {
                Ok(HostEvent::Slot(slot, report)) => Input::Slot(slot, report),
                Ok(HostEvent::Input(input)) => input,
                Ok(HostEvent::Failed(e)) => return Err(e),
                Ok(HostEvent::Control(control)) => match self.control(control, coordinator) {
                    Some(input) => input,
                    None => continue,
                },
                Err(RecvTimeoutError::Timeout) => Input::Tick,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            };
            if self.host.step(coordinator, input)? {
                return Ok(());
            }
        }
    }

    fn control(&self, control: Control, coordinator: &Coordinator) -> Option<Input> {
        match control {
            Control::Scale(slots) => Some(Input::want(slots)),
            Control::Stop => Some(Input::Stop),
            Control::Drain => Some(Input::Drain),
            Control::Status(to) => {
                let status = Status { snapshot_age: self.host.snapshot_age(), ..Status::of(coordinator) };
                let _gone = to.send((status, self.host.crew.directory.clone()));
                None
            }
        }
    }
}
