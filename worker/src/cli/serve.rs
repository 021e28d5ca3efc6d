//! The `Job` service of a job in one process: gRPC on a Unix socket beside its snapshots.
//!
//! A local job is steered and looked at as any other. The socket is open to the user who started the job and to no other user, and it lives
//! as long as the job: a file left by a killed process refuses connections, which reads as "not running".

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::json;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use watershed_cluster::JobStatus;
use watershed_cluster::manager::{Reply, Request};
use watershed_runtime::error::{Error, Kind, Result};
use watershed_wire::v1::{FileReply, StatusReply};

use super::Settings;
use crate::cluster::heartbeat::Heartbeat;
use crate::cluster::inbox::Look;
use crate::cluster::service::{Asked, Service};
use crate::cluster::status::{Loads, status_reply};
use crate::local::{Handle, LocalJob};
use crate::telemetry::NodeName;
use crate::telemetry::log::Log;
use crate::transport::{Runtime, Services, serve_unix, threads};

/// The time between two looks at a rescale.
const EVERY: Duration = Duration::from_millis(50);

/// The socket of a job: in the directory of its snapshots, or in the default one where they are not in a directory.
pub(super) fn socket(job: &str, storage: Option<&str>) -> PathBuf {
    let path = storage.map(|s| s.strip_prefix("file://").unwrap_or(s));
    let directory = match path {
        Some(path) if !path.contains("://") && path != "memory:" => PathBuf::from(path),
        Some(_) | None => LocalJob::default_storage(job),
    };
    directory.join("control.sock")
}

/// Serves until it is dropped.
#[derive(Debug)]
pub(super) struct Served {
    path: PathBuf,
    inode: u64,
    task: JoinHandle<()>,
    _runtime: Runtime,
    _heartbeat: Heartbeat,
}

impl Served {
    /// Begins to serve. Takes the place of a socket that is there: its process is dead, or about to be fenced.
    pub(super) fn start(settings: &Settings, handle: Handle, names: &[NodeName], log: &Arc<Log>) -> Result<Self> {
        let path = socket(&settings.name, settings.storage.as_deref());
        let failed = |e: std::io::Error| {
            Error::new(Kind::Unavailable, "cannot listen on the control socket")
                .at(path.display().to_string())
                .advise("the job runs, but `scale` cannot reach it; a shorter storage path may help: the system allows about 100 bytes")
                .because(e)
        };
        let (listener, inode) = listen(&path).map_err(failed)?;
        let runtime = threads(1)?;
        let loads = Arc::new(Mutex::new(Loads::default()));
        let (directory, noted) = (handle.directory().clone(), loads.clone());
        let heartbeat = Heartbeat::start(names, directory, Vec::new, move |load| {
            noted.lock().unwrap_or_else(PoisonError::into_inner).note(0, load);
        })?;
        let (name, text) = settings.file.clone().unwrap_or_default();
        let file = FileReply { job: settings.name.clone(), name, text };
        let services = Services::default().job(Service::new(AskedLocal { handle, loads, log: log.clone() }, file));
        let task = serve_unix(runtime.handle(), listener, services).map_err(failed)?;
        Ok(Self { path, inode, task, _runtime: runtime, _heartbeat: heartbeat })
    }
}

/// A socket for its owner, and its inode.
fn listen(path: &Path) -> std::io::Result<(UnixListener, u64)> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok((listener, std::fs::metadata(path)?.ino()))
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
        // The socket may be another process's by now.
        if std::fs::metadata(&self.path).is_ok_and(|m| m.ino() == self.inode) {
            let _gone = std::fs::remove_file(&self.path);
        }
    }
}

/// A job in this process, as it is asked.
#[derive(Clone)]
struct AskedLocal {
    handle: Handle,
    loads: Arc<Mutex<Loads>>,
    log: Arc<Log>,
}

impl AskedLocal {
    /// Says when a rescale is done, unless a newer wish has taken its place.
    fn tell_rescaled(&self, slots: u32) {
        while let Some(status) = self.handle.job() {
            if status.settled {
                if status.slots.len() == slots as usize {
                    let fields = json!({ "slots": slots, "epoch": status.epoch });
                    self.log.event("rescaled", &format!("rescaled to {slots} slots at epoch {}", status.epoch), fields);
                }
                return;
            }
            std::thread::sleep(EVERY);
        }
    }
}

