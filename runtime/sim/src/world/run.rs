//! One run: the scheduler draws what happens next, faults and wishes come when they are due, and at the end the oracle is asked.

use watershed_runtime::coordinator::Input;
use watershed_runtime::protocol::rules::RuleSet;

use super::cover::{Cover, Covered};
use super::ending::{Ending, Endings};
use super::laws::look_at_log;
use super::net::{COORDINATOR, Queue};
use super::plan::{Fault, MAX_SLOTS, Plan, Stage, Trigger};
use super::process::{Ground, Life, Process};
use crate::jobs::JobKind;

/// Steps after which a run is not going to end.
const MAX_STEPS: u64 = 400_000;
/// Turns of the clock in which nothing moves, after which nothing will.
const MAX_IDLE: u32 = 60;

/// What a run is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// The seed.
    pub seed: u64,
    /// The job; the seed's own, if none.
    pub job: Option<JobKind>,
    /// Whether the job runs in many processes.
    pub cluster: bool,
    /// The rules that hold.
    pub rules: RuleSet,
    /// Whether the record is wanted as text.
    pub text: bool,
}

/// How a run went.
#[derive(Debug)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// The job.
    pub job: JobKind,
    /// What went wrong.
    pub breach: Option<String>,
    /// The number of the record.
    pub hash: u64,
    /// How many steps it took.
    pub steps: u64,
    /// Rows read, those read again included.
    pub rows: u64,
    /// Manifests published.
    pub epochs: u64,
    /// Faults that happened.
    pub faults: u64,
    /// Wishes for another number of slots.
    pub rescales: u64,
    /// What it came across.
    pub seen: Covered,
    /// The record, if it was wanted.
    pub lines: Vec<String>,
}

impl Outcome {
    /// A run that did not come to its end.
    #[must_use]
    pub fn lost(wanted: &Wanted, breach: String) -> Self {
        let kind = Plan::new(wanted.seed, wanted.job).kind;
        Self {
            seed: wanted.seed,
            job: kind,
            breach: Some(breach),
            hash: 0,
            steps: 0,
            rows: 0,
            epochs: 0,
            faults: 0,
            rescales: 0,
            seen: Covered::default(),
            lines: Vec::new(),
        }
    }
}

/// A run under way.
#[derive(Debug)]
struct World {
    ground: Ground,
    /// The newest last.
    processes: Vec<Process>,
    started: u64,
    /// When the oldest of two processes dies for good.
    doomed: u64,
    wishes: Vec<(Trigger, u16)>,
    endings: Endings,
    faults: Vec<(Trigger, Fault)>,
    happened: u64,
    idle: u32,
    last_rows: u64,
}

/// Runs a seed to its end.
#[must_use]
pub fn run(wanted: &Wanted) -> Outcome {
    if wanted.cluster {
        return super::cluster::run(wanted);
    }
    let plan = Plan::new(wanted.seed, wanted.job);
    let ground = Ground::new(plan, wanted.rules, wanted.text);
    let (wishes, faults) = (ground.plan.wishes.clone(), ground.plan.faults.clone());
    let mut world = World {
        endings: Endings::new(&ground.plan),
        ground,
        processes: Vec::new(),
        started: 0,
        doomed: 0,
        wishes,
        faults,
        happened: 0,
        idle: 0,
        last_rows: 0,
    };
    if world.ground.plan.one_frame() {
        world.ground.seen.see(Cover::OneFrame);
    }
    world.start();
    while world.ground.breach.is_none() && !world.over() {
        world.step();
        if world.ground.trace.steps() > MAX_STEPS {
            world.ground.broken(|| format!("I12: no end after {MAX_STEPS} steps"));
        }
    }
    world.finish()
}

impl World {
    fn start(&mut self) {
        match Process::new(self.started, &self.ground) {
            Ok(p) => self.processes.push(p),
            Err(e) => self.ground.broken(|| format!("the job cannot be built: {e}")),
        }
        self.started += 1;
    }

    fn over(&self) -> bool {
        let over = |p: &Process| matches!(p.life, Life::Over);
        let stopped = self.newest_over() && !self.ground.finished && self.ground.stops > 0;
        !stopped && self.processes.iter().all(|p| over(p) || matches!(p.life, Life::Fenced)) && self.processes.iter().any(over)
    }

