//! `/metrics`, `/healthz`, `/readyz`: a running process for monitors and orchestrators.
//!
//! Three small answers to GET do not need a web framework: requests are parsed by `httparse`, each is answered on a thread of its own,
//! and the connection is closed. So a client that says nothing, or numbers that take a moment, keep no probe waiting. Threads are few;
//! when they are taken by clients that say nothing, others are answered one by one on the thread that accepts, which has no patience. It
//! serves no secrets and takes no commands; it is off unless an address is given.
//!
//! Alive is not ready: a process that is not alive is to be ended and started again, one that is not ready is to be left alone. What either
//! means, the process itself says ([`Watched`]): a whole job, a coordinator and a worker mean different things by it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use watershed_runtime::error::{Error, Kind, Result};

/// The most bytes of a request's head.
const HEAD: usize = 8192;
/// The longest time in which a client says what it wants, and hears the answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The same for those who come beyond.
const HURRY: Duration = Duration::from_millis(100);
/// Clients with a thread of their own; whoever comes beyond is answered in a hurry.
const CLIENTS: usize = 16;

/// A process as monitors see it; a refusal says why, in a sentence.
pub trait Watched: Send + Sync + 'static {
    /// The process's numbers, in the text format of Prometheus.
    fn metrics(&self) -> std::result::Result<String, String>;
    /// Liveness: the process still turns.
    fn alive(&self) -> std::result::Result<(), String>;
    /// Readiness: the process can do now what it is there for.
    fn ready(&self) -> std::result::Result<(), String>;
}

/// Serves until it is dropped.
#[derive(Debug)]
pub struct HttpServer {
    address: SocketAddr,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl HttpServer {
    /// Serves what `watched` says at an address such as `127.0.0.1:9090`; port 0 takes any.
    pub fn start(address: &str, watched: impl Watched) -> Result<Self> {
        let failed = |e: std::io::Error| {
            Error::new(Kind::Unavailable, format!("cannot serve HTTP at {address}"))
                .advise("give --http an address and a port that are free, such as 127.0.0.1:9090")
                .because(e)
        };
        let listener = TcpListener::bind(address).map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?;
        let over = Arc::new(AtomicBool::new(false));
        let (ended, watched, clients) = (over.clone(), Arc::new(watched), Arc::new(AtomicUsize::new(0)));
        let serve = move || {
            for stream in listener.incoming() {
                if ended.load(Ordering::Acquire) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let seat = Seat::take(&clients);
                if seat.0.load(Ordering::Relaxed) > CLIENTS {
                    let _gone = answer(stream, &*watched, HURRY);
                    continue;
                }
                let watched = watched.clone();
                let one = move || {
                    let _seat = seat;
                    // A client that went away needs no answer.
                    let _gone = answer(stream, &*watched, PATIENCE);
                };
                // No thread to be had: it asks again.
                let _answering = std::thread::Builder::new().name("http-client".into()).spawn(one);
            }
        };
        let thread = std::thread::Builder::new().name("http".into()).spawn(serve).map_err(failed)?;
        Ok(Self { address: bound, over, thread: Some(thread) })
    }

    /// The address at which it serves.
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

/// A client, as long as it is answered.
struct Seat(Arc<AtomicUsize>);

impl Seat {
    fn take(of: &Arc<AtomicUsize>) -> Self {
        of.fetch_add(1, Ordering::Relaxed);
        Self(of.clone())
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection, until a time: however many pieces a client says and hears things in.
struct Until {
    stream: TcpStream,
    time: Instant,
}

impl Until {
    fn left(&self) -> std::io::Result<Option<Duration>> {
        let left = self.time.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(std::io::ErrorKind::TimedOut.into()) } else { Ok(Some(left)) }
    }
}

impl Read for Until {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        self.stream.set_read_timeout(self.left()?)?;
        self.stream.read(into)
    }
}

impl Write for Until {
    fn write(&mut self, from: &[u8]) -> std::io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        self.stream.write(from)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.stream.flush()
    }
}

fn answer(stream: TcpStream, watched: &dyn Watched, patience: Duration) -> std::io::Result<()> {
    let mut stream = Until { stream, time: Instant::now() + patience };
    let (status, kind, body) = match path(&mut stream)? {
        Ok(path) => page(&path, watched),
        Err(status) => (status, TEXT, String::new()),
    };
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    // The answer may have taken a moment.
    stream.time = Instant::now() + patience;
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())
}

