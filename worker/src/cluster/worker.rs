//! A worker's process: its main thread steps the task manager and carries out what it wants, with slots as threads, links to other
//! workers, and one session with the coordinator.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use watershed_cluster::task_manager::{WorkerAction, WorkerEnd, WorkerEvent};
use watershed_cluster::{Envelope, Member, Patience, TaskManager, ToCoordinator, fingerprint, number_of, shape_text};
use watershed_runtime::error::{Error, Kind, Result};
use watershed_runtime::graph::Graph;
use watershed_runtime::key::SlotId;
use watershed_runtime::protocol::rules::RuleSet;
use watershed_runtime::slot::{Event, Report};
use watershed_wire::frame::{Era, Lane};
use watershed_wire::v1::{Identity, Item, RefusalReason, Refused, Register, Registered};

use super::build::build;
use super::heartbeat::Heartbeat;
use super::orders::{StorageAt, pack_for_coordinator, unpack_for_worker};
use super::watch::WorkerWatch;
use crate::clock::unique;
use crate::slots::{Directory, Far};
use crate::store::Store;
use crate::telemetry::NodeName;
use crate::transport::{
    ControlHandler, Inlet, Listener, Me, Network, Notice, Outlet, Peer, Peers, Services, Session, SessionConfig, Speaker, threads,
};
use crate::worker_host::{Events, Place, Ways, WorkerHost};

/// The longest turn of the main loop: a monitor sees by it that it does not hang.
const TURN: Duration = Duration::from_millis(500);

/// A worker of a job.
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
    tells: Box<dyn Fn(&str) + Send>,
    told: (Sender<Told>, Receiver<Told>),
}

/// Tells a worker to leave, from another thread.
#[derive(Clone, Debug)]
pub struct Leaver(Sender<Told>);

impl Leaver {
    /// Key groups move to other workers, and then this one ends; at once if it has none or there is no other.
    pub fn leave(&self) {
        let _over = self.0.send(Told::Event(WorkerEvent::Leave));
    }
}

