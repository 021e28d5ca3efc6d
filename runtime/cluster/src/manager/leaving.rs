//! Leaving: workers that were told to end; the job goes on while they hand over what they have.
//!
//! A worker that leaves takes part as before; its slots are only not among the target's any more ([`crate::membership`]). So what it has
//! moves by the same live rescale as when there are to be fewer workers: nothing pauses, no run ends. When nothing needs its slots it is
//! released. It is released at once where waiting would help nobody: no run has its slots, or no other worker is there. While the job is
//! being stopped it is not: the last snapshot needs its slots, and the end of the job is its end.
//!
//! Nothing of this is stored. A worker says that it leaves in each session, so that the next manager hears of it as well.

use std::collections::{BTreeMap, BTreeSet};

use watershed_runtime::key::SlotId;

use super::interface::Action;
use super::machine::JobManager;
use crate::membership::Target;
use crate::messages::ToWorker;

impl JobManager {
    /// Releases workers that nothing needs any more, or for which waiting would help nobody.
    pub(super) fn release_leavers(&mut self, out: &mut Vec<Action>) {
        let leaving = self.members.leaving();
        let Some(running) = self.running().filter(|_| !leaving.is_empty() && !self.wishes.stopping) else { return };
        let Ok(target) = self.members.target_slots(self.wishes.target) else { return };
        // Not before they have been struck out of what was asked for: a slot that is about to join is not needed yet.
        let struck_out = running.asked.as_ref() == Some(&target) || !self.settings.rules.struck_out_first();
        let done: BTreeSet<u32> = leaving.iter().copied().filter(|w| struck_out && !self.needs(*w)).collect();
        for worker in leaving {
            if done.contains(&worker) {
                self.release(worker, "others have what it had", out);
            } else if target.is_empty() {
                self.release(worker, "nobody is there to take over what it has", out);
            }
        }
    }

    /// There is no run, and the next is begun without the workers that leave.
    pub(super) fn release_all_leavers(&mut self, out: &mut Vec<Action>) {
        for worker in self.members.leaving() {
            self.release(worker, "no run has its slots", out);
        }
    }

    fn release(&mut self, worker: u32, why: &str, out: &mut Vec<Action>) {
        self.members.released(worker);
        out.push(Action::Tell(format!("worker {worker} may go: {why}")));
        self.send(worker, ToWorker::Released(why.to_owned()), out);
    }

    /// True if the run needs a slot of this worker.
    #[must_use]
    pub fn needs(&self, worker: u32) -> bool {
        let each = self.members.each();
        self.coordinator().is_some_and(|c| c.needs(|slot| u32::from(slot.0 / each) == worker))
    }

    /// By worker: whether nothing needs it any more, though it was not told to end. Without a run nobody knows: then none may go.
    #[must_use]
    pub fn releasable(&self) -> BTreeMap<u32, bool> {
        let wanted = |worker: u32| match self.wishes.target {
            Target::Workers(n) => worker < n,
            Target::Slots(_) => true,
        };
        let free = |worker: u32| self.running().is_some() && !wanted(worker) && !self.needs(worker);
        self.members.all().map(|m| (m.worker, free(m.worker))).collect()
    }

    /// The work that is left for each worker that leaves, in words.
    pub(crate) fn leavers_wait(&self) -> impl Iterator<Item = String> + '_ {
        let each = self.members.each();
        let groups = move |worker: u32| {
            let table = self.coordinator().into_iter().flat_map(|c| c.table().table());
            table.filter(|slot: &&SlotId| u32::from(slot.0 / each) == worker).count()
        };
        self.members.leaving().into_iter().map(move |w| match groups(w) {
            0 => format!("worker {w} leaves: its slots have a part in what is not published or not committed"),
            n => format!("worker {w} leaves: {n} key groups to go"),
        })
    }
}
