//! The links to all other workers: what a worker's host calls.
//!
//! The host says who is there ([`Peers::set`]) and in which era ([`Peers::enter`]); slots get an [`Outlet`] a peer and send as to a slot
//! beside them; what comes in is handed to the host's [`Inlet`]. An outlet belongs to the era it was made in: what a slot of an older
//! generation still sends goes nowhere.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::{Stream, StreamExt, stream};
use tokio::runtime::Handle;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{mpsc, watch};
use tonic::{Request, Response, Status, Streaming};
use watershed_cluster::link::Message;
use watershed_runtime::error::Result;
use watershed_runtime::graph::Graph;
use watershed_runtime::key::SlotId;
use watershed_runtime::slot::Event;
use watershed_wire::frame::{Body, Channel, Era, Frame, Hello, ITEM_HEAD, Lane, MAX_FRAME, Payload};
use watershed_wire::tonic;
use watershed_wire::v1::data_client::DataClient;
use watershed_wire::v1::data_server::Data;

use super::events::{decode_event, encode_event};
use super::health::{Health, Notice};
use super::line::Line;
use super::pump::{Connection, Inbound, Work, outbound, redial};
use super::socket::{Network, dial};

/// Bytes that a link keeps until they are acknowledged. More than the credits of all slots of a pair are worth, as a rule; beyond it
/// the queue holds what credits allow.
const KEEP: usize = 64 << 20;

/// This process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Me {
    /// The worker's number in the job.
    pub worker: u32,
    /// The job.
    pub job: String,
    /// The worker's name.
    pub name: String,
    /// The incarnation: the process of that name that is meant.
    pub incarnation: String,
    /// The worker's build.
    pub build: String,
}

/// Another worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The worker's number.
    pub worker: u32,
    /// The worker's name.
    pub name: String,
    /// The incarnation: the process of that name that is meant.
    pub incarnation: String,
    /// The address at which it listens.
    pub address: String,
}

/// Takes what comes from other workers. Called on the transport's threads: it must not block, a push into a slot's queue is right.
pub trait Inlet: Send + Sync + 'static {
    /// An event for a slot of this process, said in an era.
    fn deliver(&self, era: Era, to: SlotId, event: Event);
    /// News of a link.
    fn notice(&self, worker: u32, lane: Lane, notice: Notice);
}

type Piece = (Channel, Payload);

/// A message of a slot.
#[derive(Debug)]
struct Parcel {
    era: Era,
    to: SlotId,
    event: Event,
}

/// The queue for the slots of one other worker, in one era.
#[derive(Clone, Debug)]
pub struct Outlet {
    era: Era,
    data: UnboundedSender<Parcel>,
    bulk: UnboundedSender<Parcel>,
}

impl Outlet {
    /// Sends an event to a slot of that worker. Never blocks; one push into a queue. The event comes back if the link has ended, because
    /// another process has taken the worker's place or nobody has.
    pub fn send(&self, to: SlotId, event: Event) -> Result<(), Event> {
        let lane = match &event {
            Event::Bulk(_) => &self.bulk,
            Event::Frame(_) | Event::Credit { .. } | Event::WarmupAck(_) | Event::Command(_) => &self.data,
        };
        lane.send(Parcel { era: self.era, to, event }).map_err(|back| back.0.event)
    }
}

/// The links to all other workers. Cheap to clone.
#[derive(Clone)]
pub struct Peers(Arc<Shared>);

struct Shared {
    me: Me,
    graph: Arc<Graph>,
    network: Network,
    inlet: Arc<dyn Inlet>,
    runtime: Handle,
    eras: watch::Sender<Era>,
    links: Mutex<BTreeMap<u32, Pair>>,
}

struct Pair {
    peer: Peer,
    data: Line<Piece, Parcel>,
    bulk: Line<Piece, Parcel>,
}

impl std::fmt::Debug for Peers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Peers").field("me", &self.0.me).finish_non_exhaustive()
    }
}

impl Peers {
    /// No other worker yet, in `era`.
    pub fn new(me: Me, graph: Arc<Graph>, network: Network, inlet: Arc<dyn Inlet>, era: Era, runtime: Handle) -> Self {
        let (eras, links) = (watch::Sender::new(era), Mutex::default());
        Self(Arc::new(Shared { me, graph, network, inlet, runtime, eras, links }))
    }

