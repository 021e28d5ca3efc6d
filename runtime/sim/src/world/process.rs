//! A process under way: slots, their coordinator, what is on its way between them, what the store has been asked for. It can die at any
//! step; what outlives it is the store and the sinks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};

use watershed_runtime::coordinator::{Coordinator, Input};
use watershed_runtime::graph::Graph;
use watershed_runtime::key::SlotId;
use watershed_runtime::protocol::log::{LogReader, LogWriter, Tail};
use watershed_runtime::protocol::rules::RuleSet;
use watershed_runtime::slot::{Event, Report, Slot, Status};

use super::cluster::Clock;
use super::cover::Cover;
use super::net::{COORDINATOR, Mouth, Net, Queue};
use super::ops::Ask;
use super::plan::{MAX_SLOTS, Plan, Stage};
use super::rng::Rng;
use super::sink::Sinks;
use super::source::Readers;
use super::store::Store;
use super::trace::Trace;
use crate::jobs::Expected;

/// What all processes of a run stand on.
#[derive(Debug)]
pub(super) struct Ground {
    pub(super) plan: Plan,
    pub(super) expected: Expected,
    pub(super) store: Store,
    pub(super) sinks: Arc<Sinks>,
    pub(super) rng: Rng,
    pub(super) now: i64,
    pub(super) trace: Trace,
    pub(super) seen: super::cover::Covered,
    pub(super) breach: Option<String>,
    pub(super) rules: RuleSet,
    /// Until which step the store answers nothing, and until which it lies.
    pub(super) down: u64,
    pub(super) lies: u64,
    /// Nothing passes from one to another until a step.
    pub(super) stall: Option<(usize, usize, u64)>,
    /// By term and epoch: the version of the table when its barrier went out.
    pub(super) barriers: BTreeMap<(u64, u64), u64>,
    /// Term and epoch of the log's last entries.
    pub(super) term: (u64, u64),
    /// Slots a worker has, where a job runs in many processes; and what time it is to each worker.
    pub(super) each: usize,
    pub(super) clocks: Vec<Clock>,
    /// Runs that were taken over.
    pub(super) adopted: BTreeSet<u64>,
    /// The run of the newest manifest, and the slots that it names as owners.
    pub(super) owners: (u64, BTreeSet<SlotId>),
    /// By run: the version of the table in its last manifest.
    pub(super) carried: BTreeMap<u64, u64>,
    /// How often a stop and a drain were wished.
    pub(super) stops: u64,
    pub(super) drains: u64,
    /// By input and split: the rows read when all splits had ended, by the log.
    pub(super) read: Option<Vec<Vec<usize>>>,
    /// The log ends with the end of the job.
    pub(super) finished: bool,
    /// Manifests put, records replayed, and so on: for the report.
    pub(super) epochs: u64,
    pub(super) rows: u64,
    pub(super) rescales: u64,
}

impl Ground {
    /// What a plan stands on.
    pub(super) fn new(plan: Plan, rules: RuleSet, text: bool) -> Self {
        Self {
            expected: plan.kind.expected(&plan.env),
            store: Store::default(),
            sinks: Arc::new(Sinks::new(plan.kind.sinks())),
            rng: Rng::new(plan.seed.rotate_left(17) ^ 0xabcd),
            now: 1_000_000_000,
            trace: Trace::new(text),
            seen: super::cover::Covered::default(),
            breach: None,
            rules,
            down: 0,
            lies: 0,
            stall: None,
            barriers: BTreeMap::new(),
            term: (0, 0),
            each: 1,
            clocks: Vec::new(),
            adopted: BTreeSet::new(),
            owners: (0, BTreeSet::new()),
            carried: BTreeMap::new(),
            stops: 0,
            drains: 0,
            read: None,
            finished: false,
            epochs: 0,
            rows: 0,
            rescales: 0,
            plan,
        }
    }

    /// What time it is to a slot.
    pub(super) fn time_of(&self, slot: usize) -> i64 {
        self.clocks.get(slot / self.each).map_or(self.now, |c| c.at(self.now))
    }

    /// When it will be that late to a slot.
    fn until(&self, slot: usize, time: i64) -> i64 {
        let wait = time.saturating_sub(self.time_of(slot));
        self.now.saturating_add(self.clocks.get(slot / self.each).map_or(wait, |c| c.lasts(wait)))
    }

    /// Something that must not be.
    pub(super) fn broken(&mut self, what: impl FnOnce() -> String) {
        if self.breach.is_none() {
            self.breach = Some(what());
        }
    }
}

/// A slot's waker: remembers that it was called.
#[derive(Debug, Default)]
pub(super) struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A slot and whether it wants to run.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) slot: Slot,
    pub(super) flag: Arc<Flag>,
    pub(super) busy: bool,
    pub(super) timeout: Option<i64>,
}

