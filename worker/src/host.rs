//! The coordinator's thread: takes what happens, steps the pure coordinator, carries its effects out.
//!
//! Everything that may block (the log, uploads, commits, discovery, upkeep) runs on a worker of its own and comes back as an input, so
//! a slow store never keeps the coordinator from answering slots.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use watershed_runtime::coordinator::{Coordinator, Effect, Input, NewSlot};
use watershed_runtime::env::{SinkHandle, Source};
use watershed_runtime::error::{Error, Kind, Result};
use watershed_runtime::graph::{Graph, NodeIndex};
use watershed_runtime::key::{KeySpace, SlotId};
use watershed_runtime::protocol::gc::object;
use watershed_runtime::protocol::log::{LogEffect, Put};
use watershed_runtime::protocol::manifest::{Groups, HandleEntry, Manifest, StateFile};
use watershed_runtime::slot::{Event, Report, Slot, SlotConfig, Tuning};
use watershed_runtime::state::snapshot::{FileInfo, write_file};
use watershed_runtime::state::{EncodedRun, StateDesc};

use crate::clock::{now, unique};
use crate::local::Control;
use crate::pool::Worker;
use crate::restore::LATEST;
use crate::slots::{Directory, SlotMessage, SlotThread};
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

/// The coordinator's surroundings.
pub(crate) struct Host {
    pub(crate) graph: Arc<Graph>,
    pub(crate) store: Store,
    pub(crate) directory: Directory,
    pub(crate) slots: BTreeMap<SlotId, SlotThread>,
    pub(crate) sender: Sender<HostEvent>,
    pub(crate) window: u32,
    pub(crate) keys: KeySpace,
    /// Every keyed state of the job, by table id: goes into each state file.
    pub(crate) descs: Arc<Vec<(u64, StateDesc)>>,
    pub(crate) workers: Workers,
    pub(crate) upkeep: Upkeep,
    /// Discoveries to be repeated: when, which source.
    pub(crate) rounds: Vec<(i64, NodeIndex, Arc<dyn Source>)>,
    /// When the newest manifest got into the log.
    pub(crate) published: Option<i64>,
}

/// Threads for what may block.
#[derive(Debug)]
pub(crate) struct Workers {
    log: Worker,
    upload: Worker,
    commit: Worker,
    discover: Worker,
}

impl Workers {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            log: Worker::new("log")?,
            upload: Worker::new("upload")?,
            commit: Worker::new("commit")?,
            discover: Worker::new("discover")?,
        })
    }
}

impl Host {
    /// Runs until the job is over. The error a source met (after everything before it was committed), or the one that stopped the job.
    pub(crate) fn run(&mut self, coordinator: &mut Coordinator, events: &Receiver<HostEvent>) -> Result<()> {
        let first = coordinator.begin()?;
        if self.carry_out(coordinator, first)? {
            return Ok(());
        }
        for (node, _, source) in self.graph.clone().sources() {
            self.discover(node, source.clone());
        }
        loop {
            let input = match events.recv_timeout(self.nap(coordinator)) {
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
            let effects = coordinator.step(input, clock());
            if self.carry_out(coordinator, effects)? {
                return Ok(());
            }
            self.repeat_discoveries();
        }
    }

    fn nap(&self, coordinator: &Coordinator) -> Duration {
        let due = Duration::from_micros(coordinator.next_due().saturating_sub(clock()));
        due.clamp(Duration::from_micros(200), NAP)
    }

    fn control(&mut self, control: Control, coordinator: &Coordinator) -> Option<Input> {
        match control {
            Control::Scale(slots) => Some(Input::Want(slots)),
            Control::Stop => Some(Input::Stop),
            Control::Status(to) => {
                let age = self.published.map(|at| Duration::from_micros(u64::try_from(now() - at).unwrap_or(0)));
                let status = crate::local::Status { snapshot_age: age, ..crate::local::Status::of(coordinator) };
                let _gone = to.send((status, self.directory.clone()));
                None
            }
        }
    }

    /// True when the job is over.
    fn carry_out(&mut self, coordinator: &mut Coordinator, effects: Vec<Effect>) -> Result<bool> {
        for effect in effects {
            match effect {
                Effect::Send(slot, command) => self.directory.send(slot, SlotMessage::Event(Event::Command(command))),
                Effect::Start(new) => self.start(coordinator.term(), new)?,
                Effect::Release(slot) => drop(self.slots.remove(&slot)),
                Effect::Log(effect) => self.log(effect),
                Effect::Upload(epoch, runs) => self.upload(coordinator.term(), epoch, runs),
                Effect::Commit(handles) => self.commit(handles),
                Effect::Published(manifest) => self.look_after(coordinator, *manifest),
                Effect::Done => return Ok(true),
                Effect::Failed(e) => return Err(e),
            }
        }
        Ok(false)
    }

    fn start(&mut self, term: u64, new: NewSlot) -> Result<()> {
        let (graph, window) = (self.graph.clone(), self.window);
        let id = new.id;
        // A slot of this number may have left a moment ago.
        drop(self.slots.remove(&id));
        let make = move |waker| {
            let mut slot = Slot::new(SlotConfig {
                id: new.id,
                term,
                graph,
                assignment: (*new.table).clone(),
                members: new.members,
                epoch: new.epoch,
                window,
                segment: 1,
                joins_at: Some(new.joins_at),
                waker,
                tuning: Tuning::default(),
            })?;
            slot.start(&[])?;
            Ok(slot)
        };
        self.slots.insert(id, SlotThread::start(id, &self.directory, self.sender.clone(), make)?);
        Ok(())
    }

    /// Runs a task that answers with an input.
    fn ask(sender: &Sender<HostEvent>, worker: &Worker, task: impl FnOnce() -> Result<Option<Input>> + Send + 'static) {
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
            let name = object("state/delta", (term, epoch), &unique());
            let entries = runs.iter().map(|(_, r)| r.spans.len() as u64).sum();
            let tables = descs.iter().filter(|(id, _)| runs.iter().any(|(r, _)| r == id)).cloned().collect();
            let bytes = write_file(FileInfo { bits, from_epoch: epoch, to_epoch: epoch, level: 0, tables }, &runs)?;
            let (size, groups) = (bytes.len() as u64, Groups::All);
            let file = StateFile { name, bytes: size, from_epoch: epoch, to_epoch: epoch, entries, level: 0, groups };
            match store.create(&file.name, bytes)? {
                Put::Created => Ok(Some(Input::Uploaded(epoch, Some(file)))),
                Put::Exists | Put::Ambiguous => Err(Error::broken("I5", format!("state file `{}` exists already", file.name))),
            }
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
fn clock() -> u64 {
    u64::try_from(now()).unwrap_or(0)
}

impl Drop for Host {
    fn drop(&mut self) {
        // Slots first: they send to workers, never the other way round.
        self.slots.clear();
    }
}

/// A job that was fenced says so in words of its own.
pub(crate) fn explain_fenced(e: Error, place: &str) -> Error {
    if e.kind() == Kind::Fenced { e.at(format!("storage {place}")) } else { e }
}
