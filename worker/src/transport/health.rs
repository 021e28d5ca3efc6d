//! News of a link, and what follows from them: its state.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use watershed_runtime::error::Error;
use watershed_wire::frame::Era;

/// News of a link.
#[derive(Debug)]
pub enum Notice {
    /// The link has a connection.
    Connected,
    /// The connection dropped, for this reason; another is being made.
    Disconnected(String),
    /// No connection can be made at the moment, for this reason; trying goes on.
    Unreachable(String),
    /// The peer is in a newer era: the coordinator will say so, or this process has been forgotten.
    Behind(Era),
    /// The peer refuses this process's era, which is over: stop, or register anew.
    Refused(Era, String),
    /// The link cannot go on before a new era: the peer is not what it was, or sends what cannot be read.
    Broken(Error),
}

/// The state of a link.
#[derive(Debug)]
struct State {
    connected: bool,
    since: Instant,
    why: String,
}

/// The state of a link, shared by its task and its observers.
#[derive(Clone, Debug)]
pub(super) struct Health(Arc<Mutex<State>>);

impl Health {
    pub(super) fn new() -> Self {
        let state = State { connected: false, since: Instant::now(), why: "no connection has been made yet".into() };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Remembers a notice.
    pub(super) fn note(&self, notice: &Notice) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (connected, why) = match notice {
            Notice::Connected => (true, String::new()),
            Notice::Disconnected(why) | Notice::Unreachable(why) => (false, why.clone()),
            Notice::Broken(error) => (false, error.to_string()),
            Notice::Behind(_) | Notice::Refused(..) => return,
        };
        if connected != state.connected {
            (state.connected, state.since) = (connected, Instant::now());
        }
        state.why = why;
    }

    /// For how long there has been no connection, and why; `None` while there is one.
    pub(super) fn down(&self) -> Option<(Duration, String)> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (!state.connected).then(|| (state.since.elapsed(), state.why.clone()))
    }
}
