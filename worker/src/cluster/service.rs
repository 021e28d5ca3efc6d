//! The `Job` service: what the command line and an operator ask goes to the coordinator's thread and comes back.

use std::pin::Pin;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::mpsc::{self, Sender};
use std::time::Duration;

use futures_util::{Stream, stream};
use tokio::sync::oneshot;
use watershed_wire::tonic::{self, Request, Response, Status};
use watershed_wire::v1::job_server::Job;
use watershed_wire::v1::{
    FileReply, FileRequest, Releasable, ReleasableReply, ReleasableRequest, ScaleReply, ScaleRequest, SnapshotReply,
    SnapshotRequest, StatusReply, StatusRequest, StopReply, StopRequest, WatchRequest,
};

use super::coordinator::Office;
use super::told::Told;
use crate::local::Outcome;
use crate::metrics::Numbers;
use watershed_runtime::error::{Error, Result as Outcomes};

/// A question, and where the answer goes.
#[derive(Debug)]
pub(super) enum Ask {
    Status(oneshot::Sender<StatusReply>),
    Numbers(mpsc::Sender<Numbers>),
    Scale(u32, oneshot::Sender<ScaleReply>),
    Snapshot(SnapshotRequest, oneshot::Sender<SnapshotReply>),
    Stop(bool, oneshot::Sender<StopReply>),
    Releasable(oneshot::Sender<ReleasableReply>),
}

impl Office {
    /// Tells how the job is and who may go, which changes nothing; nothing else is asked here.
    pub(super) fn tell(&self, ask: Ask) {
        match ask {
            Ask::Status(to) => {
                let _gone = to.send(self.status());
            }
            Ask::Numbers(to) => {
                let _gone = to.send(self.numbers());
            }
            Ask::Releasable(to) => {
                let free = self.releasable();
                let workers = self.roster.all().map(|m| {
                    let releasable = free.get(&m.worker).copied().unwrap_or(false);
                    let reason = match (releasable, m.worker < self.wanted) {
                        (true, _) => String::new(),
                        (false, true) => "it is wanted".to_owned(),
                        (false, false) => "it owns key groups, or a manifest or output not committed needs it".to_owned(),
                    };
                    Releasable { worker: m.worker, name: m.name.clone(), releasable, reason }
                });
                let _gone = to.send(ReleasableReply { workers: workers.collect() });
            }
            Ask::Scale(..) | Ask::Snapshot(..) | Ask::Stop(..) => {}
        }
    }

    /// Answers. `Some` when the job is over by it.
    pub(super) fn answer(&mut self, ask: Ask) -> Outcomes<Option<Outcome>> {
        match ask {
            Ask::Status(_) | Ask::Numbers(_) | Ask::Releasable(_) => self.tell(ask),
            Ask::Scale(replicas, to) => {
                let before = self.wanted;
                let reply = match self.scale(replicas) {
                    Ok(_) => ScaleReply { accepted: true, reason: String::new(), replicas_before: before },
                    Err(e) => ScaleReply { accepted: false, reason: sentence(&e), replicas_before: before },
                };
                let _gone = to.send(reply);
            }
            Ask::Snapshot(asked, to) => self.wish_for_snapshot(asked, to),
            Ask::Stop(false, to) => {
                let _gone = to.send(StopReply { accepted: true, reason: String::new() });
                return self.stop();
            }
            Ask::Stop(true, to) => {
                let late = self.running.as_ref().is_some_and(|r| r.coordinator.closing() && !r.coordinator.draining());
                let reason = if late {
                    "the job's last snapshot is under way: if it has not finished then, start it again and drain it"
                } else {
                    "its sources read nothing more; it finishes when all that is open has come out"
                };
                let _gone = to.send(StopReply { accepted: !late, reason: reason.to_owned() });
                return if late { Ok(None) } else { self.drain() };
            }
        }
        Ok(None)
    }
}

fn sentence(e: &Error) -> String {
    watershed_runtime::error::explain(e)
}

/// Carries questions to the coordinator's thread.
pub(super) struct Service {
    to: Mutex<Sender<Told>>,
    /// What the job was started from. It does not change, so nobody is asked for it.
    file: FileReply,
}

impl Service {
    pub(super) fn new(to: Sender<Told>, file: FileReply) -> Self {
        Self { to: Mutex::new(to), file }
    }

    fn sender(&self) -> Sender<Told> {
        self.to.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn ask<T>(&self, ask: impl FnOnce(oneshot::Sender<T>) -> Ask) -> Result<Response<T>, Status> {
        question(&self.sender(), ask).await.map(Response::new)
    }
}

async fn question<T>(to: &Sender<Told>, ask: impl FnOnce(oneshot::Sender<T>) -> Ask) -> Result<T, Status> {
    let (answer, answered) = oneshot::channel();
    let over = || Status::unavailable("the job is over");
    to.send(Told::Ask(ask(answer))).map_err(|_| over())?;
    answered.await.map_err(|_| over())
}

#[tonic::async_trait]
impl Job for Service {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<StatusReply, Status>> + Send>>;

    async fn status(&self, _: Request<StatusRequest>) -> Result<Response<StatusReply>, Status> {
        self.ask(Ask::Status).await
    }

    async fn watch(&self, request: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let millis = match request.into_inner().interval_millis {
            0 => 1000,
            n => n.max(50),
        };
        let (to, every) = (self.sender(), Duration::from_millis(u64::from(millis)));
        let replies = stream::unfold(Some(to), move |to| async move {
            let to = to?;
            match question(&to, Ask::Status).await {
                Ok(reply) => {
                    tokio::time::sleep(every).await;
                    Some((Ok(reply), Some(to)))
                }
                Err(over) => Some((Err(over), None)),
            }
        });
        Ok(Response::new(Box::pin(replies)))
    }

    async fn scale(&self, request: Request<ScaleRequest>) -> Result<Response<ScaleReply>, Status> {
        let replicas = request.into_inner().replicas;
        self.ask(|to| Ask::Scale(replicas, to)).await
    }

    async fn snapshot(&self, request: Request<SnapshotRequest>) -> Result<Response<SnapshotReply>, Status> {
        let asked = request.into_inner();
        self.ask(|to| Ask::Snapshot(asked, to)).await
    }

    async fn stop(&self, request: Request<StopRequest>) -> Result<Response<StopReply>, Status> {
        let drain = request.into_inner().drain;
        self.ask(|to| Ask::Stop(drain, to)).await
    }

    async fn releasable(&self, _: Request<ReleasableRequest>) -> Result<Response<ReleasableReply>, Status> {
        self.ask(Ask::Releasable).await
    }

    async fn file(&self, _: Request<FileRequest>) -> Result<Response<FileReply>, Status> {
        Ok(Response::new(self.file.clone()))
    }
}
