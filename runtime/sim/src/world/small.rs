//! Two slots and one cut, for a model: the same world, but what happens next is not drawn. A model tries every order of what is under way
//! between the two, and everything else takes its straight course.

use std::sync::Arc;

use watershed_cluster::{Event, Io, IoReply, Outcome, Patience, Request, WorkerEvent};
use watershed_runtime::error::{Error, Kind};
use watershed_runtime::key::{Assignment, Key, digest};
use watershed_runtime::protocol::rules::RuleSet;
use watershed_runtime::slot::{Command, Event as SlotEvent, Tuning};

use super::cluster_world::{ClusterWorld, Turn as Next};
use super::env::{SPACE, SimEnv};
use super::fault_plan::Setting;
use super::laws::look_at_log;
use super::net::{Queue, is_credit};
use super::plan::Plan;
use super::rng::mix;
use crate::jobs::JobKind;
use crate::jobs::input::Input as Rows;

/// Rows of a run.
const ROWS: usize = 3;
/// Rows from one barrier to the next: none comes by itself.
const INTERVAL: u64 = 1_000_000;
/// The time for which a connection may be gone.
const GONE: i64 = 1_000_000;
/// Rounds after which a run that takes its straight course is not going to end.
const ROUNDS: usize = 2000;

/// The point up to which everything takes its straight course, with one row read; after it the choices begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// The batch is about to be warmed up.
    Warm,
    /// The batch is warm, and about to be cut.
    Cut,
}

/// A possible step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// A row is read.
    Row,
    /// A barrier is due.
    Due,
    /// The next of a queue between slots, or from the coordinator to one, is heard.
    Hear(usize),
    /// The manifest is put.
    Put,
    /// A slot dies, or only the run is over; a put on its way happens or does not. Then everything takes its straight course to the end.
    Over {
        /// The slot that dies.
        dies: Option<u16>,
        /// True if the put happens.
        put: bool,
    },
}

/// Two slots and one cut.
pub struct Small {
    world: ClusterWorld,
    /// Barriers and rows still to come.
    dues: u64,
    rows: usize,
    /// A hash of what each slot has heard, in its order: from that all else follows.
    heard: [u64; 2],
    /// True while everything takes its straight course: up to the coordinator's message that `until` names, if it is set.
    straight: bool,
    until: Option<Opening>,
}

impl std::fmt::Debug for Small {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Small").field("heard", &self.heard).finish_non_exhaustive()
    }
}

/// Rows of which the first two have one key, in a group that moves, and the last another, in one that stays.
fn rows() -> Rows {
    let stays = Assignment::even(SPACE, 2);
    let key = |row: &crate::jobs::row::Row| stays.slot(SPACE.group(Key::hash(&row.key, SPACE))).0;
    let fits = |input: &Rows| {
        let all: Vec<_> = input.all().collect();
        let [a, b, c] = all.as_slice() else { return false };
        a.key == b.key && (key(a), key(c)) == (1, 0) && all.iter().all(|r| r.value != 0)
    };
    let of = |seed| Rows { seed, splits: 1, rows: ROWS, keys: 8, step: 0, disorder: 1, read: None, late: None };
    (0..).map(of).find(fits).expect("some seed has such rows")
}

/// The job of those rows.
#[must_use]
pub fn small_plan() -> Plan {
    let mut plan = Plan::new(0, Some(JobKind::Count));
    plan.env.inputs = vec![Arc::new(rows())];
    plan.tuning = Tuning { read_rows: 1, frame_rows: 1, worth_shipping: 1, ..Tuning::default() };
    (plan.window, plan.apart, plan.pending, plan.patience) = (8, true, 0, 0);
    (plan.epoch_rows, plan.in_flight) = (INTERVAL, 2);
    plan
}

