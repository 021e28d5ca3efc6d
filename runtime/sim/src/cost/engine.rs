//! The clock: slots and the job's machines take turns in virtual time, each step as long as its work is said to be.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};

use watershed_cluster::{JobManager, Patience, Request, Settings, Target, TaskManager, WorkerEvent};
use watershed_runtime::coordinator::Coordinator;
use watershed_runtime::error::{Error, Result};
use watershed_runtime::graph::{Graph, Role};
use watershed_runtime::key::{Assignment, Key, KeySpace, SlotId};
use watershed_runtime::protocol::epoch::Pace;
use watershed_runtime::protocol::rescale::Sizes;
use watershed_runtime::protocol::rules::RuleSet;
use watershed_runtime::slot::{Bulk, Event, Outbox, Report, Slot, SlotConfig, SlotSeat, Status, Tuning};

use super::due::{Due, What};
use super::flow::{Arrivals, SPLITS, Shared, graph};
use super::setting::{MILLI, SECOND, Setting, Told};

/// The key groups.
pub(super) const SPACE: KeySpace = KeySpace { seed: 0, bits: 12 };
/// Rows may have filled the state by then, and a manifest carries it.
const FILLED: i64 = 4 * SECOND;
/// An encoded entry of the job, in bytes.
const ENTRY: f64 = 24.0;
/// No wait of the job's machines is what is measured.
const FOREVER: i64 = i64::MAX / 4;

#[derive(Debug, Default)]
pub(super) struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct Server {
    slot: Slot,
    flag: Arc<Flag>,
    free: i64,
    /// The time of the slot's next step, if there is to be one.
    next: Option<i64>,
    /// Rows counted so far, and state that came and is not paid for.
    rows: (u64, u64),
    owed: i64,
}

/// Events and reports that a step of a slot sent.
#[derive(Default)]
struct Sent {
    events: Vec<(SlotId, Event)>,
    reports: Vec<Report>,
}

impl Outbox for Sent {
    fn send(&mut self, to: SlotId, event: Event) {
        self.events.push((to, event));
    }

    fn report(&mut self, report: Report) {
        self.reports.push(report);
    }
}

pub(super) struct Simulation {
    pub(super) set: Setting,
    shared: Arc<Shared>,
    pub(super) graph: Arc<Graph>,
    pub(super) manager: JobManager,
    pub(super) worker: TaskManager,
    servers: BTreeMap<SlotId, Server>,
    heap: BinaryHeap<Reverse<Due>>,
    seq: u64,
    pub(super) now: i64,
    /// The last arrival of each queue, and when each slot's network is free.
    queues: BTreeMap<(SlotId, SlotId, bool), i64>,
    network: BTreeMap<SlotId, i64>,
    /// Objects of the log.
    pub(super) log: BTreeMap<String, Vec<u8>>,
    /// Work costs time.
    pub(super) paid: bool,
    /// Virtual bytes of a byte of warm-up.
    scale: f64,
    /// Rows take this much of what they take: less, when more slots are said to share them.
    ease: f64,
    pub(super) failed: Option<Error>,
    came: i64,
    told: Told,
    /// Between which times the rescale goes on, and the table before it.
    span: (i64, i64),
    before: Option<Assignment>,
    /// Rows that came out while it went on: key and latency.
    during: Vec<(u64, i64)>,
}

pub(super) fn nanos(bytes: f64, rate: f64) -> i64 {
    (bytes / rate * 1e9) as i64
}

fn bytes_of(event: &Event) -> f64 {
    match event {
        Event::Bulk(Bulk::Warm { tables, .. }) => tables.iter().map(|(_, b)| b.len() as f64).sum(),
        Event::Bulk(Bulk::Final { tables, .. }) => tables.iter().map(|(_, f)| f.items.len() as f64).sum(),
        Event::Frame(_) | Event::Credit { .. } | Event::WarmupAck(_) | Event::Command(_) => 0.0,
    }
}

/// Settings of the manager, which takes neither a silent worker nor a silent store for lost.
fn settings(graph: &Arc<Graph>, set: &Setting) -> Settings {
    let waits = Patience { silent: FOREVER, away: FOREVER, ..Patience::default() };
    Settings {
        job: "cost".into(),
        graph: graph.clone(),
        keys: SPACE,
        may_drop: Vec::new(),
        drop_unmatched: false,
        pace: Pace { interval_micros: (set.epoch / 1000) as u64, max_in_flight: 3 },
        sizes: Sizes::default(),
        target: Target::Slots(set.slots.0),
        patience: waits,
        uid: "a".into(),
        rules: RuleSet::ALL,
    }
}