    fn finish(mut self) -> Outcome {
        for p in &mut self.processes {
            p.look_at_slots(&mut self.ground);
        }
        if self.ground.breach.is_none() && !self.processes.iter().any(|p| matches!(p.life, Life::Over)) {
            self.ground.broken(|| "I10: every process was replaced by another".into());
        }
        self.ground.judge();
        if self.ground.sinks.again() > 0 {
            self.ground.seen.see(Cover::CommitAgain);
        }
        let rows = self.ground.rows + self.processes.iter().map(|p| p.readers.rows()).sum::<u64>();
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

    fn step(&mut self) {
        self.ground.now += self.ground.rng.below(50) as i64;
        self.due();
        if self.processes.len() > 1 && (self.ground.trace.steps() >= self.doomed || self.newest_over()) {
            let old = self.processes.remove(0);
            self.bury(old);
        }
        if self.newest_over() && !self.ground.finished && self.ground.stops > 0 {
            // It was stopped: somebody starts it again.
            self.ground.seen.see(Cover::Stopped);
            for p in std::mem::take(&mut self.processes) {
                self.bury(p);
            }
            self.start();
        }
        if self.processes.iter().all(|p| matches!(p.life, Life::Fenced)) {
            // Whoever fenced them is gone: somebody starts the job again.
            for p in std::mem::take(&mut self.processes) {
                self.bury(p);
            }
            self.start();
        }
        let (n, first) = (self.processes.len(), self.ground.rng.below(self.processes.len()));
        let (before, after) = self.processes.split_at_mut(first.min(n));
        let moved = after.iter_mut().chain(before).any(|p| p.turn(&mut self.ground));
        if let Some(breach) = self.ground.sinks.breach() {
            self.ground.broken(|| breach);
        }
        if moved {
            return;
        }
        // Nothing can run: time passes, whoever waits is woken.
        let mut any = false;
        for p in &mut self.processes {
            any |= p.stir(&mut self.ground);
        }
        if self.ground.store.has_late() {
            self.settle();
        }
        let rows: u64 = self.processes.iter().map(|p| p.readers.rows()).sum::<u64>() + self.ground.epochs;
        self.idle = if any || rows != self.last_rows { 0 } else { self.idle + 1 };
        self.last_rows = rows;
        if self.idle > MAX_IDLE {
            let waits: Vec<String> = self.processes.iter().flat_map(Process::waits).collect();
            self.ground.broken(|| format!("I12: nothing moves; {}", waits.join("; ")));
        }
    }

    fn newest_over(&self) -> bool {
        self.processes.last().is_some_and(|p| matches!(p.life, Life::Over))
    }

    fn settle(&mut self) {
        let at = self.ground.rng.below(self.ground.store.late());
        self.ground.store.settle(at);
        self.ground.seen.see(Cover::LatePut);
        self.ground.trace.note(7, at as u64, 0, || "store: a late put happens".into());
        look_at_log(&mut self.ground);
    }

    fn bury(&mut self, mut process: Process) {
        process.look_at_slots(&mut self.ground);
        self.ground.trace.note(8, process.number, 0, || format!("p{} dies", process.number));
        process.die(&mut self.ground);
    }

    /// Faults and wishes whose time has come.
    fn due(&mut self) {
        let rows = self.ground.rows + self.processes.iter().map(|p| p.readers.rows()).sum::<u64>();
        self.end(rows);
        if self.ground.store.has_late() && self.ground.rng.chance(1, 500) {
            self.settle();
        }
        if let Some(at) = self.faults.iter().position(|(t, _)| self.is_due(*t, rows)) {
            if self.ground.rng.chance(1, 6) {
                let (_, fault) = self.faults.swap_remove(at);
                self.happen(fault);
            }
        } else if let Some(at) = self.wishes.iter().position(|(t, _)| self.is_due(*t, rows))
            && let Some(p) = self.processes.last_mut()
            && matches!(p.life, Life::Running(_))
        {
            let (_, n) = self.wishes.swap_remove(at);
            self.ground.rescales += 1;
            self.ground.trace.note(9, u64::from(n), 0, || format!("{n} slots are wanted"));
            p.tell(Input::want(n), &mut self.ground);
        }
    }

    /// A stop or a drain whose time has come.
    fn end(&mut self, rows: u64) {
        let Some(p) = self.processes.last().filter(|p| matches!(p.life, Life::Running(_))) else { return };
        let (who, moving) = ((p.number, 0), p.stage(Stage::Warming) || p.stage(Stage::Fenced) || p.stage(Stage::Joining));
        let due = |t: Trigger| match t {
            Trigger::Rows(n) => rows >= n,
            Trigger::During(stage, n) => rows >= n || p.stage(stage),
        };
        let Some(ending) = self.endings.next(who, due, &mut self.ground) else { return };
        if let (Ending::Drain(_), true) = (ending, moving) {
            self.ground.seen.see(Cover::DrainMoving);
        }
        let input = if ending == Ending::Stop { Input::Stop } else { Input::Drain };
        if let Some(p) = self.processes.last_mut() {
            p.tell(input, &mut self.ground);
        }
    }

    fn is_due(&self, trigger: Trigger, rows: u64) -> bool {
        match trigger {
            Trigger::Rows(n) => rows >= n,
            Trigger::During(stage, n) => rows >= n || self.processes.last().is_some_and(|p| p.stage(stage)),
        }
    }

    fn happen(&mut self, fault: Fault) {
        let steps = self.ground.trace.steps();
        self.happened += 1;
        self.ground.trace.note(10, steps, 0, || format!("fault: {fault:?}"));
        match fault {
            Fault::Crash => {
                self.note_crash();
                for p in std::mem::take(&mut self.processes) {
                    self.bury(p);
                }
                self.start();
            }
            Fault::Zombie(steps_left) => {
                while self.processes.len() > 1 {
                    let old = self.processes.remove(0);
                    self.bury(old);
                }
                self.doomed = steps + u64::from(steps_left);
                self.ground.seen.see(Cover::TwoCoordinators);
                self.start();
            }
            Fault::StoreDown(n) => self.ground.down = steps + u64::from(n),
            Fault::StoreLies(n) => self.ground.lies = steps + u64::from(n),
            Fault::Stall(to, from, n) => {
                let (to, from) = (usize::from(to) % usize::from(MAX_SLOTS), usize::from(from) % (COORDINATOR + 1));
                self.ground.stall = Some((from, to, steps + u64::from(n)));
            }
            Fault::Clock(by) => {
                self.ground.now = self.ground.now.saturating_add(by).max(0);
                self.ground.seen.see(Cover::ClockJump);
            }
        }
    }

    /// In what the process is interrupted.
    fn note_crash(&mut self) {
        let Some(p) = self.processes.last() else { return };
        self.endings.note_crash(p.number, &mut self.ground);
        let all = [
            (Stage::Starting, Cover::CrashStarting),
            (Stage::Warming, Cover::CrashWarming),
            (Stage::Fenced, Cover::CrashFenced),
            (Stage::Final, Cover::CrashFinal),
            (Stage::Cut, Cover::CrashCut),
            (Stage::Joining, Cover::CrashJoining),
            (Stage::Leaving, Cover::CrashLeaving),
            (Stage::Aligning, Cover::CrashAligning),
            (Stage::Uploading, Cover::CrashUploading),
            (Stage::Publishing, Cover::CrashPublishing),
            (Stage::Committing, Cover::CrashCommitting),
        ];
        let mut some = false;
        for (stage, cover) in all {
            if p.stage(stage) {
                self.ground.seen.see(cover);
                some = true;
            }
        }
        if !some {
            self.ground.seen.see(Cover::CrashElsewhere);
        }
    }
}

impl Process {
    /// Draws what happens next and lets it happen. False if nothing can.
    fn turn(&mut self, ground: &mut Ground) -> bool {
        let (runnable, slots) = self.runnable(ground.now);
        let (queues, ops) = (self.net.len(), self.ops.len());
        let wakers = usize::from(self.readers.waiting() > 0) + usize::from(ground.sinks.waiting());
        let all = slots + queues + ops + wakers;
        if slots + queues + ops == 0 {
            return false;
        }
        if ground.rng.chance(1, 50) {
            ground.trace.note(11, self.number, 0, || format!("p{} ticks", self.number));
            self.tell(Input::Tick, ground);
        }
        let draw = ground.rng.below(all);
        if draw < slots {
            let at = runnable.get(draw).copied().unwrap_or(0);
            let (who, how) = ground.plan.bias;
            if usize::from(who) != at || slots == 1 || ground.rng.chance(1, how) {
                self.run_slot(at, ground);
            }
        } else if draw < slots + queues {
            let n = draw - slots;
            if !self.stalled(n, ground) || all == 1 {
                let burst = ground.rng.range(1, ground.plan.burst);
                self.deliver(n, burst, ground);
            }
        } else if draw < slots + queues + ops {
            self.progress(draw - slots - queues, ground);
        } else {
            self.stir_one(ground);
        }
        true
    }