impl Asked for AskedLocal {
    fn ask(&self, request: Request, waiter: oneshot::Sender<Reply>) -> bool {
        let scale = if let Request::Scale(slots) = request { Some(slots) } else { None };
        let heard = self.handle.ask(request, Some(Box::new(waiter)));
        if let Some(slots) = scale {
            let watched = self.clone();
            // Without a thread there is no event; the rescale itself needs none.
            let _untold = std::thread::Builder::new().name("rescaled".into()).spawn(move || watched.tell_rescaled(slots));
        }
        heard
    }

    fn look(&self, look: Look) -> bool {
        self.handle.look(look)
    }

    fn reply(&self, status: &JobStatus) -> StatusReply {
        let mut reply = status_reply(status, &self.loads.lock().unwrap_or_else(PoisonError::into_inner));
        // The worker has room for any number of slots: those that take part are meant.
        reply.workers.iter_mut().for_each(|w| w.slots.retain(|s| status.slots.iter().any(|slot| u32::from(*slot) == *s)));
        reply
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use watershed_wire::v1::Phase;

    use super::*;
    use crate::cluster::client::Client;
    use crate::telemetry::log::Format;
    use crate::{Job, Outcome, io};

    #[test]
    fn the_socket_of_remote_storage_is_in_the_default_directory() {
        let at = |storage: Option<&str>| socket("j", storage).parent().map(Path::to_owned).unwrap();
        assert_eq!(at(None), PathBuf::from(".watershed/j"));
        assert_eq!(at(Some("s3://bucket/j")), PathBuf::from(".watershed/j"));
        assert_eq!(at(Some("memory:")), PathBuf::from(".watershed/j"));
        assert_eq!(at(Some("file:///var/j")), PathBuf::from("/var/j"));
        assert_eq!(at(Some("state")), PathBuf::from("state"));
    }

    fn until(client: &mut Client, what: &str, come: impl Fn(&StatusReply) -> bool) -> StatusReply {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let now = client.status().unwrap();
            if come(&now) {
                return now;
            }
            assert!(Instant::now() < deadline, "{what} did not come: {now:?}");
        }
    }

    #[test]
    fn a_job_in_one_process_is_asked_and_steered_as_any_other() {
        let dir = tempfile::tempdir().unwrap();
        let job = Job::new();
        job.source("rows", io::generate(|n| n).rows_per_second(1000.0))
            .key_by(|n| n % 7)
            .at_end()
            .count()
            .sink("out", io::blackhole());
        let graph = job.build().unwrap();
        let names = NodeName::all(&graph);
        let mut settings = Settings::new("j");
        settings.storage = Some(dir.path().display().to_string());
        settings.epoch = Duration::from_millis(20);
        let ready = settings.job(graph).unwrap().prepare().unwrap();
        let log = Arc::new(Log::new(Format::Json, "j"));
        let path = dir.path().join("control.sock");
        // Left by a process that was killed.
        drop(UnixListener::bind(&path).unwrap());
        assert!(Client::connect_unix(&path).is_err());
        let served = Served::start(&settings, ready.handle(), &names, &log).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let running = std::thread::spawn(move || ready.run());
        let mut client = Client::connect_unix(&path).unwrap();
        let now = until(&mut client, "an epoch", |s| s.phase() == Phase::Running && s.epoch > 0);
        assert_eq!((now.job.as_str(), now.wanted, now.workers.len()), ("j", 1, 1));
        assert_eq!((&now.workers[0].slots[..], now.workers[0].key_groups), (&[0][..], now.key_groups));
        assert!(client.scale(0).unwrap_err().to_string().contains("at least one slot"));
        assert!(client.scale(5000).unwrap_err().to_string().contains("4096 key groups"));
        assert_eq!(client.scale(3).unwrap(), 1);
        until(&mut client, "three slots", |s| s.phase() == Phase::Running && s.workers[0].slots == [0, 1, 2]);
        assert!(client.snapshot("kept").unwrap() >= now.epoch);
        assert!(dir.path().join("snapshot/kept.json").exists());
        let taken = client.snapshot("kept").unwrap_err().to_string();
        assert!(taken.contains("there is a snapshot `kept` already"), "{taken}");
        assert!(client.releasable().unwrap().iter().all(|w| !w.releasable));
        // Another process takes the place of the socket: that one stays.
        let newer = dir.path().join("newer");
        let _other = UnixListener::bind(&newer).unwrap();
        client.stop().unwrap();
        assert_eq!(running.join().unwrap().unwrap(), Outcome::Stopped);
        let over = client.status().unwrap_err().to_string();
        assert!(over.contains("the job is over"), "{over}");
        std::fs::rename(&newer, &path).unwrap();
        drop(served);
        assert!(path.exists(), "it is another process's");
    }
}
