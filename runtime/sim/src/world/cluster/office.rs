//! A coordinator's process: who is in session with it, and what it does for its coordinator.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use watershed_runtime::coordinator::{Coordinator, Effect, Input, Run, WorkerJournal};
use watershed_runtime::error::{Error, Kind};
use watershed_runtime::graph::Graph;
use watershed_runtime::key::SlotId;
use watershed_runtime::protocol::log::{LogEffect, LogReader, LogWriter, Tail};
use watershed_runtime::protocol::manifest::Manifest;
use watershed_runtime::slot::{Command, Report};

use super::super::cover::Cover;
use super::super::process::{Ground, said};
use super::clock::Clock;
use super::ops::Ask;
use super::worker::{Order, What, Worker};

/// How far an office has come.
#[derive(Debug)]
pub(super) enum Life {
    /// It waits for workers, since this step.
    Gathering(u64),
    /// It looks for the end of the log.
    Reading(Option<LogReader>),
    /// It wants a term.
    Claiming(Box<(LogWriter, Tail)>),
    /// It coordinates.
    Running(Box<Coordinator>),
    /// The job is over; what is owed is being committed.
    Finishing,
    /// The job is over.
    Over,
    /// Somebody else has taken its place.
    Fenced,
}

/// A worker in session.
#[derive(Debug, Default)]
pub(super) struct Present {
    /// What it brought with it, and what was heard of it since.
    pub(super) journal: Option<WorkerJournal>,
    /// It has been told of the run.
    pub(super) told: bool,
    /// The session is broken, since this step.
    pub(super) gone: Option<u64>,
}

/// A coordinator's process.
#[derive(Debug)]
pub(super) struct Office {
    pub(super) number: u64,
    pub(super) life: Life,
    pub(super) crew: BTreeMap<usize, Present>,
    pub(super) ops: Vec<Ask>,
    /// The highest term it knows of.
    pub(super) era: u64,
    pub(super) run: Run,
    pub(super) graph: Option<Arc<Graph>>,
    /// Runs it has begun or taken over.
    pub(super) runs: u64,
    pub(super) asked: BTreeSet<SlotId>,
    /// Added to the coordinator's time where nothing else moves it; and what its clock makes of it.
    pub(super) idle: u64,
    pub(super) clock: Clock,
    pub(super) merging: bool,
    /// Merges so far: part of their names; and those that no manifest has named yet.
    pub(super) merges: u64,
    pub(super) young: BTreeSet<String>,
}

impl Office {
    pub(super) fn new(number: u64, era: u64, step: u64, clock: Clock) -> Self {
        Self {
            number,
            life: Life::Gathering(step),
            crew: BTreeMap::new(),
            ops: Vec::new(),
            era,
            run: Run { term: 0, epoch: 0 },
            graph: None,
            runs: 0,
            asked: BTreeSet::new(),
            idle: 0,
            clock,
            merging: false,
            merges: 0,
            young: BTreeSet::new(),
        }
    }

    /// The coordinator, if it runs a job.
    pub(super) fn coordinator(&self) -> Option<&Coordinator> {
        if let Life::Running(c) = &self.life { Some(c) } else { None }
    }

    /// What time it is to the coordinator: rows read, mostly.
    pub(super) fn now(&self, ground: &Ground) -> u64 {
        let time = ground.rows * 1000 + self.idle;
        u64::try_from(self.clock.at(i64::try_from(time).unwrap_or(i64::MAX))).unwrap_or(0)
    }

    /// A worker registers: from now on its words come here.
    pub(super) fn register(&mut self, worker: &mut Worker, ground: &mut Ground) {
        let (n, w) = (self.number, worker.number);
        ground.trace.note(22, n, w as u64, || format!("w{w}.{} registers with c{n}", worker.life));
        worker.session = Some(n);
        worker.term = worker.term.max(self.era);
        if self.crew.contains_key(&w) {
            self.lose(w, ground);
        }
        // Who comes back without its session is a newcomer to a run that goes on.
        self.crew.insert(w, Present { journal: worker.journal.clone(), told: false, gone: None });
    }