impl Simulation {
    fn new(set: Setting) -> Result<Self> {
        let shared = Arc::new(Shared::default());
        let every = SPLITS as f64 * 1e9 / (set.rate * set.load * f64::from(set.slots.0));
        let graph = Arc::new(graph(&shared, Arrivals { keys: set.entries, every: every as i64 })?);
        let (manager, first) = JobManager::new(settings(&graph, &set), 0)?;
        let worker = TaskManager::new(graph.clone(), 0, FOREVER, RuleSet::ALL);
        let scale = set.state / (set.entries as f64 * ENTRY);
        let mut simulation = Self {
            set,
            shared,
            graph,
            manager,
            worker,
            servers: BTreeMap::new(),
            heap: BinaryHeap::new(),
            seq: 0,
            now: 0,
            queues: BTreeMap::new(),
            network: BTreeMap::new(),
            log: BTreeMap::new(),
            paid: false,
            scale,
            ease: 1.0,
            failed: None,
            came: 0,
            told: Told::default(),
            span: (i64::MAX, i64::MAX),
            before: None,
            during: Vec::new(),
        };
        simulation.carry_out(first);
        simulation.register()?;
        simulation.at(0, What::Tick);
        Ok(simulation)
    }

    /// Makes a slot.
    pub(super) fn make(&mut self, term: u64, config: impl FnOnce(SlotSeat) -> SlotConfig) -> Result<(Slot, Arc<Flag>)> {
        let flag = Arc::new(Flag::default());
        // So many bytes of a slice stand for as many as a slice has.
        let warm_bytes = ((Tuning::default().warm_bytes as f64 / self.scale) as usize).max(64);
        let seat = SlotSeat {
            graph: self.graph.clone(),
            term,
            window: 16_384,
            tuning: Tuning { warm_bytes, undo_bytes: usize::MAX, ..Tuning::default() },
            waker: Waker::from(flag.clone()),
        };
        Ok((Slot::new(config(seat))?, flag))
    }

    fn coordinator(&self) -> Option<&Coordinator> {
        self.manager.coordinator()
    }

    /// True if the coordinator has no rescale left to do.
    fn settled(&self) -> bool {
        self.coordinator().is_some_and(Coordinator::settled)
    }

    pub(super) fn put(&mut self, id: SlotId, (slot, flag): (Slot, Arc<Flag>)) {
        self.servers.insert(id, Server { slot, flag, free: self.now, next: None, rows: (0, 0), owed: 0 });
        self.wants(id, self.now);
    }

    pub(super) fn at(&mut self, at: i64, what: What) {
        self.seq += 1;
        self.heap.push(Reverse(Due(at, self.seq, what)));
    }

    /// A slot has left.
    pub(super) fn remove(&mut self, id: SlotId) {
        self.servers.remove(&id);
    }

    /// A slot has something to do from a time on.
    fn wants(&mut self, id: SlotId, at: i64) {
        let Some(server) = self.servers.get_mut(&id) else { return };
        let at = at.max(server.free);
        if server.next.is_none_or(|n| n > at) {
            server.next = Some(at);
            self.at(at, What::Run(id));
        }
    }

    /// Goes on until a time, or until `over`.
    fn until(&mut self, end: i64, over: impl Fn(&Self) -> bool) -> Result<()> {
        while let Some(Reverse(Due(at, _, what))) = self.heap.pop() {
            if at > end {
                self.at(at, what);
                self.now = end;
                break;
            }
            self.now = at;
            self.shared.now.store(at, Ordering::Relaxed);
            self.happens(what);
            if let Some(e) = self.failed.take() {
                return Err(e);
            }
            if over(self) {
                break;
            }
        }
        Ok(())
    }