    /// These are the other workers now. Links to who is still there go on; a new process under an old number gets a new link.
    pub fn set(&self, peers: Vec<Peer>) {
        let mut links = self.0.links.lock().unwrap_or_else(PoisonError::into_inner);
        links.retain(|_, pair| peers.contains(&pair.peer));
        for peer in peers {
            links.entry(peer.worker).or_insert_with(|| {
                let (data, bulk) = (self.line(&peer, Lane::Data), self.line(&peer, Lane::Bulk));
                Pair { peer, data, bulk }
            });
        }
    }

    /// A new era: numbers begin anew, what was under way is gone. An older one changes nothing.
    pub fn enter(&self, era: Era) {
        self.0.eras.send_if_modified(|now| {
            let newer = era > *now;
            *now = era.max(*now);
            newer
        });
    }

    /// The queue for a worker's slots, in an era.
    #[must_use]
    pub fn outlet(&self, worker: u32, era: Era) -> Option<Outlet> {
        let links = self.0.links.lock().unwrap_or_else(PoisonError::into_inner);
        links.get(&worker).map(|pair| Outlet { era, data: pair.data.queue.clone(), bulk: pair.bulk.queue.clone() })
    }

    /// For whom this process waits, in words.
    #[must_use]
    pub fn waiting(&self) -> Vec<String> {
        let links = self.0.links.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = Vec::new();
        for Pair { peer, data, bulk } in links.values() {
            // The bulk lane alone is worth a word only if the other one is up.
            if let Some((time, why)) = data.health.down().or_else(|| bulk.health.down()) {
                all.push(format!(
                    "for a connection with {} ({}), for {:.1} s: {why}",
                    peer.name,
                    peer.address,
                    time.as_secs_f64()
                ));
            }
        }
        all
    }

    fn line(&self, peer: &Peer, lane: Lane) -> Line<Piece, Parcel> {
        let Shared { me, graph, network, inlet, runtime, eras, links: _ } = &*self.0;
        let (graph, inlet, health) = (graph.clone(), inlet.clone(), Health::new());
        let work = PeerWork { graph, inlet, health: health.clone(), worker: peer.worker, lane };
        let mut line = Line::start(runtime, eras.subscribe(), KEEP, health.clone(), work);
        if me.worker > peer.worker {
            let (connections, ended) = (line.connections.clone(), line.ended.clone());
            let (me, peer, network, inlet, eras) =
                (me.clone(), peer.clone(), network.clone(), self.0.inlet.clone(), eras.subscribe());
            let worker = peer.worker;
            let dial = move || {
                let hello = hello(&me, lane, *eras.borrow());
                let (network, peer) = (network.clone(), peer.clone());
                async move { call(&network, &peer, hello).await }
            };
            let failed = move |why| {
                let notice = Notice::Unreachable(why);
                health.note(&notice);
                inlet.notice(worker, lane, notice);
            };
            line.tasks.push(runtime.spawn(redial(connections, ended, dial, failed)));
        }
        line
    }
}

struct PeerWork {
    graph: Arc<Graph>,
    inlet: Arc<dyn Inlet>,
    health: Health,
    worker: u32,
    lane: Lane,
}

impl Work<Piece> for PeerWork {
    type Queued = Parcel;

    fn era(parcel: &Parcel) -> Era {
        parcel.era
    }

    fn encode(&mut self, parcel: Parcel) -> Result<(Piece, usize)> {
        let (channel, payload) = encode_event(&self.graph, parcel.to, parcel.event)?;
        let bytes = payload.len() + ITEM_HEAD;
        Ok(((channel, payload), bytes))
    }

    fn deliver(&mut self, era: Era, (channel, payload): Piece) -> Result<()> {
        let event = decode_event(&self.graph, channel, &payload.whole())?;
        self.inlet.deliver(era, SlotId(channel.to), event);
        Ok(())
    }

    fn notice(&mut self, notice: Notice) {
        self.health.note(&notice);
        self.inlet.notice(self.worker, self.lane, notice);
    }
}

fn hello(me: &Me, lane: Lane, era: Era) -> Frame {
    let Me { worker, job, name, incarnation, build } = me.clone();
    Frame { era, body: Body::Hello(Hello { lane, worker, job, name, incarnation, build }) }
}

fn frame((era, message): (Era, Message<Piece>)) -> Frame {
    let body = match message {
        Message::Item(sequence, (channel, payload)) => Body::Item { channel, sequence, payload },
        Message::Ack(next) => Body::Ack(next),
        Message::Resume(next) => Body::Resume(next),
        Message::Refuse(why) => Body::Refuse(why),
    };
    Frame { era, body }
}