    /// Who waits for workers looks now and then whether a newer term has begun: otherwise those who have heard of it would never come (I12).
    pub(super) fn look_again(&mut self, ground: &Ground) {
        if matches!(self.life, Life::Gathering(_)) && ground.trace.steps() >= ground.down {
            self.era = self.era.max(ground.term.0);
        }
    }

    /// A worker said something.
    pub(super) fn hear(&mut self, w: usize, what: (u64, SlotId, Report), workers: &mut [Worker], ground: &mut Ground) {
        let (n, (run, slot, report)) = (self.number, what);
        ground.trace.note(23, n, u64::from(slot.0), || format!("c{n} hears of slot {} of run {run}: {}", slot.0, said(&report)));
        if matches!(self.life, Life::Running(_)) {
            if self.run.term == run {
                self.tell(Input::Slot(slot, report), workers, ground);
            }
        } else if let Some(journal) = self.crew.get_mut(&w).and_then(|p| p.journal.as_mut()).filter(|b| b.run.term == run) {
            journal.said(slot, &report);
        }
    }

    /// The coordinator is told something.
    pub(super) fn tell(&mut self, input: Input, workers: &mut [Worker], ground: &mut Ground) {
        let now = self.now(ground);
        let Life::Running(coordinator) = &mut self.life else { return };
        let effects = coordinator.step(input, now);
        let (due, latest) = (coordinator.next_due(), now + ground.plan.epoch_rows * 1000);
        // One that has just failed puts nothing off: it does nothing more.
        if due > latest && !effects.iter().any(|e| matches!(e, Effect::Failed(_))) {
            ground.broken(|| format!("I12: a barrier comes every interval, but the next one is due {} too late", due - latest));
        }
        for effect in &effects {
            if matches!(effect, Effect::Send(_, Command::Barrier(b)) if b.epoch > coordinator.last().epoch + 1) {
                ground.seen.see(Cover::EpochsOverlap);
            }
        }
        self.carry_out(effects, workers, ground);
    }

    /// In the order given.
    pub(super) fn carry_out(&mut self, effects: Vec<Effect>, workers: &mut [Worker], ground: &mut Ground) {
        for effect in effects {
            match effect {
                Effect::Send(slot, command) => self.order(slot, What::Command(slot, command), workers, ground),
                Effect::Start(new) => self.order(new.id, What::Start(new), workers, ground),
                Effect::Release(slot) => self.order(slot, What::Release(slot), workers, ground),
                Effect::Log(log) => self.ask_log(log),
                Effect::Upload(epoch, _) => ground.broken(|| format!("I5: entries of epoch {epoch} came to the coordinator")),
                Effect::Commit(handles) => self.ops.push(Ask::Commit(handles)),
                Effect::Published(manifest) => {
                    ground.seen.see(Cover::Epoch);
                    ground.epochs += 1;
                    self.keep_house(*manifest, ground);
                }
                Effect::Done => self.life = Life::Over,
                Effect::Failed(e) => self.failed(&e, ground),
            }
        }
    }

    fn failed(&mut self, e: &Error, ground: &mut Ground) {
        if e.kind() == Kind::Fenced {
            ground.seen.see(Cover::ZombieFenced);
            self.life = Life::Fenced;
        } else {
            ground.broken(|| format!("the job fails: {e}"));
        }
    }

    /// To the worker that has the slot; one without a session hears nothing, and is about to be lost.
    fn order(&mut self, slot: SlotId, what: What, workers: &mut [Worker], ground: &mut Ground) {
        self.say(usize::from(slot.0) / ground.each, what, workers);
    }

    pub(super) fn say(&mut self, w: usize, what: What, workers: &mut [Worker]) {
        let term = self.coordinator().map_or(self.era, Coordinator::term);
        let version = self.coordinator().map_or(0, |c| c.table().version);
        let order = Order { office: self.number, term, run: self.run, version, what };
        if let Some(worker) = workers.get_mut(w).filter(|w| w.session == Some(self.number)) {
            worker.orders.push_back(order);
        }
    }