    fn happens(&mut self, what: What) {
        match what {
            What::Event(to, event) => self.hear(to, event),
            What::Run(id) => self.run(id),
            What::Down(envelope, message) => self.down(envelope, *message),
            What::Up(envelope, message) => self.up(envelope, *message),
            What::Worker(event) => self.tell_worker(*event),
            What::Io(id, reply) => self.tell_manager(watershed_cluster::Event::Io(id, *reply)),
            What::Request(request) => self.tell_manager(watershed_cluster::Event::Request(0, request)),
            What::Tick => {
                self.shared.wake();
                let woken: Vec<SlotId> =
                    self.servers.iter().filter(|(_, s)| s.flag.0.load(Ordering::Relaxed)).map(|(id, _)| *id).collect();
                woken.into_iter().for_each(|id| self.wants(id, self.now));
                self.tell_manager(watershed_cluster::Event::Tick);
                self.at(self.now + MILLI / 2, What::Tick);
            }
        }
    }

    /// A slot hears another, or its worker.
    pub(super) fn hear(&mut self, to: SlotId, event: Event) {
        let owed = match &event {
            Event::Bulk(Bulk::Warm { .. }) => nanos(bytes_of(&event) * self.scale, self.set.absorb),
            Event::Bulk(Bulk::Final { .. }) => nanos(bytes_of(&event), self.set.absorb),
            Event::Frame(_) | Event::Credit { .. } | Event::WarmupAck(_) | Event::Command(_) => 0,
        };
        let (now, paid) = (self.now, self.paid);
        let Some(server) = self.servers.get_mut(&to) else { return };
        server.owed += if paid { owed } else { 0 };
        let mut sent = Sent::default();
        server.slot.handle(event, now / 1000, &mut sent);
        self.ship(to, now, sent);
        self.wants(to, now);
    }

    fn run(&mut self, id: SlotId) {
        let (now, paid, scale, set) = (self.now, self.paid, self.scale, self.set);
        let row = 1e9 / set.rate * self.ease;
        let Some(server) = self.servers.get_mut(&id).filter(|s| s.next == Some(now)) else { return };
        server.next = None;
        if server.flag.0.swap(false, Ordering::Relaxed) {
            server.slot.wake();
        }
        let mut sent = Sent::default();
        let status = server.slot.run(now / 1000, &mut sent);
        let mut rows = (0, 0);
        for (node, stats) in self.graph.nodes().iter().zip(server.slot.stats()) {
            match node.role {
                Role::Source { .. } => rows.0 += stats.rows_out,
                Role::Operator { keyed: true, .. } => rows.1 += stats.rows_in,
                Role::Operator { .. } | Role::Sink { .. } => {}
            }
        }
        let warm: f64 =
            sent.events.iter().filter(|(_, e)| matches!(e, Event::Bulk(Bulk::Warm { .. }))).map(|(_, e)| bytes_of(e)).sum();
        let last: f64 =
            sent.events.iter().filter(|(_, e)| matches!(e, Event::Bulk(Bulk::Final { .. }))).map(|(_, e)| bytes_of(e)).sum();
        // A fifth of a row's work is reading it, the rest is done where its key is.
        let work = (rows.0 - server.rows.0) as f64 * row * 0.2 + (rows.1 - server.rows.1) as f64 * row * 0.8;
        server.rows = rows;
        let mut cost = 300 + work as i64 + nanos(warm * scale + last, set.encode) + std::mem::take(&mut server.owed);
        if !paid {
            cost = 0;
        }
        server.free = now + cost;
        let free = server.free;
        match status {
            Status::Busy => self.wants(id, free),
            Status::Idle(Some(t)) => self.wants(id, (t * 1000).max(free)),
            Status::Idle(None) => {}
        }
        self.note(free, cost);
        self.ship(id, free, sent);
    }

    /// Rows that came out in a step.
    fn note(&mut self, at: i64, cost: i64) {
        let rows = self.shared.take();
        if rows.is_empty() {
            return;
        }
        let silent = if self.came == 0 { 0 } else { at - self.came };
        self.came = self.came.max(at);
        for (key, out, took) in rows {
            let (arrived, took) = (out - took, took + cost);
            if arrived < self.span.0 {
                self.told.before.push(took);
            } else if arrived < self.span.1 {
                self.during.push((key, took));
            } else {
                self.told.after.push(took);
            }
        }
        let longest = if at < self.span.0 { &mut self.told.silence.0 } else { &mut self.told.silence.1 };
        if at < self.span.1 {
            *longest = silent.max(*longest);
        }
    }

