//! The `Job` service: what a command line and an operator ask goes to the manager's thread and comes back.

use std::pin::Pin;
use std::time::Duration;

use futures_util::{Stream, stream};
use tokio::sync::oneshot;
use watershed_cluster::JobStatus;
use watershed_cluster::manager::{JobManager, Reply, Request as Wish};
use watershed_runtime::error::explain;
use watershed_wire::tonic::{self, Request, Response, Status};
use watershed_wire::v1::job_server::Job;
use watershed_wire::v1::{
    FileReply, FileRequest, Releasable, ReleasableReply, ReleasableRequest, ScaleReply, ScaleRequest, SnapshotReply,
    SnapshotRequest, StatusReply, StatusRequest, StopReply, StopRequest, WatchRequest,
};

use super::inbox::Look;
use crate::clock::now;

/// A running job, as it is asked.
pub(crate) trait Asked: Clone + Send + Sync + 'static {
    /// Asks the manager for something. False when the job is over.
    fn ask(&self, request: Wish, waiter: oneshot::Sender<Reply>) -> bool;
    /// Looks at the manager, on its thread. False when the job is over.
    fn look(&self, look: Look) -> bool;
    /// The status as it is told.
    fn reply(&self, status: &JobStatus) -> StatusReply;
}

/// The service of a running job.
pub(crate) struct Service<A> {
    job: A,
    /// The file that the job was started from. It does not change.
    file: FileReply,
}

fn over() -> Status {
    Status::unavailable("the job is over")
}

impl<A: Asked> Service<A> {
    pub(crate) fn new(job: A, file: FileReply) -> Self {
        Self { job, file }
    }

    async fn wish(&self, wish: Wish) -> Result<Reply, Status> {
        let (waiter, answered) = oneshot::channel();
        if !self.job.ask(wish, waiter) {
            return Err(over());
        }
        answered.await.map_err(|_| over())
    }
}

async fn look<A: Asked, T: Send + 'static>(job: &A, at: impl FnOnce(&JobManager) -> T + Send + 'static) -> Result<T, Status> {
    let (to, answered) = oneshot::channel();
    let look = move |manager: &JobManager| {
        let _gone = to.send(at(manager));
    };
    if !job.look(Box::new(look)) {
        return Err(over());
    }
    answered.await.map_err(|_| over())
}

async fn status<A: Asked>(job: &A) -> Result<StatusReply, Status> {
    let status = look(job, |manager| manager.status(now())).await?;
    Ok(job.reply(&status))
}

/// The status of a reply to another question.
fn unexpected(reply: &Reply) -> Status {
    Status::internal(format!("the manager answers with {reply:?}"))
}

fn releasable(manager: &JobManager) -> ReleasableReply {
    let (free, status) = (manager.releasable(), manager.status(now()));
    let workers = status.workers.into_iter().map(|w| {
        let releasable = free.get(&w.member.worker).copied().unwrap_or(false);
        let reason = match (releasable, w.member.worker < status.wanted) {
            (true, _) => String::new(),
            (false, true) => "it is wanted".to_owned(),
            (false, false) => "it owns key groups, or a manifest or output not committed needs it".to_owned(),
        };
        Releasable { worker: w.member.worker, name: w.member.name, releasable, reason }
    });
    ReleasableReply { workers: workers.collect() }
}

#[tonic::async_trait]
impl<A: Asked> Job for Service<A> {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<StatusReply, Status>> + Send>>;

    async fn status(&self, _: Request<StatusRequest>) -> Result<Response<StatusReply>, Status> {
        status(&self.job).await.map(Response::new)
    }

    async fn watch(&self, request: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let millis = match request.into_inner().interval_millis {
            0 => 1000,
            n => n.max(50),
        };
        let (job, every) = (self.job.clone(), Duration::from_millis(u64::from(millis)));
        let replies = stream::unfold(Some(job), move |job| async move {
            let job = job?;
            match status(&job).await {
                Ok(reply) => {
                    tokio::time::sleep(every).await;
                    Some((Ok(reply), Some(job)))
                }
                Err(over) => Some((Err(over), None)),
            }
        });
        Ok(Response::new(Box::pin(replies)))
    }

    async fn scale(&self, request: Request<ScaleRequest>) -> Result<Response<ScaleReply>, Status> {
        let reply = match self.wish(Wish::Scale(request.into_inner().replicas)).await? {
            Reply::Scaled(before) => ScaleReply { accepted: true, reason: String::new(), replicas_before: before },
            Reply::Refused(e) => ScaleReply { accepted: false, reason: explain(&e), replicas_before: 0 },
            other @ (Reply::Stopping | Reply::Draining | Reply::Snapshot(_)) => return Err(unexpected(&other)),
        };
        Ok(Response::new(reply))
    }

    async fn snapshot(&self, request: Request<SnapshotRequest>) -> Result<Response<SnapshotReply>, Status> {
        let SnapshotRequest { wait, name } = request.into_inner();
        let reply = match self.wish(Wish::Snapshot { name, wait }).await? {
            Reply::Snapshot(epoch) => SnapshotReply { accepted: true, reason: String::new(), epoch },
            Reply::Refused(e) => SnapshotReply { accepted: false, reason: explain(&e), epoch: 0 },
            other @ (Reply::Scaled(_) | Reply::Stopping | Reply::Draining) => return Err(unexpected(&other)),
        };
        Ok(Response::new(reply))
    }

    async fn stop(&self, request: Request<StopRequest>) -> Result<Response<StopReply>, Status> {
        let wish = if request.into_inner().drain { Wish::Drain } else { Wish::Stop };
        let reply = match self.wish(wish).await? {
            Reply::Stopping => StopReply { accepted: true, reason: String::new() },
            Reply::Draining => {
                let reason = "its sources read nothing more; it finishes when all that is open has come out".to_owned();
                StopReply { accepted: true, reason }
            }
            Reply::Refused(e) => StopReply { accepted: false, reason: explain(&e) },
            other @ (Reply::Scaled(_) | Reply::Snapshot(_)) => return Err(unexpected(&other)),
        };
        Ok(Response::new(reply))
    }

    async fn releasable(&self, _: Request<ReleasableRequest>) -> Result<Response<ReleasableReply>, Status> {
        look(&self.job, releasable).await.map(Response::new)
    }

    async fn file(&self, _: Request<FileRequest>) -> Result<Response<FileReply>, Status> {
        Ok(Response::new(self.file.clone()))
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn that_a_name_is_taken_is_said_in_the_words_that_an_operator_reads() {
        assert_eq!(watershed_cluster::name_taken("it"), watershed_wire::name_taken("it"));
    }
}
