//! Faults and wishes: when each is due, and what it does.

use watershed_cluster::{Event, Io, Request, WorkerEvent};
use watershed_runtime::coordinator::Coordinator;
use watershed_runtime::key::SlotId;
use watershed_runtime::protocol::maintenance::Chore;

use super::cluster_world::{ClusterWorld, GHOST};
use super::cover::Cover;
use super::ending::Ending;
use super::fault_plan::Fault;
use super::manager::SimManager;
use super::plan::{Stage, Trigger};

impl ClusterWorld {
    /// Faults and wishes whose time has come.
    pub(super) fn due(&mut self) {
        self.end();
        if self.env.store.has_late() && self.env.rng.chance(1, 500) {
            self.settle();
        }
        if let Some(at) = self.faults.iter().position(|(t, _)| self.is_due(*t)) {
            if self.env.rng.chance(1, 6) {
                let (_, fault) = self.faults.swap_remove(at);
                self.happen(fault);
            }
        } else if let Some(at) = self.wishes.iter().position(|(t, _)| self.is_due(*t)) {
            let running = self.managers.last().is_some_and(|m| m.machine.running().is_some());
            if self.setting.shared && !running {
                return;
            }
            let (_, n) = self.wishes.swap_remove(at);
            self.env.rescales += 1;
            self.env.trace.note(9, u64::from(n), 0, || format!("{n} workers or slots are wanted"));
            if self.managers.iter().all(|m| m.machine.running().is_none()) {
                self.env.seen.see(Cover::ScaleDuringRecovery);
            }
            self.wanted = n;
            let from = if self.setting.shared { self.managers.len().saturating_sub(1) } else { 0 };
            (from..self.managers.len()).for_each(|m| self.ask(m, Request::Scale(n)));
        }
    }

    /// A stop or a drain whose time has come.
    fn end(&mut self) {
        let Some((number, c)) = self.managers.last().and_then(|m| Some((m.number, m.machine.coordinator()?))) else { return };
        let (who, moving) = ((number, c.run()), self.stage(Stage::Warming) || self.stage(Stage::Fenced));
        let due: Vec<(Trigger, bool)> = self.env.plan.endings.iter().map(|(t, _)| (*t, self.is_due(*t))).collect();
        let due = |t: Trigger| due.iter().any(|(of, is)| *of == t && *is);
        let Some(ending) = self.endings.next(who, due, &mut self.env) else { return };
        if let (Ending::Drain(_), true) = (ending, moving) {
            self.env.seen.see(Cover::DrainMoving);
        }
        let request = if ending == Ending::Stop { Request::Stop } else { Request::Drain };
        self.ask(self.managers.len() - 1, request);
    }

    fn is_due(&self, trigger: Trigger) -> bool {
        match trigger {
            Trigger::Rows(n) => self.env.rows >= n,
            Trigger::During(stage, n) => self.env.rows >= n || self.stage(stage),
        }
    }

    /// True if this stage is going on.
    pub(super) fn stage(&self, stage: Stage) -> bool {
        let running = self.managers.last().and_then(|m| Some((m, m.machine.running()?)));
        let Some((manager, running)) = running else { return stage == Stage::Starting };
        let (c, Some(run)): (&Coordinator, _) = (&running.coordinator, self.runs.get(&running.run.term)) else { return false };
        let sent = |b: &u64| run.net.finals.contains(b);
        let outside = || {
            let mut alive = run.slots.iter().enumerate().filter(|(_, h)| h.is_some()).map(|(i, _)| SlotId(i as u16));
            alive.any(|s| !c.members().contains(&s))
        };
        let ops = |is: fn(&Io) -> bool| manager.ops.iter().any(|(_, io)| is(io));
        match stage {
            Stage::Starting => false,
            Stage::Warming => !run.marks.warming.is_empty(),
            Stage::Fenced => run.marks.open.iter().any(|b| !sent(b)),
            Stage::Final => run.marks.open.iter().any(sent),
            Stage::Cut => run.marks.open.is_empty() && c.table().version > c.last().table.version,
            Stage::Joining => !run.marks.aligning.is_empty() && outside(),
            Stage::Leaving => run.marks.aligning.is_empty() && outside(),
            Stage::Aligning => !run.marks.aligning.is_empty(),
            Stage::Uploading => {
                self.workers.iter().any(|w| !w.uploads.is_empty()) || ops(|io| matches!(io, Io::Chore(Chore::Merge(_))))
            }
            Stage::Publishing => ops(|io| matches!(io, Io::Create { .. })),
            Stage::Committing => ops(|io| matches!(io, Io::Commit(_))),
        }
    }

