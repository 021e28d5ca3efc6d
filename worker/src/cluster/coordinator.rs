//! The coordinator's process: one thread steps the job manager and carries out what it wants; workers are reached through sessions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use watershed_cluster::manager::{Event, Outcome, Reply, Request};
use watershed_cluster::{Envelope, Refusal, Registration, ToWorker};
use watershed_runtime::error::{Error, Result};
use watershed_wire::frame::Era;
use watershed_wire::v1::{RefusalReason, Register, Registered};

use super::asked::AskedCoordinator;
use super::build::build;
use super::inbox::{Inbox, Told};
use super::job::CoordinatorJob;
use super::orders::{pack_for_worker, unpack_for_coordinator};
use super::service::Service;
use super::status::Loads;
use super::watch::CoordinatorWatch;
use crate::clock::now;
use crate::executor::{Answers, Clients, Executor};
use crate::requests::Waiters;
use crate::root;
use crate::transport::{Answer, Listener, Notice, Services, Sessions, threads};

/// The time that workers have to let go when the job is over.
const FAREWELL: Duration = Duration::from_secs(5);
/// The time between two heartbeats of a worker.
const HEARTBEAT_MILLIS: u32 = 500;

impl CoordinatorJob {
    /// Coordinates until the job is over. `ready` hears the address it listens at, and gets a way to stop it.
    pub fn run(mut self, ready: impl FnOnce(std::net::SocketAddr, Stopper)) -> Result<Outcome> {
        let store = root::open(&mut self.settings, self.fresh, &self.storage)?;
        let runtime = threads(2)?;
        let (told, events) = channel();
        let sessions = Sessions::new(Arc::new(Inbox(told.clone())), self.network.patience, runtime.handle().clone());
        let asked = AskedCoordinator { to: told.clone(), loads: Arc::default(), sessions: sessions.clone() };
        let services = Services::default().control(&sessions).job(Service::new(asked.clone(), self.file_reply()));
        let listener = Listener::start(runtime.handle(), &self.listen, &self.network, services)?;
        let loads = asked.loads.clone();
        self.watch.works(asked);
        ready(listener.address(), Stopper(told.clone()));
        let answers: Answers = Arc::new(move |number, reply| {
            let _over = told.send(Told::Io(number, reply));
        });
        let mut front = Front {
            sessions,
            loads,
            storage: self.storage,
            tells: self.tells,
            tickets: BTreeMap::new(),
            last_ticket: 0,
            waiters: Waiters::default(),
        };
        let executor = Executor::start(self.settings, store, answers, &mut front)?;
        let mut process = Process { executor, front, events, watch: self.watch };
        let outcome = process.work();
        process.farewell(outcome.as_ref().err());
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

/// Workers behind sessions, and users behind the `Job` service.
struct Front {
    sessions: Sessions,
    loads: Arc<Mutex<Loads>>,
    storage: String,
    tells: Box<dyn Fn(&str) + Send>,
    /// Registrations that are not answered yet.
    tickets: BTreeMap<u64, Answer>,
    last_ticket: u64,
    waiters: Waiters,
}

impl Front {
    fn registers(&mut self, register: Register, answer: Answer) -> Event {
        self.last_ticket += 1;
        self.tickets.insert(self.last_ticket, answer);
        let identity = register.identity.unwrap_or_default();
        let registration = Registration {
            job: register.job,
            name: identity.name,
            incarnation: identity.incarnation,
            slots: register.slots,
            address: register.data_address,
            memory_bytes: register.memory_bytes,
            fingerprint: register.fingerprint,
            shape: register.shape,
        };
        Event::Register(self.last_ticket, registration)
    }

    /// The manager's event, if there is one in it.
    fn hear(&mut self, told: Told) -> Result<Option<Event>> {
        Ok(match told {
            Told::Register(register, answer) => Some(self.registers(register, answer)),
            // Items of a session that has ended must not be taken for the next one's.
            Told::Item(worker, session, _) | Told::Notice(worker, session, _) if !self.sessions.stands(worker, session) => None,
            Told::Item(worker, _, item) => {
                let (envelope, message) = unpack_for_coordinator(&item)?;
                Some(Event::Message(worker, envelope, message))
            }
            Told::Load(worker, load) => {
                self.loads.lock().unwrap_or_else(PoisonError::into_inner).note(worker, load);
                Some(Event::Heartbeat(worker))
            }
            Told::Notice(worker, _, notice) => match notice {
                Notice::Connected => Some(Event::Connected(worker)),
                Notice::Disconnected(_) | Notice::Broken(_) => Some(Event::Disconnected(worker)),
                Notice::Unreachable(_) | Notice::Behind(_) | Notice::Refused(..) => None,
            },
            Told::Io(number, reply) => Some(Event::Io(number, reply)),
            Told::Request(request, waiter) => Some(self.waiters.ask(request, Some(Box::new(waiter)))),
            Told::Stop => Some(self.waiters.ask(Request::Stop, None)),
            Told::Look(_) => None,
        })
    }
}

impl Clients for Front {
    fn admit(&mut self, ticket: u64, worker: u32, term: u64) {
        let Some(answer) = self.tickets.remove(&ticket) else { return };
        let era = Some(Era { term, generation: 1 }.into());
        answer.accept(Registered { era, worker, session: 0, heartbeat_millis: HEARTBEAT_MILLIS, build: build() });
    }

    fn refuse(&mut self, ticket: u64, reason: Refusal, why: String) {
        let Some(answer) = self.tickets.remove(&ticket) else { return };
        let reason = match reason {
            Refusal::Job => RefusalReason::Job,
            Refusal::Fingerprint => RefusalReason::Fingerprint,
            Refusal::Replaced => RefusalReason::Replaced,
            Refusal::Malformed => RefusalReason::Malformed,
            // The worker tries again: another coordinator may come.
            Refusal::Over => RefusalReason::Unspecified,
        };
        answer.refuse(reason, why);
    }

    fn end_session(&mut self, worker: u32) {
        self.sessions.end(worker);
        self.loads.lock().unwrap_or_else(PoisonError::into_inner).forget(worker);
    }

    fn send(&mut self, worker: u32, envelope: Envelope, message: ToWorker) -> Result<()> {
        // A worker without a session is about to be lost.
        let _there = self.sessions.send(worker, pack_for_worker(envelope, &message, &self.storage)?);
        Ok(())
    }

    fn reply(&mut self, request: u64, reply: Reply) {
        self.waiters.answer(request, reply);
    }

    fn tell(&mut self, sentence: &str) {
        (self.tells)(sentence);
    }
}

/// The coordinator's process.
struct Process {
    executor: Executor,
    front: Front,
    events: Receiver<Told>,
    watch: CoordinatorWatch,
}

impl Process {
    /// Works until the job is over.
    fn work(&mut self) -> Result<Outcome> {
        loop {
            let event = match self.events.recv_timeout(self.executor.nap()) {
                Ok(Told::Look(look)) => {
                    look(self.executor.manager());
                    // However often it is looked at, time passes.
                    Some(Event::Tick)
                }
                Ok(told) => self.front.hear(told)?,
                Err(RecvTimeoutError::Timeout) => Some(Event::Tick),
                Err(RecvTimeoutError::Disconnected) => return Ok(Outcome::Stopped),
            };
            self.watch.turns();
            for event in event.into_iter().chain(self.front.waiters.abandoned()) {
                if let Some(outcome) = self.executor.step(event, &mut self.front)? {
                    return Ok(outcome);
                }
            }
        }
    }

    /// Waits a little until the workers, who have been told that it is over, have let go.
    fn farewell(&mut self, failed: Option<&Error>) {
        self.watch.ends();
        let workers = self.executor.manager().status(now()).workers;
        let mut there: BTreeSet<u32> = workers.into_iter().filter(|w| w.connected).map(|w| w.member.worker).collect();
        if let Some(e) = failed.filter(|_| !self.executor.manager().ended()) {
            // The manager does not know the reason for this end.
            for worker in &there {
                let why = ToWorker::End(Some(format!("the job has failed: {e}")));
                let _told = self.front.send(*worker, Envelope { term: self.executor.manager().term(), run: 0 }, why);
            }
        }
        let until = Instant::now() + FAREWELL;
        while !there.is_empty() {
            let Ok(told) = self.events.recv_timeout(until.saturating_duration_since(Instant::now())) else { return };
            let Ok(Some(event)) = self.front.hear(told) else { continue };
            if let Event::Disconnected(worker) = event {
                there.remove(&worker);
            }
            if self.executor.manager().ended() {
                let _over = self.executor.step(event, &mut self.front);
            }
        }
    }
}
