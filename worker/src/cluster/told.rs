//! What reaches the coordinator's thread, from sessions, from work that was given away, and from whoever asks: one queue, in order.

use std::sync::mpsc::Sender;
use std::sync::{Mutex, PoisonError};

use watershed_wire::v1::{Item, Load, Register};

use super::service::Ask;
use crate::host::HostEvent;
use crate::transport::{Answer, ControlHost, Notice};

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
    /// The newest term in the log, as somebody has looked.
    Newest(u64),
    /// What was done aside is done.
    Done,
}

/// Hears sessions.
pub(super) struct Ear {
    to: Mutex<Sender<Told>>,
}

impl Ear {
    pub(super) fn new(to: Sender<Told>) -> Self {
        Self { to: Mutex::new(to) }
    }

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
