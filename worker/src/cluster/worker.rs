//! A worker's process: slots as threads, their routes to slots elsewhere, and one session with the coordinator.
//!
//! The order at the beginning of a run matters: routes exist before slots that may use them, and what comes early for a slot waits for it.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use watershed_runtime::error::{Error, Kind, Result};
use watershed_runtime::graph::{Graph, NodeShape};
use watershed_runtime::state::StateDesc;
use watershed_wire::frame::Era;
use watershed_wire::v1::{Identity, Item, RefusalReason, Refused, Register, Registered};

use super::at_work::{AtWork, In, Told};
use super::pulse::Pulse;
use super::roster::number_of;
use super::watch::WorkerWatch;
use crate::clock::unique;
use crate::crew::Threads;
use crate::host::HostSender;
use crate::local::WINDOW;
use crate::slots::Directory;
use crate::telemetry::NodeName;
use crate::transport::{ControlHandler, Listener, Me, Network, Notice, Peers, Services, Session, SessionConfig, threads};

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
    /// What it has moves to others, and then its work ends; at once if there is nothing to move or nobody to move it to.
    pub fn leave(&self) {
        let _over = self.0.send(Told::Leave);
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

    /// Who hears, in a sentence, how it leaves.
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

    /// Works until the job is over, or until it has left.
    pub fn run(self) -> Result<()> {
        self.graph.check()?;
        let number = number_of(&self.name).ok_or_else(|| {
            Error::new(Kind::Invalid, format!("the worker's name `{}` does not end in a number", self.name))
                .advise("call the workers of a job NAME-0, NAME-1 and so on")
        })?;
        let runtime = threads(2)?;
        let (told, events) = self.told;
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
            watch: self.watch,
            leaving: false,
            tells: self.tells,
        };
        at_work.follow(&events)
    }
}

fn tables(shape: &[NodeShape]) -> Vec<(u64, StateDesc)> {
    shape.iter().flat_map(|n| n.states.iter().map(|s| (n.id.table(&s.name), s.clone()))).collect()
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
