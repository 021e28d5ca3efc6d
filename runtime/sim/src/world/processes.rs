//! Processes by time: workers register, are heard and lost; a supervisor starts and ends them; managers that are over go.

use watershed_cluster::{Event, Request, WorkerEnd, WorkerEvent};
use watershed_runtime::error::Kind;
use watershed_runtime::key::SlotId;

use super::clock::Clock;
use super::cluster_world::ClusterWorld;
use super::cover::Cover;
use super::env::SPACE;
use super::laws::let_go;
use super::manager::SimManager;

/// A connection drops in one of so many steps.
const FLAP: usize = 3000;

impl ClusterWorld {
    /// A worker finds the newest manager, mostly; none that is older than what it has heard.
    pub(super) fn register(&mut self, w: usize) {
        let (n, newest) = (self.env.rng.below(self.managers.len()), self.env.rng.chance(3, 4));
        let mut at = if newest { self.managers.len().saturating_sub(1) } else { n };
        let Some(worker) = self.workers.get_mut(w) else { return };
        if let Some(bound) = worker.bound {
            at = self.managers.iter().position(|m| m.number == bound).unwrap_or(usize::MAX);
        }
        let Some(manager) = self.managers.get(at) else { return };
        if manager.over() || manager.machine.term() < worker.task.term() {
            return self.env.trace.note(28, w as u64, 0, || "a manager is too old".into());
        }
        worker.hang_up(&mut self.env);
        let room = if self.setting.shared { SPACE.groups() } else { self.setting.each };
        let registration = worker.registration(worker.life, (room, self.setting.memory), &self.env);
        let ticket = (w as u64) << 32 | worker.life;
        self.env.trace.note(22, w as u64, worker.life, || format!("w{w} registers with m{}", manager.number));
        self.tell(at, Event::Register(ticket, registration));
    }

    /// Signs of life of all workers that are heard.
    pub(super) fn heartbeats(&mut self) {
        let step = self.env.trace.steps();
        for w in 0..self.workers.len() {
            let Some(worker) = self.workers.get(w).filter(|w| w.alive && w.cut <= step) else { continue };
            let (number, manager) = (worker.number, worker.session.as_ref().map(|s| s.manager));
            if let Some(m) = manager.and_then(|n| self.managers.iter().position(|m| m.number == n)) {
                self.tell(m, Event::Heartbeat(number));
            }
        }
    }

    /// A supervisor ends workers that are not wanted and not needed, and starts those that are wanted and not there.
    pub(super) fn supervise(&mut self) {
        let (step, each, wanted) = (self.env.trace.steps(), self.env.each, self.wanted);
        for w in 0..self.workers.len() {
            let Some(worker) = self.workers.get_mut(w) else { continue };
            if worker.alive && worker.number >= wanted {
                // The manager that it is in session with lets it go: of two the newer one may know nothing of a run begun without it.
                let manager = self.managers.iter().find(|m| worker.with(m.number));
                let free = manager.is_some_and(|m| m.machine.releasable().get(&worker.number).copied().unwrap_or(false));
                if free {
                    let run = manager.and_then(|m| m.machine.running()).map_or(0, |r| r.run.term);
                    (w * each..(w + 1) * each).for_each(|s| let_go(run, SlotId(s as u16), &mut self.env));
                    self.worker_dies(w, 0);
                }
            } else if !worker.alive && worker.number < wanted && worker.back <= step {
                worker.start(self.setting.patience.leave, &self.env);
                if let Some(clock) = self.env.clocks.get_mut(w) {
                    *clock = Clock::any(&mut self.env.rng);
                }
            }
        }
    }

