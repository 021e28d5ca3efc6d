//! A worker's signals. SIGTERM: this process is to end, and the job goes on without it, so what it has moves to others first. A second
//! signal ends it at once, by the signal handler itself, so that it works even when everything else hangs; that costs a recovery and
//! loses nothing.
//!
//! Ctrl-C reaches every process of a terminal: the coordinator stops the job, and with it its workers. So a first SIGINT means nothing
//! here, and a second one ends the process at once, as it does the coordinator's.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::Signals;
use watershed_runtime::error::{Error, Kind, Result};

use crate::cluster::Leaver;

/// Signals that have come.
#[derive(Debug, Default)]
pub(super) struct Leave {
    told: Arc<AtomicBool>,
    interrupted: Arc<AtomicBool>,
    over: Arc<AtomicBool>,
}

impl Leave {
    /// Listens from now on, as long as the process lives.
    pub(super) fn listen(leaver: Leaver) -> Result<Self> {
        let failed = |e: std::io::Error| Error::new(Kind::Unavailable, "cannot listen for signals").because(e);
        let this = Self::default();
        // In this order: at the first signal the flag is not set yet when the condition is looked at.
        flag::register_conditional_shutdown(SIGTERM, 0, this.over.clone()).map_err(failed)?;
        for signal in [SIGINT, SIGTERM] {
            flag::register_conditional_shutdown(signal, 130, this.told.clone()).map_err(failed)?;
        }
        flag::register_conditional_shutdown(SIGINT, 130, this.interrupted.clone()).map_err(failed)?;
        flag::register(SIGTERM, this.told.clone()).map_err(failed)?;
        flag::register(SIGINT, this.interrupted.clone()).map_err(failed)?;
        let mut signals = Signals::new([SIGTERM]).map_err(failed)?;
        std::thread::spawn(move || signals.forever().for_each(|_| leaver.leave()));
        Ok(this)
    }

    /// There is nothing left to move: SIGTERM ends the process from now on. False if it was told to end before.
    pub(super) fn stays(&self) -> bool {
        self.over.store(true, Ordering::SeqCst);
        !self.told.load(Ordering::SeqCst)
    }
}
