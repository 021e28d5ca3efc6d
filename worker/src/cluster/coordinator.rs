//! The coordinator's process: one thread that knows who is there and steps the pure coordinator of the present run.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use watershed_runtime::coordinator::{Coordinator, Input, Run, WorkerJournal};
use watershed_runtime::error::{Error, Kind, Result};
use watershed_runtime::key::{Assignment, KeySpace, SlotId};
use watershed_wire::frame::Era;
use watershed_wire::v1::{RefusalReason, Register, Registered};

use super::job::CoordinatorJob;
use super::keeping::Wish;
use super::look;
use super::orders::{Begin, Order, Word};
use super::remote::Remote;
use super::roster::{Admission, Roster};
use super::service::Service;
use super::status::Loads;
use super::told::{Ear, Told};
use crate::clock::now;
use crate::host::{Host, HostEvent, explain_fenced};
use crate::local::{Outcome, WINDOW};
use crate::store::Store;
use crate::transport::{Answer, Listener, Notice, Services, Sessions, threads};

/// How long workers may take to let go when the job is over.
const FAREWELL: Duration = Duration::from_secs(5);

/// Who has not looked for so long has not listened either.
const AWAY_MICROS: i64 = 1_000_000;
/// How long runs may fail for something that is away before the process ends with that, so that whoever watches it sees it.
const FAILING_MICROS: i64 = 60_000_000;
/// Between such runs.
pub(super) const REST_MICROS: i64 = 1_000_000;

