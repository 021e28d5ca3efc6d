//! One thread a slot: a queue in, the slot's own loop, queues out.
//!
//! A slot's thread sleeps only when its slot has nothing to do, and any event or wake-up ends that: there are no polling intervals.
//! Sending costs one uncontended queue push a frame; who is there is looked up in a directory that changes only when slots come and go.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};
use std::thread::JoinHandle;
use std::time::Duration;

use watershed_runtime::error::{Error, Kind, Result};
use watershed_runtime::key::SlotId;
use watershed_runtime::slot::{Event, MoveStats, NodeStats, Outbox, Report, Slot, Status};

use crate::clock::now;
use crate::host::{HostEvent, HostSender};

/// Events taken from the queue before the slot runs again.
const TAKE: usize = 256;

/// What a slot's thread is told.
#[derive(Debug)]
pub(crate) enum SlotMessage {
    /// For the slot.
    Event(Event),
    /// Something it waits for is ready.
    Wake,
    /// Tell the numbers.
    Stats(Sender<(SlotId, Vec<NodeStats>, Vec<String>, MoveStats)>),
    /// End.
    Stop,
}

/// Who is there: the queues of all slots.
#[derive(Clone, Debug, Default)]
pub(crate) struct Directory {
    queues: Arc<Mutex<BTreeMap<SlotId, Sender<SlotMessage>>>>,
}

impl Directory {
    fn find(&self, slot: SlotId) -> Option<Sender<SlotMessage>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner).get(&slot).cloned()
    }

    fn set(&self, slot: SlotId, queue: Option<Sender<SlotMessage>>) {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        match queue {
            Some(queue) => queues.insert(slot, queue),
            None => queues.remove(&slot),
        };
    }

    /// Tells a slot something; one that is gone needs nothing.
    pub(crate) fn send(&self, slot: SlotId, message: SlotMessage) {
        if let Some(queue) = self.find(slot) {
            let _gone = queue.send(message);
        }
    }

    /// Everybody who is there.
    pub(crate) fn all(&self) -> Vec<SlotId> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner).keys().copied().collect()
    }
}

/// Wakes a slot's thread, once until it has noticed.
#[derive(Debug)]
struct SlotWaker {
    queue: Sender<SlotMessage>,
    waking: AtomicBool,
}

impl Wake for SlotWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.waking.swap(true, Ordering::AcqRel) {
            let _gone = self.queue.send(SlotMessage::Wake);
        }
    }
}

/// What a slot's thread sends.
struct Post {
    directory: Directory,
    known: Vec<Option<Sender<SlotMessage>>>,
    me: SlotId,
    host: HostSender,
}

impl Outbox for Post {
    fn send(&mut self, to: SlotId, event: Event) {
        let at = usize::from(to.0);
        if self.known.len() <= at {
            self.known.resize(at + 1, None);
        }
        let Some(known) = self.known.get_mut(at) else { return };
        let mut message = SlotMessage::Event(event);
        // A number may have been given to a new slot since: then the old queue is closed, and the directory knows the new one.
        for _ in 0..2 {
            if known.is_none() {
                *known = self.directory.find(to);
            }
            let Some(queue) = known else { return };
            match queue.send(message) {
                Ok(()) => return,
                Err(back) => {
                    message = back.0;
                    *known = None;
                }
            }
        }
    }

    fn report(&mut self, report: Report) {
        let _gone = self.host.send(HostEvent::Slot(self.me, report));
    }
}

/// A running slot.
#[derive(Debug)]
pub(crate) struct SlotThread {
    directory: Directory,
    id: SlotId,
    thread: Option<JoinHandle<()>>,
}

impl SlotThread {
    /// Starts a slot that `make` makes on its own thread, given its waker.
    pub(crate) fn start(
        id: SlotId,
        directory: &Directory,
        host: HostSender,
        make: impl FnOnce(Waker) -> Result<Slot> + Send + 'static,
    ) -> Result<Self> {
        let (queue, events) = channel();
        directory.set(id, Some(queue.clone()));
        let post = Post { directory: directory.clone(), known: Vec::new(), me: id, host };
        let waker = Arc::new(SlotWaker { queue, waking: AtomicBool::new(false) });
        let thread = std::thread::Builder::new()
            .name(format!("slot-{}", id.0))
            .spawn(move || run(events, post, waker, make))
            .map_err(|e| Error::new(Kind::Unavailable, format!("cannot start the thread of slot {}", id.0)).because(e))?;
        Ok(Self { directory: directory.clone(), id, thread: Some(thread) })
    }
}

impl Drop for SlotThread {
    fn drop(&mut self) {
        self.directory.send(self.id, SlotMessage::Stop);
        self.directory.set(self.id, None);
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

fn run(events: Receiver<SlotMessage>, mut post: Post, waker: Arc<SlotWaker>, make: impl FnOnce(Waker) -> Result<Slot>) {
    let mut slot = match make(Waker::from(waker.clone())) {
        Ok(slot) => slot,
        Err(e) => return post.report(Report::Failed(e)),
    };
    let mut wait: Option<Option<i64>> = None;
    loop {
        let first = match wait.take() {
            None => None,
            Some(None) => match events.recv() {
                Ok(message) => Some(message),
                Err(_) => return,
            },
            Some(Some(until)) => {
                let micros = u64::try_from(until.saturating_sub(now())).unwrap_or(0);
                match events.recv_timeout(Duration::from_micros(micros)) {
                    Ok(message) => Some(message),
                    Err(RecvTimeoutError::Timeout) => None,
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        };
        let mut next = first;
        for _ in 0..TAKE {
            let message = match next.take().map_or_else(|| events.try_recv(), Ok) {
                Ok(message) => message,
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return,
            };
            match message {
                SlotMessage::Event(event) => slot.handle(event, now(), &mut post),
                SlotMessage::Wake => {
                    waker.waking.store(false, Ordering::Release);
                    slot.wake();
                }
                SlotMessage::Stats(to) => {
                    let _gone = to.send((slot.id(), slot.stats(), slot.waiting(), slot.move_stats()));
                }
                SlotMessage::Stop => return,
            }
        }
        if let Status::Idle(until) = slot.run(now(), &mut post) {
            wait = Some(until);
        }
    }
}
