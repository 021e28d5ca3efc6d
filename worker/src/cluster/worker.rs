//! A worker's process: slots as threads, their routes to slots elsewhere, and one session with the coordinator.
//!
//! The order at the beginning of a run matters: routes exist before slots that may use them, and what comes early for a slot waits for it.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use watershed_runtime::coordinator::Book;
use watershed_runtime::error::{Error, Kind, Result};
use watershed_runtime::graph::{Graph, NodeShape};
use watershed_runtime::key::SlotId;
use watershed_runtime::slot::{Event, Report};
use watershed_runtime::state::StateDesc;
use watershed_wire::frame::{Era, Lane};
use watershed_wire::v1::{Identity, Item, RefusalReason, Refused, Register, Registered};

use super::orders::{Begin, Member, Order, book_item, era_of, report_item};
use super::pulse::Pulse;
use super::roster::number_of;
use super::uploads::Uploads;
use super::watch::WorkerWatch;
use crate::clock::unique;
use crate::crew::Threads;
use crate::host::{Crew, HostEvent, HostSender};
use crate::local::WINDOW;
use crate::restore::Restore;
use crate::slots::{Directory, Far};
use crate::store::Store;
use crate::telemetry::NodeName;
use crate::transport::{
    ControlHandler, Inlet, Listener, Me, Network, Notice, Outlet, Peer, Peers, Services, Session, SessionConfig, Speaker, threads,
};

/// How often the main loop turns at least: whoever looks whether it does sees it.
const TURN: Duration = Duration::from_secs(1);

/// A worker of a job.
#[derive(Debug)]
pub struct WorkerJob {
    job: String,
    graph: Arc<Graph>,
    name: String,
    slots: u16,
    memory_bytes: u64,
    coordinator: String,
    listen: String,
    advertise: Option<String>,
    network: Network,
    watch: WorkerWatch,
}

impl WorkerJob {
    /// The worker called `name` (which ends in its number) of a job, with one slot, for the coordinator at `coordinator`.
    #[must_use]
    pub fn new(job: impl Into<String>, graph: Graph, name: impl Into<String>, coordinator: impl Into<String>) -> Self {
        let job = job.into();
        Self {
            watch: WorkerWatch::new(&job),
            job,
            graph: Arc::new(graph),
            name: name.into(),
            slots: 1,
            memory_bytes: 0,
            coordinator: coordinator.into(),
            listen: "127.0.0.1:0".into(),
            advertise: None,
            network: Network::default(),
        }
    }

    /// How many engine threads.
    #[must_use]
    pub fn slots(mut self, slots: u16) -> Self {
        self.slots = slots.max(1);
        self
    }

    /// How many bytes of state it has room for; 0 does not say.
    #[must_use]
    pub fn memory_bytes(mut self, bytes: u64) -> Self {
        self.memory_bytes = bytes;
        self
    }

    /// Where it listens for other workers (port 0 takes any), and the address they reach it at, if that is another.
    #[must_use]
    pub fn listen(mut self, address: impl Into<String>, advertise: Option<String>) -> Self {
        (self.listen, self.advertise) = (address.into(), advertise);
        self
    }

    /// Certificates and token.
    #[must_use]
    pub fn network(mut self, network: Network) -> Self {
        self.network = network;
        self
    }

    /// What monitors look at.
    #[must_use]
    pub fn watch(mut self, watch: WorkerWatch) -> Self {
        self.watch = watch;
        self
    }

    /// Works until the job is over.
    pub fn run(self) -> Result<()> {
        self.graph.check()?;
        let number = number_of(&self.name).ok_or_else(|| {
            Error::new(Kind::Invalid, format!("the worker's name `{}` does not end in a number", self.name))
                .advise("call the workers of a job NAME-0, NAME-1 and so on")
        })?;
        let runtime = threads(2)?;
        let (told, events) = channel();
        let incarnation = unique();
        let build = super::dataflow::build();
        let me = Me {
            worker: number,
            job: self.job.clone(),
            name: self.name.clone(),
            incarnation: incarnation.clone(),
            build: build.clone(),
        };
        let inlet = Arc::new(In { directory: Directory::default(), era: Mutex::default() });
        let handle = runtime.handle();
        let peers = Peers::new(me, self.graph.clone(), self.network.clone(), inlet.clone(), Era::default(), handle.clone());
        let listener = Listener::start(handle, &self.listen, &self.network, Services::default().data(&peers))?;
        let shape = self.graph.shape()?.nodes;
        let register = Register {
            identity: Some(Identity { name: self.name.clone(), incarnation }),
            data_address: self.advertise.clone().unwrap_or_else(|| listener.address().to_string()),
            slots: u32::from(self.slots),
            memory_bytes: self.memory_bytes,
            fingerprint: super::dataflow::fingerprint(&shape),
            shape: super::dataflow::shape_text(&shape),
            build,
            protocol: watershed_wire::PROTOCOL,
            job: self.job.clone(),
            session: 0,
        };
        let config = SessionConfig { coordinator: self.coordinator.clone(), network: self.network.clone(), register };
        let session = Session::start(config, Arc::new(Ear(Mutex::new(told))), handle);
        self.watch.works(inlet.directory.clone(), session.speaker(), NodeName::all(&self.graph));
        let _pulse = Pulse::start(self.graph.clone(), inlet.directory.clone(), peers.clone(), session.speaker())?;
        let descs = Arc::new(tables(&shape));
        let crew = |sender| Threads {
            graph: self.graph.clone(),
            directory: inlet.directory.clone(),
            slots: BTreeMap::new(),
            sender,
            window: WINDOW,
        };
        let mut at_work = AtWork {
            number,
            crew: crew(HostSender::new(|_| false)),
            inlet: inlet.clone(),
            peers: peers.clone(),
            speaker: session.speaker(),
            era: Era::default(),
            descs,
            book: None,
            watch: self.watch.clone(),
        };
        at_work.follow(&events)
    }
}

