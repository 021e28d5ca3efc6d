//! Processes that somebody else looks after: a pod, for one. Who looks after them decides when they end.
//!
//! Two things differ from a terminal. SIGTERM means *this process goes*, not *the job stops*: a pod is moved to another node, and its job
//! goes on without it; a job is stopped by asking its coordinator. And a process whose job is over stays until it is ended, since whoever
//! starts ended processes again (a kubelet does) would start the job again: a coordinator goes on telling that the job has stopped or
//! finished, so that this can be seen however late one looks.

use std::pin::Pin;
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches};
use futures_util::Stream;
use watershed_runtime::error::Result;
use watershed_wire::tonic::{self, Request, Response, Status};
use watershed_wire::v1::job_server::Job;
use watershed_wire::v1::{
    FileReply, FileRequest, Phase, ReleasableReply, ReleasableRequest, ScaleReply, ScaleRequest, SnapshotReply, SnapshotRequest,
    StatusReply, StatusRequest, StopReply, StopRequest, WatchRequest,
};

use super::drain::last_manifest;
use crate::cluster::CoordinatorWatch;
use crate::transport::{Listener, Network, Services, threads};

/// `--supervised`.
pub(super) fn supervised_arg() -> Arg {
    Arg::new("supervised")
        .long("supervised")
        .action(ArgAction::SetTrue)
        .help("Somebody looks after this process: SIGTERM ends it and not the job, and it stays when the job is over")
}

/// True if something looks after this process.
pub(super) fn is_supervised(typed: &ArgMatches) -> bool {
    let flag = typed.try_get_one::<bool>("supervised").ok().flatten().copied().unwrap_or(false);
    flag || std::env::var("WATERSHED_SUPERVISED").is_ok_and(|v| v == "true")
}

/// Stays until the process is ended.
pub(super) fn stay() -> ! {
    loop {
        std::thread::park();
    }
}

/// Stays, and tells whoever asks that the job is over.
pub(super) fn stay_and_tell(
    watch: &CoordinatorWatch,
    job: &str,
    storage: &str,
    phase: Phase,
    listen: &str,
    network: &Network,
) -> Result<()> {
    let mut reply = StatusReply { job: job.to_owned(), ..StatusReply::default() };
    reply.set_phase(phase);
    reply.epoch = last_manifest(job, Some(storage)).map_or(0, |m| m.epoch);
    watch.over(reply.clone());
    let runtime = threads(1)?;
    let over = || Services::default().job(Over(reply.clone()));
    let mut listener = Listener::start(runtime.handle(), listen, network, over());
    for _ in 0..50 {
        if listener.is_ok() {
            break;
        }
        // The port is still being given up.
        std::thread::sleep(Duration::from_millis(100));
        listener = Listener::start(runtime.handle(), listen, network, over());
    }
    let _listens = listener?;
    stay()
}

/// The service of a job that is over.
#[derive(Clone)]
struct Over(StatusReply);

impl Over {
    fn reason(&self) -> String {
        format!("the job `{}` is over", self.0.job)
    }
}

#[tonic::async_trait]
impl Job for Over {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<StatusReply, Status>> + Send>>;

    async fn status(&self, _: Request<StatusRequest>) -> Result<Response<StatusReply>, Status> {
        Ok(Response::new(self.0.clone()))
    }

    async fn watch(&self, _: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        Ok(Response::new(Box::pin(futures_util::stream::iter([Ok(self.0.clone())]))))
    }

    async fn scale(&self, _: Request<ScaleRequest>) -> Result<Response<ScaleReply>, Status> {
        Ok(Response::new(ScaleReply { accepted: false, reason: self.reason(), replicas_before: 0 }))
    }

    async fn snapshot(&self, _: Request<SnapshotRequest>) -> Result<Response<SnapshotReply>, Status> {
        Ok(Response::new(SnapshotReply { accepted: false, reason: self.reason(), epoch: self.0.epoch }))
    }

    async fn stop(&self, _: Request<StopRequest>) -> Result<Response<StopReply>, Status> {
        Ok(Response::new(StopReply { accepted: true, reason: self.reason() }))
    }

    async fn file(&self, _: Request<FileRequest>) -> Result<Response<FileReply>, Status> {
        Err(Status::unavailable(self.reason()))
    }

    async fn releasable(&self, _: Request<ReleasableRequest>) -> Result<Response<ReleasableReply>, Status> {
        Ok(Response::new(ReleasableReply { workers: Vec::new() }))
    }
}
