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
    /// True if the choices go on to the manifest that carries the cut; otherwise they end at the barrier before it.
    barriers: bool,
    /// The version of the table that the last manifest carried when the choices began.
    carried: u64,
    /// Barriers and rows still to come.
    dues: u64,
    rows: usize,
    /// The newest run whose readers have been told how much they may read, and how much that is.
    newest: u64,
    ration: i64,
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
    (plan.listing, plan.bias) = (1, (u16::MAX, 1));
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
        // The length of the way to a state is no part of the state.
        world.env.still = true;
        world.start_manager();
        let mut small = Self {
            world,
            barriers: dues > 0 || from == Opening::Warm,
            carried: 0,
            dues,
            rows,
            newest: 0,
            ration: 0,
            heard: [0; 2],
            straight: true,
            until: Some(from),
        };
        small.start_worker(0);
        small.start_worker(1);
        small.world.ask(0, Request::Scale(2));
        small.settle();
        // A slot joins at a barrier.
        small.due();
        small.settle();
        small.readers(1);
        small.settle();
        (small.straight, small.until) = (false, None);
        small.carried = small.last_version();
        small
    }

    /// A worker is started, and takes its place.
    fn start_worker(&mut self, w: usize) {
        if let Some(worker) = self.world.workers.get_mut(w) {
            worker.start(0, &self.world.env);
        }
        self.settle();
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

    /// The version of the table that the last manifest carries.
    fn last_version(&self) -> u64 {
        let coordinator = self.world.managers.first().and_then(|m| m.machine.coordinator());
        coordinator.map_or(0, |c| c.last().table.version)
    }

    /// Nothing is left to choose but how the run is over: a manifest carries the cut, or a barrier is there that no choice is to be about.
    fn past(&self, run: &super::cluster_run::ClusterRun) -> bool {
        let is_barrier = |at| matches!(run.net.front(at), Some(SlotEvent::Command(Command::Barrier(_))));
        let barrier = || (0..run.net.len()).filter_map(|n| run.net.nth(n)).any(|(at, _)| is_barrier(at));
        self.last_version() > self.carried || !self.barriers && barrier()
    }

    /// All that may happen.
    #[must_use]
    pub fn turns(&self) -> Vec<Turn> {
        let Some(run) = self.run().filter(|_| !self.straight && !self.done()) else { return Vec::new() };
        let mut all = Vec::new();
        let put = self.put().is_some();
        if !self.past(run) {
            all.extend((self.rows > 0 && run.readers.waiting() > 0).then_some(Turn::Row));
            all.extend((self.dues > 0).then_some(Turn::Due));
            all.extend((0..run.net.len()).filter_map(|n| run.net.nth(n)).map(|(at, _)| Turn::Hear(at)));
            all.extend(put.then_some(Turn::Put));
        }
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

    /// The end of a run that is over: from the log, the output, and what the survivors have heard. The coordinator and the dead have no
    /// part in it.
    #[must_use]
    pub fn end(&self, turn: Turn) -> Option<u64> {
        let Turn::Over { dies, put } = turn else { return None };
        let env = &self.world.env;
        let objects: Vec<_> = env.store.list("").map(|name| (name, env.store.get(name))).collect();
        let manifest = self.put().filter(|_| put).and_then(|at| self.world.managers.first()?.ops.get(at));
        let heard: Vec<u64> =
            (0..2).filter(|slot| dies != Some(*slot)).filter_map(|s| self.heard.get(usize::from(s))).copied().collect();
        let mut end = digest();
        end.update(format!("{dies:?} {heard:?} {} {objects:?} {manifest:?}", env.sinks.shown()).as_bytes());
        Some(end.digest())
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
        // A window holds more rows than there are: no slot ever waits for credits.
        if let Some((_, Queue::Events { from, to })) = run.net.nth(n)
            && from != to
            && !is_credit(at)
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
        let turns = self.world.turns().to_vec();
        self.world.env.broken(|| format!("I12: no end of what takes its straight course: {turns:?}"));
    }

    fn settle_one(&mut self) -> bool {
        if let Some((term, run)) = self.world.runs.iter().next_back().filter(|(term, _)| **term > self.newest) {
            run.readers.ration(self.ration);
            self.newest = *term;
        }
        let mut moved = self.world.env.sinks.wake();
        self.world.choices();
        let put = self.put().filter(|_| !self.straight);
        let at_once = |turn: &Next| match turn {
            Next::Down(_) | Next::Up(_) | Next::Upload(_) | Next::Stray(_) | Next::Slot(..) => true,
            Next::Op(_, at) => Some(*at) != put,
            Next::Queue(..) | Next::Wake(_) | Next::Register(_) => false,
        };
        // A manager answers a registration when it has looked at the log: until then a worker would register again and again.
        let registers = |turn: &Next| matches!(turn, Next::Register(_));
        let turns = || self.world.turns().iter().copied();
        if let Some(turn) = turns().find(at_once).or_else(|| turns().find(registers)) {
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
        (self.straight, self.ration) = (true, i64::MAX);
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