impl Small {
    /// The first slot has everything, and two are wanted: half of it moves.
    #[must_use]
    pub fn new(plan: &Plan, rules: RuleSet, from: Opening, rows: usize, dues: u64) -> Self {
        let patience = Patience {
            gone: GONE,
            silent: i64::MAX / 4,
            away: i64::MAX / 4,
            look: i64::MAX / 4,
            collect: i64::MAX / 4,
            ..Patience::default()
        };
        let setting = Setting { shared: false, each: 1, workers: 1, wishes: Vec::new(), faults: Vec::new(), patience, memory: 0 };
        let mut world = ClusterWorld::new(SimEnv::new(plan.clone(), rules, false), setting);
        world.env.clocks.clear();
        for w in 0..2 {
            if let Some(worker) = world.workers.get_mut(w) {
                worker.start(0, &world.env);
            }
        }
        world.start_manager();
        let mut small = Self { world, dues, rows, heard: [0; 2], straight: true, until: Some(from) };
        small.settle();
        small.readers(0);
        small.world.ask(0, Request::Scale(2));
        small.settle();
        // A slot joins at a barrier.
        small.due();
        small.settle();
        small.readers(1);
        small.settle();
        (small.straight, small.until) = (false, None);
        small
    }

    /// So many rows may be read.
    fn readers(&mut self, rows: i64) {
        for run in self.world.runs.values_mut() {
            run.readers.ration(rows);
            run.stir(true, &mut self.world.env);
        }
    }

    /// The law that is broken.
    #[must_use]
    pub fn broken(&self) -> Option<String> {
        self.world.env.breach.clone().or_else(|| self.world.env.sinks.breach())
    }

    fn done(&self) -> bool {
        self.world.managers.iter().all(|m| matches!(m.end, Some(Ok(Outcome::Finished | Outcome::AlreadyFinished))))
    }

    /// The manifest on its way to the log.
    fn put(&self) -> Option<usize> {
        let manager = self.world.managers.first()?;
        manager.machine.running()?;
        manager.ops.iter().position(|(_, io)| matches!(io, Io::Create { .. }))
    }

    fn run(&self) -> Option<&super::cluster_run::ClusterRun> {
        self.world.runs.values().next_back()
    }

    /// All that may happen.
    #[must_use]
    pub fn turns(&self) -> Vec<Turn> {
        let Some(run) = self.run().filter(|_| !self.straight && !self.done()) else { return Vec::new() };
        let mut all = Vec::new();
        all.extend((self.rows > 0 && run.readers.waiting() > 0).then_some(Turn::Row));
        all.extend((self.dues > 0).then_some(Turn::Due));
        all.extend((0..run.net.len()).filter_map(|n| run.net.nth(n)).map(|(at, _)| Turn::Hear(at)));
        let put = self.put().is_some();
        all.extend(put.then_some(Turn::Put));
        for dies in [None, Some(0), Some(1)] {
            all.push(Turn::Over { dies, put: false });
            all.extend(put.then_some(Turn::Over { dies, put: true }));
        }
        all
    }

    /// Takes a step.
    pub fn turn(&mut self, turn: Turn) {
        match turn {
            Turn::Row => {
                self.rows -= 1;
                self.heard.iter_mut().for_each(|h| *h = mix(*h ^ 1));
                self.readers(1);
            }
            Turn::Due => {
                self.dues -= 1;
                self.due();
            }
            Turn::Hear(at) => self.hear(at),
            Turn::Put => self.land(),
            Turn::Over { dies, put } => self.over(dies, put),
        }
        self.settle();
    }

    /// The same number for worlds that will go on alike.
    #[must_use]
    pub fn look(&self) -> u64 {
        let coordinator = self.world.managers.first().and_then(|m| m.machine.coordinator());
        let all = (coordinator, self.put().is_some(), self.dues, self.rows, self.heard, self.straight, self.done());
        let mut look = digest();
        look.update(format!("{all:?}").as_bytes());
        look.digest()
    }

    /// A barrier is due.
    fn due(&mut self) {
        self.world.env.idle += INTERVAL * 2000;
        self.world.tell(0, Event::Tick);
    }

    /// The manifest is put.
    fn land(&mut self) {
        if let Some(at) = self.put() {
            self.world.take(Next::Op(0, at));
        }
    }

