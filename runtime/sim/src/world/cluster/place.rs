//! One run of a job in many processes: what happens next is drawn; faults and wishes come when they are due; at the end the oracle is asked.

mod faults;

use watershed_runtime::coordinator::Input;
use watershed_runtime::key::SlotId;

use super::super::cover::Cover;
use super::super::ending::{Ending, Endings};
use super::super::laws::{let_go, look_at_log};
use super::super::net::Queue;
use super::super::plan::{Plan as JobPlan, Stage, Trigger};
use super::super::process::Ground;
use super::super::run::{Outcome, Wanted};
use super::clock::Clock;
use super::office::{Life, Office};
use super::ops::Ask;
use super::plan::{Fault, Plan};
use super::worker::{Bands, Worker};
use crate::jobs::JobKind;

/// Steps after which a run is not going to end.
const MAX_STEPS: u64 = 600_000;
/// Turns of the clock in which nothing moves, after which nothing will.
const MAX_IDLE: u32 = 5000;

/// What may happen next.
#[derive(Clone, Copy, Debug)]
enum Turn {
    /// A slot runs: its run, its number.
    Slot(u64, usize),
    /// A queue between slots is heard.
    Queue(u64, usize),
    /// A worker hears its coordinator.
    Order(usize),
    /// A worker hears a word of a session that is over.
    Stray(usize),
    /// A coordinator hears a worker.
    Report(usize),
    /// A file gets on.
    Upload(usize),
    /// A question of an office gets on.
    Op(usize, usize),
    /// Somebody is woken.
    Wake(u64),
    /// A worker without a session looks for an office.
    Register(usize),
}

/// The world.
struct Place {
    ground: Ground,
    plan: Plan,
    workers: Vec<Worker>,
    bands: Bands,
    /// The newest last.
    offices: Vec<Office>,
    started: u64,
    wanted: u32,
    wishes: Vec<(Trigger, u32)>,
    endings: Endings,
    faults: Vec<(Trigger, Fault)>,
    happened: u64,
    /// Rows read by bands that are gone.
    gone_rows: u64,
    idle: u32,
    last: u64,
    turns: Vec<Turn>,
}

/// Runs a seed to its end.
pub(in super::super) fn run(wanted: &Wanted) -> Outcome {
    let mut job = JobPlan::new(wanted.seed, wanted.job);
    if job.kind == JobKind::Late {
        // Its late rows wait until event time has passed in one process.
        job = JobPlan::new(wanted.seed, Some(JobKind::Cascade));
    }
    let plan = Plan::new(wanted.seed, job.total(), job.listing > 1);
    let mut ground = Ground::new(job, wanted.rules, wanted.text);
    ground.each = plan.each;
    ground.clocks = (0..plan.workers()).map(|_| Clock::any(&mut ground.rng)).collect();
    let mut place = Place {
        workers: (0..plan.workers()).map(Worker::new).collect(),
        wanted: (plan.slots / plan.each) as u32,
        wishes: plan.wishes.clone(),
        endings: Endings::new(&ground.plan),
        faults: plan.faults.clone(),
        bands: Bands::new(),
        offices: Vec::new(),
        started: 0,
        happened: 0,
        gone_rows: 0,
        idle: 0,
        last: 0,
        turns: Vec::new(),
        ground,
        plan,
    };
    if place.ground.plan.one_frame() {
        place.ground.seen.see(Cover::OneFrame);
    }
    place.start_office();
    while place.ground.breach.is_none() && !place.over() {
        place.step();
        if place.ground.trace.steps() > MAX_STEPS {
            place.ground.broken(|| format!("I12: no end after {MAX_STEPS} steps"));
        }
    }
    place.finish()
}

impl Place {
    fn start_office(&mut self) {
        let (n, era, step) = (self.started, self.ground.term.0, self.ground.trace.steps());
        self.ground.trace.note(27, n, 0, || format!("c{n} is started"));
        let clock = Clock::any(&mut self.ground.rng);
        self.offices.push(Office::new(n, era, step, clock));
        self.started += 1;
    }

    fn over(&self) -> bool {
        self.offices.iter().any(|o| matches!(o.life, Life::Over)) && (self.ground.finished || self.ground.stops == 0)
    }

    fn finish(mut self) -> Outcome {
        for worker in &mut self.workers {
            worker.die(&mut self.bands, &mut self.ground);
        }
        look_at_log(&mut self.ground);
        self.ground.judge();
        if self.ground.sinks.again() > 0 {
            self.ground.seen.see(Cover::CommitAgain);
        }
        let rows = self.rows();
        let g = self.ground;
        Outcome {
            seed: g.plan.seed,
            job: g.plan.kind,
            breach: g.breach,
            hash: g.trace.hash(),
            steps: g.trace.steps(),
            rows,
            epochs: g.epochs,
            faults: self.happened,
            rescales: g.rescales,
            seen: g.seen,
            lines: g.trace.into_lines(),
        }
    }

