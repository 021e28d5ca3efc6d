//! A running coordinator, as the `Job` service and monitors ask it.

use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;
use watershed_cluster::JobStatus;
use watershed_cluster::manager::{Reply, Request};
use watershed_wire::v1::StatusReply;

use super::inbox::{Look, Told};
use super::service::Asked;
use super::status::{Loads, status_reply};
use crate::transport::Sessions;

/// A running coordinator, as it is asked.
#[derive(Clone, Debug)]
pub(super) struct AskedCoordinator {
    pub(super) to: Sender<Told>,
    pub(super) loads: Arc<Mutex<Loads>>,
    pub(super) sessions: Sessions,
}

impl Asked for AskedCoordinator {
    fn ask(&self, request: Request, waiter: oneshot::Sender<Reply>) -> bool {
        self.to.send(Told::Request(request, waiter)).is_ok()
    }

    fn look(&self, look: Look) -> bool {
        self.to.send(Told::Look(look)).is_ok()
    }

    fn reply(&self, status: &JobStatus) -> StatusReply {
        let loads = self.loads.lock().unwrap_or_else(PoisonError::into_inner);
        let mut reply = status_reply(status, &loads);
        reply.waiting.extend(self.sessions.waiting());
        reply
    }
}
