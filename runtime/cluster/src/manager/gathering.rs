//! Gathering: the manager waits for workers, and looks at the log now and then for a newer term than it knows.
//!
//! A worker goes to no manager that is older than one it has heard of, and a manager is as old as the newest term it knows. One that was
//! started while another still began runs knows of a term that is over. Where that other one goes (it was stopped, or its machine is lost)
//! the workers it leaves would go to none and this one would wait for them: for ever, on both sides, and nothing would say so (I12).
//!
//! Only a manager without a run looks: a run that is under way is fenced by the log when it writes. A look reads the hint and what comes
//! after it; what cannot be read says nothing new. Which term is claimed in the end the log alone decides (I10); this is what workers are
//! told before. The first look comes before any worker is admitted.

use watershed_runtime::error::Result;
use watershed_runtime::protocol::claim::{LogScan, Read, Scanned};

use super::claiming::scanned;
use super::interface::{Action, Io, IoReply};
use super::machine::JobManager;

impl JobManager {
    /// Begins a look.
    pub(super) fn look_for_newer_term(&mut self, now: i64, out: &mut Vec<Action>) {
        self.io += 1;
        let (scan, Read(name)) = LogScan::new();
        self.newer.scan = Some((self.io, scan));
        self.newer.due = self.newer.due.map(|_| now + self.settings.patience.look);
        out.push(Action::Io(self.io, Io::Get(name)));
    }

    /// A look has an answer.
    pub(super) fn looked(&mut self, reply: IoReply, now: i64, out: &mut Vec<Action>) -> Result<()> {
        let Some((id, scan)) = &mut self.newer.scan else { return Ok(()) };
        let Some(scanned) = scanned(scan, reply) else { return Ok(()) };
        let first = self.newer.due.is_none();
        match scanned {
            Ok(Scanned::More(Read(name))) => {
                out.push(Action::Io(*id, Io::Get(name)));
                return Ok(());
            }
            Ok(Scanned::End(tail)) => {
                self.runs.term = self.runs.term.max(tail.term);
                self.runs.ran_before |= first && tail.last.is_some();
            }
            Err(e) if first => return Err(e),
            Err(_) => {}
        }
        self.newer.scan = None;
        self.newer.due = Some(now + self.settings.patience.look);
        for (ticket, registration) in std::mem::take(&mut self.early) {
            self.register(ticket, registration, now, out);
        }
        Ok(())
    }

    /// Goes on if enough workers are there.
    pub(super) fn gather(&mut self, now: i64, out: &mut Vec<Action>) {
        if !self.newer.looked() {
            return;
        }
        if self.journals.values().all(Option::is_none) {
            self.release_all_leavers(out);
        }
        if self.gathered(now) {
            // A look that is under way has nothing to add, and must not hold up the reading.
            if let Some((look, _)) = self.newer.scan.take() {
                out.push(Action::AbandonIo(look));
            }
            self.read_log(out);
            return;
        }
        let patience = self.settings.patience.look;
        let due = self.newer.due.is_some_and(|due| now >= due || due - now > patience);
        if due && self.newer.scan.is_none() && self.settings.rules.looks_for_newer_term() {
            self.look_for_newer_term(now, out);
        }
    }

    /// True if the workers are there for which a begin has to wait.
    fn gathered(&self, now: i64) -> bool {
        let present = self.members.present();
        // A job that is under way goes on with the workers that are left.
        if present.is_empty() || self.runs.begun > 0 {
            return !present.is_empty();
        }
        let introduced = present.iter().all(|m| self.journals.contains_key(&m.worker)) || !self.settings.rules.journal_first();
        let waited = now - self.began;
        let patience = self.settings.patience;
        // Two managers between which the workers are divided would wait for ever (I12).
        let patience = if self.runs.ran_before { patience.gather } else { patience.gather_first };
        introduced
            && self.members.all_connected()
            && (self.members.missing(self.wishes.target).is_empty() || !(0..=patience).contains(&waited))
    }
}
