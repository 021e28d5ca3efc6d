//! One thread a slot: a queue in, the slot's own loop, queues out.
//!
//! A slot's thread sleeps only when its slot has nothing to do, and any event or wake-up ends that: there are no polling intervals.
//! Sending costs one uncontended queue push a frame; who is there is looked up in a directory that changes only when slots come and go.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};
use std::thread::JoinHandle;
use std::time::Duration;

use watershed_runtime::error::{Error, Kind, Result};
use watershed_runtime::key::SlotId;
use watershed_runtime::slot::{Event, MoveStats, NodeStats, Outbox, Report, RetainedState, Slot, Status};

use crate::clock::now;

/// Events taken from the queue before the slot runs again.
const TAKE: usize = 256;

/// Takes what slots report.
pub(crate) type Reports = Arc<dyn Fn(SlotId, Report) + Send + Sync>;

/// A message to a slot's thread.
#[derive(Debug)]
pub(crate) enum SlotMessage {
    /// For the slot.
    Event(Event),
    /// Something it waits for is ready.
    Wake,
    /// Tell the numbers.
    Stats(Sender<SlotNumbers>),
    /// End.
    Stop,
}

/// A slot's numbers.
#[derive(Clone, Debug)]
pub(crate) struct SlotNumbers {
    pub(crate) slot: SlotId,
    pub(crate) nodes: Vec<NodeStats>,
    pub(crate) waiting: Vec<String>,
    pub(crate) moves: MoveStats,
    /// Microseconds in which it slept because others did not take what it had for them.
    #[cfg_attr(not(feature = "grpc"), allow(dead_code, reason = "only workers of a job in many processes say it"))]
    pub(crate) blocked: i64,
}

/// The way to slots of another process.
pub(crate) trait Far: Send + Sync + std::fmt::Debug {
    /// Sends an event; never blocks. It comes back if the way has ended.
    fn send(&self, to: SlotId, event: Event) -> std::result::Result<(), Event>;
}

/// The way to a slot.
#[derive(Clone, Debug)]
enum Route {
    Here(Sender<SlotMessage>),
    #[cfg_attr(not(feature = "grpc"), allow(dead_code, reason = "only processes that talk to others make it"))]
    There(Arc<dyn Far>),
}

/// The ways to all slots.
#[derive(Clone, Debug, Default)]
pub(crate) struct Directory(Arc<Mutex<Routes>>);

#[derive(Debug, Default)]
struct Routes {
    by_slot: BTreeMap<SlotId, Route>,
    /// Messages for slots that are about to be made here: others may hear of a newcomer before its own process does.
    early: BTreeMap<SlotId, Vec<Event>>,
}

impl Directory {
    fn routes(&self) -> MutexGuard<'_, Routes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, slot: SlotId) -> Option<Route> {
        self.routes().by_slot.get(&slot).cloned()
    }

    fn open(&self, slot: SlotId, queue: &Sender<SlotMessage>) {
        let mut routes = self.routes();
        for event in routes.early.remove(&slot).unwrap_or_default() {
            let _gone = queue.send(SlotMessage::Event(event));
        }
        routes.by_slot.insert(slot, Route::Here(queue.clone()));
    }

    fn close(&self, slot: SlotId) {
        self.routes().by_slot.remove(&slot);
    }

    /// A slot is in another process.
    #[cfg(feature = "grpc")]
    pub(crate) fn far(&self, slot: SlotId, way: Arc<dyn Far>) {
        self.routes().by_slot.insert(slot, Route::There(way));
    }

    /// An event from another process, for a slot that is here or is about to be.
    #[cfg(feature = "grpc")]
    pub(crate) fn deliver(&self, slot: SlotId, event: Event) {
        let mut routes = self.routes();
        match routes.by_slot.get(&slot) {
            Some(Route::Here(queue)) => {
                let _gone = queue.send(SlotMessage::Event(event));
            }
            // Credits can only be late: for a slot that has left, and not for its successor.
            Some(Route::There(_)) | None if matches!(event, Event::Credit { .. } | Event::WarmupAck(_)) => {}
            Some(Route::There(_)) | None => routes.early.entry(slot).or_default().push(event),
        }
    }

    /// The way to every slot is gone.
    pub(crate) fn clear(&self) {
        *self.routes() = Routes::default();
    }

    /// Tells a slot of this process something; one that is gone needs nothing.
    pub(crate) fn send(&self, slot: SlotId, message: SlotMessage) {
        if let Some(Route::Here(queue)) = self.find(slot) {
            let _gone = queue.send(message);
        }
    }

    /// The numbers of this process's slots. A slot answers between two steps; one that has not within `patience` does not count.
    pub(crate) fn numbers(&self, patience: Duration) -> Vec<SlotNumbers> {
        let (to, answers) = channel();
        for slot in self.here() {
            self.send(slot, SlotMessage::Stats(to.clone()));
        }
        drop(to);
        let mut all: Vec<SlotNumbers> = std::iter::from_fn(|| answers.recv_timeout(patience).ok()).collect();
        all.sort_by_key(|n| n.slot);
        all
    }

    /// The slots of this process.
    pub(crate) fn here(&self) -> Vec<SlotId> {
        let routes = self.routes();
        routes.by_slot.iter().filter(|(_, r)| matches!(r, Route::Here(_))).map(|(s, _)| *s).collect()
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

/// The outputs of a slot's thread.
struct Post {
    directory: Directory,
    known: Vec<Option<Route>>,
    me: SlotId,
    reports: Reports,
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
            match (known.as_ref(), message) {
                (Some(Route::Here(queue)), now) => match queue.send(now) {
                    Ok(()) => return,
                    Err(back) => {
                        message = back.0;
                        *known = None;
                    }
                },
                (Some(Route::There(way)), SlotMessage::Event(event)) => match way.send(to, event) {
                    Ok(()) => return,
                    Err(back) => {
                        message = SlotMessage::Event(back);
                        *known = None;
                    }
                },
                (Some(Route::There(_)) | None, _) => return,
            }
        }
    }

    fn report(&mut self, report: Report) {
        (self.reports)(self.me, report);
    }
}

