//! Everything there is, and time passing: whoever waits keeps the rest going meanwhile, so that one thread is enough.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::cast::Cast;
use crate::fault::{Able, Fault};
use crate::feed::Feed;
use crate::net::{Machine, Net};
use crate::output::Output;
use crate::steward::Steward;
use crate::storage::Storage;

/// Between two looks.
const TICK: Duration = Duration::from_millis(20);
/// The longest time in which a worker that is told to end ends, and a job that is told to stop stops.
const ENDS: Duration = Duration::from_secs(120);

/// The job, its surroundings, and who watches them.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) dir: PathBuf,
    pub(crate) cast: Cast,
    pub(crate) storage: Storage,
    pub(crate) net: Net,
    pub(crate) feed: Feed,
    pub(crate) output: Output,
    pub(crate) steward: Steward,
    /// Faults that cannot be done here, and why.
    pub(crate) missing: Vec<String>,
}

/// The end of a fault.
#[derive(Debug)]
pub(crate) enum Cure {
    Nothing,
    Wake(u32),
    WakeCoordinator,
    Join(Machine, Machine),
    Plug(u32),
    Speed(u32),
    WakeStorage,
    StartStorage,
    FreeStorage,
    FreeOutput,
    WakeFormer,
    /// The worker ends by itself.
    Leave(u32),
}

impl World {
    /// Makes it, with so many workers.
    pub(crate) fn new(dir: &Path, workers: u32, namespaces: bool) -> Result<Self, String> {
        crate::disk::sweep();
        let io = |e: std::io::Error| format!("{}: {e}", dir.display());
        std::fs::create_dir_all(dir.join("logs")).map_err(io)?;
        let (net, no_net) = Net::new(namespaces);
        let (storage, no_server) = Storage::new(dir, &net)?;
        let output = Output::new(dir).map_err(io)?;
        let cast = Cast::new(dir, &net, workers);
        let steward = Steward::start(cast.address(&net)).map_err(io)?;
        let missing = no_net.map(|why| format!("no cuts of the network: {why}")).into_iter().chain(no_server).collect();
        Ok(Self { dir: dir.to_owned(), cast, storage, net, feed: Feed::new(dir).map_err(io)?, output, steward, missing })
    }

    /// Faults that can be done here.
    pub(crate) fn able(&self) -> Able {
        Able {
            cut: self.net.can_cut(),
            server: self.storage.is_server(),
            storage_disk: self.storage.disk().can_be_full(),
            output_disk: self.output.disk().can_be_full(),
        }
    }

    /// One look at everything.
    pub(crate) fn tick(&mut self) -> Result<(), String> {
        let out = self.output.ledger.counted;
        self.feed.tick(out).map_err(|e| format!("the input cannot be written: {e}"))?;
        self.output.tick(self.feed.rows())?;
        let seen = self.steward.seen();
        self.cast.tick(&self.net, &self.storage, &seen)
    }

    /// Waits until it has come, at most for so long; whether it has.
    pub(crate) fn until(&mut self, patience: Duration, mut come: impl FnMut(&mut Self) -> bool) -> Result<bool, String> {
        let deadline = Instant::now() + patience;
        loop {
            self.tick()?;
            if come(self) {
                return Ok(true);
            }
            if Instant::now() >= deadline || self.failed() {
                return Ok(false);
            }
            std::thread::park_timeout(TICK);
        }
    }

    /// True if it is clear already that something is wrong.
    pub(crate) fn failed(&self) -> bool {
        self.output.ledger.broken > 0 || self.cast.ends.iter().any(|e| e.breach)
    }

    /// The job runs on as many workers as are wanted, and has said so since.
    pub(crate) fn settled(&self, since: Instant) -> bool {
        let seen = self.steward.seen();
        let owners = seen.groups.keys().copied().eq(0..self.cast.wanted);
        seen.at > since && seen.trouble.is_empty() && seen.running && owners && seen.wanted == self.cast.wanted
    }

    /// In words, why it may not go on.
    pub(crate) fn state(&self) -> String {
        let seen = self.steward.seen();
        format!(
            "{} (term {}, epoch {}, {} wanted, key groups {:?}, said {:.1} s ago), waiting {:?}{}{}",
            seen.phase,
            seen.term,
            seen.epoch,
            self.cast.wanted,
            seen.groups,
            seen.at.elapsed().as_secs_f64(),
            seen.waiting,
            if seen.trouble.is_empty() { "" } else { "; no newer word: " },
            seen.trouble,
        )
    }

    fn pick(&self, worker: u32) -> u32 {
        worker % self.cast.wanted.max(1)
    }

