//! The coordinator's surroundings: steps the pure coordinator and carries its effects out.
//!
//! The same for slots that are threads beside it and for slots in other processes; who runs them is a [`Crew`].
//!
//! Everything that may block (the log, uploads, commits, discovery, upkeep) runs on a worker of its own and comes back as an input, so
//! a slow store never keeps the coordinator from answering slots.

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use watershed_runtime::coordinator::{Coordinator, Effect, Input, NewSlot};
use watershed_runtime::env::{SinkHandle, Source};
use watershed_runtime::error::{Error, Kind, Result};
use watershed_runtime::graph::{Graph, NodeIndex};
use watershed_runtime::key::{KeySpace, SlotId};
use watershed_runtime::protocol::gc::object;
use watershed_runtime::protocol::log::{LogEffect, Put};
use watershed_runtime::protocol::manifest::{Groups, HandleEntry, Manifest, StateFile};
use watershed_runtime::slot::{Command, Report};
use watershed_runtime::state::snapshot::{FileInfo, write_file};
use watershed_runtime::state::{EncodedRun, StateDesc};

use crate::clock::{now, unique};
use crate::local::Control;
use crate::pool::Worker;
use crate::restore::LATEST;
use crate::store::Store;
use crate::upkeep::Upkeep;

/// What reaches the coordinator's thread.
#[derive(Debug)]
pub(crate) enum HostEvent {
    /// A slot spoke.
    Slot(SlotId, Report),
    /// Work that was given away is done.
    Input(Input),
    /// It failed.
    Failed(Error),
    /// Somebody outside wants something.
    Control(Control),
}

/// How long the coordinator sleeps at most.
const NAP: Duration = Duration::from_millis(100);

/// Where what concerns the coordinator goes: its own queue, in whatever wrapping its thread wants.
#[derive(Clone)]
pub(crate) struct HostSender(Arc<dyn Fn(HostEvent) -> bool + Send + Sync>);

impl HostSender {
    /// Hands events to `to`, which says whether anybody still listens.
    pub(crate) fn new(to: impl Fn(HostEvent) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(to))
    }

    /// False if nobody listens any more.
    pub(crate) fn send(&self, event: HostEvent) -> bool {
        (self.0)(event)
    }
}

impl From<Sender<HostEvent>> for HostSender {
    fn from(queue: Sender<HostEvent>) -> Self {
        Self::new(move |event| queue.send(event).is_ok())
    }
}

impl fmt::Debug for HostSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HostSender")
    }
}

/// Who runs the slots: threads of this process, or other processes.
pub(crate) trait Crew {
    /// Tells a slot something.
    fn command(&mut self, slot: SlotId, command: Command) -> Result<()>;
    /// Makes a slot that joins.
    fn start(&mut self, term: u64, new: NewSlot) -> Result<()>;
    /// A slot has left.
    fn release(&mut self, slot: SlotId) -> Result<()>;
}

/// The coordinator's surroundings.
pub(crate) struct Host<C> {
    pub(crate) graph: Arc<Graph>,
    pub(crate) store: Store,
    pub(crate) crew: C,
    pub(crate) sender: HostSender,
    keys: KeySpace,
    /// Every keyed state of the job, by table id: goes into each state file.
    descs: Arc<Vec<(u64, StateDesc)>>,
    workers: Workers,
    upkeep: Upkeep,
    /// Discoveries to be repeated: when, which source.
    rounds: Vec<(i64, NodeIndex, Arc<dyn Source>)>,
    /// When the newest manifest got into the log.
    published: Option<i64>,
}

/// Threads for what may block.
#[derive(Debug)]
struct Workers {
    log: Worker,
    upload: Worker,
    commit: Worker,
    discover: Worker,
}

impl Workers {
    fn new() -> Result<Self> {
        Ok(Self {
            log: Worker::new("log")?,
            upload: Worker::new("upload")?,
            commit: Worker::new("commit")?,
            discover: Worker::new("discover")?,
        })
    }
}