    fn happen(&mut self, fault: Fault) {
        let step = self.env.trace.steps();
        self.happened += 1;
        self.env.trace.note(10, step, 0, || format!("fault: {fault:?}"));
        match fault {
            Fault::Manager => {
                self.note_crash();
                if let Some(manager) = self.managers.pop() {
                    self.manager_dies(manager);
                }
                self.start_manager();
            }
            Fault::Rival(doom) => self.rival(doom),
            Fault::Worker(w, back) => {
                self.note_worker();
                self.worker_dies(w, step + back);
            }
            Fault::Both(w, back) => {
                self.env.seen.see(Cover::BothDied);
                self.worker_dies(w, step + back);
                self.happen(Fault::Manager);
            }
            Fault::All => {
                self.note_crash();
                self.env.seen.see(Cover::AllDied);
                (0..self.workers.len()).for_each(|w| self.worker_dies(w, 0));
                for manager in std::mem::take(&mut self.managers) {
                    self.manager_dies(manager);
                }
                self.start_manager();
            }
            Fault::Leave(w, back) => self.leave(w, step + back),
            Fault::Cut(w, n, silent) => {
                self.env.seen.see(if silent { Cover::Silent } else { Cover::CutOff });
                if let Some(worker) = self.workers.get_mut(w) {
                    (worker.cut, worker.silent) = (step + n, silent);
                }
            }
            Fault::Ghost(w) => self.ghost(w),
            Fault::Stall(from, to, n) => self.env.stall = Some((from, to, step + n)),
            Fault::StoreDown(n) => self.env.down = step + n,
            Fault::StoreLies(n) => self.env.lies = step + n,
            Fault::Clock(who, by) => self.clock_jumps(who, by),
            Fault::Snapshot => {
                let m = self.managers.len().saturating_sub(1);
                self.ask(m, Request::Snapshot { name: format!("s{step}"), wait: true });
            }
        }
    }

    fn rival(&mut self, doom: u64) {
        self.env.seen.see(Cover::TwoCoordinators);
        if self.setting.shared {
            while self.managers.len() > 1 {
                let old = self.managers.remove(0);
                self.manager_dies(old);
            }
            let step = self.env.trace.steps();
            self.managers.iter_mut().for_each(|m| m.doomed = step + doom);
        }
        self.start_manager();
        // A worker that is cut off from the old one finds the new one.
        for worker in self.workers.iter_mut().filter(|w| w.session.is_some() && w.bound.is_none()) {
            if self.env.rng.chance(1, 2) {
                worker.hang_up(&mut self.env);
            }
        }
    }

    /// A worker is told to end.
    fn leave(&mut self, w: usize, back: u64) {
        let Some(worker) = self.workers.get_mut(w).filter(|w| w.alive) else { return };
        self.env.seen.see(Cover::LeaveAsked);
        worker.back = back;
        worker.step(WorkerEvent::Leave, None, &mut self.runs, &mut self.env);
        self.worker_ends(w);
    }

    /// A process that was replaced registers again with the manager that knows its successor.
    fn ghost(&mut self, w: usize) {
        let Some(worker) = self.workers.get(w).filter(|w| w.alive && w.life > 1) else { return };
        let Some(m) = self.managers.iter().position(|m| worker.with(m.number)) else { return };
        let registration = worker.registration(worker.life - 1, (self.setting.each, self.setting.memory), &self.env);
        // Only a manager that has seen the earlier process too can tell.
        if self.managers.get(m).is_some_and(|m| m.knew(worker.number, worker.life - 1)) {
            self.tell(m, Event::Register(GHOST | w as u64, registration));
        }
    }

    /// The clock of a worker jumps, or that of the newest manager.
    fn clock_jumps(&mut self, worker: Option<usize>, by: i64) {
        if self.setting.shared {
            self.env.now = self.env.now.saturating_add(by).max(0);
            self.env.seen.see(Cover::ClockJump);
        }
        let running = self.managers.last().is_some_and(|m| m.machine.running().is_some());
        let (clock, ahead, back) = match worker {
            Some(w) => (self.env.clocks.get_mut(w), Cover::WorkerClockAhead, Cover::WorkerClockBack),
            None => (self.managers.last_mut().map(|m| &mut m.clock), Cover::ClockAhead, Cover::ClockBack),
        };
        let Some(clock) = clock else { return };
        clock.jump(by);
        if worker.is_some() || running {
            self.env.seen.see(if by > 0 { ahead } else { back });
        }
    }

    pub(super) fn worker_dies(&mut self, w: usize, back: u64) {
        if let Some(worker) = self.workers.get_mut(w).filter(|w| w.alive) {
            self.env.trace.note(29, w as u64, 0, || format!("w{w} dies"));
            worker.die(&mut self.runs, &mut self.env);
            worker.back = back;
        }
    }

    /// A manager dies: what it has asked for may have happened, may happen later, or not at all; of what it has said a part arrives. A
    /// worker that shares its fate dies with it.
    pub(super) fn manager_dies(&mut self, mut manager: SimManager) {
        let n = manager.number;
        self.endings.note_crash(n, &mut self.env);
        self.env.trace.note(8, n, 0, || format!("m{n} dies"));
        manager.abandon(None, &mut self.env);
        for w in 0..self.workers.len() {
            let Some(worker) = self.workers.get_mut(w) else { continue };
            if worker.bound == Some(n) {
                self.worker_dies(w, u64::MAX);
                continue;
            }
            if let Some(session) = worker.session.as_mut().filter(|s| s.manager == n) {
                let kept = self.env.rng.range(0, session.downs());
                if session.manager_dies(kept) {
                    self.env.seen.see(Cover::OrdersLost);
                }
            }
        }
    }

    /// In what everything is interrupted.
    fn note_crash(&mut self) {
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
        self.note_stages(&all, Cover::CrashElsewhere);
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
        self.note_stages(&all, Cover::WorkerElsewhere);
    }

    fn note_stages(&mut self, all: &[(Stage, Cover)], elsewhere: Cover) {
        let seen: Vec<Cover> = all.iter().filter(|(s, _)| self.stage(*s)).map(|(_, c)| *c).collect();
        if seen.is_empty() {
            self.env.seen.see(elsewhere);
        }
        seen.into_iter().for_each(|c| self.env.seen.see(c));
    }
}
