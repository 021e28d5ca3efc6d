//! `latency chain|idle|lone|windows [SECONDS]`: how long rows take, and what a job costs that has none.
//!
//! `chain`: a slot driven by hand, one row at a time, through filter and map to a sink. `idle`: a job of two slots without a row.
//! `lone`: a row each 10 ms through an exchange into keyed state, two slots. `windows`: 200,000 rows a second into tumbling windows,
//! one slot; from the arrival of the row that closed a window to the sink's write of each of its rows.

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use watershed::runtime::graph::NodeIndex;
use watershed::runtime::key::{Assignment, KeySpace, SlotId};
use watershed::runtime::protocol::manifest::Manifest;
use watershed::runtime::slot::{Command, Event, Outbox, Report, Slot, SlotConfig, SlotSeat, Status, Tuning};
use watershed::{Job, LocalJob, Time};
use watershed_bench::feed::{Feed, Tap};
use watershed_bench::{number, on_cores, quantile, say, scratch};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Failure = Box<dyn Error + Send + Sync>;
type Times = Arc<Mutex<Vec<u64>>>;

/// Windows: their length, keys, and rows a second.
const WINDOW: Duration = Duration::from_millis(100);
const KEYS: u64 = 1000;
const RATE: u64 = 200_000;

fn main() -> Result<(), Failure> {
    match std::env::args().nth(1).as_deref() {
        Some("chain") => chain(),
        Some("idle") => idle(Duration::from_secs(number(2, 5)?)),
        Some("lone") => lone(number(2, 5)?),
        Some("windows") => windows(number(2, 20)?),
        _ => Err("usage: latency chain|idle|lone|windows [SECONDS]".into()),
    }
}

struct Nobody(Option<String>);

impl Outbox for Nobody {
    fn send(&mut self, _to: SlotId, _event: Event) {}

    fn report(&mut self, report: Report) {
        if let Report::Failed(e) | Report::Poisoned(e) = report {
            self.0 = Some(e.to_string());
        }
    }
}

fn chain() -> Result<(), Failure> {
    let (job, feed) = (Job::new(), Feed::<(u64, u64)>::default());
    let seen = Arc::new(Mutex::new(0u64));
    let count = seen.clone();
    let rows = job.source("rows", feed.clone()).filter(|r| r.0 > 0 && r.1 != 7).map(|r| r.0 * 2 + r.1);
    rows.sink("out", Tap::new(move |rows| *count.lock().unwrap_or_else(PoisonError::into_inner) += rows.len() as u64));
    let graph = Arc::new(job.build()?);
    let (table, tuning, waker) = (Assignment::even(KeySpace::default(), 1), Tuning::default(), Waker::noop().clone());
    let manifest = Manifest::origin(0, graph.shape()?.nodes, &table, vec![SlotId(0)]);
    let seat = SlotSeat { graph, term: 1, window: 16384, tuning, waker };
    let mut slot = Slot::new(SlotConfig::restored(seat, SlotId(0), &manifest, &table))?;
    slot.start(&[])?;
    let mut out = Nobody(None);
    slot.handle(Event::Command(Command::Splits(NodeIndex(0), vec![("feed".into(), Vec::new(), Time::MIN)])), 0, &mut out);
    let (warm, n) = (10_000u64, 200_000u64);
    let mut begin = Instant::now();
    for i in 0..warm + n {
        if i == warm {
            begin = Instant::now();
        }
        feed.push([(i + 1, 1)]);
        slot.wake();
        while slot.run(i as i64, &mut out) == Status::Busy {}
    }
    let micros = begin.elapsed().as_secs_f64() * 1e6 / n as f64;
    let seen = *seen.lock().unwrap_or_else(PoisonError::into_inner);
    match out.0 {
        Some(e) => Err(e.into()),
        None if seen != warm + n => Err(format!("{seen} rows came out of {}", warm + n).into()),
        None => say(&[("micros", micros)]),
    }
}

/// A job of two slots with a keyed state between feed and sink, running on a thread of its own until the feed ends.
fn keyed(feed: &Feed<u64>, sink: Tap<u64>) -> Result<std::thread::JoinHandle<watershed::Result<()>>, Failure> {
    let job = Job::new();
    let rows = job.source("rows", feed.clone()).filter(|r| *r < u64::MAX).map(|r| r);
    let (rows, _) = rows.key_by(|r| r % 1009).process::<u64, u64, _, _>(
        |r, cx| {
            *cx.state += 1;
            cx.emit(r);
        },
        |_| {},
    );
    rows.sink("out", sink);
    let ready = LocalJob::new("latency", job.build()?).slots(2).storage(scratch("latency")).fresh(true).prepare()?;
    Ok(std::thread::spawn(move || ready.run().map(|_| ())))
}

