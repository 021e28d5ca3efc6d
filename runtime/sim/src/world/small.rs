//! Two slots and one cut, small enough that every order can be tried: what [`crate::model::recover`] explores.
//!
//! Slots, coordinator, files and sinks are those of the simulator. What is left to choose is the order in which slots hear their coordinator and each
//! other, when a row is read, when a barrier is due, when a manifest is put, and when somebody dies. The rest takes its straight course after each
//! choice: slots run until they have nothing to do, credits and reports arrive at once, files and commits take no time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use watershed_runtime::coordinator::{Coordinator, Effect, Input};
use watershed_runtime::error::Result;
use watershed_runtime::graph::Graph;
use watershed_runtime::key::{Assignment, Key, KeySpace, SlotId, digest};
use watershed_runtime::protocol::epoch::Pace;
use watershed_runtime::protocol::gc::object;
use watershed_runtime::protocol::log::{LogEffect, LogReader, LogWriter, Put, Tail};
use watershed_runtime::protocol::manifest::{Groups, StateFile};
use watershed_runtime::protocol::restart::{Job, replan, start};
use watershed_runtime::protocol::rules::RuleSet;
use watershed_runtime::slot::{Command, Event, Kept, Tuning};
use watershed_runtime::state::EncodedRun;
use watershed_runtime::state::snapshot::{FileInfo, write_file};

use super::super::laws::look_at_log;
use super::super::net::{Queue, is_credit};
use super::super::plan::Plan;
use super::super::process::Ground;
use super::super::rng::mix;
use super::super::start::SPACE;
use super::super::store::Bytes;
use super::band::Band;
use crate::jobs::JobKind;
use crate::jobs::input::Input as Rows;

/// Rows of a run.
const ROWS: usize = 3;
/// Time from one barrier to the next.
const INTERVAL: u64 = 1000;
/// Rounds after which a run that takes its straight course is not going to end.
const ROUNDS: usize = 2000;

/// Where the choices begin. Up to there everything takes its straight course, with one row read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// The batch is about to be warmed up.
    Warm,
    /// It is warm, and about to be cut.
    Cut,
}

/// What may happen.
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
        /// Who dies.
        dies: Option<u16>,
        /// Whether the put happens.
        put: bool,
    },
}

/// Two slots and one cut.
#[derive(Debug)]
pub struct Small {
    ground: Ground,
    band: Band,
    coordinator: Option<Coordinator>,
    put: Option<(String, Bytes)>,
    now: u64,
    /// Barriers and rows still to come.
    dues: u64,
    rows: usize,
    /// What each slot has heard, in its order: from that all else follows.
    heard: [u64; 2],
    /// It takes its straight course; up to a word of the coordinator that is not heard yet.
    straight: bool,
    until: Option<Opening>,
    done: bool,
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
    plan
}

impl Small {
    /// Both slots take part and the first has everything: half of it moves.
    #[must_use]
    pub fn new(plan: &Plan, rules: RuleSet, from: Opening, rows: usize, dues: u64) -> Self {
        let ground = Ground::new(plan.clone(), rules, false);
        let band = Band::new(0, &ground).expect("the job can be built");
        let mut small = Self {
            ground,
            band,
            coordinator: None,
            put: None,
            now: 0,
            dues,
            rows,
            heard: [0; 2],
            straight: true,
            until: Some(from),
            done: false,
        };
        small.begin_with(BTreeSet::from([SlotId(0), SlotId(1)]), BTreeMap::new());
        small.band.readers.ration(1);
        small.band.stir(true, &mut small.ground);
        small.settle();
        (small.straight, small.until) = (false, None);
        small
    }

    /// The law that is broken.
    #[must_use]
    pub fn broken(&self) -> Option<String> {
        self.ground.breach.clone().or_else(|| self.ground.sinks.breach())
    }

    /// All that may happen.
    #[must_use]
    pub fn turns(&self) -> Vec<Turn> {
        if self.straight || self.done {
            return Vec::new();
        }
        let mut all = Vec::new();
        all.extend((self.rows > 0 && self.band.readers.waiting() > 0).then_some(Turn::Row));
        all.extend((self.dues > 0).then_some(Turn::Due));
        all.extend((0..self.band.net.len()).filter_map(|n| self.band.net.nth(n)).map(|(at, _)| Turn::Hear(at)));
        all.extend(self.put.is_some().then_some(Turn::Put));
        for dies in [None, Some(0), Some(1)] {
            all.push(Turn::Over { dies, put: false });
            all.extend(self.put.is_some().then_some(Turn::Over { dies, put: true }));
        }
        all
    }

