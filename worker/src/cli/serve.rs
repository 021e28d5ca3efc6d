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

/// How often a rescale is looked at.
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
        // It may be another process's by now.
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
    use super::*;

    #[test]
    fn the_socket_of_remote_storage_is_in_the_default_directory() {
        let at = |storage: Option<&str>| socket("j", storage).parent().map(Path::to_owned).unwrap();
        assert_eq!(at(None), PathBuf::from(".watershed/j"));
        assert_eq!(at(Some("s3://bucket/j")), PathBuf::from(".watershed/j"));
        assert_eq!(at(Some("memory:")), PathBuf::from(".watershed/j"));
        assert_eq!(at(Some("file:///var/j")), PathBuf::from("/var/j"));
        assert_eq!(at(Some("state")), PathBuf::from("state"));
    }
}
