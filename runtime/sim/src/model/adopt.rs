//! A coordinator that dies at any step between two slots, one cut and some epochs, and a successor that takes the slots over.
//!
//! The coordinators are the production's own, books and log included; the slots are dolls that hear words in order, align when both have a
//! barrier, and end a cut when both have heard it. What must hold: barrier and cut never overlap (I9), each slot hears each word once and in its order
//! (I4), a manifest carries the table that its barrier found and the part of every slot (I2), and in the end nothing is open (I12).
//!
//! A coordinator cannot be compared or copied, so a state is the steps that lead to it, and two states are the same if everything in them
//! reads the same.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use stateright::{Model, Property};
use watershed_runtime::coordinator::{Book, Coordinator, Effect, Input, Run};
use watershed_runtime::graph::Graph;
use watershed_runtime::key::{Assignment, KeySpace, SlotId, digest};
use watershed_runtime::protocol::cut::CutPlan;
use watershed_runtime::protocol::entry::{Body, Entry};
use watershed_runtime::protocol::epoch::Pace;
use watershed_runtime::protocol::log::{LogEffect, LogWriter, Put};
use watershed_runtime::protocol::manifest::{Groups, Manifest, StateFile};
use watershed_runtime::protocol::restart::Start;
use watershed_runtime::protocol::rules::{RuleSet, Rules};
use watershed_runtime::slot::{Command, EpochPart, Report};

use super::log::tail;
use super::run::Checked;

/// Two slots, so many epochs and so many deaths of a coordinator.
#[derive(Clone, Debug)]
pub struct AdoptModel {
    set: RuleSet,
    epochs: u64,
    deaths: u8,
}

impl AdoptModel {
    /// Under these rules.
    #[must_use]
    pub fn new(epochs: u64, deaths: u8, rules: Rules) -> Self {
        Self { set: RuleSet::new(rules), epochs, deaths }
    }
}

/// A step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A slot hears its next word.
    Word(usize),
    /// The coordinator hears a slot's next report.
    Report(usize),
    /// A barrier is due.
    Due,
    /// The store takes the put and answers.
    Store,
    /// The coordinator dies, and its put happens or not; another takes over.
    Death(bool),
}

/// A state: how it came about, and what it looks like.
#[derive(Clone, Debug)]
pub struct State {
    steps: Vec<Step>,
    look: u64,
    next: Vec<Step>,
    broken: Option<String>,
}

impl Hash for State {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.look.hash(state);
    }
}

impl PartialEq for State {
    fn eq(&self, other: &Self) -> bool {
        self.look == other.look
    }
}

#[derive(Debug, Default)]
struct Doll {
    epoch: u64,
    version: u64,
    barrier: Option<u64>,
    cut: Option<Arc<CutPlan>>,
}

#[derive(Debug)]
struct World {
    set: RuleSet,
    coordinator: Option<Coordinator>,
    books: [Book; 2],
    words: [VecDeque<Command>; 2],
    reports: [VecDeque<Report>; 2],
    dolls: [Doll; 2],
    store: BTreeMap<String, Vec<u8>>,
    put: Option<(String, Vec<u8>)>,
    /// The version that each barrier found.
    found: BTreeMap<u64, u64>,
    due: u64,
    deaths: u8,
    broken: Option<String>,
}

const SPACE: KeySpace = KeySpace { seed: 0, bits: 1 };

fn pace() -> Pace {
    Pace { interval_micros: 1000, max_in_flight: 2 }
}

fn both() -> Vec<SlotId> {
    vec![SlotId(0), SlotId(1)]
}

fn origin() -> Start {
    // Both take part, one has everything: half of it is to move.
    let table = Assignment::even(SPACE, 1);
    let manifest = Manifest::origin(1, Vec::new(), &table, both());
    Start { took_part: vec![], manifest, table, commit: vec![], empty: vec![], dropped: vec![], finished: false }
}

impl World {
    fn new(set: RuleSet) -> Self {
        let start = origin();
        let mut store = BTreeMap::new();
        let log = claim(&mut store, set);
        let mut book = Book::new(Run { term: 1, epoch: 0 }, both().into_iter().collect());
        let books = [0, 1].map(|i| {
            book.slots.clear();
            book.begun(SlotId(i), &start.table, &both());
            book.clone()
        });
        let mut coordinator = Coordinator::new(Arc::default(), log, &start, "c1", pace(), 0, set);
        let effects = coordinator.begin().unwrap_or_default();
        let mut w = Self {
            set,
            coordinator: Some(coordinator),
            books,
            words: Default::default(),
            reports: Default::default(),
            dolls: Default::default(),
            store,
            put: None,
            found: BTreeMap::new(),
            due: 0,
            deaths: 0,
            broken: None,
        };
        w.obey(effects);
        w.tell(Input::Tick);
        w
    }