impl<C: Crew> Host<C> {
    /// Around a crew whose slots exist.
    pub(crate) fn new(
        graph: Arc<Graph>,
        store: Store,
        crew: C,
        sender: HostSender,
        keys: KeySpace,
        descs: Arc<Vec<(u64, StateDesc)>>,
    ) -> Result<Self> {
        let (workers, upkeep) = (Workers::new()?, Upkeep::new()?);
        Ok(Self { graph, store, crew, sender, keys, descs, workers, upkeep, rounds: Vec::new(), published: None })
    }

    /// Gives it up: what is under way (a put that waits for a store, say) is not waited for. It is what a coordinator leaves that is killed.
    #[cfg(feature = "grpc")]
    pub(crate) fn leave(self) {
        let Workers { log, upload, commit, discover } = self.workers;
        [log, upload, commit, discover].into_iter().for_each(Worker::leave);
        self.upkeep.leave();
    }

    /// The first effects, and the first look for splits. True when the job is over.
    pub(crate) fn begin(&mut self, coordinator: &mut Coordinator) -> Result<bool> {
        let first = coordinator.begin()?;
        self.go_on(coordinator, first)
    }

    /// The first effects of a coordinator that has taken running slots over, and the first look for splits. True when the job is over.
    pub(crate) fn go_on(&mut self, coordinator: &mut Coordinator, first: Vec<Effect>) -> Result<bool> {
        if self.carry_out(coordinator, first)? {
            return Ok(true);
        }
        for (node, _, source) in self.graph.clone().sources() {
            self.discover(node, source.clone());
        }
        Ok(false)
    }

    /// Steps the coordinator and carries its effects out. True when the job is over.
    pub(crate) fn step(&mut self, coordinator: &mut Coordinator, input: Input) -> Result<bool> {
        let effects = coordinator.step(input, clock());
        let over = self.carry_out(coordinator, effects)?;
        self.repeat_discoveries();
        Ok(over)
    }

    /// What named snapshots keep from collection.
    #[cfg(feature = "grpc")]
    pub(crate) fn pins(&self) -> crate::named::Pins {
        self.upkeep.pins.clone()
    }

    /// How long the coordinator may sleep.
    pub(crate) fn nap(&self, coordinator: &Coordinator) -> Duration {
        let due = Duration::from_micros(coordinator.next_due().saturating_sub(clock()));
        due.clamp(Duration::from_micros(200), NAP)
    }

    /// How long ago a manifest was published here.
    pub(crate) fn snapshot_age(&self) -> Option<Duration> {
        self.published.map(|at| Duration::from_micros(u64::try_from(now() - at).unwrap_or(0)))
    }

    /// True when the job is over.
    fn carry_out(&mut self, coordinator: &mut Coordinator, effects: Vec<Effect>) -> Result<bool> {
        for effect in effects {
            match effect {
                Effect::Send(slot, command) => self.crew.command(slot, command)?,
                Effect::Start(new) => self.crew.start(coordinator.run(), new)?,
                Effect::Release(slot) => self.crew.release(slot)?,
                Effect::Log(effect) => self.log(effect),
                Effect::Upload(epoch, runs) => self.upload(coordinator.run(), epoch, runs),
                Effect::Commit(handles) => self.commit(handles),
                Effect::Published(manifest) => self.look_after(coordinator, *manifest),
                Effect::Done => return Ok(true),
                Effect::Failed(e) => return Err(e),
            }
        }
        Ok(false)
    }

    /// Runs a task that answers with an input.
    fn ask(sender: &HostSender, worker: &Worker, task: impl FnOnce() -> Result<Option<Input>> + Send + 'static) {
        let sender = sender.clone();
        worker.run(move || {
            let event = match task() {
                Ok(Some(input)) => HostEvent::Input(input),
                Ok(None) => return,
                Err(e) => HostEvent::Failed(e),
            };
            let _gone = sender.send(event);
        });
    }

    fn log(&self, effect: LogEffect) {
        let store = self.store.clone();
        Self::ask(&self.sender, &self.workers.log, move || match effect {
            LogEffect::Create { name, bytes } => {
                // An error leaves it open whether the put happened: the log reads back and decides.
                Ok(Some(Input::LogPut(store.create(&name, bytes).unwrap_or(Put::Ambiguous))))
            }
            LogEffect::Get { name } => Ok(Some(Input::LogGot(store.get(&name)?))),
            LogEffect::Published { seq } => {
                // Only a hint: a store that refuses it costs the next start some reads.
                let _hint = store.put(LATEST, seq.to_string().into_bytes());
                Ok(None)
            }
        });
    }

