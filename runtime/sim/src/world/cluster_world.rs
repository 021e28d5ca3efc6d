//! The world of one run: what happens next is drawn; faults and wishes come when they are due; at the end the oracle is asked.
//!
//! A job in many processes has workers and managers that come and go one by one. A job in one process has a manager and a worker that share
//! their fate. Both are this world, and the machines in it are those of the production.

use watershed_cluster::{Event, Io, Outcome as JobOutcome, Request, Target, WorkerEvent};
use watershed_runtime::protocol::named::{FOLDER, NamedSnapshot};

use super::clock::Clock;
use super::cluster_run::ClusterRun;
use super::cover::Cover;
use super::ending::Endings;
use super::env::SimEnv;
use super::fault_plan::{Fault, Setting};
use super::laws::look_at_log;
use super::manager::SimManager;
use super::net::{COORDINATOR, Queue};
use super::outcome::{Outcome, Wanted};
use super::plan::{Plan, Trigger};
use super::session::Session;
use super::worker::{ClusterRuns, SimWorker};
use crate::jobs::JobKind;

/// Steps after which a run is not going to end.
const MAX_STEPS: u64 = 600_000;
/// Turns of the clock in which nothing moves, after which nothing will.
const MAX_IDLE: u32 = 8000;
/// A worker gives a sign of life every so many steps.
const HEARTBEAT: u64 = 16;
/// A user looks every so many steps whether the job waits for memory.
const MEMORY: u64 = 20_000;
/// Tickets of registrations that nobody stands behind.
pub(super) const GHOST: u64 = 1 << 63;

/// One step that the scheduler may take next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// A slot runs: its run, its number.
    Slot(u64, usize),
    /// A queue between slots is heard.
    Queue(u64, usize),
    /// A worker hears its manager.
    Down(usize),
    /// A worker hears a message of a session that is over.
    Stray(usize),
    /// A manager hears a worker.
    Up(usize),
    /// A file gets on.
    Upload(usize),
    /// A question of a manager gets on.
    Op(usize, usize),
    /// A source or a sink wakes what waits for it.
    Wake(u64),
    /// A worker without a session looks for a manager.
    Register(usize),
}

/// The world.
pub(super) struct ClusterWorld {
    pub(super) env: SimEnv,
    pub(super) setting: Setting,
    pub(super) workers: Vec<SimWorker>,
    pub(super) runs: ClusterRuns,
    /// The newest last.
    pub(super) managers: Vec<SimManager>,
    pub(super) started: u64,
    /// Workers that are wanted, where a job runs in many processes.
    pub(super) wanted: u32,
    pub(super) wishes: Vec<(Trigger, u32)>,
    pub(super) endings: Endings,
    pub(super) faults: Vec<(Trigger, Fault)>,
    pub(super) happened: u64,
    /// Sessions so far.
    pub(super) sessions: u64,
    /// At this step a user looks whether the job waits for memory.
    asks_memory: u64,
    /// Rows read by runs that are gone.
    gone_rows: u64,
    idle: u32,
    last: u64,
    turns: Vec<Turn>,
}

/// Runs a seed to its end.
pub(super) fn run(wanted: &Wanted) -> Outcome {
    let mut plan = Plan::new(wanted.seed, wanted.job);
    if wanted.cluster && plan.kind == JobKind::Late {
        // The late rows of this job wait until event time has passed everywhere in one process.
        plan = Plan::new(wanted.seed, Some(JobKind::Cascade));
    }
    let setting = if wanted.cluster { Setting::many(&plan) } else { Setting::one(&plan) };
    let mut world = ClusterWorld::new(SimEnv::new(plan, wanted.rules, wanted.text), setting);
    world.start_manager();
    while world.env.breach.is_none() && !world.over() {
        world.step();
        if world.env.trace.steps() > MAX_STEPS {
            let waits = world.waits().join("; ");
            world.env.broken(|| format!("I12: no end after {MAX_STEPS} steps: {waits}"));
        }
    }
    world.finish()
}

impl ClusterWorld {
    pub(super) fn new(mut env: SimEnv, setting: Setting) -> Self {
        env.each = setting.each;
        env.clocks = (0..setting.most()).map(|_| Clock::any(&mut env.rng)).collect();
        if env.plan.one_frame() {
            env.seen.see(Cover::OneFrame);
        }
        let leave = setting.patience.leave;
        Self {
            workers: (0..setting.most()).map(|n| SimWorker::new(n as u32, None, leave, &env)).collect(),
            wanted: setting.workers,
            wishes: setting.wishes.clone(),
            endings: Endings::new(&env.plan),
            faults: setting.faults.clone(),
            runs: ClusterRuns::new(),
            managers: Vec::new(),
            started: 0,
            happened: 0,
            sessions: 0,
            asks_memory: MEMORY,
            gone_rows: 0,
            idle: 0,
            last: 0,
            turns: Vec::new(),
            env,
            setting,
        }
    }

