//! Sides, proxies, certificates.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use watershed_runtime::container::Rows;
use watershed_runtime::frame::{Frame, Item};
use watershed_runtime::graph::Graph;
use watershed_runtime::key::SlotId;
use watershed_runtime::slot::Event;

use super::super::*;

/// A row of the test's only exchange.
pub(super) type Row = (u64, String);

/// The time after which the test gives up.
pub(super) const DEADLINE: Duration = Duration::from_secs(30);

/// A graph with one exchange, and the exchange's edge.
pub(in crate::transport) fn graph() -> (Arc<Graph>, u32) {
    let job = crate::Job::new();
    let rows = job.source("rows", crate::io::json_lines::<Row>("in")).key_by(|r| r.0);
    let (out, _) =
        rows.process(|row, cx: &mut watershed_runtime::operator::process::Keyed<'_, u64, u64, Row>| cx.emit(row), |_| {});
    out.sink("out", crate::io::json_files("out"));
    let graph = Arc::new(job.build().unwrap());
    let edge = (0..graph.edges().len() as u32).find(|e| graph.codec(*e).is_some()).unwrap();
    (graph, edge)
}

pub(super) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

pub(super) fn era(generation: u64) -> Era {
    Era { term: 1, generation }
}

/// A frame with these keys as its rows, each with a text of `len` bytes.
pub(super) fn rows(edge: u32, from: u16, keys: impl IntoIterator<Item = u64>, len: usize) -> Event {
    let rows: Vec<(u64, Row)> = keys.into_iter().map(|k| (k, (k, "x".repeat(len)))).collect();
    let hashes = rows.iter().map(|(k, _)| *k).collect();
    let batch = Rows { rows, hashes, times: Vec::new() };
    Event::Frame(Frame { edge, from: SlotId(from), item: Item::Data(Box::new(batch), None) })
}

/// The keys of a frame.
pub(super) fn keys(event: Event) -> Vec<u64> {
    let Event::Frame(Frame { item: Item::Data(batch, None), .. }) = event else { panic!("rows, not {event:?}") };
    let rows = Rows::<(u64, Row)>::downcast(batch).unwrap();
    assert_eq!(rows.hashes, rows.rows.iter().map(|(k, _)| *k).collect::<Vec<_>>());
    rows.rows.into_iter().map(|(k, _)| k).collect()
}

/// A side's events.
#[derive(Debug)]
pub(super) enum Heard {
    Event(Era, SlotId, Event),
    Notice(Notice),
}

struct Ear(Mutex<Sender<Heard>>);

impl Inlet for Ear {
    fn deliver(&self, era: Era, to: SlotId, event: Event) {
        let _over = self.0.lock().unwrap().send(Heard::Event(era, to, event));
    }

    fn notice(&self, _: u32, _: Lane, notice: Notice) {
        let _over = self.0.lock().unwrap().send(Heard::Notice(notice));
    }
}

/// A worker as far as the transport goes.
pub(super) struct Side {
    pub(super) peers: Peers,
    pub(super) listener: Listener,
    heard: Receiver<Heard>,
    worker: u32,
}

impl Side {
    pub(super) fn new(runtime: &Runtime, worker: u32, network: &Network) -> Self {
        let (send, heard) = channel();
        let name = format!("worker-{worker}");
        let me = Me { worker, job: "words".into(), incarnation: format!("i{worker}"), name, build: "test".into() };
        let ear = Arc::new(Ear(Mutex::new(send)));
        let peers = Peers::new(me, graph().0, network.clone(), ear, era(1), runtime.handle().clone());
        let listener = Listener::start(runtime.handle(), "127.0.0.1:0", network, Services::default().data(&peers)).unwrap();
        Self { peers, listener, heard, worker }
    }

    pub(super) fn as_peer(&self, address: SocketAddr) -> Peer {
        let worker = self.worker;
        Peer { worker, name: format!("worker-{worker}"), incarnation: format!("i{worker}"), address: address.to_string() }
    }

    /// The next thing that `pick` picks; what it does not is passed over.
    pub(super) fn next<T>(&self, what: &str, mut pick: impl FnMut(Heard) -> Option<T>) -> T {
        let until = Instant::now() + DEADLINE;
        let mut passed = Vec::new();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let heard = self
                .heard
                .recv_timeout(left)
                .unwrap_or_else(|e| panic!("no {what}: {e}; before: {passed:?}; {:?}", self.peers.waiting()));
            passed.push(format!("{heard:.60?}"));
            passed.drain(..passed.len().saturating_sub(10));
            if let Some(found) = pick(heard) {
                return found;
            }
        }
    }

    pub(super) fn event(&self) -> (Era, SlotId, Event) {
        self.next("event", |heard| match heard {
            Heard::Event(era, to, event) => Some((era, to, event)),
            Heard::Notice(Notice::Broken(e)) => panic!("broken: {e}"),
            Heard::Notice(..) => None,
        })
    }

    pub(super) fn notice(&self, what: &str, pick: impl Fn(&Notice) -> bool) -> Notice {
        self.next(what, |heard| match heard {
            Heard::Notice(notice) if pick(&notice) => Some(notice),
            Heard::Notice(..) | Heard::Event(..) => None,
        })
    }

    /// True if nothing has been heard so far but news.
    pub(super) fn silent(&self) -> bool {
        self.heard.try_iter().all(|heard| matches!(heard, Heard::Notice(..)))
    }
}

