//! A worker in a session: does what the coordinator says, until that is to end, or until it has left.
//!
//! One that was told to end says so and goes on; the coordinator lets it go when others have what it has. It goes at once where that would lead
//! nowhere: it has no part in a run, or has not had a session for [`PATIENCE`], which is long enough for a new coordinator to come.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use watershed_runtime::coordinator::WorkerJournal;
use watershed_runtime::error::{Error, Kind, Result};
use watershed_runtime::key::SlotId;
use watershed_runtime::slot::{Event, Report};
use watershed_runtime::state::StateDesc;
use watershed_wire::frame::{Era, Lane};
use watershed_wire::v1::{Item, RefusalReason, Refused};

use super::orders::{Begin, Member, Order, era_of, journal_item, leaving_item, report_item};
use super::uploads::Uploads;
use super::watch::WorkerWatch;
use crate::crew::Threads;
use crate::host::{Crew, HostEvent, HostSender};
use crate::restore::Restore;
use crate::slots::{Directory, Far};
use crate::store::Store;
use crate::transport::{Inlet, Notice, Outlet, Peer, Peers, Speaker};

/// How often the main loop turns at least: whoever looks whether it does sees it.
const TURN: Duration = Duration::from_millis(500);
/// How long one that leaves waits for a coordinator that is away.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a worker's main loop hears.
#[derive(Debug)]
pub(super) enum Told {
    /// A session has begun.
    Registered,
    Item(Item),
    Refused(Refused),
    /// It is to end.
    Leave,
}

/// What comes from other workers goes to the slots of the present run.
pub(super) struct In {
    pub(super) directory: Directory,
    pub(super) era: Mutex<Era>,
}

impl Inlet for In {
    fn deliver(&self, era: Era, to: SlotId, event: Event) {
        // Held while delivering, so that nothing of an old run gets behind the beginning of a new one.
        let now = self.era.lock().unwrap_or_else(PoisonError::into_inner);
        if *now == era {
            self.directory.deliver(to, event);
        }
    }

    fn notice(&self, _: u32, _: Lane, _: Notice) {}
}

#[derive(Debug)]
struct Way(Outlet);

impl Far for Way {
    fn send(&self, to: SlotId, event: Event) -> std::result::Result<(), Event> {
        self.0.send(to, event)
    }
}

/// A worker in a session.
pub(super) struct AtWork {
    pub(super) number: u32,
    pub(super) crew: Threads,
    pub(super) inlet: Arc<In>,
    pub(super) peers: Peers,
    pub(super) speaker: Speaker,
    pub(super) era: Era,
    pub(super) descs: Arc<Vec<(u64, StateDesc)>>,
    /// What the next coordinator must know of the present run.
    pub(super) journal: Option<Arc<Mutex<WorkerJournal>>>,
    pub(super) watch: WorkerWatch,
    /// It was told to end.
    pub(super) leaving: bool,
    pub(super) tells: Box<dyn Fn(&str) + Send>,
}

/// How a worker's work ends.
enum End {
    /// With the job, for a reason if it has failed.
    Job(Option<String>),
    /// With this worker's part in it.
    Left,
}

impl AtWork {
    /// Does what the coordinator says, until that is to end.
    pub(super) fn follow(&mut self, events: &Receiver<Told>) -> Result<()> {
        loop {
            let came = events.recv_timeout(TURN);
            self.watch.turns();
            let end = match came {
                Ok(Told::Item(item)) => self.obey(&item)?,
                Ok(Told::Registered) => self.introduce()?,
                Ok(Told::Leave) => self.leave()?,
                Ok(Told::Refused(refused)) => {
                    let what = format!("the coordinator does not take this worker: {}", refused.detail);
                    let kind = if refused.reason() == RefusalReason::Replaced { Kind::Fenced } else { Kind::Invalid };
                    return Err(Error::new(kind, what).at(refused.reason().as_str_name()));
                }
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            };
            if let Some(end) = end.or_else(|| self.given_up()) {
                self.crew.slots.clear();
                return match end {
                    End::Job(Some(why)) => Err(Error::new(Kind::Unavailable, why)),
                    End::Job(None) | End::Left => Ok(()),
                };
            }
        }
    }

    /// It was told to end.
    fn leave(&mut self) -> Result<Option<End>> {
        if self.journal.is_none() {
            (self.tells)("ends at once: it takes part in nothing");
            return Ok(Some(End::Left));
        }
        self.leaving = true;
        (self.tells)("leaves: it ends when others have what it has; again to end at once");
        self.speaker.send(leaving_item(self.era)?);
        Ok(None)
    }

    /// One that leaves does not wait for a coordinator that stays away.
    fn given_up(&self) -> Option<End> {
        let away = self.leaving && self.speaker.session().1.is_some_and(|(time, _)| time > PATIENCE);
        away.then(|| {
            (self.tells)("ends now: its coordinator is away, and nobody can take over what it has");
            End::Left
        })
    }

