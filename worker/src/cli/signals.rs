//! Ctrl-C and SIGTERM: the first one stops the job with a snapshot, a second one ends the process at once.
//!
//! A process that still starts (it reads its file, plans, waits for its storage) has nothing to stop: a signal ends it at once
//! ([`EndsWhenTold`]). That and a second signal are handled by the signal handler itself and not by a thread, so that they work even when
//! everything else hangs. Nothing is lost by it: a process that vanishes is what snapshots are for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use serde_json::json;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::Signals;
use watershed_runtime::error::{Error, Kind, Result};

use crate::local::Handle;
use crate::telemetry::log::Log;

/// A process that a signal ends at once: SIGTERM with 0, Ctrl-C with 130. That lasts until this is dropped, when the job itself hears
/// signals.
#[derive(Debug)]
pub struct EndsWhenTold {
    terminated: Arc<AtomicBool>,
    interrupted: Arc<AtomicBool>,
}

impl EndsWhenTold {
    /// Ctrl-C is the job's from now on; SIGTERM still ends the process.
    #[cfg(feature = "grpc")]
    pub(super) fn hears_interrupts(&self) {
        self.interrupted.store(false, Ordering::SeqCst);
    }
}

impl Drop for EndsWhenTold {
    fn drop(&mut self) {
        self.terminated.store(false, Ordering::SeqCst);
        self.interrupted.store(false, Ordering::SeqCst);
    }
}

/// Signals end the process from now on. The handler is installed for SIGTERM too: the first process of a container has no default action.
pub fn ends_when_told() -> Result<EndsWhenTold> {
    let ends = EndsWhenTold { terminated: Arc::new(AtomicBool::new(true)), interrupted: Arc::new(AtomicBool::new(true)) };
    flag::register_conditional_shutdown(SIGTERM, 0, ends.terminated.clone()).map_err(failed)?;
    flag::register_conditional_shutdown(SIGINT, 130, ends.interrupted.clone()).map_err(failed)?;
    Ok(ends)
}

/// Listens for these signals from now on; a second one ends the process at once.
pub(super) fn twice_ends(heard: &[i32]) -> Result<Signals> {
    let seen = Arc::new(AtomicBool::new(false));
    for signal in heard {
        // In this order: at the first signal the flag is not set yet when the condition is looked at.
        flag::register_conditional_shutdown(*signal, 130, seen.clone()).map_err(failed)?;
        flag::register(*signal, seen.clone()).map_err(failed)?;
    }
    Signals::new(heard).map_err(failed)
}

fn failed(e: std::io::Error) -> Error {
    Error::new(Kind::Unavailable, "cannot listen for signals").because(e)
}

/// Listens for signals until it is dropped.
#[derive(Debug)]
pub(crate) struct Watch {
    signals: signal_hook::iterator::Handle,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    pub(crate) fn start(log: &Arc<Log>, handle: Handle) -> Result<Self> {
        let mut signals = twice_ends(&[SIGINT, SIGTERM])?;
        let closer = signals.handle();
        let log = log.clone();
        let watch = move || {
            for signal in signals.forever() {
                let name = if signal == SIGINT { "SIGINT" } else { "SIGTERM" };
                let sentence = "stopping with a snapshot; again to end at once";
                log.event("stopping", sentence, json!({ "signal": name }));
                handle.stop();
            }
        };
        let thread = std::thread::Builder::new().name("signals".into()).spawn(watch).map_err(failed)?;
        Ok(Self { signals: closer, thread: Some(thread) })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.signals.close();
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}
