//! The clock: slots and coordinator take turns in virtual time, each step as long as its work is said to be.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};

use watershed_runtime::coordinator::{Coordinator, Effect, Input, NewSlot};
use watershed_runtime::env::Discovered;
use watershed_runtime::error::{Error, Result};
use watershed_runtime::graph::{Graph, NodeIndex, Role};
use watershed_runtime::key::{Assignment, Key, KeySpace, SlotId};
use watershed_runtime::protocol::epoch::Pace;
use watershed_runtime::protocol::log::{LogEffect, LogWriter, Put, Tail};
use watershed_runtime::protocol::manifest::{Groups, Manifest, StateFile};
use watershed_runtime::protocol::restart::Start;
use watershed_runtime::protocol::rules::RuleSet;
use watershed_runtime::slot::{Bulk, Event, Outbox, Report, Slot, SlotConfig, Status, Tuning};

use super::due::{Due, What};
use super::flow::{Arrivals, SPLITS, Shared, graph};
use super::setting::{MILLI, SECOND, Setting, Told};

/// The key groups.
const SPACE: KeySpace = KeySpace { seed: 0, bits: 12 };
/// Rows may have filled the state by then, and a manifest carries it.
const FILLED: i64 = 4 * SECOND;
/// An encoded entry of the job, in bytes.
const ENTRY: f64 = 24.0;

#[derive(Debug, Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct Server {
    slot: Slot,
    flag: Arc<Flag>,
    free: i64,
    /// When it runs next, if it is to.
    next: Option<i64>,
    /// Rows counted so far, and state that came and is not paid for.
    rows: (u64, u64),
    owed: i64,
}

/// What a step of a slot sent.
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

struct Works {
    set: Setting,
    shared: Arc<Shared>,
    graph: Arc<Graph>,
    coordinator: Coordinator,
    servers: BTreeMap<SlotId, Server>,
    heap: BinaryHeap<Reverse<Due>>,
    seq: u64,
    now: i64,
    /// The last arrival of each queue, and when each slot's network is free.
    queues: BTreeMap<(SlotId, SlotId, bool), i64>,
    network: BTreeMap<SlotId, i64>,
    /// Work costs time.
    paid: bool,
    /// Virtual bytes of a byte of warm-up.
    scale: f64,
    /// Rows take this much of what they take: less, when more slots are said to share them.
    ease: f64,
    failed: Option<Error>,
    came: i64,
    told: Told,
    /// Between which times the rescale goes on, and the table before it.
    span: (i64, i64),
    before: Assignment,
    /// Rows that came out while it went on: key and latency.
    during: Vec<(u64, i64)>,
}

fn nanos(bytes: f64, rate: f64) -> i64 {
    (bytes / rate * 1e9) as i64
}

fn bytes_of(event: &Event) -> f64 {
    match event {
        Event::Bulk(Bulk::Warm { tables, .. }) => tables.iter().map(|(_, b)| b.len() as f64).sum(),
        Event::Bulk(Bulk::Final { tables, .. }) => tables.iter().map(|(_, f)| f.items.len() as f64).sum(),
        Event::Frame(_) | Event::Credit { .. } | Event::WarmupAck(_) | Event::Command(_) => 0.0,
    }
}

