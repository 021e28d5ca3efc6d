//! Coordinator and worker as monitors see them: alive, ready, and their numbers.
//!
//! *Alive* is a main loop that turns: one that has not for [`HUNG`] is not, and whoever looks after the process ends it. Waiting is no
//! illness: while a process waits for a storage that is away (it asks again, and gives up by itself) it says so and is alive, since
//! starting it anew would change nothing. *Ready* is who can do what others come for: a coordinator that answers `status`, a worker with
//! a session.
//!
//! Both exist before there is anything to say, so that a process can be looked at from its first moment.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use watershed_cluster::manager::JobManager;
use watershed_wire::v1::StatusReply;

use super::asked::AskedCoordinator;
use super::service::Asked;
use crate::clock::now;
use crate::http::Watched;
use crate::metrics::{self, Numbers, WorkerNumbers};
use crate::slots::Directory;
use crate::telemetry::NodeName;
use crate::transport::Speaker;

/// A main loop that has not turned for so long hangs.
const HUNG: Duration = Duration::from_secs(60);
/// The longest time for an answer of the coordinator's thread, and for one of a slot.
const PATIENCE: Duration = Duration::from_secs(2);

/// Liveness of a main loop: it turns.
#[derive(Clone, Debug)]
struct Liveness(Arc<Mutex<Beat>>);

#[derive(Debug)]
struct Beat {
    turned: Instant,
    /// The reason for which it waits by right.
    waits: Option<&'static str>,
}

impl Liveness {
    fn new(waits: &'static str) -> Self {
        Self(Arc::new(Mutex::new(Beat { turned: Instant::now(), waits: Some(waits) })))
    }

    fn set(&self, waits: Option<&'static str>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Beat { turned: Instant::now(), waits };
    }

    fn waits(&self) -> Option<&'static str> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).waits
    }

    fn alive(&self, now: Instant) -> Result<(), String> {
        let beat = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let since = now.saturating_duration_since(beat.turned);
        if beat.waits.is_some() || since <= HUNG {
            return Ok(());
        }
        Err(format!("the main loop has not turned for {} s", since.as_secs()))
    }
}

/// A coordinator as monitors see it.
#[derive(Clone, Debug)]
pub struct CoordinatorWatch {
    job: String,
    liveness: Liveness,
    stage: Arc<Mutex<Stage>>,
}

#[derive(Debug)]
enum Stage {
    /// The coordinator does not listen yet.
    Opening,
    Working(AskedCoordinator),
    Over(Box<StatusReply>),
}

impl CoordinatorWatch {
    /// Of the coordinator of a job, which has not begun.
    #[must_use]
    pub fn new(job: impl Into<String>) -> Self {
        let liveness = Liveness::new("it waits for the job's storage, and does not listen yet");
        Self { job: job.into(), liveness, stage: Arc::new(Mutex::new(Stage::Opening)) }
    }

    /// The coordinator listens, and its thread hears questions.
    pub(super) fn works(&self, asked: AskedCoordinator) {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner) = Stage::Working(asked);
        self.turns();
    }

    /// The job is over, and this is what is said of it from now on.
    pub fn over(&self, status: StatusReply) {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner) = Stage::Over(Box::new(status));
        self.liveness.set(Some("the job is over"));
    }

    pub(super) fn turns(&self) {
        self.liveness.set(None);
    }

    /// The job is over, and what is under way to the storage is waited for.
    pub(super) fn ends(&self) {
        self.liveness.set(Some("the job is over"));
    }

    fn numbers(&self) -> Result<Numbers, String> {
        let asked = match &*self.stage.lock().unwrap_or_else(PoisonError::into_inner) {
            Stage::Opening => return Err(self.liveness.waits().unwrap_or("it begins").to_owned()),
            Stage::Over(status) => return Ok(Numbers { status: (**status).clone(), ..Numbers::default() }),
            Stage::Working(asked) => asked.clone(),
        };
        let (answer, answered) = channel();
        let look = move |manager: &JobManager| {
            let _gone = answer.send(manager.status(now()));
        };
        if !asked.look(Box::new(look)) {
            return Err("the job is over".to_owned());
        }
        let status = answered.recv_timeout(PATIENCE).map_err(|_| "the coordinator's thread does not answer".to_owned())?;
        let (slots, runs, lost) = (status.slots.len(), status.runs, status.lost);
        Ok(Numbers { status: asked.reply(&status), slots, runs, lost })
    }
}

impl Watched for CoordinatorWatch {
    fn metrics(&self) -> Result<String, String> {
        Ok(metrics::coordinator(&self.job, &self.numbers()?))
    }

    fn alive(&self) -> Result<(), String> {
        self.liveness.alive(Instant::now())
    }

