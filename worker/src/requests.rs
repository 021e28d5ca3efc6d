//! Users who wait for an answer of the manager.

use std::collections::BTreeMap;

use watershed_cluster::{Event, Reply, Request};

/// A user who waits.
pub(crate) trait Waiter: Send {
    /// True if the user has gone.
    fn gone(&self) -> bool;
    /// Answers.
    fn answer(self: Box<Self>, reply: Reply);
}

#[cfg(feature = "grpc")]
impl Waiter for tokio::sync::oneshot::Sender<Reply> {
    fn gone(&self) -> bool {
        self.is_closed()
    }

    fn answer(self: Box<Self>, reply: Reply) {
        let _gone = self.send(reply);
    }
}

/// All users who wait, by the number of their request.
#[derive(Default)]
pub(crate) struct Waiters {
    last: u64,
    waiting: BTreeMap<u64, Box<dyn Waiter>>,
}

impl Waiters {
    /// A request; without a waiter its answer goes nowhere.
    pub(crate) fn ask(&mut self, request: Request, waiter: Option<Box<dyn Waiter>>) -> Event {
        self.last += 1;
        self.waiting.extend(waiter.map(|w| (self.last, w)));
        Event::Request(self.last, request)
    }

    /// An answer.
    pub(crate) fn answer(&mut self, request: u64, reply: Reply) {
        if let Some(waiter) = self.waiting.remove(&request) {
            waiter.answer(reply);
        }
    }

    /// Requests whose users have gone since the last time.
    pub(crate) fn abandoned(&mut self) -> Vec<Event> {
        self.waiting.extract_if(.., |_, waiter| waiter.gone()).map(|(request, _)| Event::Abandoned(request)).collect()
    }
}