    fn stalled(&self, n: usize, ground: &mut Ground) -> bool {
        let Some((from, to, until)) = ground.stall else { return false };
        if ground.trace.steps() >= until {
            ground.stall = None;
            return false;
        }
        let stalls = matches!(self.net.nth(n), Some((_, Queue::Events { from: f, to: t })) if (f, t) == (from, to));
        if stalls {
            ground.seen.see(if from == COORDINATOR { Cover::StallCoordinator } else { Cover::Stall });
            ground.trace.note(12, n as u64, 0, || "a queue stalls".into());
        }
        stalls
    }

    fn stir_one(&mut self, ground: &mut Ground) {
        ground.trace.note(13, self.number, 0, || format!("p{} somebody is woken", self.number));
        self.readers.wake_one(&mut ground.rng);
        if ground.rng.chance(1, 3) {
            ground.sinks.wake();
        }
        self.look_at_gate(ground);
    }

    /// Nothing can run: time passes for the coordinator, and everybody who waits is woken. Whether somebody was.
    fn stir(&mut self, ground: &mut Ground) -> bool {
        self.look_at_gate(ground);
        let mut any = ground.sinks.wake();
        while self.readers.waiting() > 0 {
            self.readers.wake_one(&mut ground.rng);
            any |= !self.readers.gated();
        }
        let timeouts = self.hosts.iter().flatten().filter_map(|h| h.timeout).min();
        ground.now = timeouts.map_or(ground.now, |t| t.max(ground.now));
        self.idle += ground.plan.epoch_rows * 1000;
        ground.trace.note(14, self.number, 0, || format!("p{} time passes", self.number));
        self.tell(Input::Tick, ground);
        any
    }