    fn breaks(&mut self, what: String) {
        self.broken.get_or_insert(what);
    }

    fn tell(&mut self, input: Input) {
        let now = self.due * 1000;
        if let Some(c) = &mut self.coordinator {
            let effects = c.step(input, now);
            self.obey(effects);
        }
    }

    fn obey(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Send(slot, command) => self.words[usize::from(slot.0)].push_back(command),
                Effect::Log(LogEffect::Create { name, bytes }) => self.put = Some((name, bytes)),
                Effect::Failed(e) => self.breaks(format!("the job fails: {e}")),
                Effect::Log(LogEffect::Get { .. } | LogEffect::Published { .. })
                | Effect::Start(_)
                | Effect::Release(_)
                | Effect::Upload(..)
                | Effect::Commit(_)
                | Effect::Published(_)
                | Effect::Done => {}
            }
        }
    }

    fn says(&mut self, i: usize, make: impl Fn() -> Report) {
        self.books[i].said(SlotId(i as u16), &make());
        self.reports[i].push_back(make());
    }

    fn word(&mut self, i: usize) {
        let Some(command) = self.words[i].pop_front() else { return };
        self.books[i].told(&Graph::default(), SlotId(i as u16), &command);
        match command {
            Command::Barrier(b) => self.barrier(i, b.epoch),
            Command::Cut(plan) => self.cut(i, plan),
            Command::Warm(plan) => self.says(i, || Report::Warmed(plan.batch)),
            Command::Splits(..) | Command::EndOfSource(_) | Command::Published { .. } | Command::Forget(_) => {}
        }
    }

    fn barrier(&mut self, i: usize, epoch: u64) {
        let (version, last) = (self.dolls[i].version, self.dolls[i].epoch);
        if epoch != last + 1 || self.dolls[i].barrier.is_some() {
            return self.breaks(format!("I9: barrier {epoch} comes to slot {i} in epoch {}", last + 1));
        }
        if self.dolls.iter().any(|d| d.cut.is_some()) {
            return self.breaks(format!("I9: barrier {epoch} comes while a cut is open"));
        }
        if *self.found.entry(epoch).or_insert(version) != version {
            return self.breaks(format!("I4: barrier {epoch} finds two tables"));
        }
        self.dolls[i].barrier = Some(epoch);
        if self.dolls.iter().all(|d| d.barrier == Some(epoch)) {
            for i in 0..2 {
                (self.dolls[i].epoch, self.dolls[i].barrier) = (epoch, None);
                self.says(i, || Report::Aligned(epoch));
                self.says(i, || Report::Sealed(epoch, Box::new(part(i, epoch))));
            }
        }
    }

    fn cut(&mut self, i: usize, plan: Arc<CutPlan>) {
        if plan.version != self.dolls[i].version + 1 {
            return self.breaks(format!("I4: slot {i} goes from version {} to {}", self.dolls[i].version, plan.version));
        }
        if self.dolls.iter().any(|d| d.barrier.is_some()) {
            return self.breaks("I9: a cut comes while a barrier aligns".into());
        }
        self.dolls[i].version = plan.version;
        self.dolls[i].cut = Some(plan.clone());
        if self.dolls.iter().all(|d| d.cut.is_some()) {
            self.dolls.iter_mut().for_each(|d| d.cut = None);
            self.says(usize::from(plan.target.0), || Report::Active(plan.batch));
        }
    }

    /// The put happens: what it says is checked.
    fn land(&mut self) {
        let Some((name, bytes)) = self.put.take() else { return };
        let seq = self.store.len() as u64;
        let Ok(Entry { body: Body::Epoch { manifest }, .. }) = Entry::decode(seq, &bytes) else {
            return self.breaks("I10: not the next entry of the log".into());
        };
        let epoch = manifest.epoch;
        if self.found.get(&epoch) != Some(&manifest.table.version) {
            self.breaks(format!("I4: the manifest of epoch {epoch} carries version {}", manifest.table.version));
        }
        for i in 0..2 {
            if !manifest.files.iter().any(|f| f.name == file(i, epoch)) {
                self.breaks(format!("I2: the manifest of epoch {epoch} lacks the part of slot {i}"));
            }
        }
        self.store.insert(name, bytes);
    }

    fn death(&mut self, landed: bool) {
        if landed {
            self.land();
        }
        self.put = None;
        self.deaths += 1;
        self.words.iter_mut().for_each(VecDeque::clear);
        self.reports.iter_mut().for_each(VecDeque::clear);
        let found = tail(&self.store);
        let mut start = origin();
        if let Some((_, manifest)) = found.last {
            start.manifest = manifest;
        }
        let log = claim(&mut self.store, self.set);
        let (uid, now) = (format!("c{}", log.term()), self.due * 1000);
        match Coordinator::adopt(Arc::default(), log, &start, &self.books, &uid, pace(), now, self.set) {
            Ok((c, effects)) => {
                self.coordinator = Some(c);
                self.obey(effects);
                self.tell(Input::Tick);
            }
            Err(e) => self.breaks(format!("the slots cannot be taken over: {e}")),
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Word(i) => self.word(i),
            Step::Report(i) => {
                if let Some(report) = self.reports[i].pop_front() {
                    self.tell(Input::Slot(SlotId(i as u16), report));
                }
            }
            Step::Due => {
                self.due += 1;
                self.tell(Input::Tick);
            }
            Step::Store => {
                self.land();
                self.tell(Input::LogPut(Put::Created));
            }
            Step::Death(landed) => self.death(landed),
        }
    }

    fn next(&mut self, model: &AdoptModel) -> Vec<Step> {
        let mut all = Vec::new();
        for i in 0..2 {
            all.extend((!self.words[i].is_empty()).then_some(Step::Word(i)));
            all.extend((!self.reports[i].is_empty()).then_some(Step::Report(i)));
        }
        all.extend(self.put.is_some().then_some(Step::Store));
        // A barrier that nobody had heard died with its coordinator: another is due.
        if self.due < model.epochs + u64::from(self.deaths) {
            all.push(Step::Due);
        }
        if all.is_empty() {
            let waits = self.coordinator.as_ref().map(Coordinator::waiting).unwrap_or_default();
            let moved = self.dolls.iter().all(|d| d.version == 1 && d.epoch >= 1);
            if !waits.is_empty() || !moved {
                self.breaks(format!("I12: stuck: {}", waits.join("; ")));
            }
        } else if self.deaths < model.deaths {
            all.push(Step::Death(false));
            all.extend(self.put.is_some().then_some(Step::Death(true)));
        }
        all
    }
}

