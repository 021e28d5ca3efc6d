//! Two slots, the coordinators that come and go over them, a log and a sink: the world of [`super::adopt`].
//!
//! The coordinators are the production's own, journals and log included; the slots are dolls that hear words in order, align when all who
//! take part have a barrier, and end a cut when all have heard it. Each slot has a worker of its own, which may be let go.
//!
//! Laws: barrier and cut never overlap (I9), each slot hears each word once and in its order (I4), a manifest carries the table that its
//! barrier found and the part of every slot (I2), nobody is let go whom the last manifest names as owner, whose output is not committed, or
//! who is to join (I8), and in the end nothing is open and every wish is met (I12).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use watershed_runtime::coordinator::{Coordinator, Effect, Input, NewSlot, Run, WorkerJournal};
use watershed_runtime::env::SinkHandle;
use watershed_runtime::graph::Graph;
use watershed_runtime::key::{Assignment, KeySpace, SlotId, digest};
use watershed_runtime::protocol::cut::CutPlan;
use watershed_runtime::protocol::entry::{Body, Entry};
use watershed_runtime::protocol::epoch::Pace;
use watershed_runtime::protocol::log::{LogEffect, LogWriter, Put};
use watershed_runtime::protocol::manifest::{Groups, HandleEntry, Manifest, StateFile};
use watershed_runtime::protocol::restart::Start;
use watershed_runtime::protocol::rules::RuleSet;
use watershed_runtime::slot::{Barrier, Command, EpochPart, Report};

use super::log::tail;
use super::replay::Played;

const SPACE: KeySpace = KeySpace { seed: 0, bits: 1 };
const INTERVAL: u64 = 1000;
/// Barriers that come due when nothing else can go on: time passes, whatever happens.
const PATIENCE: u64 = 4;

/// The size of a world, and the faults that may happen in it.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    /// Slots that take part at the beginning, the first ones; and over how many of them the groups are spread.
    pub(super) there: u16,
    pub(super) owners: u16,
    /// The targets, in slots, one after the other; none: the slots that are there.
    pub(super) wishes: &'static [u16],
    /// True if slots stage output.
    pub(super) sinks: bool,
    /// Barriers that may come due at any step, and deaths of a coordinator.
    pub(super) epochs: u64,
    pub(super) deaths: u8,
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
    /// Output becomes visible.
    Commit,
    /// Another number of slots is wanted.
    Wish,
    /// A worker that nobody needs is let go.
    Go(usize),
    /// The coordinator dies, and its put happens or not; another takes over.
    Death(bool),
}

/// A message to a worker.
#[derive(Debug)]
enum Word {
    Start(Box<NewSlot>),
    Tell(Command),
    Release,
}

/// A slot, as far as its coordinator can tell.
#[derive(Debug, Default)]
struct Doll {
    epoch: u64,
    version: u64,
    barrier: Option<Arc<Barrier>>,
    cut: Option<Arc<CutPlan>>,
}

/// The world.
#[derive(Debug)]
pub struct World {
    set: RuleSet,
    setting: Setting,
    coordinator: Option<Coordinator>,
    /// Of each worker; none: it has been let go.
    journals: [Option<WorkerJournal>; 2],
    words: [VecDeque<Word>; 2],
    reports: [VecDeque<Report>; 2],
    dolls: [Option<Doll>; 2],
    /// Those who take part in the epoch under way, made or not.
    crew: Vec<usize>,
    store: BTreeMap<String, Vec<u8>>,
    put: Option<(String, Vec<u8>)>,
    commit: Option<Vec<HandleEntry>>,
    visible: BTreeSet<(SlotId, u64)>,
    /// The version that each barrier found, and who aligned it.
    found: BTreeMap<u64, (u64, Vec<usize>)>,
    wished: usize,
    due: u64,
    deaths: u8,
    /// The run is over before its time.
    gone: bool,
    broken: Option<String>,
}

fn pace() -> Pace {
    Pace { interval_micros: INTERVAL, max_in_flight: 2 }
}

fn first(n: u16) -> Vec<SlotId> {
    (0..n).map(SlotId).collect()
}

fn origin(setting: &Setting) -> Start {
    let table = Assignment::even(SPACE, setting.owners);
    let manifest = Manifest::origin(1, Vec::new(), &table, first(setting.there));
    Start { took_part: vec![], manifest, table, commit: vec![], empty: vec![], dropped: vec![], finished: false }
}