impl Works {
    fn new(set: Setting) -> Result<Self> {
        let shared = Arc::new(Shared::default());
        let every = SPLITS as f64 * 1e9 / (set.rate * set.load * f64::from(set.slots.0));
        let graph = Arc::new(graph(&shared, Arrivals { keys: set.entries, every: every as i64 })?);
        let members: Vec<SlotId> = (0..set.slots.0).map(SlotId).collect();
        let table = Assignment::even(SPACE, set.slots.0);
        let manifest = Manifest::origin(1, graph.shape()?.nodes, &table, members.clone());
        let start = Start {
            took_part: vec![],
            manifest,
            table: table.clone(),
            commit: vec![],
            empty: vec![],
            dropped: vec![],
            finished: false,
        };
        let mut log = LogWriter::new(&Tail::default(), RuleSet::ALL);
        let _create = log.claim("term")?;
        let _claimed = log.put(Put::Created)?;
        let pace = Pace { interval_micros: (set.epoch / 1000) as u64, max_in_flight: 3 };
        let coordinator = Coordinator::new(graph.clone(), log, &start, "a", pace, 0, RuleSet::ALL);
        let scale = set.state / (set.entries as f64 * ENTRY);
        let mut works = Self {
            set,
            shared,
            graph,
            coordinator,
            servers: BTreeMap::new(),
            heap: BinaryHeap::new(),
            seq: 0,
            now: 0,
            queues: BTreeMap::new(),
            network: BTreeMap::new(),
            paid: false,
            scale,
            ease: 1.0,
            failed: None,
            came: 0,
            told: Told::default(),
            span: (i64::MAX, i64::MAX),
            before: table.clone(),
            during: Vec::new(),
        };
        for id in &members {
            let mut slot = works.slot(*id, &table, &members, 1, None)?;
            slot.0.start_from(&start.manifest)?;
            works.put(*id, slot);
        }
        let first = works.coordinator.begin()?;
        works.carry_out(first);
        let sources: Vec<(NodeIndex, Discovered)> =
            works.graph.sources().map(|(i, _, s)| Ok((i, s.discover()?))).collect::<Result<_>>()?;
        for (node, found) in sources {
            works.at(0, What::Input(Input::Discovered(node, found)));
        }
        works.at(0, What::Tick);
        Ok(works)
    }

    fn slot(
        &self,
        id: SlotId,
        table: &Assignment,
        members: &[SlotId],
        epoch: u64,
        new: Option<&NewSlot>,
    ) -> Result<(Slot, Arc<Flag>)> {
        let flag = Arc::new(Flag::default());
        // So many bytes of a slice stand for as many as a slice has.
        let warm_bytes = ((Tuning::default().warm_bytes as f64 / self.scale) as usize).max(64);
        let slot = Slot::new(SlotConfig {
            id,
            term: 1,
            graph: self.graph.clone(),
            assignment: table.clone(),
            members: members.to_vec(),
            epoch,
            window: 16_384,
            segment: table.version + 1,
            joins_at: new.map(|n| n.joins_at.clone()),
            waker: Waker::from(flag.clone()),
            tuning: Tuning { warm_bytes, undo_bytes: usize::MAX, ..Tuning::default() },
        })?;
        Ok((slot, flag))
    }

    fn put(&mut self, id: SlotId, (slot, flag): (Slot, Arc<Flag>)) {
        self.servers.insert(id, Server { slot, flag, free: self.now, next: None, rows: (0, 0), owed: 0 });
        self.wants(id, self.now);
    }

