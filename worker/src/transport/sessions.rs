//! The coordinator's end of the control sessions: one link a worker, so that a dropped connection loses no command and no report.
//!
//! A worker registers; the host decides, on whatever thread it likes. A worker that comes back with the number of a session that stands
//! goes on where it was, and the host hears only that the connection is there again.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::{StreamExt, future, stream};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};
use tonic::{Request, Response, Status, Streaming};
use watershed_cluster::link::Message;
use watershed_runtime::error::Result;
use watershed_wire::frame::Era;
use watershed_wire::v1::control_server::Control;
use watershed_wire::v1::{
    Ack, Identity, Item, Load, RefusalReason, Refused, Register, Registered, Resume, ToCoordinator, ToWorker, to_coordinator,
    to_worker,
};
use watershed_wire::{PROTOCOL, tonic};

use super::health::{Health, Notice};
use super::line::Line;
use super::peers::said;
use super::pump::{Connection, Inbound, Work, outbound};

/// Bytes of commands that are kept for a worker that is not there.
const KEEP: usize = 64 << 20;

/// The coordinator's host, as sessions see it. Called on the transport's threads: it must not block.
pub trait ControlHost: Send + Sync + 'static {
    /// A worker wants to take part: answer at any time, from any thread.
    fn register(&self, worker: Register, answer: Answer);
    /// The next item of a worker's in a session.
    fn received(&self, worker: u32, session: u64, item: Item);
    /// A heartbeat.
    fn load(&self, worker: u32, load: Load);
    /// News of the connection of a worker's session.
    fn notice(&self, worker: u32, session: u64, notice: Notice);
}

/// The answer to a registration. Dropped without an answer, the worker is told to try again.
#[derive(Debug)]
pub struct Answer(oneshot::Sender<Result<Registered, Refused>>);

impl Answer {
    /// The worker takes part. The session's number is filled in.
    pub fn accept(self, registered: Registered) {
        let _gone = self.0.send(Ok(registered));
    }

    /// The worker does not take part, and is told why.
    pub fn refuse(self, reason: RefusalReason, detail: impl Into<String>) {
        let _gone = self.0.send(Err(Refused { reason: reason.into(), detail: detail.into() }));
    }
}

type Queued = (Era, Item);

/// All sessions of a coordinator. Cheap to clone.
#[derive(Clone)]
pub struct Sessions(Arc<Shared>);

struct Shared {
    host: Arc<dyn ControlHost>,
    runtime: Handle,
    patience: std::time::Duration,
    numbers: AtomicU64,
    by_worker: Mutex<BTreeMap<u32, Open>>,
}

struct Open {
    identity: Option<Identity>,
    registered: Registered,
    era: Era,
    line: Line<Item, Queued>,
    /// Kept so that the link's era stands.
    _eras: watch::Sender<Era>,
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sessions")
    }
}

impl Sessions {
    /// No session yet. `patience`: how long a connection may be silent before it registers.
    pub fn new(host: Arc<dyn ControlHost>, patience: std::time::Duration, runtime: Handle) -> Self {
        // Workers remember the number of their session: one that an earlier coordinator gave must not mean another session here.
        let numbers = AtomicU64::new(u64::try_from(crate::clock::now()).unwrap_or(0));
        Self(Arc::new(Shared { host, runtime, patience, numbers, by_worker: Mutex::default() }))
    }

    /// Tells a worker something, now or as soon as it is there again. False if it has no session.
    pub fn send(&self, worker: u32, item: Item) -> bool {
        let sessions = self.0.by_worker.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.get(&worker).is_some_and(|open| open.line.queue.send((open.era, item)).is_ok())
    }

    /// Ends a worker's session: what it has not acknowledged is gone. It hears of it when it registers again.
    pub fn end(&self, worker: u32) {
        self.0.by_worker.lock().unwrap_or_else(PoisonError::into_inner).remove(&worker);
    }

    /// True for the worker's session: what comes of one that has ended is void.
    #[must_use]
    pub fn stands(&self, worker: u32, session: u64) -> bool {
        let sessions = self.0.by_worker.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.get(&worker).is_some_and(|open| open.registered.session == session)
    }

    /// For which workers the coordinator waits, in words.
    #[must_use]
    pub fn waiting(&self) -> Vec<String> {
        let sessions = self.0.by_worker.lock().unwrap_or_else(PoisonError::into_inner);
        let down = |(worker, open): (&u32, &Open)| {
            let (time, why) = open.line.health.down()?;
            Some(format!("for worker {worker} to come back, for {:.1} s: {why}", time.as_secs_f64()))
        };
        sessions.iter().filter_map(down).collect()
    }

