//! The worker's end of its control session: registers, and registers again whenever the connection drops.
//!
//! While the coordinator is down nothing is lost that was said in a session that stands when it is back; another coordinator knows no
//! session, so the worker hears [`ControlHandler::registered`] again and says what it has to say from the start. A coordinator whose term
//! is lower than one that the worker has heard is not taken. Data goes on flowing meanwhile.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use futures_util::{Stream, StreamExt, future, stream};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tonic::Streaming;
use watershed_cluster::link::Message;
use watershed_runtime::error::Result;
use watershed_wire::frame::{Era, MAX_FRAME};
use watershed_wire::tonic;
use watershed_wire::v1::control_client::ControlClient;
use watershed_wire::v1::{
    Ack, Item, Load, Refused, Register, Registered, Resume, ToCoordinator, ToWorker, to_coordinator, to_worker,
};

use super::health::{Health, Notice};
use super::line::Line;
use super::peers::said;
use super::pump::{Connection, Inbound, Work, outbound, redial};
use super::socket::{Network, dial};

/// Bytes of reports that are kept for a coordinator that is not there.
const KEEP: usize = 64 << 20;

/// A worker's host, as its session sees it. Called on the transport's threads: it must not block.
pub trait ControlHandler: Send + Sync + 'static {
    /// A new session begins: the first one, or the coordinator is another. What was sent in the one before and not acknowledged is gone.
    fn registered(&self, registered: Registered);
    /// Refused. True: try again.
    fn refused(&self, refused: Refused) -> bool;
    /// The next item of the coordinator's in the session with this number.
    fn received(&self, session: u64, item: Item);
    /// News of the connection.
    fn notice(&self, notice: Notice);
}

/// The settings of a session.
#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// The coordinator's address.
    pub coordinator: String,
    /// The network by which it is reached.
    pub network: Network,
    /// The registration; the number of the session is filled in.
    pub register: Register,
    /// The highest term that the worker has heard: a coordinator of a lower one is not taken.
    pub term: Arc<AtomicU64>,
}

type Queued = (Era, Item);
/// The queue of heartbeats while there is a connection.
type Aside = Arc<Mutex<Option<mpsc::Sender<Load>>>>;

/// A worker's session with its coordinator. Dropping it ends it.
pub struct Session {
    line: Line<Item, Queued>,
    eras: Arc<watch::Sender<Era>>,
    aside: Aside,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("era", &*self.eras.borrow()).finish_non_exhaustive()
    }
}

/// Says things to the coordinator from any thread.
#[derive(Clone, Debug)]
pub struct Speaker {
    queue: mpsc::UnboundedSender<Queued>,
    eras: watch::Receiver<Era>,
    aside: Aside,
    health: Health,
}

impl Speaker {
    /// The era of the session, and for how long there has been no connection, and why; `None` while there is one.
    #[must_use]
    pub fn session(&self) -> (Era, Option<(std::time::Duration, String)>) {
        (*self.eras.borrow(), self.health.down())
    }

    /// Says something in a session, now or as soon as the coordinator is there again. What is of a session that is over goes nowhere.
    pub fn send(&self, session: Era, item: Item) {
        let _over = self.queue.send((session, item));
    }

    /// A heartbeat: dropped if it cannot be sent now, since the next one is better.
    pub fn load(&self, load: Load) {
        if let Some(aside) = &*self.aside.lock().unwrap_or_else(PoisonError::into_inner) {
            let _full = aside.try_send(load);
        }
    }
}

impl Session {
    /// Begins to register, and to go on doing so.
    pub fn start(config: SessionConfig, handler: Arc<dyn ControlHandler>, runtime: &Handle) -> Self {
        let (eras, aside, health) = (Arc::new(watch::Sender::new(Era::default())), Aside::default(), Health::new());
        let work = HandlerWork { handler: handler.clone(), health: health.clone() };
        let mut line = Line::start(runtime, eras.subscribe(), KEEP, health.clone(), work);
        let caller = Arc::new(Caller {
            config,
            handler: handler.clone(),
            eras: eras.clone(),
            aside: aside.clone(),
            health: health.clone(),
        });
        let failed = move |why| {
            let notice = Notice::Unreachable(why);
            health.note(&notice);
            handler.notice(notice);
        };
        let dial = move || {
            let caller = caller.clone();
            async move { caller.call().await }
        };
        line.tasks.push(runtime.spawn(redial(line.connections.clone(), line.ended.clone(), dial, failed)));
        Self { line, eras, aside }
    }

    /// Says things to the coordinator; for slots' threads and whoever else has something to say.
    #[must_use]
    pub fn speaker(&self) -> Speaker {
        let (queue, health) = (self.line.queue.clone(), self.line.health.clone());
        Speaker { queue, eras: self.eras.subscribe(), aside: self.aside.clone(), health }
    }

    /// For how long there has been no connection, and why; `None` while there is one.
    #[must_use]
    pub fn down(&self) -> Option<(std::time::Duration, String)> {
        self.line.health.down()
    }
}

struct Caller {
    config: SessionConfig,
    handler: Arc<dyn ControlHandler>,
    eras: Arc<watch::Sender<Era>>,
    aside: Aside,
    health: Health,
}

