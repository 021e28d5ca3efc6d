//! The processes of the job: started, asked, killed.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use watershed::cluster::client::Client;
use watershed::transport::Network;
use watershed::transport::wire::v1::StatusReply;

use super::Failure;

/// The longest time that anything may take; more is a hang.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);

pub(crate) struct People {
    dir: PathBuf,
    address: String,
    coordinator: Option<Child>,
    workers: BTreeMap<u32, Child>,
    client: Option<Client>,
}

impl People {
    pub(crate) fn new(dir: PathBuf) -> Result<Self, Failure> {
        let address = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        Ok(Self { dir, address, coordinator: None, workers: BTreeMap::new(), client: None })
    }

    fn spawn(&self, role: &str, rest: &[&str]) -> Result<Child, Failure> {
        let log = std::fs::File::options().create(true).append(true).open(self.dir.join("log"))?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args([role, &self.dir.display().to_string(), &self.address]).args(rest);
        Ok(command.stdin(Stdio::null()).stderr(log).spawn()?)
    }

    pub(crate) fn coordinator(&mut self, replicas: u32) -> Result<(), Failure> {
        self.coordinator_of(replicas, "")
    }

    /// One that goes on with the slots as they run, and is of this kind.
    pub(crate) fn other_coordinator(&mut self, replicas: u32, kind: &str) -> Result<(), Failure> {
        self.kill_coordinator();
        self.coordinator_of(replicas, kind)
    }

    fn coordinator_of(&mut self, replicas: u32, kind: &str) -> Result<(), Failure> {
        self.coordinator = Some(self.spawn("coordinator", &[&replicas.to_string(), kind])?);
        self.client = None;
        Ok(())
    }

    /// These workers, those that are missing.
    pub(crate) fn workers(&mut self, n: u32) -> Result<(), Failure> {
        for number in 0..n {
            if !self.workers.contains_key(&number) {
                let child = self.spawn("worker", &[&format!("worker-{number}")])?;
                self.workers.insert(number, child);
            }
        }
        Ok(())
    }

    /// Workers from `n` on end.
    pub(crate) fn dismiss(&mut self, n: u32) {
        for mut child in self.workers.split_off(&n).into_values() {
            let _gone = child.kill();
            let _reaped = child.wait();
        }
    }

    pub(crate) fn kill_worker(&mut self, number: u32) {
        if let Some(mut child) = self.workers.remove(&number) {
            let _gone = child.kill();
            let _reaped = child.wait();
        }
    }

    pub(crate) fn kill_coordinator(&mut self) {
        if let Some(mut child) = self.coordinator.take() {
            let _gone = child.kill();
            let _reaped = child.wait();
        }
        self.client = None;
    }

    /// The job stops with a snapshot, and all of its processes end.
    pub(crate) fn stop(&mut self) -> Result<(), Failure> {
        self.client()?.stop()?;
        for mut child in self.coordinator.take().into_iter().chain(std::mem::take(&mut self.workers).into_values()) {
            child.wait()?;
        }
        self.client = None;
        Ok(())
    }

    fn client(&mut self) -> Result<&mut Client, Failure> {
        let begin = Instant::now();
        while self.client.is_none() {
            match Client::connect(&self.address, Network::default()) {
                Ok(client) => self.client = Some(client),
                Err(e) if begin.elapsed() > PATIENCE => return Err(e.into()),
                Err(_) => std::thread::sleep(LOOK),
            }
        }
        self.client.as_mut().ok_or_else(|| "no client".into())
    }

    pub(crate) fn status(&mut self) -> Result<StatusReply, Failure> {
        Ok(self.client()?.status()?)
    }

    pub(crate) fn scale(&mut self, replicas: u32) -> Result<(), Failure> {
        self.client()?.scale(replicas)?;
        Ok(())
    }

    /// Waits until the status is as wanted.
    pub(crate) fn until(&mut self, what: &str, done: impl Fn(&StatusReply) -> bool) -> Result<StatusReply, Failure> {
        let begin = Instant::now();
        loop {
            if let Ok(now) = self.client().and_then(|c| Ok(c.status()?)) {
                if done(&now) {
                    return Ok(now);
                }
                if begin.elapsed() > PATIENCE {
                    return Err(format!("waited too long until {what}: {now:?}").into());
                }
            } else {
                self.client = None;
            }
            std::thread::sleep(LOOK);
        }
    }
}

impl Drop for People {
    fn drop(&mut self) {
        self.kill_coordinator();
        self.dismiss(0);
    }
}
