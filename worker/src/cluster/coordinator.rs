//! The coordinator's process: one thread that knows who is there and steps the pure coordinator of the present run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use watershed_runtime::coordinator::{Coordinator, Input};
use watershed_runtime::error::{Error, Kind, Result};
use watershed_runtime::graph::Graph;
use watershed_runtime::key::{KeySpace, SlotId};
use watershed_runtime::protocol::rules::RuleSet;
use watershed_wire::frame::Era;
use watershed_wire::v1::{Item, Load, RefusalReason, Register, Registered};

use super::orders::{Begin, Order, report_of};
use super::remote::Remote;
use super::roster::{Admission, Roster};
use super::service::{Ask, Service};
use super::status::Loads;
use crate::clock::{now, unique};
use crate::host::{Host, HostEvent, HostSender, clock, commit_handles, explain_fenced};
use crate::local::{Outcome, WINDOW, pace};
use crate::store::Store;
use crate::takeover::{Claim, TakenOver};
use crate::transport::{Answer, ControlHost, Listener, Network, Notice, Services, Sessions, threads};

/// How long workers may take to let go when the job is over.
const FAREWELL: Duration = Duration::from_secs(5);
/// How long a job that has run before waits for all of its workers before it begins with those that are there.
const GATHER_MICROS: i64 = 3_000_000;

/// The coordinator of a job in many processes.
#[derive(Debug)]
pub struct CoordinatorJob {
    claim: Claim,
    storage: String,
    epoch: Duration,
    replicas: u32,
    listen: String,
    network: Network,
}

impl CoordinatorJob {
    /// The coordinator of a job whose snapshots are in `storage`: an epoch a second, one worker, any port of loopback.
    #[must_use]
    pub fn new(name: impl Into<String>, graph: Graph, storage: impl Into<String>) -> Self {
        let claim = Claim {
            name: name.into(),
            graph: Arc::new(graph),
            fresh: false,
            keys: KeySpace::default(),
            may_drop: Vec::new(),
            drop_unmatched: false,
        };
        let listen = "127.0.0.1:0".into();
        Self { claim, storage: storage.into(), epoch: Duration::from_secs(1), replicas: 1, listen, network: Network::default() }
    }

    /// How often a snapshot is taken and output committed.
    #[must_use]
    pub fn epoch(mut self, every: Duration) -> Self {
        self.epoch = every;
        self
    }

    /// How many workers the job begins with.
    #[must_use]
    pub fn replicas(mut self, replicas: u32) -> Self {
        self.replicas = replicas.max(1);
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

    /// Where it listens, for workers and for whoever asks.
    #[must_use]
    pub fn listen(mut self, address: impl Into<String>) -> Self {
        self.listen = address.into();
        self
    }

    /// Certificates and token.
    #[must_use]
    pub fn network(mut self, network: Network) -> Self {
        self.network = network;
        self
    }

    /// Coordinates until the job is over. `ready` hears the address it listens at, and gets a way to stop it.
    pub fn run(self, ready: impl FnOnce(std::net::SocketAddr, Stopper)) -> Result<Outcome> {
        let (store, keys) = self.claim.open(&self.storage)?;
        let runtime = threads(2)?;
        let (told, events) = channel();
        let ear = Ear { to: Mutex::new(told.clone()) };
        let sessions = Sessions::new(Arc::new(ear), self.network.patience, runtime.handle().clone());
        let services = Services::default().control(&sessions).job(Service::new(told.clone()));
        let listener = Listener::start(runtime.handle(), &self.listen, &self.network, services)?;
        ready(listener.address(), Stopper(told.clone()));
        let shape = self.claim.graph.shape()?.nodes;
        let (place, term) = (store.place().to_owned(), crate::restore::read_log(&store)?.term);
        let mut office = Office {
            shape: super::dataflow::shape_text(&shape),
            fingerprint: super::dataflow::fingerprint(&shape),
            wanted: self.replicas,
            job: self,
            store,
            keys,
            sessions,
            told,
            roster: Roster::new(),
            loads: Loads::default(),
            running: None,
            runs: 0,
            term,
            began: now(),
            recovering: None,
        };
        let outcome = office.work(&events).map_err(|e| explain_fenced(e, &place));
        office.farewell(outcome.as_ref().err(), &events);
        outcome
    }
}

/// Stops a coordinator's job from another thread.
#[derive(Clone, Debug)]
pub struct Stopper(Sender<Told>);

impl Stopper {
    /// Stops with a snapshot.
    pub fn stop(&self) {
        let _over = self.0.send(Told::Stop);
    }
}

/// What reaches the coordinator's thread.
#[derive(Debug)]
pub(super) enum Told {
    Register(Register, Answer),
    Item(u32, Item),
    Load(u32, Load),
    Notice(u32, Notice),
    /// Of the run with this number.
    Host(u64, HostEvent),
    Ask(Ask),
    Stop,
}

struct Ear {
    to: Mutex<Sender<Told>>,
}

impl Ear {
    fn tell(&self, what: Told) {
        let _over = self.to.lock().unwrap_or_else(PoisonError::into_inner).send(what);
    }
}

impl ControlHost for Ear {
    fn register(&self, worker: Register, answer: Answer) {
        self.tell(Told::Register(worker, answer));
    }

