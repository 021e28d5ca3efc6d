//! Asking a running job: what `status`, `scale`, `snapshot` and `stop` do, and a supervisor.

use std::path::Path;
use std::time::Duration;

use watershed_runtime::error::{Error, Kind, Result};
use watershed_wire::tonic::{self, transport::Channel};
use watershed_wire::v1::job_client::JobClient;
use watershed_wire::v1::{
    FileReply, FileRequest, Releasable, ReleasableRequest, ScaleRequest, SnapshotRequest, StatusReply, StatusRequest, StopRequest,
};

use crate::transport::{Network, Runtime, dial, dial_unix, threads};

/// The longest time for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest time for a snapshot: it comes with the next barrier, and epochs last up to ten minutes.
const SNAPSHOT_PATIENCE: Duration = Duration::from_secs(15 * 60);

/// A connection to a running job: to its coordinator, or to the socket of a job in one process.
#[derive(Debug)]
pub struct Client {
    runtime: Runtime,
    network: Network,
    address: String,
    jobs: JobClient<Channel>,
}

impl Client {
    /// Connects.
    pub fn connect(address: &str, network: Network) -> Result<Self> {
        let runtime = threads(1)?;
        let channel = runtime
            .block_on(dial(&network, address))
            .map_err(|e| e.advise("check that the job runs, and its address with the one who started it"))?;
        Ok(Self { runtime, network, address: address.to_owned(), jobs: JobClient::new(channel) })
    }

    /// Connects to the Unix socket of a job in one process. The error is that of the system where nothing listens.
    pub fn connect_unix(path: &Path) -> std::io::Result<Self> {
        let stream = std::os::unix::net::UnixStream::connect(path)?;
        stream.set_nonblocking(true)?;
        let runtime = threads(1).map_err(std::io::Error::other)?;
        let channel = runtime.block_on(dial_unix(stream)).map_err(std::io::Error::other)?;
        let (network, address) = (Network::default(), path.display().to_string());
        Ok(Self { runtime, network, address, jobs: JobClient::new(channel) })
    }

    fn ask<Q, R, F>(&mut self, question: Q, ask: impl FnOnce(JobClient<Channel>, tonic::Request<Q>) -> F) -> Result<R>
    where
        F: Future<Output = std::result::Result<tonic::Response<R>, tonic::Status>>,
    {
        self.ask_within(PATIENCE, question, ask)
    }

    fn ask_within<Q, R, F>(
        &mut self,
        patience: Duration,
        question: Q,
        ask: impl FnOnce(JobClient<Channel>, tonic::Request<Q>) -> F,
    ) -> Result<R>
    where
        F: Future<Output = std::result::Result<tonic::Response<R>, tonic::Status>>,
    {
        let (request, jobs) = (self.network.request(question)?, self.jobs.clone());
        let late = || Error::new(Kind::Unavailable, format!("the job at {} does not answer", self.address));
        let answer = self.runtime.block_on(async { tokio::time::timeout(patience, ask(jobs, request)).await });
        answer.map_err(|_| late())?.map(tonic::Response::into_inner).map_err(|status| {
            let what = if status.message().is_empty() { status.code().to_string() } else { status.message().to_owned() };
            Error::new(kind(status.code()), what).at(self.address.clone())
        })
    }

    /// The status of the job.
    pub fn status(&mut self) -> Result<StatusReply> {
        self.ask(StatusRequest {}, |mut jobs, q| async move { jobs.status(q).await })
    }

    /// Asks for so many workers, or slots of a job in one process; how many there were to be before.
    pub fn scale(&mut self, replicas: u32) -> Result<u32> {
        let reply = self.ask(ScaleRequest { replicas }, |mut jobs, q| async move { jobs.scale(q).await })?;
        if reply.accepted { Ok(reply.replicas_before) } else { Err(Error::new(Kind::Invalid, reply.reason)) }
    }

    /// Names a snapshot of all that is read by now; its epoch.
    pub fn snapshot(&mut self, name: &str) -> Result<u64> {
        let request = SnapshotRequest { wait: true, name: name.to_owned() };
        let reply = self.ask_within(SNAPSHOT_PATIENCE, request, |mut jobs, q| async move { jobs.snapshot(q).await })?;
        if reply.accepted { Ok(reply.epoch) } else { Err(Error::new(Kind::Invalid, reply.reason)) }
    }

    /// Stops the job with a snapshot.
    pub fn stop(&mut self) -> Result<()> {
        self.end(false).map(|_| ())
    }

    /// Drains the job: it reads nothing more and finishes. What the coordinator says to it.
    pub fn drain(&mut self) -> Result<String> {
        self.end(true)
    }

    fn end(&mut self, drain: bool) -> Result<String> {
        let reply = self.ask(StopRequest { drain }, |mut jobs, q| async move { jobs.stop(q).await })?;
        if reply.accepted { Ok(reply.reason) } else { Err(Error::new(Kind::Invalid, reply.reason)) }
    }

    /// The name and the text of the file that the job is from; `None` if the job is a program.
    pub fn file(&mut self) -> Result<Option<(String, String)>> {
        let FileReply { job: _, name, text } = self.ask(FileRequest {}, |mut jobs, q| async move { jobs.file(q).await })?;
        Ok((!name.is_empty()).then_some((name, text)))
    }

    /// Workers, and whether they may go.
    pub fn releasable(&mut self) -> Result<Vec<Releasable>> {
        Ok(self.ask(ReleasableRequest {}, |mut jobs, q| async move { jobs.releasable(q).await })?.workers)
    }
}

/// The kind of an error: another try does not help where the token is wrong, or where the process that listens knows no such question.
fn kind(code: tonic::Code) -> Kind {
    use tonic::Code::{PermissionDenied, Unauthenticated, Unimplemented};
    if matches!(code, Unauthenticated | PermissionDenied | Unimplemented) { Kind::Invalid } else { Kind::Unavailable }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_refused_for_what_it_shows_or_asks_does_not_try_again() {
        for code in [tonic::Code::Unauthenticated, tonic::Code::PermissionDenied, tonic::Code::Unimplemented] {
            assert_eq!(kind(code), Kind::Invalid, "{code}");
        }
        for code in [tonic::Code::Unavailable, tonic::Code::DeadlineExceeded, tonic::Code::Unknown, tonic::Code::Internal] {
            assert_eq!(kind(code), Kind::Unavailable, "{code}");
        }
    }
}
