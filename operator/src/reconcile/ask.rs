//! Talking to a job's coordinator: one connection a job, kept; each question has a deadline.
//!
//! A coordinator is asked at the address of its Service, without DNS. That it does not answer is no error of a look at the job: it is what
//! was seen.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use watershed_wire::tonic::metadata::MetadataValue;
use watershed_wire::tonic::transport::{Channel, Endpoint};
use watershed_wire::tonic::{Code, Request, Status};
use watershed_wire::v1::job_client::JobClient;
use watershed_wire::v1::{Phase, ReleasableRequest, ScaleRequest, SnapshotRequest, StatusReply, StatusRequest, StopRequest};

use super::names::COORDINATOR_PORT;
use super::pause::Counted;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a coordinator says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    /// Nothing, and why.
    Silent(String),
    /// This.
    Says(Says),
}

/// What a coordinator says of its job.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Says {
    /// How the job is.
    pub(crate) phase: Phase,
    /// The coordinator's term and the dataflow's generation.
    pub(crate) era: Option<(u64, u64)>,
    /// The last published epoch.
    pub(crate) epoch: u64,
    /// Workers wanted.
    pub(crate) wanted: u32,
    /// The workers it knows: number, connected, key groups.
    pub(crate) workers: Vec<(u32, bool, u32)>,
    /// For whom or what it waits.
    pub(crate) waiting: Vec<String>,
    /// Workers that may not go yet; only asked where some are to go.
    pub(crate) held: Vec<u32>,
    /// What each of them has counted of rows that waited because they moved.
    pub(crate) moves: Counted,
}

impl Says {
    fn of(reply: StatusReply) -> Self {
        Self {
            phase: reply.phase(),
            era: reply.era.map(|e| (e.term, e.generation)),
            epoch: reply.epoch,
            wanted: reply.wanted,
            workers: reply.workers.iter().map(|w| (w.worker, w.connected, w.key_groups)).collect(),
            waiting: reply.waiting,
            held: Vec::new(),
            moves: reply.workers.iter().filter_map(|w| Some((w.worker, w.moves.clone()?))).collect(),
        }
    }

    /// Whether a worker is there.
    pub(crate) fn connected(&self, worker: u32) -> bool {
        self.workers.iter().any(|(w, connected, _)| *w == worker && *connected)
    }

    /// How many key groups a worker has.
    pub(crate) fn groups_of(&self, worker: u32) -> u32 {
        self.workers.iter().find(|(w, _, _)| *w == worker).map_or(0, |(_, _, groups)| *groups)
    }

    /// Whether exactly the first so many workers have key groups.
    pub(crate) fn owned_by_first(&self, workers: u32) -> bool {
        let owners: Vec<u32> = self.workers.iter().filter(|(_, _, groups)| *groups > 0).map(|(w, _, _)| *w).collect();
        owners.len() == workers as usize && owners.iter().all(|w| *w < workers)
    }
}

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

    /// Forgets a connection, so that the next question dials anew.
    fn forget(&self, address: &str) {
        self.by_address.lock().unwrap_or_else(PoisonError::into_inner).remove(address);
    }

    /// How the job is, and if `releasing` which workers may not go yet.
    pub(crate) async fn status(&self, address: &str, token: Option<&str>, releasing: bool) -> Answer {
        match self.in_time(address, self.look(address, token, releasing)).await {
            Ok(says) => Answer::Says(says),
            Err(why) => Answer::Silent(why),
        }
    }

    /// An answer, unless it takes too long. Whoever has not answered is dialled anew the next time.
    async fn in_time<T>(&self, address: &str, asked: impl Future<Output = Result<T, String>>) -> Result<T, String> {
        self.within(PATIENCE, address, asked).await
    }

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

    async fn look(&self, address: &str, token: Option<&str>, releasing: bool) -> Result<Says, String> {
        let mut client = self.client(address)?;
        let reply = client.status(request(StatusRequest {}, token)?).await.map_err(said)?;
        let mut says = Says::of(reply.into_inner());
        if releasing {
            let reply = client.releasable(request(ReleasableRequest {}, token)?).await.map_err(said)?;
            says.held = reply.into_inner().workers.iter().filter(|w| !w.releasable).map(|w| w.worker).collect();
        }
        Ok(says)
    }

    /// Wishes for so many workers.
    pub(crate) async fn scale(&self, address: &str, token: Option<&str>, replicas: u32) -> Result<(), String> {
        let asked = async { self.client(address)?.scale(request(ScaleRequest { replicas }, token)?).await.map_err(said) };
        let reply = self.in_time(address, asked).await?.into_inner();
        if reply.accepted { Ok(()) } else { Err(reply.reason) }
    }

    /// Has a snapshot of all that is read by now named, and waits until it is in storage; its epoch.
    pub(crate) async fn snapshot(
        &self,
        address: &str,
        token: Option<&str>,
        name: &str,
        patience: Duration,
    ) -> Result<u64, String> {
        let mut asked = request(SnapshotRequest { wait: true, name: name.to_owned() }, token)?;
        asked.set_timeout(patience);
        // A connection of its own: those that are kept have the patience of a status.
        let mut client = JobClient::new(endpoint(address)?.timeout(patience).connect_lazy());
        let answer = async { client.snapshot(asked).await.map_err(said) };
        let reply = self.within(patience, address, answer).await?.into_inner();
        if reply.accepted { Ok(reply.epoch) } else { Err(reply.reason) }
    }

    /// Stops the job with a snapshot.
    pub(crate) async fn stop(&self, address: &str, token: Option<&str>) -> Result<(), String> {
        let asked = async { self.client(address)?.stop(request(StopRequest { drain: false }, token)?).await.map_err(said) };
        let reply = self.in_time(address, asked).await?.into_inner();
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

fn said(status: Status) -> String {
    // What is below (an address, a time) changes from try to try and is of no use to a reader.
    if status.code() == Code::Unavailable && status.message().contains("error") {
        "nobody listens there".into()
    } else if status.message().is_empty() {
        status.code().to_string()
    } else {
        status.message().to_owned()
    }
}
