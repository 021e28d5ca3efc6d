//! A running link: its queue, its tasks, and its state.

use std::sync::Arc;

use tokio::sync::mpsc::{Sender, UnboundedSender};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;
use watershed_cluster::link::Link;
use watershed_wire::frame::Era;

use super::health::Health;
use super::pump::{Connection, Pump, Work};

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
