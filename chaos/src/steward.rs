//! Questions to the coordinator, on a thread of their own: a coordinator that sleeps must not keep the checker from reading.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use watershed::cluster::client::Client;
use watershed::transport::Network;
use watershed::transport::wire::v1::Phase;

/// The time between two questions to the coordinator.
const EVERY: Duration = Duration::from_millis(250);

/// The coordinator's last answer.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) at: Instant,
    pub(crate) running: bool,
    pub(crate) phase: String,
    pub(crate) wanted: u32,
    /// Key groups by worker, of those that have any.
    pub(crate) groups: BTreeMap<u32, u32>,
    pub(crate) waiting: Vec<String>,
    /// Workers that nothing needs.
    pub(crate) free: Vec<u32>,
    pub(crate) epoch: u64,
    pub(crate) term: u64,
    /// The term under which the run began: a recovery raises it.
    pub(crate) generation: u64,
    /// Wishes to stop that a coordinator has accepted.
    pub(crate) stops: u32,
    /// The reason why nothing newer is known.
    pub(crate) trouble: String,
}

enum Ask {
    Scale(u32),
    Stop,
    GoOn,
}

/// Asks and remembers.
#[derive(Debug)]
pub(crate) struct Steward {
    seen: Arc<Mutex<Seen>>,
    to: Sender<Ask>,
}

impl Steward {
    /// Begins to ask the coordinator at `address`.
    pub(crate) fn start(address: String) -> std::io::Result<Self> {
        let seen = Seen {
            at: Instant::now(),
            running: false,
            phase: "unknown".into(),
            wanted: 0,
            groups: BTreeMap::new(),
            waiting: Vec::new(),
            free: Vec::new(),
            epoch: 0,
            term: 0,
            generation: 0,
            stops: 0,
            trouble: "it has not been asked yet".into(),
        };
        let seen = Arc::new(Mutex::new(seen));
        let (to, asked) = channel();
        let mut desk = Desk { address, seen: seen.clone(), client: None, scale: None, stop: false, stops: 0 };
        std::thread::Builder::new().name("steward".into()).spawn(move || desk.work(&asked))?;
        Ok(Self { seen, to })
    }

    /// The last answer that is known.
    pub(crate) fn seen(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Wishes for so many workers, until that is accepted.
    pub(crate) fn scale(&self, replicas: u32) {
        let _over = self.to.send(Ask::Scale(replicas));
    }

    /// Stops the job, as soon as a coordinator accepts it.
    pub(crate) fn stop(&self) {
        let _over = self.to.send(Ask::Stop);
    }

    /// Gives a wish to stop up that no coordinator has accepted.
    pub(crate) fn go_on(&self) {
        let _over = self.to.send(Ask::GoOn);
    }
}

struct Desk {
    address: String,
    seen: Arc<Mutex<Seen>>,
    client: Option<Client>,
    scale: Option<u32>,
    stop: bool,
    stops: u32,
}

impl Desk {
    fn work(&mut self, asked: &Receiver<Ask>) {
        loop {
            match asked.recv_timeout(EVERY) {
                Ok(Ask::Scale(n)) => self.scale = Some(n),
                Ok(Ask::Stop) => self.stop = true,
                Ok(Ask::GoOn) => self.stop = false,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if let Err(e) = self.round() {
                self.client = None;
                self.seen.lock().unwrap_or_else(PoisonError::into_inner).trouble = e.to_string();
            }
        }
    }

    fn round(&mut self) -> watershed::Result<()> {
        if self.client.is_none() {
            self.client = Some(Client::connect(&self.address, Network::default())?);
        }
        let Some(client) = &mut self.client else { return Ok(()) };
        if let Some(n) = self.scale {
            client.scale(n)?;
            self.scale = None;
        }
        if self.stop {
            client.stop()?;
            self.stop = false;
            self.stops += 1;
            // The coordinator may be gone before it has told how the job is.
            self.seen.lock().unwrap_or_else(PoisonError::into_inner).stops = self.stops;
        }
        let status = client.status()?;
        let free = client.releasable()?.into_iter().filter(|w| w.releasable).map(|w| w.worker).collect();
        let own = status.workers.iter().filter(|w| w.key_groups > 0).map(|w| (w.worker, w.key_groups));
        let seen = Seen {
            at: Instant::now(),
            running: status.phase() == Phase::Running,
            phase: status.phase().as_str_name().trim_start_matches("PHASE_").to_lowercase(),
            wanted: status.wanted,
            groups: own.collect(),
            waiting: status.waiting.clone(),
            free,
            epoch: status.epoch,
            term: status.era.map_or(0, |e| e.term),
            generation: status.era.map_or(0, |e| e.generation),
            stops: self.stops,
            trouble: String::new(),
        };
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen;
        Ok(())
    }
}