impl std::fmt::Debug for WorkerJob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WorkerJob").field("job", &self.job).field("name", &self.name).finish_non_exhaustive()
    }
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
            tells: Box::new(|_| ()),
            told: channel(),
        }
    }

    /// The number of engine threads.
    #[must_use]
    pub fn slots(mut self, slots: u16) -> Self {
        self.slots = slots.max(1);
        self
    }

    /// The bytes of state that it has memory for; 0 does not say.
    #[must_use]
    pub fn memory_bytes(mut self, bytes: u64) -> Self {
        self.memory_bytes = bytes;
        self
    }

    /// The address at which it listens for other workers (port 0 takes any), and the one that they use, if that is another.
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

    /// The state that monitors look at.
    #[must_use]
    pub fn watch(mut self, watch: WorkerWatch) -> Self {
        self.watch = watch;
        self
    }

    /// A listener that is told, in a sentence, how the worker leaves.
    #[must_use]
    pub fn tells(mut self, tells: impl Fn(&str) + Send + 'static) -> Self {
        self.tells = Box::new(tells);
        self
    }

    /// A way to make it leave.
    #[must_use]
    pub fn leaver(&self) -> Leaver {
        Leaver(self.told.0.clone())
    }

    /// The registration.
    fn register(&self, incarnation: String, data_address: String) -> Result<Register> {
        let shape = self.graph.shape()?.nodes;
        Ok(Register {
            identity: Some(Identity { name: self.name.clone(), incarnation }),
            data_address,
            slots: u32::from(self.slots),
            memory_bytes: self.memory_bytes,
            fingerprint: fingerprint(&shape),
            shape: shape_text(&shape),
            build: build(),
            protocol: watershed_wire::PROTOCOL,
            job: self.job.clone(),
            session: 0,
        })
    }

    /// Works until the job is over, or until it has left.
    pub fn run(self) -> Result<()> {
        self.graph.check()?;
        let number = number_of(&self.name).ok_or_else(|| {
            Error::new(Kind::Invalid, format!("the worker's name `{}` does not end in a number", self.name))
                .advise("call the workers of a job NAME-0, NAME-1 and so on")
        })?;
        let runtime = threads(2)?;
        let incarnation = unique();
        let me = Me {
            worker: number,
            job: self.job.clone(),
            name: self.name.clone(),
            incarnation: incarnation.clone(),
            build: build(),
        };
        let inlet = Arc::new(In { directory: Directory::default(), era: Mutex::default() });
        let handle = runtime.handle();
        let peers = Peers::new(me, self.graph.clone(), self.network.clone(), inlet.clone(), Era::default(), handle.clone());
        let listener = Listener::start(handle, &self.listen, &self.network, Services::default().data(&peers))?;
        let address = self.advertise.clone().unwrap_or_else(|| listener.address().to_string());
        let register = self.register(incarnation, address)?;
        let (told, events) = self.told;
        let term = Arc::new(AtomicU64::new(0));
        let (coordinator, network) = (self.coordinator.clone(), self.network.clone());
        let config = SessionConfig { coordinator, network, register, term: term.clone() };
        let happened = told.clone();
        let worker_events: Events = Arc::new(move |event| {
            let _over = happened.send(Told::Event(event));
        });
        let session = Session::start(config, Arc::new(Ear(told)), handle);
        self.watch.works(inlet.directory.clone(), session.speaker(), NodeName::all(&self.graph));
        let (linked, speaker) = (peers.clone(), session.speaker());
        let _heartbeat = Heartbeat::start(
            &NodeName::all(&self.graph),
            inlet.directory.clone(),
            move || linked.waiting(),
            move |load| speaker.load(load),
        )?;
        let directory = inlet.directory.clone();
        let mut process = Process {
            manager: TaskManager::new(self.graph.clone(), number, Patience::default().leave, RuleSet::ALL),
            host: WorkerHost::new(self.graph, directory, worker_events, self.watch.uploaded())?,
            links: Links { number, inlet, peers, era: Era::default() },
            speaker: session.speaker(),
            session: Era::default(),
            term,
            watch: self.watch,
            tells: self.tells,
        };
        let end = process.work(&events);
        process.host.end();
        match end? {
            WorkerEnd::Job(Some(why)) => Err(Error::new(Kind::Unavailable, why)),
            WorkerEnd::Job(None) | WorkerEnd::Left => Ok(()),
        }
    }
}

/// An event for the worker's main loop.
#[derive(Debug)]
enum Told {
    /// A session has begun.
    Registered(Registered),
    Item(u64, Item),
    Refused(Refused),
    Event(WorkerEvent),
}

/// Hears the session.
struct Ear(Sender<Told>);

impl Ear {
    fn tell(&self, what: Told) {
        let _over = self.0.send(what);
    }
}

impl ControlHandler for Ear {
    fn registered(&self, registered: Registered) {
        self.tell(Told::Registered(registered));
    }

    fn refused(&self, refused: Refused) -> bool {
        let again = matches!(refused.reason(), RefusalReason::Unspecified | RefusalReason::Full | RefusalReason::Fenced);
        if !again {
            self.tell(Told::Refused(refused));
        }
        again
    }

    fn received(&self, session: u64, item: Item) {
        self.tell(Told::Item(session, item));
    }

    fn notice(&self, _: Notice) {}
}

/// The way from other workers to the slots of the present run.
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

/// The links to other workers. Their era is the run's, and does not change with the manager: what is between slots stays as it is.
struct Links {
    number: u32,
    inlet: Arc<In>,
    peers: Peers,
    era: Era,
}

impl Links {
    /// Links to the workers that are there now.
    fn meet(&self, members: &[Member], directory: &Directory) {
        let others: Vec<&Member> = members.iter().filter(|m| m.worker != self.number).collect();
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
                m.slots.iter().for_each(|s| directory.far(*s, way.clone()));
            }
        }
    }
}

impl Ways for Links {
    fn enter(&mut self, run: u64, members: &[Member], directory: &Directory) {
        self.era = Era { term: run, generation: 1 };
        *self.inlet.era.lock().unwrap_or_else(PoisonError::into_inner) = self.era;
        self.meet(members, directory);
        self.peers.enter(self.era);
    }
}