    fn upload(&self, term: u64, epoch: u64, runs: Vec<(u64, EncodedRun)>) {
        let (store, bits, descs) = (self.store.clone(), self.keys.bits, self.descs.clone());
        Self::ask(&self.sender, &self.workers.upload, move || {
            Ok(Some(Input::Uploaded(epoch, Some(write_delta(&store, bits, &descs, (term, epoch), &runs)?))))
        });
    }

    fn commit(&self, handles: Vec<HandleEntry>) {
        let graph = self.graph.clone();
        Self::ask(&self.sender, &self.workers.commit, move || {
            commit_handles(&graph, &handles)?;
            Ok(Some(Input::Committed))
        });
    }

    fn discover(&mut self, node: NodeIndex, source: Arc<dyn Source>) {
        if let Some(millis) = source.discovery_interval_millis() {
            let again = now().saturating_add(i64::try_from(millis).unwrap_or(i64::MAX).saturating_mul(1000));
            self.rounds.push((again, node, source.clone()));
        }
        let name = self.graph.nodes().get(node.0).map(|n| n.name.clone()).unwrap_or_default();
        Self::ask(&self.sender, &self.workers.discover, move || {
            Ok(Some(Input::Discovered(node, source.discover().map_err(|e| e.at(name))?)))
        });
    }

    fn repeat_discoveries(&mut self) {
        let at = now();
        while let Some(i) = self.rounds.iter().position(|(due, ..)| *due <= at) {
            let (_, node, source) = self.rounds.swap_remove(i);
            self.discover(node, source);
        }
    }

    fn look_after(&mut self, coordinator: &Coordinator, manifest: Manifest) {
        self.published = Some(now());
        let sender = self.sender.clone();
        self.upkeep.published(&self.store, manifest, coordinator.floor(), move |file, replaces| {
            let _gone = sender.send(HostEvent::Input(Input::Merged(file, replaces)));
        });
    }
}

/// Writes the entries of an epoch as one state file.
pub(crate) fn write_delta(
    store: &Store,
    bits: u8,
    descs: &[(u64, StateDesc)],
    (term, epoch): (u64, u64),
    runs: &[(u64, EncodedRun)],
) -> Result<StateFile> {
    let name = object("state/delta", (term, epoch), &unique());
    let entries = runs.iter().map(|(_, r)| r.len() as u64).sum();
    let tables = descs.iter().filter(|(id, _)| runs.iter().any(|(r, _)| r == id)).cloned().collect();
    let bytes = write_file(FileInfo { bits, from_epoch: epoch, to_epoch: epoch, level: 0, tables }, runs)?;
    let (size, groups) = (bytes.len() as u64, Groups::All);
    let file = StateFile { name, bytes: size, from_epoch: epoch, to_epoch: epoch, entries, level: 0, groups };
    store.create_own(&file.name, bytes)?;
    Ok(file)
}

/// Makes staged output visible, sink by sink, in the order given. Idempotent.
pub(crate) fn commit_handles(graph: &Graph, handles: &[HandleEntry]) -> Result<()> {
    for (_, node, sink) in graph.sinks() {
        let mine: Vec<SinkHandle> = handles.iter().filter(|h| h.handle.sink == node.id.0).map(|h| h.handle.clone()).collect();
        if !mine.is_empty() {
            sink.commit(&mine).map_err(|e| e.at(node.name.clone()))?;
        }
    }
    Ok(())
}

/// The coordinator's clock: microseconds.
pub(crate) fn clock() -> u64 {
    u64::try_from(now()).unwrap_or(0)
}

/// A job that was fenced says so in words of its own.
pub(crate) fn explain_fenced(e: Error, place: &str) -> Error {
    if e.kind() == Kind::Fenced { e.at(format!("storage {place}")) } else { e }
}