impl World {
    pub(super) fn new(set: RuleSet, setting: &Setting) -> Self {
        let start = origin(setting);
        let mut store = BTreeMap::new();
        let log = claim(&mut store, set);
        let there = first(setting.there);
        let journal = |i: u16| {
            let mut journal = WorkerJournal::new(Run { term: 1, epoch: 0 }, BTreeSet::from([SlotId(i)]));
            journal.begun(SlotId(i), &start.table, &there);
            (i < setting.there).then_some(journal)
        };
        let mut coordinator = Coordinator::new(Arc::default(), log, &start, "c1", pace(), 0, set);
        let effects = coordinator.begin().unwrap_or_default();
        let mut w = Self {
            set,
            setting: setting.clone(),
            coordinator: Some(coordinator),
            journals: [journal(0), journal(1)],
            words: Default::default(),
            reports: Default::default(),
            dolls: [0, 1].map(|i| (i < setting.there).then(Doll::default)),
            crew: (0..usize::from(setting.there)).collect(),
            store,
            put: None,
            commit: None,
            visible: BTreeSet::new(),
            found: BTreeMap::new(),
            wished: 0,
            due: 0,
            deaths: 0,
            gone: false,
            broken: None,
        };
        w.obey(effects);
        w.wish();
        w
    }

    fn breaks(&mut self, what: String) {
        self.broken.get_or_insert(what);
    }

    fn wanted(&self) -> u16 {
        self.setting.wishes.get(self.wished).copied().unwrap_or(self.setting.there)
    }

    fn wish(&mut self) {
        let wanted = self.wanted();
        self.tell(if self.setting.wishes.is_empty() { Input::Tick } else { Input::want(wanted) });
    }

    /// Workers of a target are there before a coordinator hears of it.
    fn workers_come(&mut self) {
        for i in 0..self.wanted() {
            let journal = || WorkerJournal::new(Run { term: 1, epoch: 0 }, BTreeSet::from([SlotId(i)]));
            self.journals[usize::from(i)].get_or_insert_with(journal);
        }
    }

    fn tell(&mut self, input: Input) {
        let now = self.due * INTERVAL;
        if let Some(c) = &mut self.coordinator {
            let effects = c.step(input, now);
            self.obey(effects);
        }
    }

