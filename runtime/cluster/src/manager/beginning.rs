//! Beginning: from a claimed term to a run of the job with the workers that are there.

use std::collections::BTreeSet;

use watershed_runtime::coordinator::{Coordinator, Effect, Input, Run, WorkerJournal};
use watershed_runtime::error::Result;
use watershed_runtime::protocol::log::{LogWriter, Tail};
use watershed_runtime::protocol::maintenance::Maintenance;

use super::interface::{Action, Io, Outcome};
use super::machine::{JobManager, micros};
use super::phase::{Gathering, Phase, Running};
use crate::messages::{Begin, Envelope, ToWorker};

impl JobManager {
    /// The term is ours: the slots that run are taken over, or a run begins from the end of the log.
    pub(super) fn claimed(&mut self, tail: &Tail, log: LogWriter, now: i64, out: &mut Vec<Action>) -> Result<()> {
        if self.members.beginning(self.wishes.target).is_empty() {
            // All workers have gone meanwhile.
            self.phase = Phase::Gathering(Gathering);
            return Ok(());
        }
        let start = self.plan(tail)?;
        // The names stay: a worker that has said what it remembers need not say it again.
        let journals: Vec<WorkerJournal> = self.journals.values_mut().filter_map(Option::take).collect();
        if start.finished {
            let outcome = if journals.is_empty() { Outcome::AlreadyFinished } else { Outcome::Finished };
            self.phase = Phase::Committing(outcome);
            out.push(Action::Io(self.io, Io::Commit(start.commit)));
            return Ok(());
        }
        if self.adopt(&journals, &log, &start, now, out)? {
            return Ok(());
        }
        self.release_all_leavers(out);
        let members = self.members.present();
        if !journals.is_empty() && !self.fits(tail, now) {
            return Ok(());
        }
        let start = self.plan(tail)?;
        if start.manifest.members.is_empty() {
            self.phase = Phase::Gathering(Gathering);
            return Ok(());
        }
        let run = Run { term: log.term(), epoch: start.manifest.epoch };
        for member in &members {
            let begin = Begin { run, manifest: start.manifest.clone(), table: start.table.clone(), members: members.clone() };
            let envelope = Envelope { term: log.term(), run: run.term };
            out.push(Action::Send(member.worker, envelope, ToWorker::Begin(Box::new(begin))));
        }
        let (graph, uid, rules) = (self.settings.graph.clone(), self.run_uid(), self.settings.rules);
        let mut coordinator = Coordinator::new(graph, log, &start, &uid, self.settings.pace, micros(now), rules);
        let first = coordinator.begin()?;
        out.push(Action::Tell(format!("a run begins at epoch {} with {} workers, term {}", run.epoch, members.len(), run.term)));
        self.host(run, (coordinator, first), members.iter().map(|m| m.worker).collect(), now, out)
    }

    /// The name of this run's entries in the log.
    pub(super) fn run_uid(&self) -> String {
        format!("{}-{}", self.settings.uid, self.io)
    }

    /// The run is under way, with its coordinator and what that wants first.
    pub(super) fn host(
        &mut self,
        run: Run,
        (coordinator, first): (Coordinator, Vec<Effect>),
        told: BTreeSet<u32>,
        now: i64,
        out: &mut Vec<Action>,
    ) -> Result<()> {
        self.runs.begun += 1;
        self.runs.recovering = None;
        self.journals.clear();
        let coordinator = coordinator.sized(self.settings.sizes);
        // One that was heard of before is this manager's from now on.
        self.wishes.draining |= coordinator.draining();
        let maintenance = Maintenance::new(self.settings.patience.collect, now);
        self.phase = Phase::Running(Box::new(Running::new(run, coordinator, told, maintenance)));
        self.carry_out(first, now, out)?;
        if self.running().is_none() {
            return Ok(());
        }
        let sources: Vec<_> = self.settings.graph.sources().map(|(node, ..)| node).collect();
        sources.into_iter().for_each(|node| self.discover(node, out));
        // A run that goes back behind the barrier of a drain has forgotten it.
        if self.wishes.draining && self.settings.rules.drain_is_renewed() {
            return self.input(Input::Drain, now, out);
        }
        if self.wishes.stopping {
            return self.input(Input::Stop, now, out);
        }
        Ok(())
    }

    /// A worker is there: it hears of the run under way, and the others hear of it.
    pub(super) fn welcome(&mut self, worker: u32, out: &mut Vec<Action>) {
        let members = self.members.present();
        let Phase::Running(running) = &mut self.phase else { return };
        if !members.iter().any(|m| m.worker == worker) || !running.told.insert(worker) {
            return;
        }
        let others: Vec<u32> = running.told.iter().copied().filter(|w| *w != worker).collect();
        // The worker begins without slots that take part: they join at a barrier.
        let mut manifest = running.coordinator.last().clone();
        manifest.members.clear();
        let table = (**running.coordinator.table()).clone();
        let begin = Begin { run: running.run, manifest, table, members: members.clone() };
        others.into_iter().for_each(|other| self.send(other, ToWorker::Members(members.clone()), out));
        self.send(worker, ToWorker::Begin(Box::new(begin)), out);
    }
}