    fn received(&self, worker: u32, item: Item) {
        self.tell(Told::Item(worker, item));
    }

    fn load(&self, worker: u32, load: Load) {
        self.tell(Told::Load(worker, load));
    }

    fn notice(&self, worker: u32, notice: Notice) {
        self.tell(Told::Notice(worker, notice));
    }
}

/// A run of the job.
pub(super) struct Running {
    number: u64,
    pub(super) era: Era,
    pub(super) host: Host<Remote>,
    pub(super) coordinator: Coordinator,
    /// Workers that have been told of this run.
    told: BTreeSet<u32>,
    asked: Option<BTreeSet<SlotId>>,
}

/// The coordinator at work.
pub(super) struct Office {
    job: CoordinatorJob,
    shape: String,
    fingerprint: u64,
    store: Store,
    pub(super) keys: KeySpace,
    pub(super) sessions: Sessions,
    told: Sender<Told>,
    pub(super) roster: Roster,
    pub(super) loads: Loads,
    pub(super) wanted: u32,
    pub(super) running: Option<Running>,
    runs: u64,
    /// The newest term in the log.
    term: u64,
    /// When this process began.
    began: i64,
    /// Why the last run ended, until the next has begun.
    pub(super) recovering: Option<String>,
}

impl Office {
    fn work(&mut self, events: &Receiver<Told>) -> Result<Outcome> {
        loop {
            let nap = self.running.as_ref().map_or(Duration::from_millis(50), |r| r.host.nap(&r.coordinator));
            let over = match events.recv_timeout(nap) {
                Ok(told) => self.hear(told)?,
                Err(RecvTimeoutError::Timeout) => self.step(Input::Tick)?,
                Err(RecvTimeoutError::Disconnected) => return Ok(Outcome::Stopped),
            };
            if let Some(outcome) = over {
                return Ok(outcome);
            }
            self.look_after_workers();
            if let Some(outcome) = self.begin_if_possible()? {
                return Ok(outcome);
            }
            if let Some(outcome) = self.follow_the_wish()? {
                return Ok(outcome);
            }
        }
    }

    /// `Some` when the job is over.
    fn hear(&mut self, told: Told) -> Result<Option<Outcome>> {
        match told {
            Told::Register(register, answer) => self.register(&register, answer),
            Told::Item(worker, item) => {
                self.roster.heard(worker, now());
                let (era, slot, report) = report_of(&item)?;
                if self.running.as_ref().is_some_and(|r| r.era == era) {
                    return self.step(Input::Slot(slot, report));
                }
            }
            Told::Load(worker, load) => {
                self.roster.heard(worker, now());
                self.loads.note(worker, load);
            }
            Told::Notice(worker, notice) => match notice {
                Notice::Connected => {
                    self.roster.connected(worker, true, now());
                    self.welcome(worker)?;
                }
                Notice::Disconnected(_) | Notice::Broken(_) => self.roster.connected(worker, false, now()),
                Notice::Unreachable(_) | Notice::Behind(_) | Notice::Refused(..) => {}
            },
            Told::Host(run, event) if self.running.as_ref().is_some_and(|r| r.number == run) => match event {
                HostEvent::Input(input) => return self.step(input),
                HostEvent::Failed(e) => return Err(e),
                HostEvent::Slot(..) | HostEvent::Control(_) => {}
            },
            Told::Host(..) => {}
            Told::Ask(ask) => return self.answer(ask),
            Told::Stop => return self.stop(),
        }
        Ok(None)
    }