fn claim(store: &mut BTreeMap<String, Vec<u8>>, set: RuleSet) -> LogWriter {
    let mut log = LogWriter::new(&tail(store), set);
    if let Ok(LogEffect::Create { name, bytes }) = log.claim(&format!("t{}", store.len())) {
        store.insert(name, bytes);
        let _claimed = log.put(Put::Created);
    }
    log
}

fn file(i: usize, epoch: u64) -> String {
    format!("state/delta/1-{epoch}-{i}")
}

fn part(i: usize, epoch: u64) -> EpochPart {
    let file = StateFile {
        name: file(i, epoch),
        bytes: 1,
        from_epoch: epoch,
        to_epoch: epoch,
        entries: 1,
        level: 0,
        groups: Groups::All,
    };
    EpochPart { files: vec![file], changed: true, ..EpochPart::default() }
}

impl AdoptModel {
    fn at(&self, steps: Vec<Step>) -> State {
        let mut world = World::new(self.set);
        for step in &steps {
            world.take(*step);
        }
        let next = world.next(self);
        let mut look = digest();
        look.update(format!("{world:?}").as_bytes());
        let next = if world.broken.is_some() { Vec::new() } else { next };
        State { steps, look: look.digest(), next, broken: world.broken }
    }
}

impl Model for AdoptModel {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        vec![self.at(Vec::new())]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Step>) {
        actions.extend(&state.next);
    }

    fn next_state(&self, state: &State, step: Step) -> Option<State> {
        let mut steps = state.steps.clone();
        steps.push(step);
        Some(self.at(steps))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![Property::always("every law holds", |_: &Self, s: &State| s.broken.is_none())]
    }
}

impl Checked for AdoptModel {
    fn broken(&self, state: &State) -> Option<String> {
        state.broken.clone()
    }
}
