//! A session between a worker and a manager, over connections that drop: two ends of the production's link, and what is on its way between
//! them.
//!
//! In order, nothing lost while the session stands, and everything that is under way lost when it ends.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use watershed_cluster::link::{Link, Message, Received};
use watershed_cluster::{Envelope, ToCoordinator, ToWorker};

/// Bytes that a link keeps; items count one each.
const LIMIT: usize = 1 << 20;

/// A message to a worker, with the version of the manager's table when it was said, if it says one.
#[derive(Debug)]
pub(super) struct Down {
    pub(super) envelope: Envelope,
    pub(super) version: Option<u64>,
    pub(super) message: ToWorker,
}

/// A message to a manager.
pub(super) type Up = (Envelope, ToCoordinator);

/// An item of a link: sent again, it is the same, and taken once.
type Item<T> = Rc<RefCell<Option<T>>>;

/// Both ends of one direction.
#[derive(Debug)]
struct Way<T> {
    from: Link<u64, Item<T>>,
    to: Link<u64, Item<T>>,
    /// On its way there, and back.
    there: VecDeque<Message<Item<T>>>,
    back: VecDeque<Message<Item<T>>>,
}

/// A law that a link broke.
pub(super) type Wrong = String;

impl<T> Way<T> {
    fn new(session: u64) -> Self {
        let link = || {
            let mut link = Link::new(session, LIMIT);
            link.connected();
            link
        };
        Self { from: link(), to: link(), there: VecDeque::new(), back: VecDeque::new() }
    }

    fn push(&mut self, item: T) {
        self.from.push(Rc::new(RefCell::new(Some(item))), 1);
        self.pump();
    }

    /// Puts every message that either end has to send onto the connection.
    fn pump(&mut self) {
        let idle = self.there.is_empty();
        while let Some(message) = self.from.transmit(true) {
            self.there.push_back(message);
        }
        while let Some(message) = self.to.transmit(idle) {
            self.back.push_back(message);
        }
    }

    /// The next message arrives, and what comes back for it; an item, if it was one.
    fn next(&mut self, session: u64) -> Result<Option<T>, Wrong> {
        let mut taken = None;
        if let Some(message) = self.there.pop_front()
            && let Received::Deliver(item) = self.to.receive(session, message, 1).map_err(|w| w.0)?
        {
            taken = Some(item.borrow_mut().take().ok_or("L1: an item was delivered twice")?);
        }
        while let Some(message) = self.back.pop_front() {
            self.from.receive(session, message, 0).map_err(|w| w.0)?;
        }
        self.pump();
        Ok(taken)
    }

    /// The connection drops, and with it what is on its way.
    fn drop_connection(&mut self) {
        self.there.clear();
        self.back.clear();
        self.from.disconnected();
        self.to.disconnected();
    }

    fn connect(&mut self) {
        self.from.connected();
        self.to.connected();
        self.pump();
    }
}

/// A worker's session.
#[derive(Debug)]
pub(super) struct Session {
    /// The session's number.
    pub(super) number: u64,
    /// The manager, by number.
    pub(super) manager: u64,
    /// True if the manager has heard that there is a connection.
    pub(super) connected: bool,
    down: Way<Down>,
    up: Way<Up>,
}

impl Session {
    pub(super) fn new(number: u64, manager: u64) -> Self {
        Self { number, manager, connected: true, down: Way::new(number), up: Way::new(number) }
    }

    /// The manager says something.
    pub(super) fn tell(&mut self, down: Down) {
        self.down.push(down);
    }

    /// The worker says something.
    pub(super) fn report(&mut self, up: Up) {
        self.up.push(up);
    }

    /// Messages under way: true if there is one to the worker, and to the manager.
    pub(super) fn under_way(&self) -> (bool, bool) {
        (!self.down.there.is_empty(), !self.up.there.is_empty())
    }

    /// The next message arrives at the worker.
    pub(super) fn next_down(&mut self) -> Result<Option<Down>, Wrong> {
        self.down.next(self.number)
    }

    /// The next message arrives at the manager.
    pub(super) fn next_up(&mut self) -> Result<Option<Up>, Wrong> {
        self.up.next(self.number)
    }

    /// The connection drops. What was on its way comes again with the next.
    pub(super) fn drop_connection(&mut self) {
        self.down.drop_connection();
        self.up.drop_connection();
    }

    /// There is a connection again.
    pub(super) fn connect(&mut self) {
        self.down.connect();
        self.up.connect();
    }

    /// The manager dies: `kept` of what it has said are on their way still; nothing that the worker says arrives. Whether something is
    /// lost.
    pub(super) fn manager_dies(&mut self, kept: usize) -> bool {
        let lost = kept < self.down.there.len();
        self.down.there.truncate(kept);
        self.up.drop_connection();
        lost
    }

    /// The number of messages under way to the worker.
    pub(super) fn downs(&self) -> usize {
        self.down.there.len()
    }

    /// Ends the session; the result is what was still under way to the worker.
    pub(super) fn over(self) -> impl Iterator<Item = (u64, Down)> {
        let items = self.down.there.into_iter().filter_map(|m| match m {
            Message::Item(_, item) => item.borrow_mut().take(),
            Message::Ack(_) | Message::Resume(_) | Message::Refuse(_) => None,
        });
        items.map(move |down| (self.number, down))
    }
}
