//! Adopting: the slots that an earlier manager has left running are taken over as they run.
//!
//! Each worker's first message in a session is what it remembers of the run it is in. From these journals and the end of the log the
//! manager goes on where the last one stopped, and no slot stops. Where that cannot be (a slot is gone, journals contradict each other)
//! nothing has been said to any worker, and a new run begins.

use std::collections::BTreeSet;

use watershed_runtime::coordinator::{Coordinator, Run, WorkerJournal};
use watershed_runtime::error::{Kind, Result, explain};
use watershed_runtime::key::SlotId;
use watershed_runtime::protocol::log::LogWriter;
use watershed_runtime::protocol::restart::Start;

use super::interface::Action;
use super::machine::{JobManager, micros};

impl JobManager {
    /// Takes the slots over. `false` if that cannot be.
    pub(super) fn adopt(
        &mut self,
        journals: &[WorkerJournal],
        log: &LogWriter,
        start: &Start,
        now: i64,
        out: &mut Vec<Action>,
    ) -> Result<bool> {
        let Some(run) = journals.iter().map(|j| j.run).max_by_key(|r| r.term) else { return Ok(false) };
        let (graph, uid, rules) = (self.settings.graph.clone(), self.run_uid(), self.settings.rules);
        let adopted = Coordinator::adopt(graph, log.clone(), start, journals, &uid, self.settings.pace, micros(now), rules);
        let (coordinator, first) = match adopted {
            Err(e) if e.kind() == Kind::Unavailable => {
                let why = explain(&e);
                out.push(Action::Tell(format!("the running slots cannot be taken over: {why}")));
                self.runs.recovering = Some(why);
                return Ok(false);
            }
            adopted => adopted?,
        };
        let told = self.in_run(journals, run);
        let (workers, term) = (told.len(), log.term());
        let sentence = format!("the run of term {} is taken over as it is, with {workers} workers, under term {term}", run.term);
        out.push(Action::Tell(sentence));
        self.host(run, (coordinator, first), told, now, out)?;
        // The others are newcomers to it; a worker that has been told hears nothing twice.
        for member in self.members.present() {
            self.welcome(member.worker, out);
        }
        Ok(true)
    }

    /// The workers that are in a run; also one whose connection has just dropped: it has its slots, and must not begin anew.
    fn in_run(&self, journals: &[WorkerJournal], run: Run) -> BTreeSet<u32> {
        let slots: BTreeSet<SlotId> = journals.iter().filter(|j| j.run == run).flat_map(|j| j.room.iter().copied()).collect();
        self.members.all().filter(|m| m.slots.iter().all(|s| slots.contains(s))).map(|m| m.worker).collect()
    }
}