impl Caller {
    async fn call(&self) -> Result<Connection<Item>, String> {
        let SessionConfig { coordinator, network, register, term: _ } = &self.config;
        let known = *self.eras.borrow();
        let channel = dial(network, coordinator).await.map_err(|e| e.to_string())?;
        let mut client = ControlClient::new(channel).max_decoding_message_size(MAX_FRAME).max_encoding_message_size(MAX_FRAME);
        let (send, said_here) = outbound();
        let (aside, loads) = mpsc::channel(1);
        let first = to_coordinator::Message::Register(Register { session: known.generation, ..register.clone() });
        let request = network.request(messages(first, said_here, loads)).map_err(|e| e.to_string())?;
        let answer = tokio::time::timeout(network.patience, client.session(request)).await;
        let answer = answer.map_err(|_| format!("the coordinator at {coordinator} does not answer"))?;
        let mut from = answer.map_err(|status| said(&status))?.into_inner();
        let first = tokio::time::timeout(network.patience, from.message()).await;
        let first = first.map_err(|_| "the coordinator does not answer the registration".to_owned())?;
        match first.map_err(|status| said(&status))?.and_then(|m| m.message) {
            Some(to_worker::Message::Registered(registered)) => {
                let era = self.registered(known, registered)?;
                *self.aside.lock().unwrap_or_else(PoisonError::into_inner) = Some(aside);
                Ok(Connection { inbound: inbound(era, from, client), outbound: send })
            }
            Some(to_worker::Message::Refused(refused)) => {
                let why = format!("refused: {}", refused.detail);
                self.health.note(&Notice::Unreachable(why.clone()));
                if !self.handler.refused(refused) {
                    // Nothing more to try: the host ends this session, and with it this task.
                    std::future::pending::<()>().await;
                }
                Err(why)
            }
            Some(_) | None => Err("the coordinator answers the registration with something else".to_owned()),
        }
    }

    /// The session's era; a new one is told before anything can be said in it.
    ///
    /// The term alone says which of two coordinators is the older one: numbers of sessions only tell one session from another, and each
    /// is greater than the one before it, whichever coordinator gives it.
    fn registered(&self, known: Era, registered: Registered) -> Result<Era, String> {
        let era = Era { term: registered.era.unwrap_or_default().term, generation: registered.session };
        if era == known {
            return Ok(era);
        }
        let term = self.config.term.load(Ordering::Acquire).max(known.term);
        if era.term < term {
            return Err(format!("this coordinator's term {} is over: term {term} has begun", era.term));
        }
        if era.generation <= known.generation {
            return Err(format!("session {} was given after session {}", era.generation, known.generation));
        }
        self.eras.send_replace(era);
        self.handler.registered(registered);
        Ok(era)
    }
}

fn messages(
    first: to_coordinator::Message,
    mut said_here: mpsc::Receiver<(Era, Message<Item>)>,
    mut loads: mpsc::Receiver<Load>,
) -> impl Stream<Item = ToCoordinator> + Send + 'static {
    use to_coordinator::Message as Up;
    let rest = stream::poll_fn(move |cx| match said_here.poll_recv(cx) {
        Poll::Ready(None) => Poll::Ready(None),
        Poll::Ready(Some((_, message))) => Poll::Ready(Some(match message {
            Message::Item(sequence, item) => Some(Up::Item(Item { sequence, ..item })),
            Message::Ack(next) => Some(Up::Ack(Ack { next })),
            Message::Resume(next) => Some(Up::Resume(Resume { next })),
            // A session has one era.
            Message::Refuse(_) => None,
        })),
        Poll::Pending => match loads.poll_recv(cx) {
            Poll::Ready(Some(load)) => Poll::Ready(Some(Some(Up::Load(load)))),
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        },
    });
    let all = stream::once(future::ready(Some(first))).chain(rest);
    all.filter_map(|message| future::ready(message.map(|m| ToCoordinator { message: Some(m) })))
}

fn inbound<K: Send + 'static>(era: Era, from: Streaming<ToWorker>, keep: K) -> Inbound<Item> {
    use to_worker::Message as Down;
    Box::pin(from.map(move |came| {
        let _alive = &keep;
        match came.map_err(|status| said(&status))?.message {
            Some(Down::Item(item)) => {
                let bytes = item.payload.len();
                Ok((era, Message::Item(item.sequence, item), bytes))
            }
            Some(Down::Ack(Ack { next })) => Ok((era, Message::Ack(next), 0)),
            Some(Down::Resume(Resume { next })) => Ok((era, Message::Resume(next), 0)),
            Some(Down::Registered(_) | Down::Refused(_)) | None => Err("a message that makes no sense in a session".to_owned()),
        }
    }))
}

struct HandlerWork {
    handler: Arc<dyn ControlHandler>,
    health: Health,
}

impl Work<Item> for HandlerWork {
    type Queued = Queued;

    fn era(queued: &Queued) -> Era {
        queued.0
    }

    fn encode(&mut self, (_, item): Queued) -> Result<(Item, usize)> {
        let bytes = item.payload.len();
        Ok((item, bytes))
    }

    fn deliver(&mut self, era: Era, item: Item) -> Result<()> {
        self.handler.received(era.generation, item);
        Ok(())
    }

    fn notice(&mut self, notice: Notice) {
        self.health.note(&notice);
        self.handler.notice(notice);
    }
}
