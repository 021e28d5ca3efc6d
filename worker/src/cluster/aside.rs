//! What may wait for the storage when a run begins, on a thread beside the coordinator's.
//!
//! A run begins from the end of the log, which is read and claimed: with a storage that is away this takes up to three minutes. Nothing may happen in
//! between (whoever is heard before the run has begun is heard as of before it), so everything that comes is put by and heard afterwards, in its
//! order. Only those are answered who ask how the job is: they hear what it waits for.

use std::sync::mpsc::{RecvTimeoutError, TryRecvError, channel};
use std::time::Duration;

use watershed_runtime::error::{Error, Kind, Result};

use super::coordinator::Office;
use super::service::Ask;
use super::told::Told;

/// How often the coordinator's loop turns meanwhile.
const TURN: Duration = Duration::from_millis(500);

impl Office {
    /// What came next, put by or just now.
    pub(super) fn next(&mut self, nap: Duration) -> std::result::Result<Told, RecvTimeoutError> {
        self.later.pop_front().map_or_else(|| self.events.recv_timeout(nap), Ok)
    }

    /// Does something on another thread, and waits for it.
    pub(super) fn aside<T: Send + 'static>(
        &mut self,
        what: &'static str,
        task: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let ((done, result), told) = (channel(), self.told.clone());
        let run = move || {
            // Nobody waits any more, where these fail.
            let _over = done.send(task());
            let _over = told.send(Told::Done);
        };
        std::thread::Builder::new()
            .name("aside".into())
            .spawn(run)
            .map_err(|e| Error::new(Kind::Unavailable, "cannot start a thread").because(e))?;
        self.aside = Some(what);
        let outcome = loop {
            match result.try_recv() {
                Ok(outcome) => break outcome,
                Err(TryRecvError::Disconnected) => break Err(Error::broken("aside", format!("{what}: the thread has gone"))),
                Err(TryRecvError::Empty) => {}
            }
            match self.events.recv_timeout(TURN) {
                Ok(Told::Ask(ask @ (Ask::Status(_) | Ask::Numbers(_) | Ask::Releasable(_)))) => self.tell(ask),
                // An earlier one's, too.
                Ok(Told::Done) | Err(_) => {}
                Ok(other) => self.later.push_back(other),
            }
            self.job.watch.turns();
        };
        self.aside = None;
        outcome
    }
}