const TEXT: &str = "text/plain; charset=utf-8";
const NUMBERS: &str = "text/plain; version=0.0.4; charset=utf-8";

fn page(path: &str, watched: &dyn Watched) -> (&'static str, &'static str, String) {
    let said = match path {
        "/healthz" => watched.alive().map(|()| (TEXT, "alive\n".to_owned())),
        "/readyz" => watched.ready().map(|()| (TEXT, "ready\n".to_owned())),
        "/metrics" => watched.metrics().map(|text| (NUMBERS, text)),
        _ => return ("404 Not Found", TEXT, "there are /metrics, /healthz and /readyz\n".into()),
    };
    match said {
        Ok((kind, body)) => ("200 OK", kind, body),
        Err(why) => ("503 Service Unavailable", TEXT, why + "\n"),
    }
}

/// The path of a GET request; otherwise the status that refuses it.
fn path(stream: &mut impl Read) -> std::io::Result<std::result::Result<String, &'static str>> {
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

#[cfg(test)]
mod tests {
    use super::*;

    struct Sick;

    impl Watched for Sick {
        fn metrics(&self) -> std::result::Result<String, String> {
            Ok("watershed_epoch 7\n".into())
        }

        fn alive(&self) -> std::result::Result<(), String> {
            Ok(())
        }

        fn ready(&self) -> std::result::Result<(), String> {
            Err("it has no session".into())
        }
    }

    fn get(server: &HttpServer, path: &str) -> String {
        let mut stream = TcpStream::connect(server.address()).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: here\r\n\r\n").unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).unwrap();
        said
    }

    #[test]
    fn a_process_that_is_not_ready_says_why_and_who_says_nothing_keeps_nobody_waiting() {
        let server = HttpServer::start("127.0.0.1:0", Sick).unwrap();
        let _silent: Vec<TcpStream> = (0..3).map(|_| TcpStream::connect(server.address()).unwrap()).collect();
        assert!(get(&server, "/healthz").starts_with("HTTP/1.1 200 OK\r\n"));
        let ready = get(&server, "/readyz?verbose");
        assert!(ready.starts_with("HTTP/1.1 503 ") && ready.ends_with("\r\n\r\nit has no session\n"), "{ready}");
        assert!(get(&server, "/metrics").ends_with("watershed_epoch 7\n"));
        assert!(get(&server, "/").starts_with("HTTP/1.1 404 "));
    }

    #[test]
    fn who_comes_when_all_threads_are_taken_is_answered_as_well() {
        let server = HttpServer::start("127.0.0.1:0", Sick).unwrap();
        let _silent: Vec<TcpStream> = (0..CLIENTS + 3).map(|_| TcpStream::connect(server.address()).unwrap()).collect();
        assert!(get(&server, "/healthz").starts_with("HTTP/1.1 200 OK\r\n"));
    }

    #[test]
    fn a_client_has_one_time_limit_for_all_that_it_says() {
        let (listener, now) = (TcpListener::bind("127.0.0.1:0").unwrap(), Instant::now());
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut over = Until { stream: listener.accept().unwrap().0, time: now };
        assert_eq!(over.read(&mut [0]).unwrap_err().kind(), std::io::ErrorKind::TimedOut);
        assert_eq!(over.write(&[0]).unwrap_err().kind(), std::io::ErrorKind::TimedOut);
    }
}
