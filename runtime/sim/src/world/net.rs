//! Messages under way between the parts of one process: a queue for each pair, first in, first out; no order between queues.

use std::collections::VecDeque;
use std::sync::Arc;

use watershed_runtime::frame::Item;
use watershed_runtime::key::SlotId;
use watershed_runtime::protocol::cut::CutPlan;
use watershed_runtime::slot::{Bulk, Event, Outbox, Report};
use watershed_runtime::time::Time;

use super::plan::MAX_SLOTS;

const N: usize = MAX_SLOTS as usize;
const SENDERS: usize = N + 1;
/// Rows and control items, encoded state, credits.
const CLASSES: usize = 3;

/// True if a queue has nothing but credits in it, where these travel apart.
#[must_use]
pub fn is_credit(at: usize) -> bool {
    at < SENDERS * N * CLASSES && at % CLASSES == CLASSES - 1
}

/// The sender that is the coordinator.
pub const COORDINATOR: usize = N;

/// All queues of a process.
#[derive(Debug)]
pub struct Net {
    queues: Vec<VecDeque<Event>>,
    reports: Vec<VecDeque<Report>>,
    /// The queues with something in them.
    full: Vec<usize>,
    apart: bool,
    /// By (edge, from, to): the watermark last sent.
    promised: Vec<(u32, usize, usize, Time)>,
    /// A message that was sent against a law of the channels.
    pub breach: Option<String>,
    /// Batches whose Final is under way or has been.
    pub finals: Vec<u64>,
    /// Their cuts, until a manifest carries them.
    pub cuts: Vec<Arc<CutPlan>>,
}

/// A queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queue {
    /// Events for a slot.
    Events {
        /// From whom.
        from: usize,
        /// To whom.
        to: usize,
    },
    /// A slot's reports.
    Reports(usize),
}

impl Net {
    /// No queue has anything. `apart`: state and credits do not wait behind rows.
    #[must_use]
    pub fn new(apart: bool) -> Self {
        let queues = std::iter::repeat_with(VecDeque::new).take(SENDERS * N * CLASSES).collect();
        let reports = std::iter::repeat_with(VecDeque::new).take(N).collect();
        Self {
            queues,
            reports,
            full: Vec::new(),
            apart,
            promised: Vec::new(),
            breach: None,
            finals: Vec::new(),
            cuts: Vec::new(),
        }
    }

    /// The number of queues that are not empty.
    #[must_use]
    pub fn len(&self) -> usize {
        self.full.len()
    }