    /// Carries an order out. `Some` when it is the last.
    fn obey(&mut self, item: &Item) -> Result<Option<End>> {
        let era = era_of(item);
        match Order::of(item)? {
            Order::Begin(begin) => self.begin(era, *begin)?,
            Order::End(why) => return Ok(Some(End::Job(why))),
            Order::LetGo(why) => {
                (self.tells)(&format!("has left: {why}"));
                return Ok(Some(End::Left));
            }
            // Said in a run that is over.
            _ if era != self.era => {}
            Order::Command(slot, command) => {
                let graph = self.crew.graph.clone();
                self.note(|journal| journal.told(&graph, slot, &command));
                self.crew.command(slot, command)?;
            }
            Order::Start(start) => {
                let new = start.slot()?;
                self.note(|journal| journal.joined(&new));
                self.crew.start(era.term, new)?;
            }
            Order::Release(slot) => {
                self.crew.release(slot)?;
                self.note(|journal| journal.released(slot));
            }
            Order::Crew(crew) => self.meet(&crew),
        }
        Ok(None)
    }

    /// A run begins: of the last one only tables stay, and this worker's slots are made as the manifest has them.
    fn begin(&mut self, era: Era, begin: Begin) -> Result<()> {
        let Begin { run, manifest, table, storage, window, crew } = begin;
        let slots = std::mem::take(&mut self.crew.slots);
        let kept = slots.into_iter().filter_map(|(id, slot)| Some((id, slot.end()?))).collect();
        self.inlet.directory.clear();
        self.era = era;
        *self.inlet.era.lock().unwrap_or_else(PoisonError::into_inner) = era;
        self.meet(&crew);
        self.peers.enter(era);
        let (store, table) = (Store::open(&storage)?, table.assignment()?);
        let uploads = Uploads::new(store.clone(), table.space().bits, era.term, self.descs.clone(), self.watch.uploaded())?;
        let room: Vec<SlotId> = crew.iter().filter(|m| m.worker == self.number).flat_map(|m| m.slots.clone()).collect();
        let mine: Vec<SlotId> = room.iter().copied().filter(|s| manifest.members.contains(s)).collect();
        let mut journal = WorkerJournal::new(run, room.into_iter().collect());
        mine.iter().for_each(|slot| journal.begun(*slot, &table, &manifest.members));
        let journal = Arc::new(Mutex::new(journal));
        self.journal = Some(journal.clone());
        let speaker = self.speaker.clone();
        self.crew.sender = HostSender::new(move |event| {
            let HostEvent::Slot(slot, report) = event else { return false };
            let (speaker, journal) = (speaker.clone(), journal.clone());
            uploads.pass(slot, report, move |slot, report| {
                // Noted and said in one step: a coordinator that is given the journal hears everything that is not in it.
                let mut journal = journal.lock().unwrap_or_else(PoisonError::into_inner);
                journal.said(slot, &report);
                say(&speaker, era, slot, &report);
            });
            true
        });
        self.crew.window = window;
        let graph = self.crew.graph.clone();
        let restore = Restore { store, graph, manifest: Arc::new(manifest), table, term: era.term, window };
        self.crew.slots = restore.slots(&mine, kept, &self.inlet.directory, &self.crew.sender)?;
        Ok(())
    }

    fn note(&self, note: impl FnOnce(&mut WorkerJournal)) {
        if let Some(journal) = &self.journal {
            note(&mut journal.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// The first words in a session. What slots have said before it was said to a coordinator that is gone, and is in the journal.
    fn introduce(&self) -> Result<Option<End>> {
        match &self.journal {
            None => self.speaker.send(journal_item(self.era, None)?),
            Some(journal) => {
                let journal = journal.lock().unwrap_or_else(PoisonError::into_inner);
                self.speaker.send(journal_item(self.era, Some(&*journal))?);
            }
        }
        if self.leaving {
            self.speaker.send(leaving_item(self.era)?);
        }
        Ok(None)
    }

    /// These are there now.
    fn meet(&mut self, crew: &[Member]) {
        let others: Vec<&Member> = crew.iter().filter(|m| m.worker != self.number).collect();
        let peer = |m: &&Member| Peer {
            worker: m.worker,
            name: m.name.clone(),
            incarnation: m.incarnation.clone(),
            address: m.address.clone(),
        };
        self.peers.set(others.iter().map(peer).collect());
        for m in others {
            if let Some(outlet) = self.peers.outlet(m.worker, self.era) {
                let way = Arc::new(Way(outlet));
                m.slots.iter().for_each(|s| self.inlet.directory.far(*s, way.clone()));
            }
        }
    }
}

fn say(speaker: &Speaker, era: Era, slot: SlotId, report: &Report) {
    match report_item(era, slot, report) {
        Ok(item) => speaker.send(item),
        Err(e) => {
            // What cannot be said fails the job rather than hanging it.
            if let Ok(item) = report_item(era, slot, &Report::Failed(e)) {
                speaker.send(item);
            }
        }
    }
}