/// A worker's process.
struct Process {
    manager: TaskManager,
    host: WorkerHost,
    links: Links,
    speaker: Speaker,
    /// The session in which messages go out: what belongs to another is not said in it.
    session: Era,
    /// The highest term that was heard: the session goes to no older manager.
    term: Arc<AtomicU64>,
    watch: WorkerWatch,
    tells: Box<dyn Fn(&str) + Send>,
}

impl Process {
    /// Works until the job is over, or this worker's part in it.
    fn work(&mut self, events: &Receiver<Told>) -> Result<WorkerEnd> {
        loop {
            let came = events.recv_timeout(TURN);
            self.watch.turns();
            let (event, storage) = match came {
                Ok(Told::Item(session, item)) => {
                    let (envelope, message, storage) = unpack_for_worker(&item)?;
                    (WorkerEvent::Message(session, envelope, message), storage)
                }
                Ok(Told::Registered(registered)) => {
                    let (term, session) = (registered.era.unwrap_or_default().term, registered.session);
                    self.session = Era { term, generation: session };
                    (WorkerEvent::Session { term, session }, None)
                }
                Ok(Told::Event(event)) => (event, None),
                Ok(Told::Refused(refused)) => {
                    let what = format!("the coordinator does not take this worker: {}", refused.detail);
                    let kind = if refused.reason() == RefusalReason::Replaced { Kind::Fenced } else { Kind::Invalid };
                    return Err(Error::new(kind, what).at(refused.reason().as_str_name()));
                }
                Err(RecvTimeoutError::Timeout) => (WorkerEvent::Away(self.away()), None),
                Err(RecvTimeoutError::Disconnected) => return Ok(WorkerEnd::Job(None)),
            };
            let mut actions = self.manager.step(event);
            if self.manager.leaving() {
                actions.extend(self.manager.step(WorkerEvent::Away(self.away())));
            }
            self.term.store(self.manager.term(), Ordering::Release);
            if let Some(end) = self.carry_out(actions, storage)? {
                return Ok(end);
            }
        }
    }

    /// The time without a session, in microseconds.
    fn away(&self) -> i64 {
        self.speaker.session().1.map_or(0, |(time, _)| i64::try_from(time.as_micros()).unwrap_or(i64::MAX))
    }

    /// Carries actions out. `Some` when the worker ends.
    fn carry_out(&mut self, actions: Vec<WorkerAction>, mut storage: Option<StorageAt>) -> Result<Option<WorkerEnd>> {
        for action in actions {
            match action {
                WorkerAction::Send(envelope, message) => self.send(envelope, &message)?,
                WorkerAction::Begin(begin, mine) => {
                    let at = storage.take().ok_or_else(|| Error::broken("session", "a run begins without its storage"))?;
                    let place = Place { store: Store::open(&at.storage)?, window: at.window };
                    self.host.begin(*begin, &mine, place, &mut self.links)?;
                }
                WorkerAction::Command(slot, command) => self.host.command(slot, command),
                WorkerAction::Start(run, new) => self.host.start(run, new)?,
                WorkerAction::Release(slot) => self.host.release(slot),
                WorkerAction::Members(members) => self.links.meet(&members, &self.links.inlet.directory),
                WorkerAction::Upload { run, slot, epoch, runs } => self.host.upload(run, slot, epoch, runs),
                WorkerAction::Tell(sentence) => (self.tells)(&sentence),
                WorkerAction::End(end) => return Ok(Some(end)),
            }
        }
        Ok(None)
    }

    /// Tells the manager. A report that cannot be said as it is fails the job, rather than to be waited for.
    fn send(&mut self, envelope: Envelope, message: &ToCoordinator) -> Result<()> {
        let failure = match (pack_for_coordinator(envelope, message), message) {
            (Ok(item), _) => {
                self.speaker.send(self.session, item);
                return Ok(());
            }
            (Err(e), ToCoordinator::Report(_, Report::Failed(_)) | ToCoordinator::Journal(_) | ToCoordinator::Leaving) => {
                return Err(e);
            }
            (Err(e), ToCoordinator::Report(slot, _)) => self.manager.unspeakable(*slot, e),
        };
        self.carry_out(failure, None).map(|_| ())
    }
}