impl Host {
    /// Lets its slot run.
    pub(super) fn run(&mut self, at: usize, net: &mut Net, ground: &mut Ground) -> Status {
        if self.flag.0.swap(false, Ordering::Relaxed) {
            self.slot.wake();
        }
        let now = ground.time_of(at);
        let status = self.slot.run(now, &mut Mouth { net, me: SlotId(at as u16) });
        let late = self.slot.late();
        if late > 0 && ground.expected.late == 0 {
            ground.broken(|| format!("I6: {late} rows are late at slot {at}"));
        }
        (self.busy, self.timeout) = match status {
            Status::Busy => (true, None),
            Status::Idle(t) => (false, t.filter(|t| *t > now).map(|t| ground.until(at, t))),
        };
        status
    }

    pub(super) fn wants(&self, now: i64) -> bool {
        self.busy || self.flag.0.load(Ordering::Relaxed) || self.timeout.is_some_and(|t| t <= now)
    }
}

/// How far a process has come.
#[derive(Debug)]
pub(super) enum Life {
    /// It looks for the end of the log.
    Reading(Option<LogReader>),
    /// It wants a term.
    Claiming(Box<(LogWriter, Tail)>),
    /// It coordinates.
    Running(Box<Coordinator>),
    /// The job is over; what is owed is being committed.
    Finishing,
    /// It has nothing more to do.
    Over,
    /// Somebody else has taken its place.
    Fenced,
}

/// What is going on, for triggers.
#[derive(Debug, Default)]
pub(super) struct Marks {
    pub(super) warming: BTreeSet<u64>,
    pub(super) open: BTreeSet<u64>,
    /// Slots that have not aligned the last barrier.
    pub(super) aligning: usize,
}

/// A process.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) number: u64,
    pub(super) graph: Arc<Graph>,
    pub(super) readers: Arc<Readers>,
    pub(super) life: Life,
    pub(super) hosts: Vec<Option<Host>>,
    pub(super) net: Net,
    pub(super) ops: Vec<Ask>,
    pub(super) term: u64,
    pub(super) marks: Marks,
    /// Added to the coordinator's clock where nothing else moves it.
    pub(super) idle: u64,
    pub(super) merging: bool,
}

impl Process {
    /// A process that has just been started.
    pub(super) fn new(number: u64, ground: &Ground) -> watershed_runtime::error::Result<Self> {
        let plan = &ground.plan;
        let readers = Arc::new(Readers::new(plan.seed ^ number << 32, plan.pending, plan.patience));
        let graph = Arc::new(plan.kind.graph(&plan.env, &readers, &ground.sinks)?);
        Ok(Self {
            number,
            graph,
            readers,
            life: Life::Reading(None),
            hosts: (0..MAX_SLOTS).map(|_| None).collect(),
            net: Net::new(plan.apart),
            ops: vec![Ask::Hint],
            term: 0,
            marks: Marks::default(),
            idle: 0,
            merging: false,
        })
    }

    /// Whether something goes on.
    pub(super) fn stage(&self, stage: Stage) -> bool {
        let Life::Running(c) = &self.life else {
            return stage == Stage::Starting && matches!(self.life, Life::Reading(_) | Life::Claiming(_));
        };
        let alive = || self.hosts.iter().enumerate().filter(|(_, h)| h.is_some()).map(|(i, _)| SlotId(i as u16));
        let final_sent = |b: &u64| self.net.finals.contains(b);
        match stage {
            Stage::Starting => false,
            Stage::Warming => !self.marks.warming.is_empty(),
            Stage::Fenced => self.marks.open.iter().any(|b| !final_sent(b)),
            Stage::Final => self.marks.open.iter().any(final_sent),
            Stage::Cut => self.marks.open.is_empty() && c.table().version > c.last().table.version,
            Stage::Joining => self.marks.aligning > 0 && alive().any(|s| !c.members().contains(&s)),
            Stage::Leaving => self.marks.aligning == 0 && alive().any(|s| !c.members().contains(&s)),
            Stage::Aligning => self.marks.aligning > 0,
            Stage::Uploading => self.ops.iter().any(|o| matches!(o, Ask::File { .. })),
            Stage::Publishing => self.ops.iter().any(|o| matches!(o, Ask::Create { .. })),
            Stage::Committing => self.ops.iter().any(|o| matches!(o, Ask::Commit(_))),
        }
    }

    /// The coordinator's clock: rows read, mostly.
    pub(super) fn clock(&self) -> u64 {
        self.readers.rows() * 1000 + self.idle
    }

    /// The coordinator is told something.
    pub(super) fn tell(&mut self, input: Input, ground: &mut Ground) {
        let now = self.clock();
        let Life::Running(coordinator) = &mut self.life else { return };
        let effects = coordinator.step(input, now);
        self.carry_out(effects, ground);
    }

    /// Lets a slot run.
    pub(super) fn run_slot(&mut self, at: usize, ground: &mut Ground) {
        let Some(Some(host)) = self.hosts.get_mut(at) else { return };
        let status = host.run(at, &mut self.net, ground);
        if !self.net.cuts.is_empty() {
            self.copies_kept(ground);
        }
        ground.trace.note(1, self.number, at as u64, || format!("p{} slot {at} runs: {status:?}", self.number));
        self.check_net(ground);
    }