/// Forwards TCP, and can cut it.
pub(super) struct Proxy {
    pub(super) address: SocketAddr,
    live: Arc<Mutex<Vec<TcpStream>>>,
    shut: Arc<AtomicBool>,
    /// Bytes until the next cut, and how many there have been.
    fuse: Arc<(AtomicI64, AtomicI64)>,
}

impl Proxy {
    pub(super) fn new(target: SocketAddr) -> Self {
        Self::switching(Arc::new(Mutex::new(target)))
    }

    /// One whose target may change.
    pub(super) fn switching(target: Arc<Mutex<SocketAddr>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (live, shut) = (Arc::<Mutex<Vec<TcpStream>>>::default(), Arc::<AtomicBool>::default());
        let fuse = Arc::new((AtomicI64::new(i64::MAX), AtomicI64::new(0)));
        let proxy = Self { address, live: Arc::clone(&live), shut: Arc::clone(&shut), fuse: Arc::clone(&fuse) };
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(*target.lock().unwrap()) else { continue };
                let mut all = live.lock().unwrap();
                if shut.load(Ordering::Acquire) {
                    continue;
                }
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let (from, to, fuse) = (from.try_clone().unwrap(), to.try_clone().unwrap(), Arc::clone(&fuse));
                    std::thread::spawn(move || forward(from, to, &fuse));
                }
                all.extend([client, server]);
            }
        });
        proxy
    }

    /// Kills every connection once so many more bytes have gone through: in the middle of whatever is under way.
    pub(super) fn cut_after(&self, bytes: i64) {
        self.fuse.0.store(bytes, Ordering::Release);
    }

    /// The number of times that has happened.
    pub(super) fn cuts(&self) -> i64 {
        self.fuse.1.load(Ordering::Relaxed)
    }

    /// Kills every connection; new ones are let through.
    pub(super) fn cut(&self) {
        for stream in self.live.lock().unwrap().drain(..) {
            let _gone = stream.shutdown(Shutdown::Both);
        }
    }

    /// Kills every connection, and each new one until it is opened again.
    pub(super) fn shut(&self, shut: bool) {
        self.shut.store(shut, Ordering::Release);
        self.cut();
    }
}

fn forward(mut from: TcpStream, mut to: TcpStream, fuse: &(AtomicI64, AtomicI64)) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(n) = from.read(&mut buffer) {
        let left = fuse.0.fetch_sub(n as i64, Ordering::AcqRel);
        if left > 0 && left <= n as i64 {
            fuse.0.store(i64::MAX, Ordering::Release);
            fuse.1.fetch_add(1, Ordering::Relaxed);
            let _gone = to.write_all(&buffer[..n / 2]);
            break;
        }
        if n == 0 || to.write_all(&buffer[..n]).is_err() {
            break;
        }
    }
    let _gone = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}

/// Two sides that know each other; the higher one dials through the proxy.
pub(super) fn pair(runtime: &Runtime, networks: [&Network; 2]) -> (Side, Side, Proxy) {
    let (a, b) = (Side::new(runtime, 0, networks[0]), Side::new(runtime, 1, networks[1]));
    let proxy = Proxy::new(a.listener.address());
    a.peers.set(vec![b.as_peer(b.listener.address())]);
    b.peers.set(vec![a.as_peer(proxy.address)]);
    (a, b, proxy)
}