    fn obey(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Send(slot, command) => self.say(slot, Word::Tell(command)),
                Effect::Start(new) => self.say(new.id, Word::Start(Box::new(new))),
                Effect::Release(slot) => self.say(slot, Word::Release),
                Effect::Log(LogEffect::Create { name, bytes }) => self.put = Some((name, bytes)),
                Effect::Commit(handles) => self.commit = Some(handles),
                Effect::Failed(e) => self.breaks(format!("the job fails: {e}")),
                Effect::Log(LogEffect::Get { .. } | LogEffect::Published { .. }) | Effect::Published(_) | Effect::Done => {}
            }
        }
    }

    fn say(&mut self, slot: SlotId, word: Word) {
        let i = usize::from(slot.0);
        if self.journals[i].is_none() {
            return self.breaks(format!("I8: slot {i} is spoken to, but its worker was let go"));
        }
        self.words[i].push_back(word);
    }

    fn says(&mut self, i: usize, make: impl Fn() -> Report) {
        if let Some(journal) = &mut self.journals[i] {
            journal.note_report(SlotId(i as u16), &make());
        }
        self.reports[i].push_back(make());
    }

    fn word(&mut self, i: usize) {
        let Some(word) = self.words[i].pop_front() else { return };
        let Some(journal) = &mut self.journals[i] else { return };
        match word {
            Word::Start(new) => {
                journal.joined(&new);
                let doll = Doll { epoch: new.joins_at.epoch, version: new.table.version, ..Doll::default() };
                if self.dolls[i].replace(doll).is_some() {
                    self.breaks(format!("I8: slot {i} is made, but is there already"));
                }
            }
            Word::Release => {
                journal.released(SlotId(i as u16));
                self.let_go(i);
                self.dolls[i] = None;
                self.reports[i].clear();
            }
            Word::Tell(command) => {
                journal.note_command(&Graph::default(), SlotId(i as u16), &command);
                match command {
                    Command::Barrier(b) => self.barrier(i, b),
                    Command::Cut(plan) => self.cut(i, plan),
                    Command::Warm(plan) => self.says(i, || Report::Warmed(plan.batch)),
                    Command::Splits(..) | Command::EndOfSource(_) | Command::Published { .. } | Command::Forget(_) => {}
                }
            }
        }
    }

    /// I8: the last manifest does not name the slot as an owner, and all that it staged is visible.
    fn let_go(&mut self, i: usize) {
        let slot = SlotId(i as u16);
        let Some((_, last)) = tail(&self.store).last else { return };
        if last.table.runs.iter().any(|(_, owner)| *owner == slot) {
            self.breaks(format!("I8: slot {i} is let go, but the manifest of epoch {} names it as an owner", last.epoch));
        }
        if let Some(h) = last.handles.iter().find(|h| h.slot == slot && !self.visible.contains(&(slot, h.epoch))) {
            self.breaks(format!("I8: slot {i} is let go, but what it staged in epoch {} is not committed", h.epoch));
        }
    }

    fn all(&self, crew: &[usize], is: impl Fn(&Doll) -> bool) -> bool {
        crew.iter().all(|i| self.dolls[*i].as_ref().is_some_and(&is))
    }

    fn barrier(&mut self, i: usize, barrier: Arc<Barrier>) {
        let (crew, epoch) = (self.crew.clone(), barrier.epoch);
        let Some(doll) = &mut self.dolls[i] else { return };
        let (version, last) = (doll.version, doll.epoch);
        if epoch != last + 1 || doll.barrier.is_some() {
            return self.breaks(format!("I9: barrier {epoch} comes to slot {i} in epoch {}", last + 1));
        }
        doll.barrier = Some(barrier.clone());
        if self.dolls.iter().flatten().any(|d| d.cut.is_some()) {
            return self.breaks(format!("I9: barrier {epoch} comes while a cut is open"));
        }
        if self.found.entry(epoch).or_insert_with(|| (version, crew.clone())).0 != version {
            return self.breaks(format!("I4: barrier {epoch} finds two tables"));
        }
        if self.all(&crew, |d| d.barrier.as_ref().is_some_and(|b| b.epoch == epoch)) {
            if let Some(members) = &barrier.members {
                self.crew = members.iter().map(|s| usize::from(s.0)).collect();
            }
            for i in crew {
                if let Some(doll) = &mut self.dolls[i] {
                    (doll.epoch, doll.barrier) = (epoch, None);
                }
                let sinks = self.setting.sinks;
                self.says(i, || Report::Aligned(epoch));
                self.says(i, || Report::Sealed(epoch, Box::new(part(i, epoch, sinks))));
            }
        }
    }

    fn cut(&mut self, i: usize, plan: Arc<CutPlan>) {
        let crew = self.crew.clone();
        let Some(doll) = &mut self.dolls[i] else { return };
        let before = std::mem::replace(&mut doll.version, plan.version);
        doll.cut = Some(plan.clone());
        if plan.version != before + 1 {
            return self.breaks(format!("I4: slot {i} goes from version {before} to {}", plan.version));
        }
        if self.dolls.iter().flatten().any(|d| d.barrier.is_some()) {
            return self.breaks("I9: a cut comes while a barrier aligns".into());
        }
        if self.all(&crew, |d| d.cut.is_some()) {
            self.dolls.iter_mut().flatten().for_each(|d| d.cut = None);
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
        let (epoch, carried) = (manifest.epoch, manifest.table.version);
        let (version, crew) = self.found.get(&epoch).cloned().unwrap_or_default();
        if version != carried || crew.is_empty() {
            self.breaks(format!("I4: the manifest of epoch {epoch} carries version {carried}"));
        }
        for i in crew {
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
        (self.put, self.commit) = (None, None);
        self.deaths += 1;
        self.words.iter_mut().for_each(VecDeque::clear);
        self.reports.iter_mut().for_each(VecDeque::clear);
        let mut start = origin(&self.setting);
        if let Some((_, manifest)) = tail(&self.store).last {
            start.manifest = manifest;
        }
        let log = claim(&mut self.store, self.set);
        let (uid, now) = (format!("c{}", log.term()), self.due * INTERVAL);
        let journals: Vec<WorkerJournal> = self.journals.iter().flatten().cloned().collect();
        match Coordinator::adopt(Arc::default(), log, &start, &journals, &uid, pace(), now, self.set) {
            Ok((c, effects)) => {
                self.coordinator = Some(c);
                self.obey(effects);
                self.wish();
            }
            // The barrier at which it was to join is known to nobody any more: a new run begins, which is another model's matter.
            Err(_) if self.crew.iter().any(|i| self.dolls[*i].is_none()) => (self.coordinator, self.gone) = (None, true),
            Err(e) => self.breaks(format!("the slots cannot be taken over: {e}")),
        }
    }

    /// A worker may go whose slot nobody wants or needs, as the production's own coordinator process asks it.
    fn may_go(&self, i: usize) -> bool {
        let unwanted = !self.setting.wishes.is_empty() && i >= usize::from(self.wanted());
        let unneeded = || self.coordinator.as_ref().is_some_and(|c| !c.needs(|s| usize::from(s.0) == i));
        unwanted && self.journals[i].is_some() && unneeded()
    }

    /// Nothing is open, and every wish is met.
    fn over(&self) -> bool {
        let wanted = usize::from(self.wanted());
        let there = |i: usize| self.dolls[i].is_some() == (i < wanted);
        let moved = self.dolls.iter().flatten().all(|d| d.version >= 1 && d.epoch >= 1);
        (moved || !self.setting.wishes.is_empty())
            && (0..2).all(there)
            && self.coordinator.as_ref().is_some_and(|c| c.settled() && c.waiting().is_empty())
    }
}

impl Played for World {
    type Step = Step;

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
            Step::Commit => {
                let handles = self.commit.take().unwrap_or_default();
                self.visible.extend(handles.into_iter().map(|h| (h.slot, h.epoch)));
                self.tell(Input::Committed);
            }
            Step::Wish => {
                self.wished += 1;
                self.workers_come();
                self.wish();
            }
            Step::Go(i) => {
                self.let_go(i);
                (self.journals[i], self.dolls[i]) = (None, None);
                self.words[i].clear();
                self.reports[i].clear();
            }
            Step::Death(landed) => self.death(landed),
        }
    }

    fn next(&mut self) -> Vec<Step> {
        if self.gone {
            return Vec::new();
        }
        let mut all = Vec::new();
        for i in 0..2 {
            all.extend((!self.words[i].is_empty()).then_some(Step::Word(i)));
            all.extend((!self.reports[i].is_empty()).then_some(Step::Report(i)));
            all.extend(self.may_go(i).then_some(Step::Go(i)));
        }
        all.extend(self.put.is_some().then_some(Step::Store));
        all.extend(self.commit.is_some().then_some(Step::Commit));
        all.extend((self.wished + 1 < self.setting.wishes.len()).then_some(Step::Wish));
        // A barrier that nobody had heard died with its coordinator: another is due.
        let due = self.setting.epochs + u64::from(self.deaths);
        if self.due < due || all.is_empty() && !self.over() && self.due < due + PATIENCE {
            all.push(Step::Due);
        }
        if all.is_empty() {
            if !self.over() {
                let waits = self.coordinator.as_ref().map(Coordinator::waiting).unwrap_or_default();
                self.breaks(format!("I12: stuck: {}", waits.join("; ")));
            }
        } else if self.deaths < self.setting.deaths {
            all.push(Step::Death(false));
            all.extend(self.put.is_some().then_some(Step::Death(true)));
        }
        all
    }
    fn look(&self) -> u64 {
        let mut look = digest();
        look.update(format!("{self:?}").as_bytes());
        look.digest()
    }

    fn broken(&self) -> Option<String> {
        self.broken.clone()
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

fn part(i: usize, epoch: u64, sinks: bool) -> EpochPart {
    let file = StateFile {
        name: file(i, epoch),
        bytes: 1,
        from_epoch: epoch,
        to_epoch: epoch,
        entries: 1,
        level: 0,
        groups: Groups::All,
    };
    let handles = sinks.then(|| SinkHandle { sink: 0, version: 0, data: Vec::new() }).into_iter().collect();
    EpochPart { files: vec![file], changed: true, handles, ..EpochPart::default() }
}
