//! Faults and wishes: when each is due, and what it does.

use super::*;

impl Place {
    /// Faults and wishes whose time has come.
    pub(super) fn due(&mut self) {
        self.end();
        if self.ground.store.has_late() && self.ground.rng.chance(1, 500) {
            self.settle();
        }
        if let Some(at) = self.faults.iter().position(|(t, _)| self.is_due(*t)) {
            if self.ground.rng.chance(1, 6) {
                let (_, fault) = self.faults.swap_remove(at);
                self.happen(fault);
            }
        } else if let Some(at) = self.wishes.iter().position(|(t, _)| self.is_due(*t)) {
            let (_, n) = self.wishes.swap_remove(at);
            self.ground.rescales += 1;
            self.ground.trace.note(9, u64::from(n), 0, || format!("{n} workers are wanted"));
            if self.offices.iter().all(|o| o.coordinator().is_none()) {
                self.ground.seen.see(Cover::ScaleDuringRecovery);
            }
            self.wanted = n;
        }
    }

    /// A stop or a drain whose time has come.
    fn end(&mut self) {
        let Some((office, c)) = self.offices.last().and_then(|o| Some((o, o.coordinator()?))) else { return };
        let (who, moving) = ((office.number, c.run()), self.stage(Stage::Warming) || self.stage(Stage::Fenced));
        let due: Vec<(Trigger, bool)> = self.ground.plan.endings.iter().map(|(t, _)| (*t, self.is_due(*t))).collect();
        let due = |t: Trigger| due.iter().any(|(of, is)| *of == t && *is);
        let Some(ending) = self.endings.next(who, due, &mut self.ground) else { return };
        if let (Ending::Drain(_), true) = (ending, moving) {
            self.ground.seen.see(Cover::DrainMoving);
        }
        let input = if ending == Ending::Stop { Input::Stop } else { Input::Drain };
        if let Some(office) = self.offices.last_mut() {
            office.tell(input, &mut self.workers, &mut self.ground);
        }
    }

    fn is_due(&self, trigger: Trigger) -> bool {
        match trigger {
            Trigger::Rows(n) => self.ground.rows >= n,
            Trigger::During(stage, n) => self.ground.rows >= n || self.stage(stage),
        }
    }

    /// Whether something goes on.
    pub(super) fn stage(&self, stage: Stage) -> bool {
        let (office, band) = (self.offices.last(), self.bands.values().next_back());
        let Some((c, band)) = office.and_then(Office::coordinator).zip(band) else { return stage == Stage::Starting };
        let sent = |b: &u64| band.net.finals.contains(b);
        let outside = || {
            let mut alive = band.hosts.iter().enumerate().filter(|(_, h)| h.is_some()).map(|(i, _)| SlotId(i as u16));
            alive.any(|s| !c.members().contains(&s))
        };
        let ops = |of: fn(&Ask) -> bool| office.is_some_and(|o| o.ops.iter().any(of));
        match stage {
            Stage::Starting => false,
            Stage::Warming => !band.marks.warming.is_empty(),
            Stage::Fenced => band.marks.open.iter().any(|b| !sent(b)),
            Stage::Final => band.marks.open.iter().any(sent),
            Stage::Cut => band.marks.open.is_empty() && c.table().version > c.last().table.version,
            Stage::Joining => !band.marks.aligning.is_empty() && outside(),
            Stage::Leaving => band.marks.aligning.is_empty() && outside(),
            Stage::Aligning => !band.marks.aligning.is_empty(),
            Stage::Uploading => self.workers.iter().any(|w| !w.uploads.is_empty()),
            Stage::Publishing => ops(|a| matches!(a, Ask::Create { .. })),
            Stage::Committing => ops(|a| matches!(a, Ask::Commit(_))),
        }
    }

    fn happen(&mut self, fault: Fault) {
        let step = self.ground.trace.steps();
        self.happened += 1;
        self.ground.trace.note(10, step, 0, || format!("fault: {fault:?}"));
        match fault {
            Fault::Office => {
                if let Some(office) = self.offices.pop() {
                    self.endings.note_crash(office.number, &mut self.ground);
                    office.die(&mut self.workers, &mut self.ground);
                }
                self.start_office();
            }
            Fault::Rival => {
                self.ground.seen.see(Cover::TwoCoordinators);
                self.start_office();
                // Who is cut off from the old one finds the new one.
                for worker in self.workers.iter_mut().filter(|w| w.session.is_some()) {
                    if self.ground.rng.chance(1, 2) {
                        worker.hang_up(&mut self.ground);
                    }
                }
            }
            Fault::Worker(w, back) => {
                self.note_worker();
                self.worker_dies(w, step + back);
            }
            Fault::Both(w, back) => {
                self.ground.seen.see(Cover::BothDied);
                self.worker_dies(w, step + back);
                self.happen(Fault::Office);
            }
            Fault::All => {
                self.ground.seen.see(Cover::AllDied);
                (0..self.workers.len()).for_each(|w| self.worker_dies(w, 0));
                for office in std::mem::take(&mut self.offices) {
                    office.die(&mut self.workers, &mut self.ground);
                }
                self.start_office();
            }
            Fault::Cut(w, n) => {
                self.ground.seen.see(Cover::CutOff);
                if let Some(worker) = self.workers.get_mut(w) {
                    worker.cut = step + n;
                }
            }
            Fault::Stall(from, to, n) => self.ground.stall = Some((from, to, step + n)),
            Fault::StoreDown(n) => self.ground.down = step + n,
            Fault::StoreLies(n) => self.ground.lies = step + n,
            Fault::Clock(who, by) => self.clock_jumps(who, by),
        }
    }

    /// The clock of a worker jumps, or that of whoever coordinates.
    fn clock_jumps(&mut self, worker: Option<usize>, by: i64) {
        let running = self.offices.last().is_some_and(|o| o.coordinator().is_some());
        let (clock, ahead, back) = match worker {
            Some(w) => (self.ground.clocks.get_mut(w), Cover::WorkerClockAhead, Cover::WorkerClockBack),
            None => (self.offices.last_mut().map(|o| &mut o.clock), Cover::ClockAhead, Cover::ClockBack),
        };
        let Some(clock) = clock else { return };
        clock.jump(by);
        if worker.is_some() || running {
            self.ground.seen.see(if by > 0 { ahead } else { back });
        }
    }

    pub(super) fn worker_dies(&mut self, w: usize, back: u64) {
        if let Some(worker) = self.workers.get_mut(w).filter(|w| w.alive) {
            self.ground.trace.note(29, w as u64, 0, || format!("w{w} dies"));
            worker.die(&mut self.bands, &mut self.ground);
            worker.back = back;
        }
    }
}