/// State that a slot's thread shares with its owner.
#[derive(Debug, Default)]
struct Life {
    /// The slot is made, and may do things.
    made: AtomicBool,
    /// The slot is not wanted any more.
    over: AtomicBool,
}

/// A running slot.
#[derive(Debug)]
pub(crate) struct SlotThread {
    directory: Directory,
    id: SlotId,
    life: Arc<Life>,
    thread: Option<JoinHandle<Option<RetainedState>>>,
}

impl SlotThread {
    /// Starts a slot that `make` makes on its own thread, given its waker.
    pub(crate) fn start(
        id: SlotId,
        directory: &Directory,
        reports: Reports,
        make: impl FnOnce(Waker) -> Result<Slot> + Send + 'static,
    ) -> Result<Self> {
        let (queue, events) = channel();
        directory.open(id, &queue);
        let post = Post { directory: directory.clone(), known: Vec::new(), me: id, reports };
        let waker = Arc::new(SlotWaker { queue, waking: AtomicBool::new(false) });
        let life = Arc::new(Life::default());
        let lives = life.clone();
        let thread = std::thread::Builder::new()
            .name(format!("slot-{}", id.0))
            .spawn(move || run(events, post, waker, &lives, make))
            .map_err(|e| Error::new(Kind::Unavailable, format!("cannot start the thread of slot {}", id.0)).because(e))?;
        Ok(Self { directory: directory.clone(), id, life, thread: Some(thread) })
    }

    /// Ends the slot; what it keeps.
    pub(crate) fn end(mut self) -> Option<RetainedState> {
        self.stop()
    }

    fn stop(&mut self) -> Option<RetainedState> {
        let thread = self.thread.take()?;
        self.directory.send(self.id, SlotMessage::Stop);
        self.directory.close(self.id);
        self.life.over.store(true, Ordering::SeqCst);
        // One that still reads its state has done nothing yet and will do nothing: a store that is away must not keep the next run waiting.
        if self.life.made.load(Ordering::SeqCst) { thread.join().ok().flatten() } else { None }
    }
}

impl Drop for SlotThread {
    fn drop(&mut self) {
        drop(self.stop());
    }
}

/// The remains of a slot that is stopped.
fn run(
    events: Receiver<SlotMessage>,
    mut post: Post,
    waker: Arc<SlotWaker>,
    life: &Life,
    make: impl FnOnce(Waker) -> Result<Slot>,
) -> Option<RetainedState> {
    let made = make(Waker::from(waker.clone()));
    life.made.store(true, Ordering::SeqCst);
    if life.over.load(Ordering::SeqCst) {
        return None;
    }
    let mut slot = match made {
        Ok(slot) => slot,
        Err(e) => {
            post.report(Report::Failed(e));
            return None;
        }
    };
    let mut wait: Option<Option<i64>> = None;
    // The time for which the slot has slept blocked, and since when it sleeps so now.
    let (mut blocked, mut asleep) = (0, None::<i64>);
    loop {
        let first = match wait.take() {
            None => None,
            Some(None) => match events.recv() {
                Ok(message) => Some(message),
                Err(_) => return None,
            },
            Some(Some(until)) => {
                let micros = u64::try_from(until.saturating_sub(now())).unwrap_or(0);
                match events.recv_timeout(Duration::from_micros(micros)) {
                    Ok(message) => Some(message),
                    Err(RecvTimeoutError::Timeout) => None,
                    Err(RecvTimeoutError::Disconnected) => return None,
                }
            }
        };
        if let Some(since) = asleep.take() {
            blocked += now() - since;
        }
        let mut next = first;
        for _ in 0..TAKE {
            let message = match next.take().map_or_else(|| events.try_recv(), Ok) {
                Ok(message) => message,
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return None,
            };
            match message {
                SlotMessage::Event(event) => slot.handle(event, now(), &mut post),
                SlotMessage::Wake => {
                    waker.waking.store(false, Ordering::Release);
                    slot.wake();
                }
                SlotMessage::Stats(to) => {
                    let (nodes, waiting, moves) = (slot.stats(), slot.waiting(), slot.move_stats());
                    let _gone = to.send(SlotNumbers { slot: slot.id(), nodes, waiting, moves, blocked });
                }
                SlotMessage::Stop => return slot.keep(),
            }
        }
        if let Status::Idle(until) = slot.run(now(), &mut post) {
            wait = Some(until);
            asleep = slot.blocked().then(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_that_still_reads_its_state_is_given_up_without_waiting_and_says_nothing_more() {
        let (store, answer) = channel::<()>();
        let (queue, said) = channel();
        let reports: Reports = Arc::new(move |slot, report| {
            let _gone = queue.send((slot, report));
        });
        let reading = move |_: Waker| {
            let _back = answer.recv();
            Err(Error::new(Kind::Unavailable, "the store was away"))
        };
        let slot = SlotThread::start(SlotId(3), &Directory::default(), reports, reading).unwrap();
        let (done, dropped) = channel();
        std::thread::spawn(move || {
            drop(slot);
            let _waited = done.send(());
        });
        dropped.recv_timeout(Duration::from_secs(20)).expect("nobody waits for the store");
        drop(store);
        assert!(said.recv().is_err(), "the thread ends, and what it failed at is nobody's matter any more");
    }
}