    /// True if nothing is under way.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.full.is_empty()
    }

    /// The number of the `n`th queue that has something, and what it is.
    #[must_use]
    pub fn nth(&self, n: usize) -> Option<(usize, Queue)> {
        let at = *self.full.get(n)?;
        Some((at, Self::queue(at)))
    }

    /// True if the next event of the `n`th queue is a credit: for a slot that is not there it can only be late.
    #[must_use]
    pub fn late_credit(&self, n: usize) -> bool {
        let front = self.full.get(n).and_then(|at| self.queues.get(*at)).and_then(VecDeque::front);
        matches!(front, Some(Event::Credit { .. } | Event::WarmupAck(_)))
    }

    fn queue(at: usize) -> Queue {
        match at.checked_sub(SENDERS * N * CLASSES) {
            Some(slot) => Queue::Reports(slot),
            None => Queue::Events { from: at / CLASSES / N, to: at / CLASSES % N },
        }
    }

    fn class(&self, event: &Event) -> usize {
        match event {
            Event::Bulk(_) if self.apart => 1,
            Event::Credit { .. } | Event::WarmupAck(_) if self.apart => 2,
            Event::Frame(_) | Event::Bulk(_) | Event::Credit { .. } | Event::WarmupAck(_) | Event::Command(_) => 0,
        }
    }

    /// Puts an event on its way.
    pub fn send(&mut self, from: usize, to: SlotId, event: Event) {
        let to = usize::from(to.0);
        self.observe(from, to, &event);
        let at = (from * N + to) * CLASSES + self.class(&event);
        let Some(queue) = self.queues.get_mut(at) else { return };
        if queue.is_empty() {
            self.full.push(at);
        }
        queue.push_back(event);
    }

    /// The front of a queue: its next event.
    #[must_use]
    pub fn front(&self, at: usize) -> Option<&Event> {
        self.queues.get(at)?.front()
    }

    /// The next event of a queue.
    pub fn take(&mut self, at: usize) -> Option<Event> {
        let queue = self.queues.get_mut(at)?;
        let event = queue.pop_front();
        if queue.is_empty() {
            self.full.retain(|q| *q != at);
        }
        event
    }

    /// The next report of a slot.
    pub fn take_report(&mut self, slot: usize) -> Option<Report> {
        let queue = self.reports.get_mut(slot)?;
        let report = queue.pop_front();
        if queue.is_empty() {
            self.full.retain(|q| *q != SENDERS * N * CLASSES + slot);
        }
        report
    }

    fn report(&mut self, slot: usize, report: Report) {
        let Some(queue) = self.reports.get_mut(slot) else { return };
        if queue.is_empty() {
            self.full.push(SENDERS * N * CLASSES + slot);
        }
        queue.push_back(report);
    }

    /// A slot is gone: nothing is under way from or to it.
    pub fn forget(&mut self, slot: SlotId) {
        let slot = usize::from(slot.0);
        for at in 0..self.queues.len() {
            if let (Queue::Events { from, to }, Some(queue)) = (Self::queue(at), self.queues.get_mut(at))
                && (from == slot || to == slot)
            {
                queue.clear();
                self.full.retain(|q| *q != at);
            }
        }
        self.promised.retain(|p| p.1 != slot && p.2 != slot);
    }

    /// Law I6 on every channel: watermarks rise (a barrier may lower them once, when splits move), and no row is at or below one.
    fn observe(&mut self, from: usize, to: usize, event: &Event) {
        match event {
            Event::Frame(frame) => match &frame.item {
                Item::Watermark(w) => {
                    let at = self.channel(frame.edge, from, to);
                    if let Some(p) = self.promised.get_mut(at) {
                        if *w <= p.3 {
                            let before = p.3;
                            let what = format!("I6: edge {} from {from} to {to} promises {} after {}", frame.edge, w.0, before.0);
                            self.breach.get_or_insert(what);
                            return;
                        }
                        p.3 = *w;
                    }
                }
                Item::Barrier(_) => {
                    let at = self.channel(frame.edge, from, to);
                    if let Some(p) = self.promised.get_mut(at) {
                        p.3 = Time::MIN;
                    }
                }
                Item::Data(..) | Item::Idle | Item::Fence(_) | Item::Drained(_) => {}
            },
            Event::Bulk(Bulk::Final { plan, .. }) => {
                self.finals.push(plan.batch);
                self.cuts.push(Arc::clone(plan));
            }
            Event::Bulk(Bulk::Warm { .. }) | Event::Credit { .. } | Event::WarmupAck(_) | Event::Command(_) => {}
        }
    }

    fn channel(&mut self, edge: u32, from: usize, to: usize) -> usize {
        if let Some(at) = self.promised.iter().position(|p| (p.0, p.1, p.2) == (edge, from, to)) {
            return at;
        }
        self.promised.push((edge, from, to, Time::MIN));
        self.promised.len() - 1
    }
}

/// A slot's end of the queues.
#[derive(Debug)]
pub struct SlotOutbox<'a> {
    /// The queues.
    pub net: &'a mut Net,
    /// The slot that sends.
    pub me: SlotId,
}

impl Outbox for SlotOutbox<'_> {
    fn send(&mut self, to: SlotId, event: Event) {
        self.net.send(usize::from(self.me.0), to, event);
    }

    fn report(&mut self, report: Report) {
        self.net.report(usize::from(self.me.0), report);
    }
}
