//! Steering a running job from another process: a Unix socket beside its snapshots, lines of JSON.
//!
//! A line is a request, the answer is a line: `{"request":"status"}`, `{"request":"scale","job":"words","slots":4}`,
//! `{"request":"stop","job":"words","drain":true}`. Whoever wants to watch asks again, so the server keeps no state for a client. The
//! socket is readable by its owner only, and it lives exactly as long as the job: a file left by a killed process refuses connections,
//! which reads as "not running".

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use watershed_runtime::error::{Error, Kind, Result};

use crate::local::{Handle, LocalJob, Status};
use crate::telemetry::log::Log;

/// The most bytes of a request.
const REQUEST: u64 = 4096;
/// A client that says nothing for so long is left.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often a rescale is looked at.
const EVERY: Duration = Duration::from_millis(50);

/// What may be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub(crate) enum Request {
    /// The job's numbers.
    Status,
    /// Run on with so many slots.
    Scale {
        /// The name the client knows: another job may run here by now.
        job: String,
        /// How many.
        slots: u16,
    },
    /// Stop with a snapshot, or drain.
    Stop {
        /// As above.
        job: String,
        /// Read nothing more, let everything come out, and finish.
        #[serde(default)]
        drain: bool,
    },
}

/// The answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Answer {
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    /// The job.
    pub(crate) job: String,
    /// The last published epoch.
    pub(crate) epoch: u64,
    /// The slots that take part.
    pub(crate) slots: Vec<u16>,
    /// How many key groups each owns, in the order of their numbers.
    pub(crate) groups: Vec<(u16, usize)>,
    /// The newest wish is met and durable.
    pub(crate) settled: bool,
    /// For whom the job waits.
    pub(crate) waiting: Vec<String>,
}

/// The directory of a job's socket: that of its snapshots, or the default one where they are not in a directory.
pub(crate) fn directory(job: &str, storage: Option<&str>) -> PathBuf {
    let path = storage.map(|s| s.strip_prefix("file://").unwrap_or(s));
    match path {
        Some(path) if !path.contains("://") && path != "memory:" => PathBuf::from(path),
        Some(_) | None => LocalJob::default_storage(job),
    }
}

fn socket(directory: &Path) -> PathBuf {
    directory.join("control.sock")
}

/// Listens until it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    path: PathBuf,
    inode: u64,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Begins to listen. Takes the place of a socket left there: its process is dead, or about to be fenced.
    pub(crate) fn start(job: &str, directory: &Path, handle: Handle, log: &Arc<Log>) -> Result<Self> {
        let path = socket(directory);
        let failed = |e: std::io::Error| {
            Error::new(Kind::Unavailable, "cannot listen on the control socket")
                .at(path.display().to_string())
                .advise("the job runs, but `scale` cannot reach it; a shorter storage path may help: the system allows about 100 bytes")
                .because(e)
        };
        std::fs::create_dir_all(directory).map_err(failed)?;
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(failed(e)),
            Ok(()) | Err(_) => {}
        }
        let listener = UnixListener::bind(&path).map_err(failed)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
        let inode = std::fs::metadata(&path).map_err(failed)?.ino();
        let over = Arc::new(AtomicBool::new(false));
        let (ended, served) = (over.clone(), Served { job: job.to_owned(), handle, log: log.clone() });
        let accept = move || {
            for stream in listener.incoming() {
                if ended.load(Ordering::Acquire) {
                    return;
                }
                let (Ok(stream), served) = (stream, served.clone()) else { continue };
                // A client that cannot be served asks again.
                let _busy = std::thread::Builder::new().name("control-client".into()).spawn(move || served.serve(&stream));
            }
        };
        let thread = std::thread::Builder::new().name("control".into()).spawn(accept).map_err(failed)?;
        Ok(Self { path, inode, over, thread: Some(thread) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
        let mine = std::fs::metadata(&self.path).is_ok_and(|m| m.ino() == self.inode);
        // The thread waits in accept: a connection wakes it. If the socket is another process's by now, the thread ends with this one.
        if mine
            && UnixStream::connect(&self.path).is_ok()
            && let Some(thread) = self.thread.take()
        {
            let _ended = thread.join();
        }
        if mine {
            let _gone = std::fs::remove_file(&self.path);
        }
    }
}

/// The job behind the socket.
#[derive(Clone, Debug)]
struct Served {
    job: String,
    handle: Handle,
    log: Arc<Log>,
}

