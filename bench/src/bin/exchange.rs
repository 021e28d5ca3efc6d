//! `exchange ROWS [LENGTH]`: rows from one process to another on loopback, through the transport that a job of many processes uses:
//! encoding, link, gRPC, decoding, credits. Says rows a second, the seconds of both processes' cores, and bytes on the wire for each
//! byte of the rows; the bytes are counted in a second, short run, by a forwarder in between.

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

use watershed::runtime::container::{Batch, Rows};
use watershed::runtime::frame::{Frame, Item};
use watershed::runtime::graph::Graph;
use watershed::runtime::key::SlotId;
use watershed::runtime::slot::Event;
use watershed::transport::{Era, Inlet, Lane, Listener, Me, Network, Notice, Peer, Peers, Runtime, Services, threads};
use watershed::{Job, io};
use watershed_bench::{number, on_cores, say};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;
type Row = (u64, String);

const ERA: Era = Era { term: 1, generation: 1 };
/// Rows of a full frame, and frames that may be under way.
const FRAME: u64 = 4096;
const WINDOW: u64 = 16;

fn main() -> Result<()> {
    if std::env::args().nth(1).as_deref() == Some("receive") {
        return receive(number(2, 0u64)?);
    }
    let (rows, length) = (number(1, 20_000_000u64)?, number(2, 100usize)?);
    let (seconds, cores, idle) = send(rows, length, None)?;
    let few = rows.min(2_000_000);
    let wire = Arc::new(AtomicU64::new(0));
    send(few, length, Some(&wire))?;
    say(&[
        ("rows", rows as f64),
        ("row_bytes", length as f64),
        ("seconds", seconds),
        ("rows_per_second", rows as f64 / seconds),
        ("core_seconds_of_both", cores),
        ("rows_per_core_second", rows as f64 / cores),
        ("core_seconds_of_making_the_rows", idle),
        ("wire_bytes_per_row_byte", wire.load(Ordering::Relaxed) as f64 / (few as f64 * length as f64)),
    ])
}

fn graph() -> Result<(Arc<Graph>, u32)> {
    let job = Job::new();
    let rows = job.source("rows", io::json_lines::<Row>("nowhere")).key_by(|r| r.0);
    let (out, _) = rows.process::<u64, Row, _, _>(|row, cx| cx.emit(row), |_| {});
    out.sink("out", io::blackhole());
    let graph = Arc::new(job.build()?);
    let edge = (0..u32::try_from(graph.edges().len())?).find(|e| graph.codec(*e).is_some()).ok_or("no exchange")?;
    Ok((graph, edge))
}

struct Ear(Sender<Event>);

impl Inlet for Ear {
    fn deliver(&self, _: Era, _: SlotId, event: Event) {
        let _over = self.0.send(event);
    }

    fn notice(&self, _: u32, _: Lane, notice: Notice) {
        if let Notice::Broken(e) = notice {
            let _shown = writeln!(std::io::stderr(), "{e}");
        }
    }
}

/// One end: its links, its port, what it hears.
/// The reason why an event was not sent.
const ENDED: &str = "the link to the other process has ended";

struct End {
    peers: Peers,
    listener: Listener,
    heard: Receiver<Event>,
    edge: u32,
    _threads: Runtime,
}

fn end(worker: u32) -> Result<End> {
    let (graph, edge) = graph()?;
    let (send, heard) = channel();
    let (threads, network) = (threads(1)?, Network::default());
    let me = Me { worker, job: "exchange".into(), name: "end".into(), incarnation: "i".into(), build: String::new() };
    let peers = Peers::new(me, graph, network.clone(), Arc::new(Ear(send)), ERA, threads.handle().clone());
    let listener = Listener::start(threads.handle(), "127.0.0.1:0", &network, Services::default().data(&peers))?;
    Ok(End { peers, listener, heard, edge, _threads: threads })
}

fn peer(worker: u32, address: SocketAddr) -> Vec<Peer> {
    vec![Peer { worker, name: "end".into(), incarnation: "i".into(), address: address.to_string() }]
}