    fn ship(&mut self, from: SlotId, at: i64, sent: Sent) {
        let latency = if self.paid { self.set.latency } else { 0 };
        for (to, event) in sent.events {
            let bulk = matches!(event, Event::Bulk(_));
            let mut arrives = at + latency;
            if bulk && self.paid {
                let scale = if matches!(event, Event::Bulk(Bulk::Warm { .. })) { self.scale } else { 1.0 };
                let free = self.network.entry(from).or_default();
                // Bulk state leaves a slot in the order in which it was sent: one batch goes before the warm-up of the next only if it was
                // sent first.
                *free = (*free).max(at) + nanos(bytes_of(&event) * scale, self.set.network);
                arrives = *free + latency;
            }
            let last = self.queues.entry((from, to, bulk)).or_default();
            arrives = arrives.max(*last);
            *last = arrives;
            self.at(arrives, What::Event(to, event));
        }
        let run = self.worker.run();
        for report in sent.reports {
            self.at(at, What::Worker(Box::new(WorkerEvent::Report(run, from, report))));
        }
    }

    /// The state is there, rows arrive, and all is well for a while.
    fn fill(&mut self) -> Result<()> {
        self.until(FILLED, |_| false)?;
        let filled = self.shared.filled.load(Ordering::Relaxed) as u64;
        if filled < self.set.entries / SPLITS as u64 * SPLITS as u64 {
            return Err(Error::broken("I12", format!("only {filled} of {} entries are there", self.set.entries)));
        }
        self.paid = true;
        self.shared.open.store(self.now.max(1), Ordering::Relaxed);
        // The first rows after the quiet are not what is measured.
        self.until(self.now + SECOND, |_| false)?;
        self.told = Told::default();
        self.until(self.now + self.set.around, |_| false)
    }

    /// The rescale begins.
    fn begin_span(&mut self) {
        self.span.0 = self.now;
        self.before = self.coordinator().map(|c| (**c.table()).clone());
    }

    fn done(mut self) -> Told {
        let after = self.coordinator().map(|c| c.table().clone());
        for (key, took) in std::mem::take(&mut self.during) {
            let group = SPACE.group(Key::hash(&key, SPACE));
            let stays = self.before.as_ref().map(|t| t.slot(group)) == after.as_ref().map(|t| t.slot(group));
            if stays { &mut self.told.stayed } else { &mut self.told.moved }.push(took);
        }
        self.told.took = self.span.1 - self.span.0;
        self.told
    }
}

/// A live rescale.
///
/// # Errors
/// What the engine says, if it cannot go on, and if the rescale does not end within two minutes.
pub fn rescale(set: Setting) -> Result<Told> {
    let mut simulation = Simulation::new(set)?;
    simulation.fill()?;
    simulation.begin_span();
    simulation.at(simulation.now, What::Request(Request::Scale(u32::from(set.slots.1))));
    let end = simulation.now + 120 * SECOND;
    simulation.until(simulation.now + MILLI, |_| false)?;
    simulation.until(end, Simulation::settled)?;
    if !simulation.settled() {
        let waits = simulation.manager.waiting().join("; ");
        return Err(Error::broken("I12", format!("it takes more than two minutes: {waits}")));
    }
    simulation.span.1 = simulation.now;
    simulation.until(simulation.now + set.around, |_| false)?;
    Ok(simulation.done())
}

/// The same with everything stopped: what was written since the last snapshot is stored, each new slot reads its share, and all go on with
/// as many slots as are wanted. No barrier, no start of processes, no reading of sources again is charged.
///
/// # Errors
/// What the engine says, if it cannot go on.
pub fn stop_and_copy(set: Setting) -> Result<Told> {
    let mut simulation = Simulation::new(set)?;
    simulation.fill()?;
    let share = set.state / f64::from(set.slots.1);
    let dirty = set.rate * set.load * ENTRY * (set.epoch as f64 / 1e9);
    let stop = nanos(dirty + share, set.store) + nanos(share, set.absorb) + 2 * set.answer;
    simulation.begin_span();
    simulation.span.1 = simulation.now + stop;
    for server in simulation.servers.values_mut() {
        server.free = server.free.max(simulation.now + stop);
    }
    simulation.ease = f64::from(set.slots.0) / f64::from(set.slots.1);
    let ids: Vec<SlotId> = simulation.servers.keys().copied().collect();
    for id in ids {
        if let Some(server) = simulation.servers.get_mut(&id) {
            server.next = None;
        }
        simulation.wants(id, simulation.now);
    }
    simulation.until(simulation.now + stop + 3 * set.around, |_| false)?;
    Ok(simulation.done())
}