    fn rows(&self) -> u64 {
        self.gone_rows + self.bands.values().map(|b| b.readers.rows()).sum::<u64>()
    }

    fn step(&mut self) {
        self.ground.now += self.ground.rng.below(50) as i64;
        self.ground.rows = self.rows();
        self.due();
        self.look_after();
        self.choices();
        let draw = self.ground.rng.below(self.turns.len().max(1));
        if let Some(turn) = self.turns.get(draw).copied() {
            if self.ground.rng.chance(1, 50) {
                self.tick(0);
            }
            self.take(turn);
        }
        if let Some(breach) = self.ground.sinks.breach() {
            self.ground.broken(|| breach);
        }
        if self.turns.iter().any(|t| !matches!(t, Turn::Wake(_) | Turn::Stray(_))) {
            self.idle = 0;
            return;
        }
        self.time_passes();
    }

    /// Nothing can run: whoever waits is woken.
    fn time_passes(&mut self) {
        let mut any = false;
        for band in self.bands.values_mut() {
            any |= band.stir(true, &mut self.ground);
        }
        let timeouts = self.bands.values().flat_map(|b| b.hosts.iter().flatten().filter_map(|h| h.timeout)).min();
        self.ground.now = timeouts.map_or(self.ground.now, |t| t.max(self.ground.now));
        let by = self.ground.plan.epoch_rows * 1000;
        self.tick(by);
        self.ground.trace.note(14, 0, 0, || "time passes".into());
        if self.ground.store.has_late() {
            self.settle();
        }
        let now = self.rows() + self.ground.epochs;
        self.idle = if any || now != self.last { 0 } else { self.idle + 1 };
        self.last = now;
        if self.idle > MAX_IDLE + (self.plan.patience + self.plan.gather) as u32 * 2 {
            let waits: Vec<String> = self.waits();
            self.ground.broken(|| format!("I12: nothing moves; {}", waits.join("; ")));
        }
    }

    fn tick(&mut self, by: u64) {
        for office in &mut self.offices {
            office.idle += by;
            office.tell(Input::Tick, &mut self.workers, &mut self.ground);
        }
    }

    /// Everything that can happen now.
    fn choices(&mut self) {
        let (now, step) = (self.ground.now, self.ground.trace.steps());
        let turns = &mut self.turns;
        turns.clear();
        for (run, band) in &self.bands {
            let wants = |(i, h): (usize, &Option<_>)| Self::wants(h, now).then_some(Turn::Slot(*run, i));
            turns.extend(band.hosts.iter().enumerate().filter_map(wants));
            turns.extend((0..band.net.len()).filter(|n| band.hears(*n)).map(|n| Turn::Queue(*run, n)));
            if band.readers.waiting() > 0 || self.ground.sinks.waiting() {
                turns.push(Turn::Wake(*run));
            }
        }
        for (w, worker) in self.workers.iter().enumerate().filter(|(_, w)| w.alive) {
            turns.extend((!worker.uploads.is_empty()).then_some(Turn::Upload(w)));
            turns.extend((!worker.strays.is_empty()).then_some(Turn::Stray(w)));
            if worker.cut > step {
                continue;
            }
            turns.extend((!worker.orders.is_empty()).then_some(Turn::Order(w)));
            let office = self.offices.iter().any(|o| Some(o.number) == worker.session);
            turns.extend((office && !worker.reports.is_empty()).then_some(Turn::Report(w)));
            turns.extend((!office && !self.offices.is_empty()).then_some(Turn::Register(w)));
        }
        for (o, office) in self.offices.iter().enumerate() {
            turns.extend((0..office.ops.len()).map(|i| Turn::Op(o, i)));
        }
    }

    fn wants(host: &Option<super::super::process::Host>, now: i64) -> bool {
        host.as_ref().is_some_and(|h| h.wants(now))
    }