/// The receiving process: takes rows, gives their credits back, says how long its threads had a core.
fn receive(rows: u64) -> Result<()> {
    let end = end(0)?;
    end.peers.set(peer(1, end.listener.address()));
    writeln!(std::io::stdout(), "{}", end.listener.address())?;
    let outlet = end.peers.outlet(1, ERA).ok_or("no peer")?;
    let mut left = rows;
    while left > 0 {
        if let Event::Frame(Frame { edge, item: Item::Data(batch, _), .. }) = end.heard.recv()? {
            left -= batch.len() as u64;
            let rows = u32::try_from(batch.len())?;
            outlet.send(SlotId(1), Event::Credit { edge, from: SlotId(0), rows, window: rows }).map_err(|_| ENDED)?;
        }
    }
    writeln!(std::io::stdout(), "{}", on_cores()?)?;
    // The last credits are still under way; the sender ends this process.
    std::io::stdin().read_exact(&mut [0])?;
    Ok(())
}

/// The sending process. Seconds, seconds on cores of both, and those that only make the rows.
fn send(rows: u64, length: usize, count: Option<&Arc<AtomicU64>>) -> Result<(f64, f64, f64)> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(["receive", &rows.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut said = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
    let mut address: SocketAddr = said.next().ok_or("no address")??.parse()?;
    if let Some(bytes) = count {
        address = forwarder(address, bytes)?;
    }
    let end = end(1)?;
    end.peers.set(peer(0, address));
    let outlet = end.peers.outlet(0, ERA).ok_or("no peer")?;
    let batch = batch(length);
    let before = on_cores()?;
    let made: usize = (0..rows / FRAME).map(|_| batch.copy().len()).sum();
    let making = on_cores()? - before;
    let (before, begin) = (on_cores()?, Instant::now());
    let (mut left, mut credits) = (made as u64, WINDOW * FRAME);
    while left > 0 || credits < WINDOW * FRAME {
        while left > 0 && credits >= FRAME {
            let item = Item::Data(batch.copy(), None);
            outlet.send(SlotId(0), Event::Frame(Frame { edge: end.edge, from: SlotId(1), item })).map_err(|_| ENDED)?;
            (left, credits) = (left - FRAME, credits - FRAME);
        }
        if let Event::Credit { rows, .. } = end.heard.recv()? {
            credits += u64::from(rows);
        }
        if left == 0 && made as u64 != rows {
            // Rows are sent in full frames; the rest, so that the receiver ends.
            let mut rest = batch.copy();
            drop(rest.split_off(usize::try_from(rows - made as u64)?));
            outlet
                .send(SlotId(0), Event::Frame(Frame { edge: end.edge, from: SlotId(1), item: Item::Data(rest, None) }))
                .map_err(|_| ENDED)?;
            break;
        }
    }
    let others: f64 = said.next().ok_or("no word from the receiver")??.parse()?;
    let (seconds, cores) = (begin.elapsed().as_secs_f64(), on_cores()? - before + others);
    child.stdin.take().ok_or("no input")?.write_all(&[0])?;
    child.wait()?;
    Ok((seconds, cores, making))
}

/// A full frame of rows of so many bytes: a number and a text.
fn batch(length: usize) -> Batch {
    let text = "x".repeat(length.saturating_sub(8));
    let number = |i: u64| i.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let rows = (0..FRAME).map(|i| (number(i), (number(i), text.clone()))).collect();
    Box::new(Rows::<(u64, Row)> { rows, hashes: (0..FRAME).map(number).collect(), times: Vec::new() })
}

/// Forwards one port to another and counts.
fn forwarder(to: SocketAddr, bytes: &Arc<AtomicU64>) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let (address, bytes) = (listener.local_addr()?, bytes.clone());
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(std::result::Result::ok) {
            let Ok(server) = TcpStream::connect(to) else { continue };
            for (from, to) in [(&client, &server), (&server, &client)] {
                if let (Ok(from), Ok(to)) = (from.try_clone(), to.try_clone()) {
                    let bytes = bytes.clone();
                    std::thread::spawn(move || forward(from, to, &bytes));
                }
            }
        }
    });
    Ok(address)
}

fn forward(mut from: TcpStream, mut to: TcpStream, bytes: &AtomicU64) {
    let mut buffer = vec![0; 1 << 18];
    while let Ok(n) = from.read(&mut buffer) {
        if n == 0 || to.write_all(buffer.get(..n).unwrap_or_default()).is_err() {
            return;
        }
        bytes.fetch_add(n as u64, Ordering::Relaxed);
    }
}