    /// It happens.
    pub fn turn(&mut self, turn: Turn) {
        match turn {
            Turn::Row => {
                self.rows -= 1;
                self.heard.iter_mut().for_each(|h| *h = mix(*h ^ 1));
                self.band.readers.ration(1);
                self.band.stir(true, &mut self.ground);
            }
            Turn::Due => {
                self.dues -= 1;
                self.now += INTERVAL;
                self.tell(Input::Tick);
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
        let put = self.put.as_ref().map(|(name, _)| name);
        let all = (&self.coordinator, put, self.now, self.dues, self.rows, self.heard, self.straight, self.done);
        let mut look = digest();
        look.update(format!("{all:?}").as_bytes());
        look.digest()
    }

    /// The slots that are there begin from the end of the log.
    fn begin_with(&mut self, slots: BTreeSet<SlotId>, kept: BTreeMap<SlotId, Kept>) {
        if let Err(e) = self.begin(slots, kept) {
            self.ground.broken(|| format!("the run does not begin: {e}"));
        }
    }

    fn begin(&mut self, slots: BTreeSet<SlotId>, mut kept: BTreeMap<SlotId, Kept>) -> Result<()> {
        let tail = self.tail()?;
        let mut log = LogWriter::new(&tail, self.ground.rules);
        if let LogEffect::Create { name, bytes } = log.claim(&format!("term {}", tail.next))? {
            self.ground.store.create(&name, &Arc::new(bytes));
            let _claimed = log.put(Put::Created)?;
        }
        let mut band = Band::new(log.term(), &self.ground)?;
        band.readers.ration(if self.until.is_none() { i64::MAX } else { 0 });
        let mut fresh = Assignment::even(SPACE, 1);
        if !slots.contains(&SlotId(0)) {
            replan(&mut fresh, &slots);
            fresh.version = 0;
        }
        let job = Job { fingerprint: 1, graph: band.graph.shape()?.nodes, fresh, slots, may_drop: BTreeSet::new() };
        let begun = start(&tail, &job)?;
        for id in &begun.manifest.members {
            band.begin(*id, kept.remove(id), &begun.manifest, &begun.table, &mut self.ground)?;
        }
        let pace = Pace { interval_micros: INTERVAL, max_in_flight: 2 };
        let (graph, uid) = (band.graph.clone(), format!("c{}", log.term()));
        let mut c = Coordinator::new(graph.clone(), log, &begun, &uid, pace, self.now, self.ground.rules);
        let effects = c.begin()?;
        (self.band, self.coordinator) = (band, Some(c));
        if begun.finished {
            self.commit(begun.commit);
            self.done = true;
            return Ok(());
        }
        self.obey(effects);
        self.discover(&graph)
    }

    fn tail(&self) -> Result<Tail> {
        let (mut reader, mut effect) = LogReader::new(None);
        loop {
            let LogEffect::Get { name } = &effect else { return Ok(Tail::default()) };
            match reader.got(self.ground.store.get(name).as_ref().map(|b| b.as_slice()))? {
                Ok(tail) => return Ok(tail),
                Err(next) => effect = next,
            }
        }
    }

    fn discover(&mut self, graph: &Graph) -> Result<()> {
        for (node, _, source) in graph.sources() {
            self.tell(Input::Discovered(node, source.discover()?));
        }
        Ok(())
    }

    fn tell(&mut self, input: Input) {
        let Some(c) = &mut self.coordinator else { return };
        let effects = c.step(input, self.now);
        self.obey(effects);
    }

    fn obey(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Send(slot, command) => self.band.command(slot, command, &mut self.ground),
                Effect::Log(LogEffect::Create { name, bytes }) => self.put = Some((name, Arc::new(bytes))),
                Effect::Upload(epoch, runs) => match self.state_file(epoch, &runs) {
                    Ok(file) => self.tell(Input::Uploaded(epoch, Some(file))),
                    Err(e) => self.ground.broken(|| format!("a state file cannot be written: {e}")),
                },
                Effect::Commit(handles) => {
                    self.commit(handles);
                    self.tell(Input::Committed);
                }
                Effect::Done => self.done = true,
                Effect::Failed(e) => self.ground.broken(|| format!("the job fails: {e}")),
                Effect::Start(_) | Effect::Release(_) => self.ground.broken(|| "nobody is to come or to go".into()),
                Effect::Log(LogEffect::Get { .. } | LogEffect::Published { .. }) | Effect::Published(_) => {}
            }
        }
    }

    fn commit(&mut self, handles: Vec<watershed_runtime::protocol::manifest::HandleEntry>) {
        handles.iter().for_each(|h| self.ground.sinks.commit_handle(&h.handle, &self.ground.expected));
    }