    fn check_net(&mut self, ground: &mut Ground) {
        #[cfg(feature = "mutants")]
        if let (Life::Running(c), Some(batch)) = (&mut self.life, self.net.finals.last()) {
            c.final_sent(*batch);
        }
        if let Some(b) = self.net.breach.take() {
            ground.broken(|| b);
        }
    }

    /// Hands over up to `burst` events of the `n`th queue.
    pub(super) fn deliver(&mut self, n: usize, burst: usize, ground: &mut Ground) {
        let Some((at, queue)) = self.net.nth(n) else { return };
        match queue {
            Queue::Reports(slot) => {
                if let Some(report) = self.net.take_report(slot) {
                    ground
                        .trace
                        .note(2, self.number, slot as u64, || format!("p{} slot {slot} says {}", self.number, said(&report)));
                    self.hear(slot, report, ground);
                }
            }
            Queue::Events { from, to } => {
                for _ in 0..burst {
                    let Some(event) = self.net.take(at) else { return };
                    let who = if from == COORDINATOR { "coordinator".into() } else { from.to_string() };
                    ground.trace.note(3, (at as u64) << 8 | self.number, 0, || {
                        format!("p{} {who} -> {to}: {}", self.number, shown(&event))
                    });
                    let owner = matches!(event, Event::Bulk(_));
                    if let Some(Some(host)) = self.hosts.get_mut(to) {
                        let mut mouth = Mouth { net: &mut self.net, me: SlotId(to as u16) };
                        host.slot.handle(event, ground.now, &mut mouth);
                        host.busy = true;
                    }
                    if owner {
                        self.one_owner(ground);
                    }
                    if owner || from == COORDINATOR {
                        self.copies_kept(ground);
                    }
                }
                self.check_net(ground);
            }
        }
    }

    fn hear(&mut self, slot: usize, report: Report, ground: &mut Ground) {
        match &report {
            Report::Warmed(batch) => {
                self.marks.warming.remove(batch);
            }
            Report::Active(batch) => {
                self.marks.open.remove(batch);
                self.one_owner(ground);
            }
            Report::Aligned(_) => self.marks.aligning = self.marks.aligning.saturating_sub(1),
            Report::Handed(_, splits) if !splits.is_empty() => ground.seen.see(Cover::SplitMoved),
            Report::Handed(..)
            | Report::Sealed(..)
            | Report::SplitFinished(..)
            | Report::Ended
            | Report::Failed(_)
            | Report::Poisoned(_) => {}
        }
        self.tell(Input::Slot(SlotId(slot as u16), report), ground);
    }

    /// The slots that want to run.
    pub(super) fn runnable(&self, now: i64) -> ([usize; MAX_SLOTS as usize], usize) {
        let (mut all, mut n) = ([0; MAX_SLOTS as usize], 0);
        for (i, host) in self.hosts.iter().enumerate() {
            if host.as_ref().is_some_and(|h| h.wants(now))
                && let Some(place) = all.get_mut(n)
            {
                *place = i;
                n += 1;
            }
        }
        (all, n)
    }

    /// A slot's waker.
    pub(super) fn waker(flag: &Arc<Flag>) -> Waker {
        Waker::from(Arc::clone(flag))
    }
}

pub(super) fn said(report: &Report) -> String {
    match report {
        Report::Sealed(e, part) => format!("sealed {e}: {} handles, changed {}", part.handles.len(), part.changed),
        Report::Failed(e) | Report::Poisoned(e) => format!("failed: {e}"),
        other @ (Report::Aligned(_)
        | Report::Handed(..)
        | Report::SplitFinished(..)
        | Report::Warmed(_)
        | Report::Active(_)
        | Report::Ended) => format!("{other:?}"),
    }
}

pub(super) fn shown(event: &Event) -> String {
    use watershed_runtime::frame::Item;
    use watershed_runtime::slot::{Bulk, Command};
    let plan = |p: &watershed_runtime::protocol::cut::CutPlan| {
        format!("batch {} v{} {}->{}", p.batch, p.version, p.source.0, p.target.0)
    };
    match event {
        Event::Frame(f) => match &f.item {
            Item::Data(b, tag) => format!("edge {} {} rows {tag:?}", f.edge, b.len()),
            Item::Barrier(b) => format!("edge {} barrier {} {:?}", f.edge, b.epoch, b.members),
            Item::Fence(p) => format!("edge {} fence {}", f.edge, plan(p)),
            Item::Drained(p) => format!("edge {} drained {}", f.edge, plan(p)),
            other @ (Item::Watermark(_) | Item::Quiet) => format!("edge {} {other:?}", f.edge),
        },
        Event::Credit { edge, rows, window, .. } => format!("edge {edge} credit {rows} of {window}"),
        Event::Bulk(Bulk::Warm { plan: p, .. }) => format!("warm {}", plan(p)),
        Event::Bulk(Bulk::Final { plan: p, watermarks, .. }) => format!("final {} {watermarks:?}", plan(p)),
        Event::Taken(batch) => format!("taken {batch}"),
        Event::Command(Command::Warm(p)) => format!("command warm {}", plan(p)),
        Event::Command(Command::Cut(p)) => format!("command cut {}", plan(p)),
        Event::Command(c) => format!("command {c:?}"),
    }
}
