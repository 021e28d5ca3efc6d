//! Workers that were told to end: the job goes on while they hand over what they have.
//!
//! A worker that leaves takes part as before; it is only not wanted any more ([`super::roster`]). So what it has moves by the same live rescale as
//! when there are to be fewer workers: nothing pauses, no run ends. When nothing needs its slots it is told that it may go. It is told so at once
//! where waiting would help nobody: no run has its slots, or there is nobody else. While the job is being stopped it is not: the last snapshot needs
//! its slots, and the end of the job is its end.
//!
//! Nothing of this is stored. A worker says that it leaves in each session, so that the next coordinator hears of it as well.

use std::collections::BTreeSet;

use watershed_runtime::error::Result;
use watershed_runtime::key::SlotId;
use watershed_wire::frame::Era;

use super::coordinator::Office;
use super::orders::Order;

impl Office {
    /// A worker was told to end.
    pub(super) fn leaves(&mut self, worker: u32) {
        self.roster.leaves(worker);
        (self.job.tells)(&format!("worker {worker} leaves"));
    }

    /// Lets those go that nothing needs any more, or for whom waiting would help nobody.
    pub(super) fn look_after_leavers(&mut self) -> Result<()> {
        let leaving = self.roster.leaving();
        let Some(running) = self.running.as_ref().filter(|_| !leaving.is_empty() && !self.stopping) else { return Ok(()) };
        let Ok(goal) = self.roster.goal(self.wanted) else { return Ok(()) };
        let each = self.roster.each();
        // Not before they have been struck out of the wish: who is about to join is not needed yet.
        let struck_out = running.asked.as_ref() == Some(&goal);
        let done = |w: &u32| struck_out && !running.coordinator.needs(|slot| u32::from(slot.0 / each) == *w);
        let done: BTreeSet<u32> = leaving.iter().copied().filter(done).collect();
        for worker in leaving {
            if done.contains(&worker) {
                self.let_go(worker, "others have what it had")?;
            } else if goal.is_empty() {
                self.let_go(worker, "nobody is there to take over what it has")?;
            }
        }
        Ok(())
    }

    /// There is no run, and the next is begun without those who leave.
    pub(super) fn let_all_leavers_go(&mut self) -> Result<()> {
        self.roster.leaving().into_iter().try_for_each(|worker| self.let_go(worker, "no run has its slots"))
    }

    fn let_go(&mut self, worker: u32, why: &str) -> Result<()> {
        self.roster.may_go(worker);
        (self.job.tells)(&format!("worker {worker} may go: {why}"));
        // One without a session is gone already.
        let _there = self.sessions.send(worker, Order::LetGo(why.to_owned()).item(Era::default())?);
        Ok(())
    }

    /// For which of those who leave something is still to be done, in words.
    pub(super) fn leavers_wait(&self) -> impl Iterator<Item = String> + '_ {
        let each = self.roster.each();
        let groups = move |worker: u32| {
            let table = self.running.iter().flat_map(|r| r.coordinator.table().table());
            table.filter(|slot: &&SlotId| u32::from(slot.0 / each) == worker).count()
        };
        self.roster.leaving().into_iter().map(move |w| match groups(w) {
            0 => format!("worker {w} leaves: its slots have a part in what is not published or not committed"),
            n => format!("worker {w} leaves: {n} key groups to go"),
        })
    }
}