fn tables(shape: &[NodeShape]) -> Vec<(u64, StateDesc)> {
    shape.iter().flat_map(|n| n.states.iter().map(|s| (n.id.table(&s.name), s.clone()))).collect()
}

/// What the session says.
enum Told {
    /// A session has begun.
    Registered,
    Item(Item),
    Refused(Refused),
}

struct Ear(Mutex<Sender<Told>>);

impl Ear {
    fn tell(&self, what: Told) {
        let _over = self.0.lock().unwrap_or_else(PoisonError::into_inner).send(what);
    }
}

impl ControlHandler for Ear {
    // Slots go on as they are, and the coordinator hears how they are: it takes them over, or begins a new run.
    fn registered(&self, _: Registered) {
        self.tell(Told::Registered);
    }

    fn refused(&self, refused: Refused) -> bool {
        let again = matches!(refused.reason(), RefusalReason::Unspecified | RefusalReason::Full | RefusalReason::Fenced);
        if !again {
            self.tell(Told::Refused(refused));
        }
        again
    }

    fn received(&self, item: Item) {
        self.tell(Told::Item(item));
    }

    fn notice(&self, _: Notice) {}
}

/// What comes from other workers goes to the slots of the present run.
struct In {
    directory: Directory,
    era: Mutex<Era>,
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
struct AtWork {
    number: u32,
    crew: Threads,
    inlet: Arc<In>,
    peers: Peers,
    speaker: Speaker,
    era: Era,
    descs: Arc<Vec<(u64, StateDesc)>>,
    /// What the next coordinator must know of the present run.
    book: Option<Arc<Mutex<Book>>>,
    watch: WorkerWatch,
}

impl AtWork {
    /// Does what the coordinator says, until that is to end.
    fn follow(&mut self, events: &Receiver<Told>) -> Result<()> {
        loop {
            let came = events.recv_timeout(TURN);
            self.watch.turns();
            match came {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Told::Item(item)) => {
                    if let Some(end) = self.obey(&item)? {
                        self.crew.slots.clear();
                        return end.map_or(Ok(()), |why| Err(Error::new(Kind::Unavailable, why)));
                    }
                }
                Ok(Told::Registered) => self.give_book()?,
                Ok(Told::Refused(refused)) => {
                    let what = format!("the coordinator does not take this worker: {}", refused.detail);
                    let kind = if refused.reason() == RefusalReason::Replaced { Kind::Fenced } else { Kind::Invalid };
                    return Err(Error::new(kind, what).at(refused.reason().as_str_name()));
                }
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }

    /// Carries an order out. `Some` when it is the last, with the reason if the job failed.
    fn obey(&mut self, item: &Item) -> Result<Option<Option<String>>> {
        let era = era_of(item);
        match Order::of(item)? {
            Order::Begin(begin) => self.begin(era, *begin)?,
            Order::End(why) => return Ok(Some(why)),
            // Said in a run that is over.
            _ if era != self.era => {}
            Order::Command(slot, command) => {
                let graph = self.crew.graph.clone();
                self.note(|book| book.told(&graph, slot, &command));
                self.crew.command(slot, command)?;
            }
            Order::Start(start) => {
                let new = start.slot()?;
                self.note(|book| book.joined(&new));
                self.crew.start(era.term, new)?;
            }
            Order::Release(slot) => {
                self.crew.release(slot)?;
                self.note(|book| book.released(slot));
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
        let mut book = Book::new(run, room.into_iter().collect());
        mine.iter().for_each(|slot| book.begun(*slot, &table, &manifest.members));
        let book = Arc::new(Mutex::new(book));
        self.book = Some(book.clone());
        let speaker = self.speaker.clone();
        self.crew.sender = HostSender::new(move |event| {
            let HostEvent::Slot(slot, report) = event else { return false };
            let (speaker, book) = (speaker.clone(), book.clone());
            uploads.pass(slot, report, move |slot, report| {
                // Noted and said in one step: a coordinator that is given the book hears everything that is not in it.
                let mut book = book.lock().unwrap_or_else(PoisonError::into_inner);
                book.said(slot, &report);
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

    fn note(&self, note: impl FnOnce(&mut Book)) {
        if let Some(book) = &self.book {
            note(&mut book.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// The first word in a session. What slots have said before it was said to a coordinator that is gone, and is in the book.
    fn give_book(&self) -> Result<()> {
        let Some(book) = &self.book else {
            self.speaker.send(book_item(self.era, None)?);
            return Ok(());
        };
        let book = book.lock().unwrap_or_else(PoisonError::into_inner);
        self.speaker.send(book_item(self.era, Some(&*book))?);
        Ok(())
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
