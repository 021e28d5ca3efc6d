//! The queue of the coordinator's thread: events of sessions, answers of the storage, and requests of users, in order.

use std::sync::mpsc::Sender;

use tokio::sync::oneshot;
use watershed_cluster::manager::{IoReply, JobManager, Reply, Request};
use watershed_wire::v1::{Item, Load, Register};

use crate::transport::{Answer, ControlHost, Notice};

/// A look at the manager.
pub(crate) type Look = Box<dyn FnOnce(&JobManager) + Send>;

/// An event for the coordinator's thread. One of a session bears its number.
pub(super) enum Told {
    Register(Register, Answer),
    Item(u32, u64, Item),
    Load(u32, Load),
    Notice(u32, u64, Notice),
    Io(u64, IoReply),
    Look(Look),
    Request(Request, oneshot::Sender<Reply>),
    Stop,
}

impl std::fmt::Debug for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Told")
    }
}

/// Passes on what comes in sessions.
pub(super) struct Inbox(pub(super) Sender<Told>);

impl Inbox {
    fn tell(&self, what: Told) {
        let _over = self.0.send(what);
    }
}

impl ControlHost for Inbox {
    fn register(&self, worker: Register, answer: Answer) {
        self.tell(Told::Register(worker, answer));
    }

    fn received(&self, worker: u32, session: u64, item: Item) {
        self.tell(Told::Item(worker, session, item));
    }

    fn load(&self, worker: u32, load: Load) {
        self.tell(Told::Load(worker, load));
    }

    fn notice(&self, worker: u32, session: u64, notice: Notice) {
        self.tell(Told::Notice(worker, session, notice));
    }
}