    fn take(&mut self, turn: Turn) {
        let (ground, workers, bands) = (&mut self.ground, &mut self.workers, &mut self.bands);
        match turn {
            Turn::Slot(run, at) => {
                if let Some(band) = bands.get_mut(&run) {
                    band.run_slot(at, ground);
                }
            }
            Turn::Queue(run, n) => {
                let burst = ground.rng.range(1, ground.plan.burst);
                let Some(band) = bands.get_mut(&run) else { return };
                if stalled(band.net.nth(n).map(|(_, q)| q), ground) {
                    return;
                }
                if let Some((slot, report)) = band.deliver(n, burst, ground)
                    && let Some(worker) = workers.get_mut(usize::from(slot.0) / ground.each)
                {
                    worker.said(run, slot, report, bands, ground);
                }
            }
            Turn::Order(w) => {
                if let Some(worker) = workers.get_mut(w) {
                    worker.hear(bands, ground);
                }
            }
            Turn::Stray(w) => {
                if let Some(worker) = workers.get_mut(w) {
                    worker.stray(bands, ground);
                }
            }
            Turn::Report(w) => {
                let Some((worker, report)) = workers.get_mut(w).and_then(|w| Some((w.session, w.reports.pop_front()?))) else {
                    return;
                };
                if let Some(office) = self.offices.iter_mut().find(|o| Some(o.number) == worker) {
                    office.hear(w, report, workers, ground);
                }
            }
            Turn::Upload(w) => {
                if let Some(worker) = workers.get_mut(w)
                    && ground.trace.steps() >= ground.down
                {
                    let at = ground.rng.below(worker.uploads.len());
                    worker.progress(at, bands, ground);
                } else {
                    ground.trace.note(4, w as u64, 0, || "store: down".into());
                }
            }
            Turn::Op(o, at) => {
                if let Some(office) = self.offices.get_mut(o) {
                    office.progress(at, workers, bands, ground);
                }
            }
            Turn::Wake(run) => {
                ground.trace.note(13, run, 0, || "somebody is woken".into());
                if let Some(band) = bands.get_mut(&run) {
                    band.stir(false, ground);
                }
            }
            Turn::Register(w) => self.register(w),
        }
    }

    /// A worker finds the newest office, mostly; none that is older than what it has heard.
    fn register(&mut self, w: usize) {
        let (n, newest) = (self.ground.rng.below(self.offices.len()), self.ground.rng.chance(3, 4));
        let at = if newest { self.offices.len().saturating_sub(1) } else { n };
        let (Some(worker), Some(office)) = (self.workers.get_mut(w), self.offices.get_mut(at)) else { return };
        if matches!(office.life, Life::Over | Life::Fenced | Life::Finishing) || office.era < worker.term {
            self.ground.trace.note(28, w as u64, 0, || "an office is too old".into());
            return office.look_again(&self.ground);
        }
        worker.hang_up(&mut self.ground);
        office.register(worker, &mut self.ground);
    }

    /// What processes do by themselves as time goes by.
    fn look_after(&mut self) {
        let step = self.ground.trace.steps();
        self.bury();
        let wanted = self.wanted as usize;
        // Whom a worker is in session with lets it go: of two coordinators the newer one may know nothing of a run begun without it.
        let free = |worker: &Worker, offices: &[Office], each: usize| {
            let c = offices.iter().find(|o| Some(o.number) == worker.session).and_then(Office::coordinator);
            c.is_some_and(|c| !c.needs(|s| usize::from(s.0) / each == worker.number))
        };
        for w in 0..self.workers.len() {
            let each = self.ground.each;
            let Some(worker) = self.workers.get_mut(w) else { continue };
            if worker.alive && w >= wanted && free(worker, &self.offices, each) {
                let run = self.offices.iter().find(|o| Some(o.number) == worker.session).map_or(0, |o| o.run.term);
                (w * each..(w + 1) * each).for_each(|s| let_go(run, SlotId(s as u16), &mut self.ground));
                worker.die(&mut self.bands, &mut self.ground);
            } else if !worker.alive && w < wanted && worker.back <= step {
                worker.start();
                if let Some(clock) = self.ground.clocks.get_mut(w) {
                    *clock = Clock::any(&mut self.ground.rng);
                }
            }
        }
        for office in &mut self.offices {
            office.look_after(&mut self.workers, self.plan.patience, step, &mut self.ground);
            office.welcome(&mut self.workers);
            let here = office.crew.values().filter(|p| p.gone.is_none()).count();
            if let Life::Gathering(since) = office.life {
                let alive = self.workers.iter().filter(|w| w.alive).count();
                if here > 0 && (here >= alive || step - since > self.plan.gather) {
                    office.gathered();
                }
            }
        }
        self.follow_the_wish();
        let Self { bands, gone_rows, workers, offices, .. } = self;
        bands.retain(|run, band| {
            let used = !band.empty()
                || offices.iter().any(|o| o.run.term == *run && o.coordinator().is_some())
                || workers.iter().any(|w| w.book.as_ref().is_some_and(|b| b.run.term == *run));
            if !used {
                *gone_rows += band.readers.rows();
            }
            used
        });
        if self.bands.values().filter(|b| !b.empty()).count() > 1 {
            self.ground.seen.see(Cover::OldRun);
        }
        let with = |o: &Office| self.workers.iter().any(|w| w.session == Some(o.number));
        if self.offices.iter().filter(|o| o.coordinator().is_some() && with(o)).count() > 1 {
            self.ground.seen.see(Cover::Rivals);
        }
    }