    /// The next of a queue arrives.
    fn hear(&mut self, at: usize) {
        let Some((term, run)) = self.world.runs.iter_mut().next_back() else { return };
        let term = *term;
        let Some(n) = (0..run.net.len()).find(|n| run.net.nth(*n).is_some_and(|(a, _)| a == at)) else { return };
        if let Some((_, Queue::Events { to, .. })) = run.net.nth(n)
            && let Some(heard) = self.heard.get_mut(to)
        {
            *heard = mix(*heard ^ mix(at as u64 + 2));
        }
        let env = &mut self.world.env;
        if let Some((slot, report)) = run.deliver(n, 1, env)
            && let Some(worker) = self.world.workers.iter_mut().find(|w| w.has(term, slot))
        {
            worker.step(WorkerEvent::Report(term, slot, report), None, &mut self.world.runs, env);
        }
    }

    /// Slots run until they have nothing to do; sessions, storage, reports and credits answer at once, and what a slot has sent itself
    /// arrives.
    fn settle(&mut self) {
        for _ in 0..ROUNDS {
            if self.world.env.breach.is_some() || !self.settle_one() {
                return;
            }
        }
        self.world.env.broken(|| "I12: no end of what takes its straight course".into());
    }

    fn settle_one(&mut self) -> bool {
        let mut moved = self.world.env.sinks.wake();
        self.world.choices();
        let put = self.put().filter(|_| !self.straight);
        let at_once = |turn: &Next| match turn {
            Next::Down(_) | Next::Up(_) | Next::Upload(_) | Next::Register(_) | Next::Stray(_) => true,
            Next::Op(_, at) => Some(*at) != put,
            Next::Slot(..) => true,
            Next::Queue(..) | Next::Wake(_) => false,
        };
        if let Some(turn) = self.world.turns().iter().copied().find(at_once) {
            self.world.take(turn);
            return true;
        }
        let Some(run) = self.run() else { return moved };
        let queues = (0..run.net.len()).filter_map(|n| run.net.nth(n));
        let at_once = |(at, queue): &(usize, Queue)| match queue {
            Queue::Reports(_) => true,
            Queue::Events { from, to } => self.straight && !self.ends_at(*at) || from == to || is_credit(*at),
        };
        if let Some((at, _)) = queues.into_iter().find(at_once) {
            self.hear(at);
            moved = true;
        }
        moved
    }

    /// The choices begin with the next of this queue.
    fn ends_at(&self, at: usize) -> bool {
        match self.run().and_then(|r| r.net.front(at)) {
            Some(SlotEvent::Command(Command::Warm(_))) => self.until == Some(Opening::Warm),
            Some(SlotEvent::Command(Command::Cut(_))) => self.until == Some(Opening::Cut),
            Some(_) | None => false,
        }
    }

    /// The run is over: the next begins with the slots that are left, and comes to its end.
    fn over(&mut self, dies: Option<u16>, put: bool) {
        if let Some(at) = self.put()
            && let Some(manager) = self.world.managers.first_mut()
            && let (_, Io::Create { name, bytes }) = manager.ops.remove(at)
            && put
        {
            self.world.env.store.create(&name, &Arc::new(bytes));
            look_at_log(&mut self.world.env);
        }
        self.straight = true;
        let io = self.world.managers.first().map_or(0, |m| m.io);
        let away = || IoReply::Failed(Error::new(Kind::Unavailable, "the store is away"));
        match dies {
            None => self.world.tell(0, Event::Io(io, away())),
            Some(slot) => {
                self.world.worker_dies(usize::from(slot), u64::MAX);
                self.world.tell(0, Event::Disconnected(u32::from(slot)));
            }
        }
        self.world.env.idle += 2 * GONE as u64;
        self.world.tell(0, Event::Tick);
        for _ in 0..ROUNDS {
            if self.done() || self.broken().is_some() {
                break;
            }
            self.settle();
            self.readers(i64::MAX);
            self.due();
        }
        if !self.done() {
            let waits = self.world.waits();
            self.world.env.broken(|| format!("I12: the next run does not end: {}", waits.join("; ")));
        }
        if self.broken().is_none() {
            self.world.env.breach = self.world.env.sinks.judge(&self.world.env.expected).err();
        }
    }
}
