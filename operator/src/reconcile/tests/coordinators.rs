//! The requests to a coordinator, against a server of the same service.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use watershed_wire::tonic::codegen::tokio_stream::Stream;
use watershed_wire::tonic::transport::Server;
use watershed_wire::tonic::{self, Request, Response, Status};
use watershed_wire::v1::job_server::{Job, JobServer};
use watershed_wire::v1::{
    Era, FileReply, FileRequest, Phase, Releasable, ReleasableReply, ReleasableRequest, ScaleReply, ScaleRequest, SnapshotReply,
    SnapshotRequest, StatusReply, StatusRequest, StopReply, StopRequest, WatchRequest, WorkerStatus,
};

use crate::reconcile::answer::{Answer, CoordinatorStatus};
use crate::reconcile::client::Coordinators;
use crate::reconcile::names::COORDINATOR_PORT;

/// A coordinator that is replaced after so many answers. Its successor knows no worker and has no run.
struct Replaced {
    after: u32,
    answers: Arc<AtomicU32>,
}

impl Replaced {
    fn is_successor(&self) -> bool {
        self.answers.fetch_add(1, Ordering::SeqCst) >= self.after
    }
}

type Answered<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl Job for Replaced {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<StatusReply, Status>> + Send>>;

    async fn status(&self, _: Request<StatusRequest>) -> Answered<StatusReply> {
        let mut reply = StatusReply { wanted: 2, ..StatusReply::default() };
        reply.set_phase(Phase::Starting);
        if !self.is_successor() {
            reply.set_phase(Phase::Running);
            reply.era = Some(Era { term: 1, generation: 1 });
            reply.workers = (0..4).map(|worker| WorkerStatus { worker, connected: true, ..WorkerStatus::default() }).collect();
        }
        Ok(Response::new(reply))
    }

    async fn releasable(&self, _: Request<ReleasableRequest>) -> Answered<ReleasableReply> {
        let known = if self.is_successor() { 0 } else { 4 };
        let workers = (0..known).map(|worker| Releasable { worker, releasable: worker == 3, ..Releasable::default() });
        Ok(Response::new(ReleasableReply { workers: workers.collect() }))
    }

    async fn watch(&self, _: Request<WatchRequest>) -> Answered<Self::WatchStream> {
        Err(Status::unimplemented(""))
    }

    async fn scale(&self, _: Request<ScaleRequest>) -> Answered<ScaleReply> {
        Err(Status::unimplemented(""))
    }

    async fn snapshot(&self, _: Request<SnapshotRequest>) -> Answered<SnapshotReply> {
        Err(Status::unimplemented(""))
    }

    async fn stop(&self, _: Request<StopRequest>) -> Answered<StopReply> {
        Err(Status::unimplemented(""))
    }

    async fn file(&self, _: Request<FileRequest>) -> Answered<FileReply> {
        Err(Status::unimplemented(""))
    }
}

/// The status that the operator reads from a coordinator that is replaced after so many answers.
async fn read(after: u32) -> CoordinatorStatus {
    // Each test process has an address of its own in the loopback network, since the port is fixed.
    let [_, b, c, d] = std::process::id().to_be_bytes();
    let address = SocketAddr::from(([127, b.max(1), c, d.clamp(1, 254)], COORDINATOR_PORT));
    let server = Server::builder().serve(address, JobServer::new(Replaced { after, answers: Arc::default() }));
    let server = tokio::spawn(server);
    let coordinators = Coordinators::default();
    let ip = address.ip().to_string();
    let asked = async {
        loop {
            if let Answer::Status(status) = coordinators.status(&ip, None, true).await {
                return status;
            }
            tokio::task::yield_now().await;
        }
    };
    let status = tokio::time::timeout(Duration::from_secs(20), asked).await.unwrap();
    server.abort();
    let _aborted = server.await;
    status
}

#[tokio::test]
async fn a_coordinator_that_is_replaced_between_two_questions_lets_no_worker_go() {
    let same = read(2).await;
    assert_eq!((same.may_go(2), same.may_go(3)), (false, true));
    let replaced = read(1).await;
    assert!(!replaced.may_go(2) && !replaced.may_go(3), "{replaced:?}");
}