    /// Offices that were replaced go; one is always there.
    fn bury(&mut self) {
        while let Some(at) = self.offices.iter().position(|o| matches!(o.life, Life::Over)) {
            // It was stopped: whoever hears of it lets go, and everybody is started again.
            let office = self.offices.remove(at);
            self.ground.seen.see(Cover::Stopped);
            let told: Vec<usize> = self.workers.iter().filter(|w| w.session == Some(office.number)).map(|w| w.number).collect();
            told.into_iter().for_each(|w| self.worker_dies(w, 0));
            office.die(&mut self.workers, &mut self.ground);
        }
        while let Some(at) = self.offices.iter().position(|o| matches!(o.life, Life::Fenced)) {
            let office = self.offices.remove(at);
            office.die(&mut self.workers, &mut self.ground);
        }
        // Whom every worker has passed by does not count as one that is there.
        let term = self.ground.term.0;
        if self.offices.iter().all(|o| o.coordinator().is_some() && o.era < term) {
            self.start_office();
        }
    }

    /// The slots of the workers that are wanted, once all of these are there.
    fn follow_the_wish(&mut self) {
        let (each, wanted) = (self.ground.each, self.wanted as usize);
        for office in &mut self.offices {
            let told = (0..wanted).all(|w| office.crew.get(&w).is_some_and(|p| p.told && p.gone.is_none()));
            let slots = (0..wanted * each).map(|s| SlotId(s as u16)).collect();
            if told && office.asked != slots && office.coordinator().is_some() {
                office.asked.clone_from(&slots);
                office.tell(Input::Want(slots), &mut self.workers, &mut self.ground);
            }
        }
    }

    fn settle(&mut self) {
        let at = self.ground.rng.below(self.ground.store.late());
        self.ground.store.settle(at);
        self.ground.seen.see(Cover::LatePut);
        self.ground.trace.note(7, at as u64, 0, || "store: a late put happens".into());
        look_at_log(&mut self.ground);
    }

    /// In what a worker is interrupted.
    fn note_worker(&mut self) {
        let all = [
            (Stage::Warming, Cover::WorkerWarming),
            (Stage::Fenced, Cover::WorkerFenced),
            (Stage::Final, Cover::WorkerFinal),
            (Stage::Cut, Cover::WorkerCut),
            (Stage::Joining, Cover::WorkerJoining),
            (Stage::Leaving, Cover::WorkerLeaving),
            (Stage::Aligning, Cover::WorkerAligning),
            (Stage::Uploading, Cover::WorkerUploading),
        ];
        let seen: Vec<Cover> = all.into_iter().filter(|(s, _)| self.stage(*s)).map(|(_, c)| c).collect();
        if seen.is_empty() {
            self.ground.seen.see(Cover::WorkerElsewhere);
        }
        seen.into_iter().for_each(|c| self.ground.seen.see(c));
    }

    fn waits(&self) -> Vec<String> {
        let office = |o: &Office| match &o.life {
            Life::Running(c) => c.waiting().into_iter().map(|w| format!("c{}: {w}", o.number)).collect(),
            Life::Gathering(_) => vec![format!("c{} waits for workers", o.number)],
            Life::Reading(_) | Life::Claiming(_) => vec![format!("c{} begins", o.number)],
            Life::Finishing | Life::Over | Life::Fenced => Vec::new(),
        };
        self.offices.iter().flat_map(office).chain(self.bands.values().flat_map(|b| b.waits())).collect()
    }
}

/// Whether nothing passes on this queue now.
fn stalled(queue: Option<Queue>, ground: &mut Ground) -> bool {
    let Some((from, to, until)) = ground.stall else { return false };
    if ground.trace.steps() >= until {
        ground.stall = None;
        return false;
    }
    let stalls = matches!(queue, Some(Queue::Events { from: f, to: t }) if (f, t) == (from, to));
    if stalls {
        ground.seen.see(Cover::Stall);
        ground.trace.note(12, from as u64, to as u64, || "a queue stalls".into());
    }
    stalls
}
