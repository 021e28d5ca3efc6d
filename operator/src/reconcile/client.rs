//! Connections to the coordinators of jobs: one connection a job, kept; each request has a deadline.
//!
//! A coordinator is reached at the address of its Service, without DNS. Its silence is no error of the reconciliation: it is an
//! observation.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use watershed_wire::tonic::metadata::MetadataValue;
use watershed_wire::tonic::transport::{Channel, Endpoint};
use watershed_wire::tonic::{Code, Request, Status};
use watershed_wire::v1::job_client::JobClient;
use watershed_wire::v1::{ReleasableRequest, ScaleRequest, SnapshotRequest, StatusRequest, StopRequest};

use super::answer::{Answer, CoordinatorStatus};
use super::names::COORDINATOR_PORT;

/// The time that an answer may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Connections to coordinators.
#[derive(Debug, Default)]
pub(crate) struct Coordinators {
    by_address: Mutex<HashMap<String, Channel>>,
}

impl Coordinators {
    fn client(&self, address: &str) -> Result<JobClient<Channel>, String> {
        let mut all = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(channel) = all.get(address) {
            return Ok(JobClient::new(channel.clone()));
        }
        let channel = endpoint(address)?.timeout(PATIENCE).connect_lazy();
        // A service that came back has another address; those that are gone are few.
        if all.len() > 10_000 {
            all.clear();
        }
        all.insert(address.to_owned(), channel.clone());
        Ok(JobClient::new(channel))
    }

    /// Forgets a connection, so that the next request dials anew.
    fn forget(&self, address: &str) {
        self.by_address.lock().unwrap_or_else(PoisonError::into_inner).remove(address);
    }

    /// The status of the job, and with `releasing` also which workers may go.
    pub(crate) async fn status(&self, address: &str, token: Option<&str>, releasing: bool) -> Answer {
        match self.within(PATIENCE, address, self.read(address, token, releasing)).await {
            Ok(status) => Answer::Status(status),
            Err(why) => Answer::Silent(why),
        }
    }

    /// An answer, unless it takes too long. A coordinator that has not answered is dialled anew the next time.
    async fn within<T>(
        &self,
        patience: Duration,
        address: &str,
        asked: impl Future<Output = Result<T, String>>,
    ) -> Result<T, String> {
        let answer = tokio::time::timeout(patience, asked).await.unwrap_or_else(|_| Err("it does not answer in time".into()));
        if answer.is_err() {
            self.forget(address);
        }
        answer
    }

    /// Reads the status. The question which workers may go comes first, since the connection may reach another coordinator in between:
    /// then the status is that of the newer one ([`CoordinatorStatus::may_go`]).
    async fn read(&self, address: &str, token: Option<&str>, releasing: bool) -> Result<CoordinatorStatus, String> {
        let mut client = self.client(address)?;
        let releasable = if releasing {
            Some(client.releasable(request(ReleasableRequest {}, token)?).await.map_err(reason)?.into_inner())
        } else {
            None
        };
        let reply = client.status(request(StatusRequest {}, token)?).await.map_err(reason)?;
        Ok(CoordinatorStatus::of(reply.into_inner(), releasable))
    }

    /// Asks for so many workers.
    pub(crate) async fn scale(&self, address: &str, token: Option<&str>, replicas: u32) -> Result<(), String> {
        let asked = async { self.client(address)?.scale(request(ScaleRequest { replicas }, token)?).await.map_err(reason) };
        let reply = self.within(PATIENCE, address, asked).await?.into_inner();
        if reply.accepted { Ok(()) } else { Err(reply.reason) }
    }

    /// Asks for a named snapshot of all that is read by now, and waits until it is in storage; gives its epoch.
    pub(crate) async fn snapshot(
        &self,
        address: &str,
        token: Option<&str>,
        name: &str,
        patience: Duration,
    ) -> Result<u64, String> {
        let mut asked = request(SnapshotRequest { wait: true, name: name.to_owned() }, token)?;
        asked.set_timeout(patience);
        // A connection of its own, since those that are kept have the deadline of a status request.
        let mut client = JobClient::new(endpoint(address)?.timeout(patience).connect_lazy());
        let answer = async { client.snapshot(asked).await.map_err(reason) };
        let reply = self.within(patience, address, answer).await?.into_inner();
        if reply.accepted { Ok(reply.epoch) } else { Err(reply.reason) }
    }

    /// Asks the job to stop with a snapshot.
    pub(crate) async fn stop(&self, address: &str, token: Option<&str>) -> Result<(), String> {
        let asked = async { self.client(address)?.stop(request(StopRequest { drain: false }, token)?).await.map_err(reason) };
        let reply = self.within(PATIENCE, address, asked).await?.into_inner();
        if reply.accepted { Ok(()) } else { Err(reply.reason) }
    }
}

fn endpoint(address: &str) -> Result<Endpoint, String> {
    let host = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
    let endpoint = Endpoint::from_shared(format!("http://{host}:{COORDINATOR_PORT}")).map_err(|e| e.to_string())?;
    Ok(endpoint.connect_timeout(PATIENCE).tcp_nodelay(true))
}

fn request<T>(question: T, token: Option<&str>) -> Result<Request<T>, String> {
    let mut request = Request::new(question);
    request.set_timeout(PATIENCE);
    if let Some(token) = token {
        let value: MetadataValue<_> =
            format!("Bearer {token}").parse().map_err(|_| "the operator's token is not text".to_owned())?;
        request.metadata_mut().insert("authorization", value);
    }
    Ok(request)
}

/// The reason of a failed request, as a phrase.
fn reason(status: Status) -> String {
    // The details below (an address, a time) change from try to try and are of no use to a reader.
    if status.code() == Code::Unavailable && status.message().contains("error") {
        "nobody listens there".into()
    } else if status.message().is_empty() {
        status.code().to_string()
    } else {
        status.message().to_owned()
    }
}