    /// Starts a manager, and its worker where they share their fate.
    pub(super) fn start_manager(&mut self) {
        let n = self.started;
        self.env.trace.note(27, n, 0, || format!("m{n} is started"));
        let slots = self.env.plan.slots.get(n as usize % 16).copied().unwrap_or(1);
        let target = if self.setting.shared { Target::Slots(slots) } else { Target::Workers(self.wanted) };
        match SimManager::new(n, target, &self.setting, &mut self.env) {
            Ok(manager) => self.managers.push(manager),
            Err(e) => self.env.broken(|| format!("a manager cannot be made: {e}")),
        }
        if self.setting.shared {
            self.workers.push(SimWorker::new(0, Some(n), self.setting.patience.leave, &self.env));
        }
        self.started += 1;
    }

    /// A job that was stopped is started again: what its last manifest owes is committed then at the latest.
    fn over(&self) -> bool {
        let over = |m: &SimManager| matches!(m.end, Some(Ok(JobOutcome::Finished | JobOutcome::AlreadyFinished)));
        self.managers.iter().any(over)
    }

    fn finish(mut self) -> Outcome {
        for worker in &mut self.workers {
            worker.die(&mut self.runs, &mut self.env);
        }
        look_at_log(&mut self.env);
        self.look_at_snapshots();
        self.env.judge();
        if self.env.sinks.again() > 0 {
            self.env.seen.see(Cover::CommitAgain);
        }
        let rows = self.rows();
        let g = self.env;
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

    /// I14: whatever a named snapshot names is there. I12: nobody waits for one for ever.
    fn look_at_snapshots(&mut self) {
        let objects: Vec<String> = self.env.store.list(FOLDER).map(str::to_owned).collect();
        for object in objects {
            self.env.seen.see(Cover::Named);
            let Some(bytes) = self.env.store.get(&object) else { continue };
            let files = match NamedSnapshot::decode(&object, &bytes) {
                Ok(snapshot) => snapshot.manifest.files,
                Err(e) => return self.env.broken(|| format!("I5: {e}")),
            };
            let missing = self.env.store.missing(files.iter().map(|f| f.name.as_str())).first().map(|f| (*f).to_owned());
            if let Some(file) = missing {
                self.env.broken(|| format!("I14: {object} names {file}, which is not there"));
            }
        }
        for manager in &self.managers {
            let asked = manager.ops.iter().any(|(_, io)| matches!(io, Io::Name { .. }));
            if manager.over() && !asked && !manager.waited.is_empty() {
                self.env.broken(|| "I12: a user waits for a snapshot when the job is over".into());
            }
        }
    }

    pub(super) fn rows(&self) -> u64 {
        self.gone_rows + self.runs.values().map(|b| b.readers.rows()).sum::<u64>()
    }

    fn step(&mut self) {
        self.env.now += self.env.rng.below(50) as i64;
        self.env.rows = self.rows();
        self.due();
        self.look_after();
        self.choices();
        let draw = self.env.rng.below(self.turns.len().max(1));
        if let Some(turn) = self.turns.get(draw).copied() {
            if self.env.rng.chance(1, 25) {
                self.tick();
            }
            self.take(turn);
        }
        if let Some(breach) = self.env.sinks.breach() {
            self.env.broken(|| breach);
        }
        if self.turns.iter().any(|t| !matches!(t, Turn::Wake(_) | Turn::Stray(_))) {
            self.idle = 0;
            return;
        }
        self.time_passes();
    }

    /// Nothing can run: whatever waits is woken.
    fn time_passes(&mut self) {
        let mut any = false;
        for run in self.runs.values_mut() {
            any |= run.stir(true, &mut self.env);
        }
        self.look_at_gates();
        let timeouts = self.runs.values().flat_map(|b| b.slots.iter().flatten().filter_map(|h| h.timeout)).min();
        self.env.now = timeouts.map_or(self.env.now, |t| t.max(self.env.now));
        self.heartbeats();
        // So little that nobody is taken for lost by it.
        self.env.idle += (self.setting.patience.gone / 2).max(1) as u64;
        self.env.trace.note(14, 0, 0, || "time passes".into());
        self.tick();
        if self.env.store.has_late() {
            self.settle();
        }
        let now = self.rows() + self.env.epochs;
        self.idle = if any || now != self.last { 0 } else { self.idle + 1 };
        self.last = now;
        if self.idle > MAX_IDLE {
            let waits: Vec<String> = self.waits();
            self.env.broken(|| format!("I12: nothing moves; {}", waits.join("; ")));
        }
    }

    fn look_at_gates(&mut self) {
        for manager in &self.managers {
            let Some(running) = manager.machine.running() else { continue };
            if let Some(run) = self.runs.get_mut(&running.run.term) {
                run.look_at_gate(&running.coordinator, &mut self.env);
            }
        }
    }

    fn tick(&mut self) {
        for m in 0..self.managers.len() {
            self.tell(m, Event::Tick);
        }
    }

    /// Steps that were possible when [`Self::choices`] ran last.
    pub(super) fn turns(&self) -> &[Turn] {
        &self.turns
    }

    /// Everything that can happen now.
    pub(super) fn choices(&mut self) {
        let (now, step) = (self.env.now, self.env.trace.steps());
        let mut turns = std::mem::take(&mut self.turns);
        turns.clear();
        for (term, run) in &self.runs {
            let wants = |(i, s): (usize, &Option<super::slot::SimSlot>)| {
                s.as_ref().is_some_and(|s| s.wants(now)).then_some(Turn::Slot(*term, i))
            };
            turns.extend(run.slots.iter().enumerate().filter_map(wants));
            turns.extend((0..run.net.len()).filter(|n| run.hears(*n)).map(|n| Turn::Queue(*term, n)));
            if run.readers.waiting() > 0 || self.env.sinks.waiting() {
                turns.push(Turn::Wake(*term));
            }
        }
        for (w, worker) in self.workers.iter().enumerate().filter(|(_, w)| w.alive) {
            turns.extend((!worker.uploads.is_empty()).then_some(Turn::Upload(w)));
            turns.extend((!worker.strays.is_empty()).then_some(Turn::Stray(w)));
            if worker.cut > step {
                continue;
            }
            let there = |s: &Session| self.managers.iter().any(|m| m.number == s.manager && !m.over());
            match &worker.session {
                Some(session) => {
                    let (there, (down, up)) = (there(session), session.under_way());
                    turns.extend(down.then_some(Turn::Down(w)));
                    turns.extend((there && up).then_some(Turn::Up(w)));
                    turns.extend((!there && self.may_register(w)).then_some(Turn::Register(w)));
                }
                None => turns.extend(self.may_register(w).then_some(Turn::Register(w))),
            }
        }
        for (m, manager) in self.managers.iter().enumerate() {
            turns.extend((0..manager.ops.len()).map(|i| Turn::Op(m, i)));
        }
        self.turns = turns;
    }

    /// True if there is a manager that the worker would register with.
    fn may_register(&self, w: usize) -> bool {
        let Some(worker) = self.workers.get(w) else { return false };
        let bound = |m: &SimManager| worker.bound.is_none_or(|n| n == m.number);
        self.managers.iter().any(|m| bound(m) && !m.over() && m.machine.term() >= worker.task.term())
    }

    pub(super) fn take(&mut self, turn: Turn) {
        let (env, workers, runs) = (&mut self.env, &mut self.workers, &mut self.runs);
        match turn {
            Turn::Slot(run, at) => {
                let (who, how) = env.plan.bias;
                if usize::from(who) == at && self.turns.len() > 1 && !env.rng.chance(1, how) {
                    return;
                }
                if let Some(run) = runs.get_mut(&run) {
                    run.run_slot(at, env);
                    #[cfg(feature = "mutants")]
                    if let Some(batch) = run.net.finals.last() {
                        for manager in self.managers.iter_mut() {
                            manager.machine.final_sent(run.term, *batch);
                        }
                    }
                }
            }
            Turn::Queue(run, n) => self.queue(run, n),
            Turn::Down(w) => {
                if let Some(worker) = workers.get_mut(w) {
                    worker.hear(runs, env);
                }
                self.worker_ends(w);
            }
            Turn::Stray(w) => {
                if let Some(worker) = workers.get_mut(w) {
                    worker.stray(runs, env);
                }
                self.worker_ends(w);
            }
            Turn::Up(w) => self.up(w),
            Turn::Upload(w) => {
                if let Some(worker) = workers.get_mut(w)
                    && env.trace.steps() >= env.down
                {
                    let at = env.rng.below(worker.uploads.len());
                    worker.progress(at, runs, env);
                } else {
                    env.trace.note(4, w as u64, 0, || "store: down".into());
                }
            }
            Turn::Op(m, at) => {
                let event = self.managers.get_mut(m).and_then(|m| m.progress(at, env));
                if let Some(event) = event {
                    self.tell(m, event);
                }
            }
            Turn::Wake(run) => {
                env.trace.note(13, run, 0, || "something is woken".into());
                if let Some(run) = runs.get_mut(&run) {
                    run.stir(false, env);
                }
                self.look_at_gates();
            }
            Turn::Register(w) => self.register(w),
        }
    }

    /// A manager hears a worker.
    fn up(&mut self, w: usize) {
        let Some(worker) = self.workers.get_mut(w) else { return };
        let (number, Some(session)) = (worker.number, worker.session.as_mut()) else { return };
        let manager = session.manager;
        match session.next_up() {
            Ok(Some((envelope, message))) => {
                self.env.trace.note(23, manager, u64::from(number), || format!("m{manager} hears w{number}"));
                if let Some(m) = self.managers.iter().position(|m| m.number == manager) {
                    self.tell(m, Event::Message(number, envelope, message));
                }
            }
            Ok(None) => {}
            Err(wrong) => self.env.broken(|| format!("a session is not what it was: {wrong}")),
        }
    }

    /// A queue between slots is heard.
    fn queue(&mut self, term: u64, n: usize) {
        let env = &mut self.env;
        let burst = env.rng.range(1, env.plan.burst);
        let Some(run) = self.runs.get_mut(&term) else { return };
        if stalled(run.net.nth(n).map(|(_, q)| q), env) {
            return;
        }
        let Some((slot, report)) = run.deliver(n, burst, env) else { return };
        if let Some(worker) = self.workers.iter_mut().find(|w| w.has(term, slot)) {
            worker.step(WorkerEvent::Report(term, slot, report), None, &mut self.runs, env);
        }
    }

    /// Work that processes do by time: managers that are over end, workers are restarted, heartbeats, connections.
    fn look_after(&mut self) {
        let step = self.env.trace.steps();
        self.bury();
        if !self.setting.shared {
            self.supervise();
            self.connections();
        }
        if step.is_multiple_of(HEARTBEAT) {
            self.heartbeats();
        }
        if step >= self.asks_memory {
            self.give_memory();
            self.asks_memory = step + MEMORY;
        }
        let Self { runs, gone_rows, workers, managers, .. } = self;
        runs.retain(|term, run| {
            let used = !run.empty()
                || managers.iter().any(|m| m.machine.running().is_some_and(|r| r.run.term == *term))
                || workers.iter().any(|w| w.alive && w.task.run() == *term);
            if !used {
                *gone_rows += run.readers.rows();
            }
            used
        });
        if self.runs.values().filter(|b| !b.empty()).count() > 1 {
            self.env.seen.see(Cover::OldRun);
        }
        let with = |m: &SimManager| self.workers.iter().any(|w| w.with(m.number));
        if self.managers.iter().filter(|m| m.machine.running().is_some() && with(m)).count() > 1 {
            self.env.seen.see(Cover::Rivals);
        }
    }

    pub(super) fn settle(&mut self) {
        let at = self.env.rng.below(self.env.store.late());
        self.env.store.settle(at);
        self.env.seen.see(Cover::LatePut);
        self.env.trace.note(7, at as u64, 0, || "store: a late put happens".into());
        look_at_log(&mut self.env);
    }

    pub(super) fn waits(&self) -> Vec<String> {
        let of = |m: &SimManager| m.machine.waiting().into_iter().map(|w| format!("m{}: {w}", m.number)).collect::<Vec<_>>();
        self.managers.iter().flat_map(of).chain(self.runs.values().flat_map(ClusterRun::waits)).collect()
    }

    /// A user asks the newest manager.
    pub(super) fn ask(&mut self, m: usize, request: Request) {
        let Some(manager) = self.managers.get_mut(m) else { return };
        manager.requests += 1;
        let id = manager.requests;
        if matches!(request, Request::Snapshot { wait: true, .. }) {
            manager.waited.insert(id);
        }
        self.tell(m, Event::Request(id, request));
    }
}

/// True if the queue is stalled by a fault now.
fn stalled(queue: Option<Queue>, env: &mut SimEnv) -> bool {
    let Some((from, to, until)) = env.stall else { return false };
    if env.trace.steps() >= until {
        env.stall = None;
        return false;
    }
    let stalls = matches!(queue, Some(Queue::Events { from: f, to: t }) if (f, t) == (from, to));
    if stalls {
        env.seen.see(if from == COORDINATOR { Cover::StallCoordinator } else { Cover::Stall });
        env.trace.note(12, from as u64, to as u64, || "a queue stalls".into());
    }
    stalls
}