    /// A session that stands, or a new one if the host wants it.
    async fn admit(&self, register: Register) -> Result<(Registered, mpsc::Sender<Connection<Item>>), Refused> {
        if register.protocol != PROTOCOL {
            let detail =
                format!("protocol {} of build {}; this coordinator speaks {PROTOCOL}", register.protocol, register.build);
            return Err(Refused { reason: RefusalReason::Protocol.into(), detail });
        }
        if register.session != 0 {
            let sessions = self.0.by_worker.lock().unwrap_or_else(PoisonError::into_inner);
            // Another coordinator may have given the same number to another worker.
            let its = |open: &&Open| open.registered.session == register.session && open.identity == register.identity;
            if let Some(open) = sessions.values().find(its) {
                return Ok((open.registered.clone(), open.line.connections.clone()));
            }
        }
        let (identity, last) = (register.identity.clone(), register.session);
        let (answer, answered) = oneshot::channel();
        self.0.host.register(register, Answer(answer));
        let unanswered = || Refused { reason: RefusalReason::Unspecified.into(), detail: "the coordinator is stopping".into() };
        let mut registered = answered.await.unwrap_or_else(|_| Err(unanswered()))?;
        registered.session = self.next_session(last);
        let era = Era { term: registered.era.unwrap_or_default().term, generation: registered.session };
        let (eras, worker, health) = (watch::Sender::new(era), registered.worker, Health::new());
        let work = SessionWork { host: self.0.host.clone(), health: health.clone(), worker, session: registered.session };
        let line = Line::start(&self.0.runtime, eras.subscribe(), KEEP, health, work);
        let connections = line.connections.clone();
        let open = Open { identity, registered: registered.clone(), era, line, _eras: eras };
        self.0.by_worker.lock().unwrap_or_else(PoisonError::into_inner).insert(worker, open);
        Ok((registered, connections))
    }

    /// A number above all that were given here, and above the last one of the worker: another coordinator may have given it, with another
    /// clock.
    fn next_session(&self, last: u64) -> u64 {
        let next = |n: u64| Some(n.max(last).saturating_add(1));
        let given = self.0.numbers.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).unwrap_or_else(|given| given);
        given.max(last).saturating_add(1)
    }

    fn inbound(&self, worker: u32, era: Era, from: Streaming<ToCoordinator>) -> Inbound<Item> {
        use to_coordinator::Message as Up;
        let host = self.0.host.clone();
        Box::pin(from.filter_map(move |came| {
            future::ready(match came.map(|m| m.message) {
                Ok(Some(Up::Item(item))) => {
                    let bytes = item.payload.len();
                    Some(Ok((era, Message::Item(item.sequence, item), bytes)))
                }
                Ok(Some(Up::Ack(Ack { next }))) => Some(Ok((era, Message::Ack(next), 0))),
                Ok(Some(Up::Resume(Resume { next }))) => Some(Ok((era, Message::Resume(next), 0))),
                Ok(Some(Up::Load(load))) => {
                    host.load(worker, load);
                    None
                }
                Ok(Some(Up::Register(_)) | None) => Some(Err("a message that makes no sense in a session".to_owned())),
                Err(status) => Some(Err(said(&status))),
            })
        }))
    }
}

fn down(message: Message<Item>) -> Option<ToWorker> {
    use to_worker::Message as Down;
    let message = match message {
        Message::Item(sequence, item) => Down::Item(Item { sequence, ..item }),
        Message::Ack(next) => Down::Ack(Ack { next }),
        Message::Resume(next) => Down::Resume(Resume { next }),
        // A session has one era.
        Message::Refuse(_) => return None,
    };
    Some(ToWorker { message: Some(message) })
}

struct SessionWork {
    host: Arc<dyn ControlHost>,
    health: Health,
    worker: u32,
    session: u64,
}

impl Work<Item> for SessionWork {
    type Queued = Queued;

    fn era(queued: &Queued) -> Era {
        queued.0
    }

    fn encode(&mut self, (_, item): Queued) -> Result<(Item, usize)> {
        let bytes = item.payload.len();
        Ok((item, bytes))
    }

    fn deliver(&mut self, _: Era, item: Item) -> Result<()> {
        self.host.received(self.worker, self.session, item);
        Ok(())
    }

    fn notice(&mut self, notice: Notice) {
        self.health.note(&notice);
        self.host.notice(self.worker, self.session, notice);
    }
}

#[tonic::async_trait]
impl Control for Sessions {
    type SessionStream = stream::BoxStream<'static, Result<ToWorker, Status>>;

    async fn session(&self, request: Request<Streaming<ToCoordinator>>) -> Result<Response<Self::SessionStream>, Status> {
        let mut inbound = request.into_inner();
        let first = tokio::time::timeout(self.0.patience, inbound.message()).await;
        let first = first.map_err(|_| Status::deadline_exceeded("no registration came in time"))??;
        let Some(to_coordinator::Message::Register(register)) = first.and_then(|m| m.message) else {
            return Err(Status::invalid_argument("a session begins with a registration"));
        };
        let (registered, connections) = match self.admit(register).await {
            Ok(admitted) => admitted,
            Err(refused) => {
                let refused = ToWorker { message: Some(to_worker::Message::Refused(refused)) };
                return Ok(Response::new(stream::once(future::ready(Ok(refused))).boxed()));
            }
        };
        let era = Era { term: registered.era.unwrap_or_default().term, generation: registered.session };
        let (send, mut said_here) = outbound();
        let inbound = self.inbound(registered.worker, era, inbound);
        let gone = |_| Status::unavailable("the session has just ended");
        connections.send(Connection { inbound, outbound: send }).await.map_err(gone)?;
        let first = ToWorker { message: Some(to_worker::Message::Registered(registered)) };
        let rest = stream::poll_fn(move |cx| said_here.poll_recv(cx));
        let rest = rest.filter_map(|(_, message)| future::ready(down(message).map(Ok)));
        Ok(Response::new(stream::once(future::ready(Ok(first))).chain(rest).boxed()))
    }
}