    /// A late row waits: has event time passed everywhere? Only a moment without a cut counts.
    fn look_at_gate(&mut self, ground: &mut Ground) {
        let Life::Running(c) = &self.life else { return };
        if !self.readers.gated() || !self.marks.open.is_empty() || self.marks.aligning > 0 {
            return;
        }
        let graph = self.graph.clone();
        let mut floor = watershed_runtime::time::Time::MAX;
        for host in self.hosts.iter_mut().enumerate().filter(|(i, _)| c.members().iter().any(|m| usize::from(m.0) == *i)) {
            let Some(host) = host.1 else { return };
            for (node, stats) in graph.nodes().iter().zip(host.slot.stats()) {
                if matches!(node.role, watershed_runtime::graph::Role::Operator { keyed: true, .. }) {
                    floor = floor.min(stats.watermark);
                }
            }
        }
        ground.seen.see(Cover::Gate);
        ground.trace.note(15, self.number, 0, || format!("p{} event time is {} everywhere", self.number, floor.0));
        self.readers.passed(floor);
    }

    fn waits(&self) -> Vec<String> {
        let mut all = match &self.life {
            Life::Running(c) => c.waiting(),
            Life::Reading(_) => vec!["the log is being read".into()],
            Life::Claiming(_) => vec!["a term is being claimed".into()],
            Life::Finishing => vec!["output is owed".into()],
            Life::Over | Life::Fenced => Vec::new(),
        };
        for (i, host) in self.hosts.iter().enumerate() {
            if let Some(h) = host {
                all.extend(h.slot.waiting().into_iter().map(|w| format!("slot {i}: {w}")));
            }
        }
        all
    }
}
