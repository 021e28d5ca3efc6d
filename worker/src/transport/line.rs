//! A running link: its queue, its tasks, and what can be said about it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{Sender, UnboundedSender};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;
use watershed_cluster::link::Link;
use watershed_runtime::error::Error;
use watershed_wire::frame::Era;

use super::pump::{Connection, Pump, Work};

/// What is new about a link.
#[derive(Debug)]
pub enum Notice {
    /// It has a connection.
    Connected,
    /// The connection dropped, for this reason; another is being made.
    Disconnected(String),
    /// No connection can be made at the moment, for this reason; trying goes on.
    Unreachable(String),
    /// The peer is in a newer era: the coordinator will say so, or this process has been forgotten.
    Behind(Era),
    /// The peer refuses this process's era, which is over: stop, or register anew.
    Refused(Era, String),
    /// The link cannot go on before a new era: the peer is not what it was, or sends what cannot be read.
    Broken(Error),
}

/// How a link is.
#[derive(Debug)]
struct State {
    connected: bool,
    since: Instant,
    why: String,
}

/// How a link is, as its task and whoever asks share it.
#[derive(Clone, Debug)]
pub(super) struct Health(Arc<Mutex<State>>);

impl Health {
    pub(super) fn new() -> Self {
        let state = State { connected: false, since: Instant::now(), why: "no connection has been made yet".into() };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Remembers a notice.
    pub(super) fn note(&self, notice: &Notice) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (connected, why) = match notice {
            Notice::Connected => (true, String::new()),
            Notice::Disconnected(why) | Notice::Unreachable(why) => (false, why.clone()),
            Notice::Broken(error) => (false, error.to_string()),
            Notice::Behind(_) | Notice::Refused(..) => return,
        };
        if connected != state.connected {
            (state.connected, state.since) = (connected, Instant::now());
        }
        state.why = why;
    }

    /// For how long there has been no connection, and why; `None` while there is one.
    pub(super) fn down(&self) -> Option<(Duration, String)> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (!state.connected).then(|| (state.since.elapsed(), state.why.clone()))
    }
}

/// A link at work. Dropping it ends it.
pub(super) struct Line<P, Q> {
    pub(super) queue: UnboundedSender<Q>,
    pub(super) connections: Sender<Connection<P>>,
    pub(super) ended: Arc<Notify>,
    pub(super) health: Health,
    pub(super) tasks: Vec<JoinHandle<()>>,
}

impl<P: Clone + Send + 'static, Q: Send + 'static> Line<P, Q> {
    /// Starts a link that keeps at most `limit` bytes until they are acknowledged.
    pub(super) fn start<W: Work<P, Queued = Q>>(
        runtime: &tokio::runtime::Handle,
        eras: watch::Receiver<Era>,
        limit: usize,
        health: Health,
        work: W,
    ) -> Self {
        let (queue, queued) = mpsc::unbounded_channel();
        let (connections, connected) = mpsc::channel(1);
        let ended = Arc::new(Notify::new());
        let link = Link::new(*eras.borrow(), limit);
        let pump = Pump { link, work, queue: queued, eras, connections: connected, ended: ended.clone() };
        let tasks = vec![runtime.spawn(pump.run())];
        Self { queue, connections, ended, health, tasks }
    }
}

impl<P, Q> Drop for Line<P, Q> {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}