    fn state_file(&mut self, epoch: u64, runs: &[(u64, EncodedRun)]) -> Result<StateFile> {
        let nodes = self.band.graph.shape()?.nodes;
        let tables = nodes.into_iter().flat_map(|n| n.states.into_iter().map(move |s| (n.id.table(&s.name), s))).collect();
        let KeySpace { bits, .. } = SPACE;
        let bytes = write_file(FileInfo { bits, from_epoch: epoch, to_epoch: epoch, level: 0, tables }, runs)?;
        let name = object("state/delta", (self.band.term, epoch), "small");
        let entries = runs.iter().map(|(_, r)| r.len() as u64).sum();
        let (size, groups) = (bytes.len() as u64, Groups::All);
        let file = StateFile { name, bytes: size, from_epoch: epoch, to_epoch: epoch, entries, level: 0, groups };
        self.ground.store.create(&file.name, &Arc::new(bytes));
        Ok(file)
    }

    /// The manifest is put.
    fn land(&mut self) {
        if let Some((name, bytes)) = self.put.take() {
            self.ground.store.create(&name, &bytes);
            look_at_log(&mut self.ground);
            self.tell(Input::LogPut(Put::Created));
        }
    }

    /// The next of a queue arrives.
    fn hear(&mut self, at: usize) {
        let Some(n) = (0..self.band.net.len()).find(|n| self.band.net.nth(*n).is_some_and(|(a, _)| a == at)) else { return };
        let Some((_, queue)) = self.band.net.nth(n) else { return };
        if let Queue::Events { to, .. } = queue
            && let Some(heard) = self.heard.get_mut(to)
        {
            *heard = mix(*heard ^ mix(at as u64 + 2));
        }
        if let Some((slot, report)) = self.band.deliver(n, 1, &mut self.ground) {
            self.band.heard(slot, &report, &mut self.ground);
            self.tell(Input::Slot(slot, report));
        }
    }

    /// Slots run until they have nothing to do; reports and credits arrive, and what a slot has sent itself.
    fn settle(&mut self) {
        for _ in 0..ROUNDS {
            let mut moved = self.ground.sinks.wake();
            for at in 0..2 {
                while self.band.hosts.get(at).and_then(Option::as_ref).is_some_and(|h| h.wants(self.ground.now)) {
                    self.band.run_slot(at, &mut self.ground);
                    moved = true;
                }
            }
            let queues = (0..self.band.net.len()).filter_map(|n| self.band.net.nth(n));
            let at_once = |(at, queue): &(usize, Queue)| match queue {
                Queue::Reports(_) => true,
                Queue::Events { from, to } => self.straight && !self.ends_at(*at) || from == to || is_credit(*at),
            };
            match queues.into_iter().find(at_once) {
                Some((at, _)) => self.hear(at),
                None if !moved => return,
                None => {}
            }
            if self.ground.breach.is_some() {
                return;
            }
        }
        self.ground.broken(|| "I12: no end of what takes its straight course".into());
    }

    /// The choices begin with the next of this queue.
    fn ends_at(&self, at: usize) -> bool {
        match self.band.net.front(at) {
            Some(Event::Command(Command::Warm(_))) => self.until == Some(Opening::Warm),
            Some(Event::Command(Command::Cut(_))) => self.until == Some(Opening::Cut),
            Some(_) | None => false,
        }
    }

    /// The run is over: the next begins with whoever is left, and comes to its end.
    fn over(&mut self, dies: Option<u16>, put: bool) {
        if let Some((name, bytes)) = self.put.take().filter(|_| put) {
            self.ground.store.create(&name, &bytes);
            look_at_log(&mut self.ground);
        }
        self.straight = true;
        let left: BTreeSet<SlotId> = (0..2).filter(|s| Some(*s) != dies).map(SlotId).collect();
        let mut kept = BTreeMap::new();
        for slot in (0..2).map(SlotId) {
            let lost = self.band.lose(slot, &mut self.ground);
            kept.extend(lost.filter(|_| left.contains(&slot)).and_then(|s| Some((slot, s.keep()?))));
        }
        self.done = false;
        self.begin_with(left, kept);
        for _ in 0..ROUNDS {
            if self.done || self.broken().is_some() {
                break;
            }
            self.settle();
            self.band.stir(true, &mut self.ground);
            self.land();
            self.now += INTERVAL;
            self.tell(Input::Tick);
        }
        if !self.done {
            let waits = self.coordinator.as_ref().map(Coordinator::waiting).unwrap_or_default();
            self.ground.broken(|| format!("I12: the next run does not end: {}", waits.join("; ")));
        }
        if self.ground.breach.is_none() {
            self.ground.breach = self.ground.sinks.judge(&self.ground.expected).err();
        }
    }
}
