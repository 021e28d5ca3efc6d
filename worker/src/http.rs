//! `/metrics`, `/healthz`, `/readyz`: a running job for monitors and orchestrators.
//!
//! Three small answers to GET do not need a web framework: requests are parsed by `httparse`, answered one at a time on one thread, and
//! the connection is closed. It serves no secrets and takes no commands; it is off unless an address is given.
//!
//! Alive is not ready: `/healthz` answers as long as the process does, `/readyz` only while the job runs and every slot answers.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use watershed_runtime::error::{Error, Kind, Result};

use crate::local::Handle;
use crate::metrics;
use crate::telemetry::NodeName;

/// The most bytes of a request's head.
const HEAD: usize = 8192;
/// How long a client may take to say or to hear something.
const PATIENCE: Duration = Duration::from_secs(5);

/// Serves until it is dropped.
#[derive(Debug)]
pub struct HttpServer {
    address: SocketAddr,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl HttpServer {
    /// Serves the job behind `handle` at an address such as `127.0.0.1:9090`; port 0 takes any.
    pub fn start(address: &str, job: &str, handle: Handle, names: Vec<NodeName>) -> Result<Self> {
        let failed = |e: std::io::Error| {
            Error::new(Kind::Unavailable, format!("cannot serve HTTP at {address}"))
                .advise("give --http an address and a port that are free, such as 127.0.0.1:9090")
                .because(e)
        };
        let listener = TcpListener::bind(address).map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?;
        let over = Arc::new(AtomicBool::new(false));
        let (ended, job) = (over.clone(), job.to_owned());
        let serve = move || {
            for stream in listener.incoming() {
                if ended.load(Ordering::Acquire) {
                    return;
                }
                if let Ok(stream) = stream {
                    // A client that went away needs no answer.
                    let _gone = answer(stream, &job, &handle, &names);
                }
            }
        };
        let thread = std::thread::Builder::new().name("http".into()).spawn(serve).map_err(failed)?;
        Ok(Self { address: bound, over, thread: Some(thread) })
    }

    /// Where it serves.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
        // The thread waits in accept: a connection wakes it.
        if TcpStream::connect_timeout(&self.address, PATIENCE).is_ok()
            && let Some(thread) = self.thread.take()
        {
            let _ended = thread.join();
        }
    }
}

fn answer(mut stream: TcpStream, job: &str, handle: &Handle, names: &[NodeName]) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let (status, kind, body) = match path(&mut stream)? {
        Ok(path) => page(&path, job, handle, names),
        Err(status) => (status, TEXT, String::new()),
    };
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())
}

const TEXT: &str = "text/plain; charset=utf-8";

fn page(path: &str, job: &str, handle: &Handle, names: &[NodeName]) -> (&'static str, &'static str, String) {
    match path {
        "/healthz" => ("200 OK", TEXT, "alive\n".into()),
        "/readyz" => match handle.status() {
            Some(s) if s.nodes.len() >= s.slots.len() => ("200 OK", TEXT, "ready\n".into()),
            Some(s) => ("503 Service Unavailable", TEXT, format!("{} of {} slots answer\n", s.nodes.len(), s.slots.len())),
            None => ("503 Service Unavailable", TEXT, "the job is over\n".into()),
        },
        "/metrics" => match handle.status() {
            Some(s) => ("200 OK", "text/plain; version=0.0.4; charset=utf-8", metrics::text(job, &s, names)),
            None => ("503 Service Unavailable", TEXT, "the job is over\n".into()),
        },
        _ => ("404 Not Found", TEXT, "there are /metrics, /healthz and /readyz\n".into()),
    }
}

/// The path of a GET request; otherwise the status that refuses it.
fn path(stream: &mut TcpStream) -> std::io::Result<std::result::Result<String, &'static str>> {
    let mut bytes = Vec::new();
    let mut piece = [0u8; 1024];
    loop {
        let n = stream.read(&mut piece)?;
        bytes.extend_from_slice(piece.get(..n).unwrap_or_default());
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut request = httparse::Request::new(&mut headers);
        match request.parse(&bytes) {
            Ok(httparse::Status::Complete(_)) => {
                let path = request.path.and_then(|p| p.split('?').next()).unwrap_or("/").to_owned();
                return Ok(if request.method == Some("GET") { Ok(path) } else { Err("405 Method Not Allowed") });
            }
            Ok(httparse::Status::Partial) if n > 0 && bytes.len() < HEAD => {}
            Ok(httparse::Status::Partial) | Err(_) => return Ok(Err("400 Bad Request")),
        }
    }
}