    fn at(&mut self, at: i64, what: What) {
        self.seq += 1;
        self.heap.push(Reverse(Due(at, self.seq, what)));
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
            What::Event(to, event) => {
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
            What::Run(id) => self.run(id),
            What::Input(input) => {
                let effects = self.coordinator.step(input, (self.now / 1000) as u64);
                self.carry_out(effects);
            }
            What::Tick => {
                self.shared.wake();
                let woken: Vec<SlotId> =
                    self.servers.iter().filter(|(_, s)| s.flag.0.load(Ordering::Relaxed)).map(|(id, _)| *id).collect();
                woken.into_iter().for_each(|id| self.wants(id, self.now));
                let effects = self.coordinator.step(Input::Tick, (self.now / 1000) as u64);
                self.carry_out(effects);
                self.at(self.now + MILLI / 2, What::Tick);
            }
        }
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
        if let Some(e) = sent.reports.iter().position(|r| matches!(r, Report::Failed(_)))
            && let Report::Failed(e) = sent.reports.swap_remove(e)
        {
            self.failed = Some(e);
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
                // What a slot sends of one batch goes before the warm-up of the next only if it is sent first.
                *free = (*free).max(at) + nanos(bytes_of(&event) * scale, self.set.network);
                arrives = *free + latency;
            }
            let last = self.queues.entry((from, to, bulk)).or_default();
            arrives = arrives.max(*last);
            *last = arrives;
            self.at(arrives, What::Event(to, event));
        }
        for report in sent.reports {
            self.at(at + latency, What::Input(Input::Slot(from, report)));
        }
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        let (now, answer) = (self.now, if self.paid { self.set.answer } else { 0 });
        let latency = if self.paid { self.set.latency } else { 0 };
        for effect in effects {
            match effect {
                Effect::Send(slot, command) => self.at(now + latency, What::Event(slot, Event::Command(command))),
                Effect::Start(new) => {
                    let made = self.slot(new.id, &new.table, &new.members, new.epoch, Some(&new)).and_then(|mut made| {
                        made.0.start(&[])?;
                        Ok(made)
                    });
                    match made {
                        Ok(made) => self.put(new.id, made),
                        Err(e) => self.failed = Some(e),
                    }
                }
                Effect::Release(slot) => {
                    self.servers.remove(&slot);
                }
                Effect::Log(LogEffect::Create { .. }) => self.at(now + answer, What::Input(Input::LogPut(Put::Created))),
                Effect::Log(LogEffect::Get { .. } | LogEffect::Published { .. }) | Effect::Published(_) | Effect::Done => {}
                Effect::Upload(epoch, runs) => {
                    let bytes: usize = runs.iter().map(|(_, r)| r.byte_len()).sum();
                    let writers = self.servers.len().max(1) as f64;
                    let takes = if self.paid { nanos(bytes as f64 / writers, self.set.store) } else { 0 };
                    let file = StateFile {
                        name: format!("state/delta/1-{epoch}-a"),
                        bytes: bytes as u64,
                        from_epoch: epoch,
                        to_epoch: epoch,
                        entries: 0,
                        level: 0,
                        groups: Groups::All,
                    };
                    self.at(now + answer + takes, What::Input(Input::Uploaded(epoch, Some(file))));
                }
                Effect::Commit(_) => self.at(now + answer, What::Input(Input::Committed)),
                Effect::Failed(e) => self.failed = Some(e),
            }
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

    fn done(mut self) -> Told {
        let after = self.coordinator.table().clone();
        for (key, took) in std::mem::take(&mut self.during) {
            let group = SPACE.group(Key::hash(&key, SPACE));
            let stays = self.before.slot(group) == after.slot(group);
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
    let mut works = Works::new(set)?;
    works.fill()?;
    works.span.0 = works.now;
    let want = Input::want(set.slots.1);
    works.at(works.now, What::Input(want));
    let end = works.now + 120 * SECOND;
    works.until(works.now + MILLI, |_| false)?;
    works.until(end, |w| w.coordinator.settled())?;
    if !works.coordinator.settled() {
        return Err(Error::broken("I12", format!("it takes more than two minutes: {}", works.coordinator.waiting().join("; "))));
    }
    works.span.1 = works.now;
    works.until(works.now + set.around, |_| false)?;
    Ok(works.done())
}

/// The same with everything stopped: what was written since the last snapshot is stored, each new slot reads its share, and all go on with as many slots
/// as are wanted. No barrier, no start of processes, no reading of sources again is charged.
///
/// # Errors
/// What the engine says, if it cannot go on.
pub fn stop_and_copy(set: Setting) -> Result<Told> {
    let mut works = Works::new(set)?;
    works.fill()?;
    let share = set.state / f64::from(set.slots.1);
    let dirty = set.rate * set.load * ENTRY * (set.epoch as f64 / 1e9);
    let stop = nanos(dirty + share, set.store) + nanos(share, set.absorb) + 2 * set.answer;
    works.span = (works.now, works.now + stop);
    for server in works.servers.values_mut() {
        server.free = server.free.max(works.now + stop);
    }
    works.ease = f64::from(set.slots.0) / f64::from(set.slots.1);
    let ids: Vec<SlotId> = works.servers.keys().copied().collect();
    for id in ids {
        if let Some(server) = works.servers.get_mut(&id) {
            server.next = None;
        }
        works.wants(id, works.now);
    }
    works.until(works.now + stop + 3 * set.around, |_| false)?;
    Ok(works.done())
}