    /// Connections come and go, and managers hear of it.
    pub(super) fn connections(&mut self) {
        let step = self.env.trace.steps();
        for w in 0..self.workers.len() {
            let time = self.env.time();
            let Some(worker) = self.workers.get_mut(w).filter(|w| w.alive) else { continue };
            let (number, whole, silent) = (worker.number, worker.cut <= step, worker.silent);
            let there = worker.session.as_ref().is_some_and(|s| self.managers.iter().any(|m| m.number == s.manager));
            worker.away = if there && whole { None } else { worker.away.or(Some(time)) };
            if let Some(since) = worker.away
                && worker.task.leaving()
            {
                worker.step(WorkerEvent::Away(time - since), None, &mut self.runs, &mut self.env);
                self.worker_ends(w);
                continue;
            }
            if there && whole && self.env.rng.chance(1, FLAP) {
                // The connection drops and is there again before the manager has noticed.
                self.env.seen.see(Cover::Flap);
                worker.session.iter_mut().filter(|s| s.connected).for_each(|s| {
                    s.drop_connection();
                    s.connect();
                });
            }
            let Some(session) = worker.session.as_mut().filter(|s| s.connected != whole && (whole || !silent)) else { continue };
            session.connected = whole;
            if whole {
                session.connect()
            } else {
                session.drop_connection()
            }
            let manager = session.manager;
            if let Some(m) = self.managers.iter().position(|m| m.number == manager) {
                self.tell(m, if whole { Event::Connected(number) } else { Event::Disconnected(number) });
            }
        }
    }

    /// A worker that has ended by itself.
    pub(super) fn worker_ends(&mut self, w: usize) {
        let step = self.env.trace.steps();
        let Some(worker) = self.workers.get_mut(w).filter(|w| w.end.is_some()) else { return };
        if worker.end == Some(WorkerEnd::Left) {
            self.env.seen.see(Cover::Left);
        }
        let back = worker.back.max(step);
        self.worker_dies(w, back);
    }

    /// Managers that are over go; one is always there.
    pub(super) fn bury(&mut self) {
        while let Some(at) = self.managers.iter().position(SimManager::over) {
            let manager = self.managers.remove(at);
            match &manager.end {
                Some(Ok(_)) => {
                    // The manager was stopped: its workers end, and everything is started again.
                    self.env.seen.see(Cover::Stopped);
                    if self.env.stops == 0 {
                        self.env.broken(|| "I15: the job has stopped, and nobody wished it".into());
                    }
                    let told: Vec<usize> = (0..self.workers.len())
                        .filter(|w| self.workers.get(*w).is_some_and(|w| w.alive && w.with(manager.number)))
                        .collect();
                    told.into_iter().for_each(|w| self.worker_dies(w, 0));
                }
                Some(Err(e)) if e.kind() == Kind::Fenced => self.env.seen.see(Cover::ZombieFenced),
                Some(Err(e)) if e.kind() == Kind::Unavailable => self.env.seen.see(Cover::GaveUp),
                Some(Err(e)) => self.env.broken(|| format!("the job fails: {e}")),
                None => {}
            }
            self.manager_dies(manager);
        }
        while self.managers.len() > 1 && self.managers.first().is_some_and(|m| self.env.trace.steps() >= m.doomed) {
            let manager = self.managers.remove(0);
            self.manager_dies(manager);
        }
        // A manager that every worker has passed by does not count as one that is there.
        let term = self.env.term.0;
        if self.managers.iter().all(|m| m.machine.running().is_some() && m.machine.term() < term) {
            self.start_manager();
        }
    }

    /// A user who sees that a job waits for memory gives it more workers, or workers without a limit.
    pub(super) fn give_memory(&mut self) {
        if self.setting.memory == 0 || !self.waits().iter().any(|w| w.contains("have room for")) {
            return;
        }
        self.env.seen.see(Cover::TooLittleMemory);
        let most = self.setting.most() as u32;
        if self.wanted < most {
            self.wanted = most;
            (0..self.managers.len()).for_each(|m| self.ask(m, Request::Scale(most)));
        } else {
            self.setting.memory = 0;
            (0..self.workers.len()).for_each(|w| self.worker_dies(w, 0));
        }
    }
}
