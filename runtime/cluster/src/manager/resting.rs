//! Resting: something that a run needs is away (storage, a disk). The run is over, and the next begins in a moment.
//!
//! Any other error, and something that stays away, ends the process: its supervisor sees it and starts it again. A job that has never
//! worked here is wrong rather than unlucky: its owner hears of it at once.

use watershed_runtime::error::{Error, Kind, explain};

use super::interface::Action;
use super::machine::JobManager;

impl JobManager {
    pub(super) fn failed(&mut self, e: Error, now: i64, out: &mut Vec<Action>) {
        let since = *self.retry.failing.get_or_insert(now);
        let unlucky = e.kind() == Kind::Unavailable && self.retry.worked;
        if !unlucky || now - since > self.settings.patience.failing || !self.settings.rules.rests_and_retries() {
            return self.end(Err(e), out);
        }
        let rest = self.settings.patience.rest;
        self.end_run(explain(&e), Some(rest), now, out);
    }
}