/// The outgoing frames of a connection: a hello, then what the link says.
fn frames(first: Frame, mut said: mpsc::Receiver<(Era, Message<Piece>)>) -> impl Stream<Item = Frame> + Send + 'static {
    stream::once(std::future::ready(first)).chain(stream::poll_fn(move |cx| said.poll_recv(cx)).map(frame))
}

/// The incoming ones, after the hello. `keep` lives as long as they do.
fn messages<K: Send + 'static>(from: Streaming<Frame>, keep: K) -> Inbound<Piece> {
    Box::pin(from.map(move |came| {
        let _alive = &keep;
        let Frame { era, body } = came.map_err(|status| said(&status))?;
        match body {
            Body::Item { channel, sequence, payload } => {
                let bytes = payload.len() + ITEM_HEAD;
                Ok((era, Message::Item(sequence, (channel, payload)), bytes))
            }
            Body::Ack(next) => Ok((era, Message::Ack(next), 0)),
            Body::Resume(next) => Ok((era, Message::Resume(next), 0)),
            Body::Refuse(why) => Ok((era, Message::Refuse(why), 0)),
            Body::Hello(_) => Err("a second hello on one connection".to_owned()),
        }
    }))
}

/// The message of a status, without gRPC's ceremony.
pub(super) fn said(status: &Status) -> String {
    if status.message().is_empty() { status.code().to_string() } else { status.message().to_owned() }
}

/// The hello that a connection begins with.
async fn greeted(from: &mut Streaming<Frame>, network: &Network) -> Result<Hello, Status> {
    let first = tokio::time::timeout(network.patience, from.message()).await;
    match first.map_err(|_| Status::deadline_exceeded("no hello came in time"))?? {
        Some(Frame { body: Body::Hello(hello), .. }) => Ok(hello),
        Some(_) | None => Err(Status::invalid_argument("a connection begins with a hello")),
    }
}

/// Dials a peer and makes sure that it is the one meant.
async fn call(network: &Network, peer: &Peer, hello: Frame) -> Result<Connection<Piece>, String> {
    let channel = dial(network, &peer.address).await.map_err(|e| e.to_string())?;
    let mut client = DataClient::new(channel).max_decoding_message_size(MAX_FRAME).max_encoding_message_size(MAX_FRAME);
    let (send, said_here) = outbound();
    let request = network.request(frames(hello, said_here)).map_err(|e| e.to_string())?;
    let answer = tokio::time::timeout(network.patience, client.link(request)).await;
    let answer = answer.map_err(|_| format!("{} does not answer", peer.address))?;
    let mut inbound = answer.map_err(|status| said(&status))?.into_inner();
    let other = greeted(&mut inbound, network).await.map_err(|status| said(&status))?;
    if (other.worker, &other.incarnation) != (peer.worker, &peer.incarnation) {
        return Err(format!("{} is {} now, another process than {}", peer.address, other.name, peer.name));
    }
    Ok(Connection { inbound: messages(inbound, client), outbound: send })
}

#[tonic::async_trait]
impl Data for Peers {
    type LinkStream = stream::BoxStream<'static, Result<Frame, Status>>;

    async fn link(&self, request: Request<Streaming<Frame>>) -> Result<Response<Self::LinkStream>, Status> {
        let Shared { me, network, eras, links, .. } = &*self.0;
        let mut inbound = request.into_inner();
        let other = greeted(&mut inbound, network).await?;
        if other.job != me.job {
            return Err(Status::failed_precondition(format!("this is job {}, not {}", me.job, other.job)));
        }
        let connections = {
            let links = links.lock().unwrap_or_else(PoisonError::into_inner);
            let pair = links.get(&other.worker).filter(|pair| pair.peer.incarnation == other.incarnation);
            let lane = |pair: &Pair| match other.lane {
                Lane::Data => pair.data.connections.clone(),
                Lane::Bulk => pair.bulk.connections.clone(),
            };
            // The coordinator may have told the other one first.
            pair.map(lane).ok_or_else(|| Status::unavailable(format!("{} is not known here (yet)", other.name)))?
        };
        let (send, said_here) = outbound();
        let connection = Connection { inbound: messages(inbound, ()), outbound: send };
        let hello = hello(me, other.lane, *eras.borrow());
        connections.send(connection).await.map_err(|_| Status::unavailable("the link has just ended"))?;
        Ok(Response::new(frames(hello, said_here).map(Ok).boxed()))
    }
}