    pub(super) fn ask_log(&mut self, effect: LogEffect) {
        match effect {
            LogEffect::Create { name, bytes } => self.ops.push(Ask::Create { name, bytes: Arc::new(bytes) }),
            LogEffect::Get { name } => self.ops.push(Ask::Get { name }),
            LogEffect::Published { seq } => self.ops.push(Ask::Latest(seq)),
        }
    }

    /// Who is there hears of the run under way; it begins with nothing.
    pub(super) fn welcome(&mut self, workers: &mut [Worker]) {
        let Life::Running(c) = &self.life else { return };
        let mut manifest: Manifest = c.last().clone();
        manifest.members.clear();
        let begin = Arc::new((manifest, (**c.table()).clone()));
        let new: Vec<usize> = self.crew.iter().filter(|(_, p)| !p.told && p.gone.is_none()).map(|(w, _)| *w).collect();
        for w in new {
            if let Some(p) = self.crew.get_mut(&w) {
                p.told = true;
            }
            self.say(w, What::Begin(begin.clone()), workers);
        }
    }

    /// Sessions that are broken for too long, or that belong to another process: their workers are lost, and a run with them.
    pub(super) fn look_after(&mut self, workers: &mut [Worker], patience: u64, step: u64, ground: &mut Ground) {
        let mut lost = Vec::new();
        for (w, present) in &mut self.crew {
            let Some(worker) = workers.get_mut(*w) else { continue };
            let whole = worker.session == Some(self.number) && worker.cut <= step;
            present.gone = if whole { None } else { present.gone.or(Some(step)) };
            if present.gone.is_some_and(|since| step - since > patience) {
                lost.push(*w);
                if worker.alive {
                    ground.seen.see(Cover::ThoughtLost);
                }
                // It notices when it hears of anybody again.
                if worker.session == Some(self.number) {
                    worker.hang_up(ground);
                }
            }
        }
        for w in lost {
            self.lose(w, ground);
        }
    }

    /// A worker is lost. A run in which it took part is over; one in which it had nothing goes on.
    pub(super) fn lose(&mut self, w: usize, ground: &mut Ground) {
        self.crew.remove(&w);
        self.asked.clear();
        let (n, each) = (self.number, ground.each);
        ground.trace.note(24, n, w as u64, || format!("c{n} has lost w{w}"));
        let its = |slot: SlotId| usize::from(slot.0) / each == w;
        match &mut self.life {
            Life::Running(c) => {
                c.gone(its);
                if c.needs(its) {
                    self.begin_again(ground);
                }
            }
            Life::Reading(_) | Life::Claiming(_) => ground.seen.see(Cover::LostDuringRecovery),
            Life::Gathering(_) | Life::Finishing | Life::Over | Life::Fenced => {}
        }
    }

    /// The run is over: the next one begins with whoever is there.
    fn begin_again(&mut self, ground: &mut Ground) {
        for ask in std::mem::take(&mut self.ops) {
            ask.abandoned(ground);
        }
        self.merging = false;
        for present in self.crew.values_mut() {
            present.journal = None;
            present.told = false;
        }
        self.life = Life::Gathering(0);
    }

    /// The process dies: what it has asked for may have happened, may happen later, or not at all; of what it has said a part arrives.
    pub(super) fn die(mut self, workers: &mut [Worker], ground: &mut Ground) {
        let n = self.number;
        ground.trace.note(8, n, 0, || format!("c{n} dies"));
        for ask in std::mem::take(&mut self.ops) {
            ask.abandoned(ground);
        }
        for worker in workers.iter_mut().filter(|w| w.session == Some(n)) {
            let kept = ground.rng.range(0, worker.orders.len());
            if kept < worker.orders.len() {
                ground.seen.see(Cover::OrdersLost);
                worker.orders.truncate(kept);
            }
        }
        super::super::laws::look_at_log(ground);
    }
}
