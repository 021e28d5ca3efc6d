//! A session between a worker and a manager: messages in order, nothing lost while it stands, and everything that is under way lost when it ends.

use std::collections::VecDeque;

use watershed_cluster::{Envelope, ToCoordinator, ToWorker};

/// A message to a worker, with the version of the manager's table when it was said.
#[derive(Debug)]
pub(super) struct Down {
    pub(super) envelope: Envelope,
    pub(super) version: Option<u64>,
    pub(super) message: ToWorker,
}

/// A worker's session.
#[derive(Debug)]
pub(super) struct Session {
    /// Its number.
    pub(super) number: u64,
    /// The manager, by number.
    pub(super) manager: u64,
    /// Whether the manager has heard that there is a connection.
    pub(super) connected: bool,
    /// What the manager has said and the worker has not heard, and the other way round.
    pub(super) down: VecDeque<Down>,
    pub(super) up: VecDeque<(Envelope, ToCoordinator)>,
}

impl Session {
    pub(super) fn new(number: u64, manager: u64) -> Self {
        Self { number, manager, connected: true, down: VecDeque::new(), up: VecDeque::new() }
    }
}