fn join(job: std::thread::JoinHandle<watershed::Result<()>>) -> Result<(), Failure> {
    Ok(job.join().map_err(|_| "the job's thread failed")??)
}

fn idle(time: Duration) -> Result<(), Failure> {
    let feed = Feed::default();
    let job = keyed(&feed, Tap::new(drop))?;
    std::thread::sleep(Duration::from_secs(2));
    let (before, begin) = (on_cores()?, Instant::now());
    std::thread::sleep(time);
    let used = (on_cores()? - before) / begin.elapsed().as_secs_f64();
    feed.end();
    join(job)?;
    say(&[("percent", used * 100.0)])
}

fn lone(seconds: u64) -> Result<(), Failure> {
    let (feed, begin) = (Feed::default(), Instant::now());
    let times = Times::default();
    let nanos = move || begin.elapsed().as_nanos() as u64;
    let kept = times.clone();
    let tap = Tap::new(move |rows: Vec<u64>| {
        let now = nanos();
        kept.lock().unwrap_or_else(PoisonError::into_inner).extend(rows.iter().map(|at| now - at));
    });
    let job = keyed(&feed, tap)?;
    std::thread::sleep(Duration::from_millis(500));
    for _ in 0..seconds * 100 {
        std::thread::sleep(Duration::from_millis(10));
        feed.push([nanos()]);
    }
    feed.end();
    join(job)?;
    tell(&times, seconds * 100)
}

/// Median and tail, in milliseconds.
fn tell(times: &Times, want: u64) -> Result<(), Failure> {
    let mut times = std::mem::take(&mut *times.lock().unwrap_or_else(PoisonError::into_inner));
    times.sort_unstable();
    if times.len() as u64 != want {
        return Err(format!("{} rows came out instead of {want}", times.len()).into());
    }
    let ms = |q| quantile(&times, q) as f64 / 1e6;
    say(&[("p50_ms", ms(0.5)), ("p99_ms", ms(0.99)), ("p999_ms", ms(0.999)), ("max_ms", ms(1.0)), ("rows", want as f64)])
}

fn windows(seconds: u64) -> Result<(), Failure> {
    let (feed, job) = (Feed::<u64>::default(), Job::new());
    let (times, closed) = (Times::default(), Arc::new(Mutex::new(HashMap::<i64, Instant>::new())));
    let gap = 1_000_000 / RATE;
    let (kept, closers) = (times.clone(), closed.clone());
    let tap = Tap::new(move |rows: Vec<watershed::WindowResult<u64, u64>>| {
        let now = Instant::now();
        let closers = closers.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = |at: &Instant| now.duration_since(*at).as_nanos() as u64;
        // The last windows are closed by the end of the input and not by a row.
        let all = rows.iter().filter_map(|r| closers.get(&r.end.0).map(waited));
        kept.lock().unwrap_or_else(PoisonError::into_inner).extend(all);
    });
    job.source("rows", feed.clone())
        .event_time(move |n| Time((n * gap) as i64), Duration::ZERO)
        .key_by(|n| n.wrapping_mul(0x9E37_79B9_7F4A_7C15) % KEYS)
        .tumbling(WINDOW)?
        .count()
        .sink("out", tap);
    let ready = LocalJob::new("windows", job.build()?).storage(scratch("windows")).fresh(true).prepare()?;
    let running = std::thread::spawn(move || ready.run().map(|_| ()));
    let rows_a_window = WINDOW.as_micros() as u64 / gap;
    let total = seconds * RATE;
    let (begin, mut sent) = (Instant::now(), 0u64);
    while sent < total {
        std::thread::sleep(Duration::from_micros(500));
        let due = ((begin.elapsed().as_secs_f64() * RATE as f64) as u64).min(total);
        let now = Instant::now();
        let ends = sent.div_ceil(rows_a_window).max(1)..due.div_ceil(rows_a_window);
        closed.lock().unwrap_or_else(PoisonError::into_inner).extend(ends.map(|w| ((w * rows_a_window * gap) as i64, now)));
        feed.push(sent..due);
        sent = due;
    }
    feed.end();
    join(running)?;
    let windows = closed.lock().unwrap_or_else(PoisonError::into_inner).len() as u64;
    tell(&times, windows * KEYS)
}