impl CoordinatorJob {
    /// Coordinates until the job is over. `ready` hears the address it listens at, and gets a way to stop it.
    pub fn run(self, ready: impl FnOnce(std::net::SocketAddr, Stopper)) -> Result<Outcome> {
        let (store, keys) = self.claim.open(&self.storage)?;
        let (place, tail) = (store.place().to_owned(), crate::restore::read_log(&store)?);
        let runtime = threads(2)?;
        let (told, events) = channel();
        let ear = Ear::new(told.clone());
        let sessions = Sessions::new(Arc::new(ear), self.network.patience, runtime.handle().clone());
        let services = Services::default().control(&sessions).job(Service::new(told.clone(), self.file_reply()));
        let listener = Listener::start(runtime.handle(), &self.listen, &self.network, services)?;
        self.watch.works(told.clone());
        ready(listener.address(), Stopper(told.clone()));
        let shape = self.claim.graph.shape()?.nodes;
        let mut office = Office {
            shape: super::dataflow::shape_text(&shape),
            fingerprint: super::dataflow::fingerprint(&shape),
            wanted: self.replicas,
            job: self,
            store,
            keys,
            sessions,
            told,
            events,
            later: VecDeque::new(),
            aside: None,
            roster: Roster::new(keys.groups()),
            loads: Loads::default(),
            running: None,
            runs: 0,
            lost: 0,
            stopping: false,
            journals: BTreeMap::new(),
            term: tail.term,
            ran_before: tail.last.is_some(),
            began: now(),
            looked: now(),
            worked: false,
            failing: None,
            rest: 0,
            look: look::later(),
            wishes: Vec::new(),
            draining: false,
            recovering: None,
        };
        let outcome = office.work().map_err(|e| explain_fenced(e, &place));
        office.farewell(outcome.as_ref().err());
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

/// How a run has ended that is over.
pub(super) fn outcome(coordinator: &Coordinator) -> Outcome {
    if coordinator.finished() { Outcome::Finished } else { Outcome::Stopped }
}

/// A run of the job.
pub(super) struct Running {
    pub(super) number: u64,
    /// The run: it may be older than this coordinator.
    pub(super) run: Run,
    pub(super) era: Era,
    pub(super) host: Host<Remote>,
    pub(super) coordinator: Coordinator,
    /// Workers that have been told of this run.
    pub(super) told: BTreeSet<u32>,
    pub(super) asked: Option<BTreeSet<SlotId>>,
    /// The table when the last wish was told.
    pub(super) began_rescale: Option<Assignment>,
}

/// The coordinator at work.
pub(super) struct Office {
    pub(super) job: CoordinatorJob,
    shape: String,
    fingerprint: u64,
    pub(super) store: Store,
    pub(super) keys: KeySpace,
    pub(super) sessions: Sessions,
    pub(super) told: Sender<Told>,
    pub(super) events: Receiver<Told>,
    /// What came while something was done aside.
    pub(super) later: VecDeque<Told>,
    /// What is being done aside.
    pub(super) aside: Option<&'static str>,
    pub(super) roster: Roster,
    pub(super) loads: Loads,
    pub(super) wanted: u32,
    pub(super) running: Option<Running>,
    pub(super) runs: u64,
    /// Workers that were lost while they took part.
    pub(super) lost: u64,
    /// The job is being stopped. If its run ends before that is done, the last manifest is the snapshot: there is nothing to begin again for.
    pub(super) stopping: bool,
    /// What workers remember of the run that an earlier coordinator has left. Until this one has begun.
    pub(super) journals: BTreeMap<u32, Option<WorkerJournal>>,
    /// The newest term in the log.
    pub(super) term: u64,
    /// Whether the log had a manifest when this process began.
    pub(super) ran_before: bool,
    /// When this process began.
    pub(super) began: i64,
    /// When it was last looked who is there.
    looked: i64,
    /// Whether an epoch has been published from here.
    worked: bool,
    /// Since when runs have failed for something that is away.
    failing: Option<i64>,
    /// No run begins before this.
    pub(super) rest: i64,
    /// When it is to be looked whether a newer term has begun.
    pub(super) look: look::Due,
    /// Snapshots that somebody waits for.
    pub(super) wishes: Vec<Wish>,
    /// The job is to be drained: each run that begins is told, until one has done it.
    pub(super) draining: bool,
    /// Why the last run ended, until the next has begun.
    pub(super) recovering: Option<String>,
}

impl Office {
    fn work(&mut self) -> Result<Outcome> {
        loop {
            let nap = self.running.as_ref().map_or(Duration::from_millis(50), |r| r.host.nap(&r.coordinator));
            let came = self.next(nap);
            self.job.watch.turns();
            if matches!(came, Err(RecvTimeoutError::Disconnected)) {
                return Ok(Outcome::Stopped);
            }
            let over = self.round(came.ok());
            if let Some(outcome) = over.or_else(|e| self.again(e).map(|()| None))? {
                return Ok(outcome);
            }
        }
    }

    /// `Some` when the job is over.
    fn round(&mut self, came: Option<Told>) -> Result<Option<Outcome>> {
        let over = match came {
            Some(told) => self.hear(told)?,
            None => self.step(Input::Tick)?,
        };
        if over.is_some() {
            return Ok(over);
        }
        if self.running.as_ref().is_some_and(|r| r.host.snapshot_age().is_some()) {
            (self.worked, self.failing) = (true, None);
        }
        self.grant_wishes()?;
        self.look_after_workers();
        self.look_after_leavers()?;
        if let Some(outcome) = self.begin_if_possible()? {
            return Ok(Some(outcome));
        }
        self.follow_the_wish()
    }

    /// What a run needs is away (storage, a disk): the run is over, and the next begins in a moment. Whatever else it is, and what stays
    /// away, ends the process.
    fn again(&mut self, e: Error) -> Result<()> {
        let at = now();
        let since = *self.failing.get_or_insert(at);
        // A job that has never worked here is wrong rather than unlucky: its owner hears of it at once.
        if e.kind() != Kind::Unavailable || !self.worked || at - since > FAILING_MICROS {
            return Err(e);
        }
        self.end_run(watershed_runtime::error::explain(&e));
        self.rest = at + REST_MICROS;
        Ok(())
    }

    fn end_run(&mut self, why: String) {
        if let Some(running) = self.running.take() {
            (self.job.tells)(&format!("the run of term {} is over: {why}", running.run.term));
            running.host.leave();
        }
        self.recovering = Some(why);
    }

    /// `Some` when the job is over.
    fn hear(&mut self, told: Told) -> Result<Option<Outcome>> {
        match told {
            Told::Register(register, answer) => self.register(&register, answer),
            Told::Item(worker, item) => {
                self.roster.heard(worker, now());
                match Word::of(&item)? {
                    Word::Report(era, slot, report) if self.running.as_ref().is_some_and(|r| r.era == era) => {
                        return self.step(Input::Slot(slot, report));
                    }
                    Word::WorkerJournal(journal) if self.runs == 0 => {
                        self.journals.insert(worker, journal.map(|b| *b));
                    }
                    Word::Leaving => self.leaves(worker),
                    // It came after the journal and is not in it: whoever takes the slots over must know it.
                    Word::Report(era, slot, report) if self.runs == 0 => {
                        if let Some(Some(journal)) = self.journals.get_mut(&worker)
                            && journal.run.term == era.term
                        {
                            journal.said(slot, &report);
                        }
                    }
                    // Of a run that is over, or of a worker that is a newcomer here.
                    Word::Report(..) | Word::WorkerJournal(_) => {}
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
            Told::Newest(term) => self.looked(term),
            Told::Host(..) | Told::Done => {}
            Told::Ask(ask) => return self.answer(ask),
            Told::Stop => return self.stop(),
        }
        Ok(None)
    }

    /// Stops with a snapshot; at once if nothing runs.
    pub(super) fn stop(&mut self) -> Result<Option<Outcome>> {
        self.stopping = true;
        self.draining = false;
        if self.running.is_none() {
            return Ok(Some(Outcome::Stopped));
        }
        self.step(Input::Stop)
    }

    /// Drains. The wish is this process's alone until a slot has heard the barrier at which sources end: whoever takes the slots over then completes
    /// it, and a manifest makes it last. A coordinator that is lost before has drained nothing, and is asked again.
    pub(super) fn drain(&mut self) -> Result<Option<Outcome>> {
        (self.draining, self.stopping) = (true, false);
        self.step(Input::Drain)
    }

    pub(super) fn step(&mut self, input: Input) -> Result<Option<Outcome>> {
        let Some(Running { host, coordinator, .. }) = &mut self.running else { return Ok(None) };
        let over = host.step(coordinator, input)?;
        Ok(over.then(|| outcome(coordinator)))
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
        // Above what another coordinator has said, also before this one has claimed its next term: a worker would take it for the older, and
        // within a term it goes by the clocks of two machines.
        let era = Era { term: self.term + u64::from(self.running.is_none()), generation: 1 };
        let build = super::dataflow::build();
        answer.accept(Registered { era: Some(era.into()), worker, session: 0, heartbeat_millis: 500, build });
    }

    /// A worker is there: it hears of the run under way, and the others hear of it.
    pub(super) fn welcome(&mut self, worker: u32) -> Result<()> {
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
        let begin = Begin { run: running.run, manifest, table, storage: self.job.storage.clone(), window: WINDOW, crew };
        running.host.crew.order(worker, &Order::Begin(Box::new(begin)))
    }

    fn look_after_workers(&mut self) {
        let at = now();
        if at - std::mem::replace(&mut self.looked, at) > AWAY_MICROS {
            self.roster.excuse(at);
        }
        for (member, why) in self.roster.lost(now()) {
            self.sessions.end(member.worker);
            self.lose(member.worker, why);
        }
    }

    /// A worker is gone. A run in which it took part is over; one in which it had nothing goes on.
    fn lose(&mut self, worker: u32, why: String) {
        self.loads.forget(worker);
        self.journals.remove(&worker);
        let each = self.roster.each();
        let Some(running) = &mut self.running else { return };
        running.told.remove(&worker);
        running.asked = None;
        let its = |slot: SlotId| u32::from(slot.0 / each) == worker;
        running.coordinator.gone(its);
        if running.coordinator.needs(its) {
            self.lost += 1;
            self.end_run(format!("worker {worker} was lost: {why}; the job goes on as soon as a worker is there"));
        }
    }

    /// Asks for the slots of the workers that are wanted, once all of these are there.
    fn follow_the_wish(&mut self) -> Result<Option<Outcome>> {
        let Ok(slots) = self.roster.goal(self.wanted) else { return Ok(None) };
        let Some(running) = self.running.as_mut().filter(|_| !slots.is_empty()) else { return Ok(None) };
        let told = slots.iter().all(|s| running.told.contains(&self.roster.worker_of(*s)));
        if !told || running.asked.as_ref() == Some(&slots) {
            return Ok(None);
        }
        running.asked = Some(slots.clone());
        running.began_rescale = Some((**running.coordinator.table()).clone());
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
    fn farewell(&mut self, failed: Option<&Error>) {
        self.job.watch.ends();
        match self.running.take() {
            // What has failed may go on failing for minutes.
            Some(running) if failed.is_some() => running.host.leave(),
            Some(_) | None => {}
        }
        let order = Order::End(failed.map(|e| format!("the job has failed: {e}")));
        let mut there: BTreeSet<u32> = self.roster.present().into_iter().map(|m| m.worker).collect();
        for worker in &there {
            if let Ok(item) = order.item(Era::default()) {
                let _there = self.sessions.send(*worker, item);
            }
        }
        let until = Instant::now() + FAREWELL;
        while !there.is_empty() {
            match self.next(until.saturating_duration_since(Instant::now())) {
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