    /// Does a fault. `Err`: it cannot be done now.
    pub(crate) fn strike(&mut self, fault: Fault) -> Result<Cure, String> {
        match fault {
            Fault::KillWorker(n) => self.signal_worker(self.pick(n), "KILL"),
            Fault::KillCoordinator => self.signal_coordinator("KILL"),
            Fault::TellToEnd(n) => {
                let n = self.pick(n);
                if self.cast.wanted < 2 {
                    return Err("there is no other worker".into());
                }
                self.signal_worker(n, "TERM").map(|_| Cure::Leave(n))
            }
            Fault::StopAsWorkerDies(n) => self.stop_as_worker_dies(self.pick(n)),
            Fault::KillAll => {
                self.cast.all().for_each(|p| p.signal("KILL"));
                Ok(Cure::Nothing)
            }
            Fault::FreezeWorker(n, _) => {
                self.signal_worker(self.pick(n), "STOP")?;
                Ok(Cure::Wake(self.pick(n)))
            }
            Fault::FreezeCoordinator(_) => self.signal_coordinator("STOP").map(|_| Cure::WakeCoordinator),
            Fault::CutWorkers(a, b, _) => {
                let (a, b) = (Machine::Worker(self.pick(a)), Machine::Worker(self.pick(b)));
                if a == b { Err("there is one worker only".into()) } else { self.cut(a, b) }
            }
            Fault::CutFromCoordinator(n, _) => self.cut(Machine::Worker(self.pick(n)), self.net.holder),
            Fault::CutFromStorage(Machine::Worker(n), _) => self.cut(Machine::Worker(self.pick(n)), Machine::Storage),
            Fault::CutFromStorage(..) => self.cut(self.net.holder, Machine::Storage),
            Fault::Unplug(n, _) => {
                let n = self.pick(n);
                self.net.plug(Machine::Worker(n), false).map(|()| Cure::Plug(n))
            }
            Fault::SlowLine(n, _) => {
                let n = self.pick(n);
                self.net.slow(Machine::Worker(n)).map(|()| Cure::Speed(n))
            }
            Fault::StorageFrozen(_) => {
                self.storage.signal("STOP");
                Ok(Cure::WakeStorage)
            }
            Fault::StorageDown(_) => {
                self.storage.kill();
                Ok(Cure::StartStorage)
            }
            Fault::CredentialsExpire(_) => self.storage.restart(&self.net, false).map(|()| Cure::StartStorage),
            Fault::StorageFull(_) => self.storage.disk().fill().map(|()| Cure::FreeStorage).map_err(|e| e.to_string()),
            Fault::OutputFull(_) => self.output.disk().fill().map(|()| Cure::FreeOutput).map_err(|e| e.to_string()),
            Fault::Rescale(n) => {
                self.cast.wanted = n;
                self.steward.scale(n);
                Ok(Cure::Nothing)
            }
            Fault::CoordinatorReplaced(_) => {
                self.signal_coordinator("STOP")?;
                self.net.move_coordinator()?;
                self.cast.depose();
                Ok(Cure::WakeFormer)
            }
        }
    }

    /// While a worker sleeps its slots align no barrier, so the stop is not done when the worker is killed.
    fn stop_as_worker_dies(&mut self, n: u32) -> Result<Cure, String> {
        self.signal_worker(n, "STOP")?;
        let before = self.steward.seen().stops;
        self.cast.stopping = true;
        self.steward.stop();
        let accepted = self.until(ENDS, |w| w.cast.stopped || w.steward.seen().stops > before)?;
        let _replaced = self.signal_worker(n, "KILL");
        if !accepted && !self.failed() {
            self.output.ledger.breach(format!("the stop was not accepted: {}", self.state()));
        } else if !self.until(ENDS, |w| w.cast.stopped)? && !self.failed() {
            self.output.ledger.breach(format!("the stop was forgotten when worker {n} died: {}", self.state()));
        } else if let Err(why) = self.cast.snapshot_is_whole(&self.net, &self.storage, false) {
            self.output.ledger.breach(format!("the snapshot of a stopped job cannot be read: {why}"));
        }
        self.steward.go_on();
        self.cast.begin_again();
        Ok(Cure::Nothing)
    }

    fn signal_worker(&mut self, n: u32, name: &str) -> Result<Cure, String> {
        self.cast.worker(n).ok_or_else(|| format!("worker {n} does not run"))?.signal(name);
        Ok(Cure::Nothing)
    }

    fn signal_coordinator(&mut self, name: &str) -> Result<Cure, String> {
        self.cast.coordinator().ok_or("the coordinator does not run")?.signal(name);
        Ok(Cure::Nothing)
    }

    fn cut(&self, a: Machine, b: Machine) -> Result<Cure, String> {
        self.net.cut(a, b).map(|()| Cure::Join(a, b))
    }

    /// Ends a fault.
    pub(crate) fn heal(&mut self, cure: Cure) -> Result<(), String> {
        match cure {
            Cure::Nothing => {}
            Cure::Leave(n) => {
                if !self.until(ENDS, |w| w.cast.has_left(n))? && !self.failed() {
                    let what = format!("worker {n} was told to end, and has not: {}", self.state());
                    self.output.ledger.breach(what);
                }
            }
            // A process that has ended meanwhile has been replaced, and its successor does not sleep.
            Cure::Wake(n) => {
                let _replaced = self.signal_worker(n, "CONT");
            }
            Cure::WakeCoordinator => {
                let _replaced = self.signal_coordinator("CONT");
            }
            Cure::WakeFormer => self.cast.former().iter_mut().for_each(|p| p.signal("CONT")),
            Cure::Join(a, b) => self.net.join(a, b)?,
            Cure::Plug(n) => self.net.plug(Machine::Worker(n), true)?,
            Cure::Speed(n) => self.net.quick(Machine::Worker(n))?,
            Cure::WakeStorage => self.storage.signal("CONT"),
            Cure::StartStorage => self.storage.restart(&self.net, true)?,
            Cure::FreeStorage => self.storage.disk().free().map_err(|e| e.to_string())?,
            Cure::FreeOutput => self.output.disk().free().map_err(|e| e.to_string())?,
        }
        Ok(())
    }
}