impl Served {
    fn serve(&self, stream: &UnixStream) {
        let _unset = stream.set_read_timeout(Some(PATIENCE));
        let mut lines = BufReader::new(stream);
        let mut line = String::new();
        loop {
            line.clear();
            match lines.by_ref().take(REQUEST).read_line(&mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            let mut text = serde_json::to_string(&self.answer(&line)).unwrap_or_default();
            text.push('\n');
            let mut to = stream;
            if to.write_all(text.as_bytes()).is_err() {
                return;
            }
        }
    }

    fn refuse(&self, error: impl Into<String>) -> Answer {
        Answer { error: Some(error.into()), job: self.job.clone(), ..Answer::default() }
    }

    fn answer(&self, line: &str) -> Answer {
        let request: Request = match serde_json::from_str(line) {
            Ok(request) => request,
            Err(e) => return self.refuse(format!("not a request that this version knows: {e}")),
        };
        let Some(status) = self.handle.status() else { return self.refuse("the job is over") };
        match request {
            Request::Status => of(&self.job, status),
            Request::Scale { job: meant, .. } | Request::Stop { job: meant, .. } if meant != self.job => {
                self.refuse(format!("it is the job `{}` that runs here, not `{meant}`", self.job))
            }
            Request::Scale { slots, .. } => self.scale(slots, status.groups.values().sum()),
            Request::Stop { drain, .. } => {
                if drain {
                    self.handle.drain();
                } else {
                    self.handle.stop();
                }
                of(&self.job, status)
            }
        }
    }

    fn scale(&self, slots: u16, groups: usize) -> Answer {
        if slots == 0 {
            return self.refuse("a job has at least one slot");
        }
        if usize::from(slots) > groups {
            return self.refuse(format!("{slots} slots need more than the {groups} key groups there are"));
        }
        self.handle.scale(slots);
        let watched = self.clone();
        // Without a thread there is no event; the rescale itself needs none.
        let _untold = std::thread::Builder::new().name("control-scale".into()).spawn(move || watched.tell(slots));
        self.handle.status().map_or_else(|| self.refuse("the job is over"), |s| of(&self.job, s))
    }

    /// Says when the wish is met, unless a newer one has taken its place.
    fn tell(&self, slots: u16) {
        while let Some(status) = self.handle.status() {
            if status.settled {
                if status.slots.len() == usize::from(slots) {
                    let fields = json!({ "slots": slots, "epoch": status.epoch });
                    self.log.event("rescaled", &format!("rescaled to {slots} slots at epoch {}", status.epoch), fields);
                }
                return;
            }
            std::thread::sleep(EVERY);
        }
    }
}

fn of(job: &str, status: Status) -> Answer {
    Answer {
        error: None,
        job: job.to_owned(),
        epoch: status.epoch,
        slots: status.slots,
        groups: status.groups.into_iter().collect(),
        settled: status.settled,
        waiting: status.waiting,
    }
}

/// A connection to a running job.
#[derive(Debug)]
pub(crate) struct Client {
    stream: BufReader<UnixStream>,
    job: String,
}

impl Client {
    /// Finds the job that runs on this storage.
    pub(crate) fn connect(job: &str, directory: &Path) -> Result<Self> {
        let path = socket(directory);
        let stream = UnixStream::connect(&path).map_err(|e| {
            let nobody = matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused);
            let (what, advice) = if nobody {
                ("does not run here", "start it with `run`; if it runs from another directory or with --storage, go there or give the same --storage")
            } else {
                ("cannot be reached", "only the user who started a job may steer it")
            };
            Error::new(Kind::Unavailable, format!("the job `{job}` {what}")).at(path.display().to_string()).advise(advice).because(e)
        })?;
        Ok(Self { stream: BufReader::new(stream), job: job.to_owned() })
    }

    /// Asks once; an answer that says no is an error.
    pub(crate) fn ask(&mut self, request: &Request) -> Result<Answer> {
        let job = self.job.clone();
        let lost = |e: std::io::Error| {
            Error::new(Kind::Unavailable, format!("the job `{job}` has ended, or its process has")).because(e)
        };
        let mut line = serde_json::to_string(request).unwrap_or_default();
        line.push('\n');
        self.stream.get_mut().write_all(line.as_bytes()).map_err(lost)?;
        line.clear();
        if self.stream.read_line(&mut line).map_err(lost)? == 0 {
            return Err(lost(std::io::ErrorKind::UnexpectedEof.into()));
        }
        let answer: Answer = serde_json::from_str(&line).map_err(|e| {
            Error::new(Kind::Invalid, "the job answers in a way that this version does not know")
                .advise("use the version of the command line that the job was started with")
                .because(e)
        })?;
        match answer.error {
            Some(error) => Err(Error::new(Kind::Invalid, error).at(format!("job {}", self.job))),
            None => Ok(answer),
        }
    }
}