    fn ready(&self) -> Result<(), String> {
        self.numbers().map(|_| ())
    }
}

/// A worker as monitors see it.
#[derive(Clone, Debug)]
pub struct WorkerWatch {
    job: String,
    liveness: Liveness,
    at_work: Arc<Mutex<Option<AtWork>>>,
    /// Bytes of state files that were written here.
    uploaded: Arc<AtomicU64>,
}

#[derive(Clone, Debug)]
struct AtWork {
    directory: Directory,
    speaker: Speaker,
    names: Arc<Vec<NodeName>>,
}

impl WorkerWatch {
    /// Of a worker of a job, which has not begun.
    #[must_use]
    pub fn new(job: impl Into<String>) -> Self {
        let liveness = Liveness::new("it begins");
        Self { job: job.into(), liveness, at_work: Arc::default(), uploaded: Arc::default() }
    }

    pub(super) fn works(&self, directory: Directory, speaker: Speaker, names: Vec<NodeName>) {
        let at_work = AtWork { directory, speaker, names: Arc::new(names) };
        *self.at_work.lock().unwrap_or_else(PoisonError::into_inner) = Some(at_work);
        self.turns();
    }

    /// The job is over, or this worker's part in it.
    pub fn over(&self) {
        *self.at_work.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.liveness.set(Some("the job is over, or this worker's part in it"));
    }

    pub(super) fn turns(&self) {
        self.liveness.set(None);
    }

    pub(super) fn uploaded(&self) -> Arc<AtomicU64> {
        self.uploaded.clone()
    }

    fn at_work(&self) -> Result<AtWork, String> {
        let at_work = self.at_work.lock().unwrap_or_else(PoisonError::into_inner).clone();
        at_work.ok_or_else(|| self.liveness.waits().unwrap_or("it begins").to_owned())
    }
}

impl Watched for WorkerWatch {
    fn metrics(&self) -> Result<String, String> {
        let AtWork { directory, speaker, names } = self.at_work()?;
        let (era, down) = speaker.session();
        let numbers = WorkerNumbers {
            slots: directory.numbers(PATIENCE),
            uploaded: self.uploaded.load(Ordering::Relaxed),
            term: era.term,
            down: down.map(|(time, _)| time),
        };
        Ok(metrics::worker(&self.job, &numbers, &names))
    }

    fn alive(&self) -> Result<(), String> {
        self.liveness.alive(Instant::now())
    }

    fn ready(&self) -> Result<(), String> {
        match self.at_work()?.speaker.session() {
            (_, None) => Ok(()),
            (_, Some((time, why))) => Err(format!("no session with the coordinator for {:.1} s: {why}", time.as_secs_f64())),
        }
    }
}

#[cfg(test)]
mod tests {
    use watershed_cluster::Target;

    use super::super::inbox::{Inbox, Told};
    use super::*;
    use crate::transport::Sessions;

    #[test]
    fn a_loop_that_hangs_is_not_alive_and_one_that_waits_is() {
        let liveness = Liveness::new("it waits for the storage");
        let later = Instant::now() + Duration::from_secs(300);
        assert_eq!(liveness.alive(later), Ok(()));
        let before = Instant::now();
        liveness.set(None);
        assert_eq!(liveness.alive(before + HUNG), Ok(()));
        assert!(liveness.alive(later).unwrap_err().starts_with("the main loop has not turned for "));
    }

    #[test]
    fn a_coordinator_is_ready_while_its_thread_answers_and_when_the_job_is_over() {
        let watch = CoordinatorWatch::new("j");
        assert!(watch.ready().unwrap_err().contains("storage"));
        let (to, events) = channel();
        let runtime = crate::transport::threads(1).unwrap();
        let sessions = Sessions::new(Arc::new(Inbox(to.clone())), PATIENCE, runtime.handle().clone());
        watch.works(AskedCoordinator { to, loads: Arc::default(), sessions });
        let job = crate::Job::new();
        job.source("rows", crate::io::generate(|n| n).rows(1)).sink("out", crate::io::blackhole());
        let settings = crate::executor::settings("j".into(), job.build().unwrap(), Target::Workers(1));
        let (manager, _) = JobManager::new(settings, 0).unwrap();
        let process = std::thread::spawn(move || {
            let Ok(Told::Look(look)) = events.recv() else { panic!("a look") };
            look(&manager);
        });
        assert_eq!(watch.ready(), Ok(()));
        process.join().unwrap();
        assert_eq!(watch.ready(), Err("the job is over".into()), "nobody listens any more");
        watch.over(StatusReply { epoch: 8, ..StatusReply::default() });
        assert!(watch.metrics().unwrap().contains("watershed_epoch{job=\"j\"} 8\n"));
    }
}