    /// Stops with a snapshot; at once if nothing runs.
    pub(super) fn stop(&mut self) -> Result<Option<Outcome>> {
        if self.running.is_none() {
            return Ok(Some(Outcome::Stopped));
        }
        self.step(Input::Stop)
    }

    pub(super) fn step(&mut self, input: Input) -> Result<Option<Outcome>> {
        let Some(Running { host, coordinator, .. }) = &mut self.running else { return Ok(None) };
        let over = host.step(coordinator, input)?;
        Ok(over.then(|| if coordinator.finished() { Outcome::Finished } else { Outcome::Stopped }))
    }

    fn register(&mut self, register: &Register, answer: Answer) {
        if register.job != self.job.claim.name {
            let why = format!("this is the coordinator of `{}`, not of `{}`", self.job.claim.name, register.job);
            return answer.refuse(RefusalReason::Job, why);
        }
        if register.fingerprint != self.fingerprint {
            return answer.refuse(RefusalReason::Fingerprint, super::dataflow::difference(&self.shape, &register.shape));
        }
        match self.roster.register(register, now()) {
            Admission::Refused(reason, why) => answer.refuse(reason, why),
            Admission::New(worker) => self.accept(worker, answer),
            Admission::Instead(worker) => {
                self.lose(worker, "a new process has taken its place".to_owned());
                self.accept(worker, answer);
            }
        }
    }

    fn accept(&self, worker: u32, answer: Answer) {
        // Never below what an earlier coordinator has said: a worker would take this one for the older.
        let era = self.running.as_ref().map_or(Era { term: self.term, generation: 0 }, |r| r.era);
        let build = super::dataflow::build();
        answer.accept(Registered { era: Some(era.into()), worker, session: 0, heartbeat_millis: 500, build });
    }

    /// A worker is there: it hears of the run under way, and the others hear of it.
    fn welcome(&mut self, worker: u32) -> Result<()> {
        let crew = self.roster.present();
        let Some(running) = &mut self.running else { return Ok(()) };
        if !running.told.insert(worker) {
            return Ok(());
        }
        let order = Order::Crew(crew.clone());
        for other in running.told.iter().filter(|w| **w != worker) {
            running.host.crew.order(*other, &order)?;
        }
        // It begins with nothing: its slots join at a barrier.
        let mut manifest = running.coordinator.last().clone();
        manifest.members.clear();
        let table = (&**running.coordinator.table()).into();
        let begin = Begin { manifest, table, storage: self.job.storage.clone(), window: WINDOW, crew };
        running.host.crew.order(worker, &Order::Begin(Box::new(begin)))
    }

    fn look_after_workers(&mut self) {
        for (member, why) in self.roster.lost(now()) {
            self.sessions.end(member.worker);
            self.lose(member.worker, why);
        }
    }

    /// A worker is gone. A run in which it took part is over; one in which it had nothing goes on.
    fn lose(&mut self, worker: u32, why: String) {
        self.loads.forget(worker);
        let each = self.roster.each();
        let Some(running) = &mut self.running else { return };
        running.told.remove(&worker);
        running.asked = None;
        let takes_part = running.coordinator.needs(|slot| u32::from(slot.0 / each) == worker);
        if takes_part {
            self.running = None;
            self.recovering = Some(format!("worker {worker} was lost: {why}"));
        }
    }

    /// Begins a run with those who are there, if they are enough.
    fn begin_if_possible(&mut self) -> Result<Option<Outcome>> {
        if self.running.is_some() {
            return Ok(None);
        }
        let crew = self.roster.present();
        // The first run waits for everybody; a job that is under way goes on with whoever is left.
        let gathered = self.runs > 0 || now() - self.began > GATHER_MICROS && self.ran_before()?;
        if crew.is_empty() || !gathered && self.roster.slots_of(self.wanted).is_err() {
            return Ok(None);
        }
        let slots: BTreeSet<SlotId> = crew.iter().flat_map(|m| m.slots.clone()).collect();
        let uid = unique();
        let TakenOver { start, log, restored: _, descs } = self.job.claim.take_over(&self.store, self.keys, &slots, &uid)?;
        let graph = self.job.claim.graph.clone();
        if start.finished {
            commit_handles(&graph, &start.commit)?;
            return Ok(Some(Outcome::AlreadyFinished));
        }
        self.runs += 1;
        self.term = log.term();
        let (number, told) = (self.runs, self.told.clone());
        let sender = HostSender::new(move |event| told.send(Told::Host(number, event)).is_ok());
        let era = Era { term: log.term(), generation: 1 };
        let remote = Remote { sessions: self.sessions.clone(), era, each: self.roster.each(), released: BTreeSet::new() };
        for member in &crew {
            let begin = Begin {
                manifest: start.manifest.clone(),
                table: (&start.table).into(),
                storage: self.job.storage.clone(),
                window: WINDOW,
                crew: crew.clone(),
            };
            remote.order(member.worker, &Order::Begin(Box::new(begin)))?;
        }
        let pace = pace(self.job.epoch);
        let mut coordinator = Coordinator::new(graph.clone(), log, &start, &uid, pace, clock(), RuleSet::ALL);
        let mut host = Host::new(graph, self.store.clone(), remote, sender, self.keys, descs)?;
        let over = host.begin(&mut coordinator)?;
        let told = crew.iter().map(|m| m.worker).collect();
        self.running = Some(Running { number, era, host, coordinator, told, asked: None });
        self.recovering = None;
        Ok(over.then_some(Outcome::Stopped))
    }

    fn ran_before(&self) -> Result<bool> {
        Ok(crate::restore::read_log(&self.store)?.last.is_some())
    }

    /// Asks for the slots of the workers that are wanted, once all of these are there.
    fn follow_the_wish(&mut self) -> Result<Option<Outcome>> {
        let Ok(slots) = self.roster.slots_of(self.wanted) else { return Ok(None) };
        let slots: BTreeSet<SlotId> = slots.into_iter().collect();
        let Some(running) = &mut self.running else { return Ok(None) };
        let told = slots.iter().all(|s| running.told.contains(&self.roster.worker_of(*s)));
        if !told || running.asked.as_ref() == Some(&slots) {
            return Ok(None);
        }
        running.asked = Some(slots.clone());
        self.step(Input::Want(slots))
    }

    /// Workers, by number, that nothing needs any more.
    pub(super) fn releasable(&self) -> BTreeMap<u32, bool> {
        let each = self.roster.each();
        let free = |worker: u32| match &self.running {
            None => false,
            Some(r) => worker >= self.wanted && !r.coordinator.needs(|slot| u32::from(slot.0 / each) == worker),
        };
        self.roster.all().map(|m| (m.worker, free(m.worker))).collect()
    }

    /// Tells everybody that it is over, and waits a little until they have let go.
    fn farewell(&mut self, failed: Option<&Error>, events: &Receiver<Told>) {
        self.running = None;
        let order = Order::End(failed.map(|e| format!("the job has failed: {e}")));
        let mut there: BTreeSet<u32> = self.roster.present().into_iter().map(|m| m.worker).collect();
        for worker in &there {
            if let Ok(item) = order.item(Era::default()) {
                let _there = self.sessions.send(*worker, item);
            }
        }
        let until = Instant::now() + FAREWELL;
        while !there.is_empty() {
            match events.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(Told::Notice(worker, Notice::Disconnected(_))) => {
                    there.remove(&worker);
                }
                Ok(_) => {}
                Err(_) => return,
            }
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.job.claim.name
    }

    /// A wish for another number of workers.
    pub(super) fn scale(&mut self, replicas: u32) -> Result<u32> {
        let groups = self.keys.groups() as u64;
        if replicas == 0 {
            return Err(Error::new(Kind::Invalid, "a job has at least one worker").advise("stop the job to have none"));
        }
        if u64::from(replicas) * u64::from(self.roster.each()) > groups {
            return Err(Error::new(
                Kind::Invalid,
                format!("{replicas} workers have more slots than the {groups} key groups there are"),
            )
            .advise("ask for fewer; a new job may have more key groups"));
        }
        Ok(std::mem::replace(&mut self.wanted, replicas))
    }
}
