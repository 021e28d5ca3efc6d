//! `rescale`: a running job goes from one slot to two, four and back to one while rows come in, and nothing may be lost or silent.
//!
//! `STATE_MB` (1024) of entries of 200 bytes, `RATE` (50,000) rows a second. Each row adds to its key's entry and is emitted with its
//! number within the key; the sink counts and adds these up by key, which only the exact rows can satisfy. A silence is the time between
//! two writes of any slot; a latency counts from when a row was due.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use watershed::runtime::slot::{GATE_MILLIS, MoveStats};
use watershed::{Handle, Job, LocalJob, Progress};
use watershed_bench::feed::Tap;
use watershed_bench::load::Load;
use watershed_bench::{epoch, say, scratch};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Failure = Box<dyn Error + Send + Sync>;

/// Bytes of an entry, its key left out.
const ENTRY: u64 = 200;
/// The quiet time between two changes.
const PAUSE: Duration = Duration::from_secs(3);
/// The longest time that a change may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// An entry: a number, and ballast that is as long when it is encoded.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Entry {
    seen: u64,
    ballast: [u64; 24],
}

impl Default for Entry {
    fn default() -> Self {
        Self { seen: 0, ballast: [u64::MAX / 3; 24] }
    }
}

#[derive(Clone, Copy, Debug)]
struct Out {
    key: u64,
    seen: u64,
    at: u64,
}

/// Measurements of the sink.
struct Seen {
    begin: Instant,
    rows: AtomicU64,
    last: AtomicU64,
    silence: AtomicU64,
    latency: AtomicU64,
    keys: Vec<(AtomicU32, AtomicU64)>,
}

impl Seen {
    fn take(&self, rows: &[Out]) {
        let now = self.begin.elapsed().as_nanos() as u64;
        let silent = now.saturating_sub(self.last.fetch_max(now, Ordering::AcqRel));
        self.silence.fetch_max(silent, Ordering::AcqRel);
        for row in rows {
            if row.at > 0 {
                self.latency.fetch_max(now.saturating_sub(row.at), Ordering::Relaxed);
            }
            if let Some((count, sum)) = self.keys.get(row.key as usize) {
                count.fetch_add(1, Ordering::Relaxed);
                sum.fetch_add(row.seen, Ordering::Relaxed);
            }
        }
        self.rows.fetch_add(rows.len() as u64, Ordering::AcqRel);
    }

    /// The longest silence and latency since the last call, in milliseconds. A silence that lasts still counts.
    fn worst(&self) -> (f64, f64) {
        let now = self.begin.elapsed().as_nanos() as u64;
        let lasting = now.saturating_sub(self.last.load(Ordering::Acquire));
        let silence = self.silence.swap(0, Ordering::AcqRel).max(lasting);
        (silence as f64 / 1e6, self.latency.swap(0, Ordering::AcqRel) as f64 / 1e6)
    }

    /// Keys that have not exactly the rows 1, 2, … up to what was read.
    fn wrong(&self, expected: &[u32]) -> usize {
        let exact = |((count, sum), want): (&(AtomicU32, AtomicU64), &u32)| {
            let want = u64::from(*want);
            u64::from(count.load(Ordering::Acquire)) == want && sum.load(Ordering::Acquire) == want * (want + 1) / 2
        };
        expected.len().abs_diff(self.keys.len()) + self.keys.iter().zip(expected).filter(|p| !exact(*p)).count()
    }
}

fn env(name: &str, or: u64) -> u64 {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(or)
}

fn job(load: &Load, seen: &Arc<Seen>) -> Job {
    let (job, seen) = (Job::new(), seen.clone());
    let (rows, _) = job.source("load", load.clone()).key_by(|r| r.key).process::<Entry, Out, _, _>(
        |r, cx| {
            cx.state.seen += 1;
            let row = Out { key: r.key, seen: cx.state.seen, at: r.at };
            cx.emit(row);
        },
        |_| {},
    );
    rows.sink("out", Tap::new(move |rows: Vec<Out>| seen.take(&rows)));
    job
}

fn main() -> Result<(), Failure> {
    let keys = env("STATE_MB", 1024) * (1 << 20) / ENTRY;
    let load = Load::new(keys, env("RATE", 50_000) as f64);
    let seen = Arc::new(Seen {
        begin: load.begin(),
        rows: AtomicU64::new(0),
        last: AtomicU64::new(0),
        silence: AtomicU64::new(0),
        latency: AtomicU64::new(0),
        keys: (0..keys).map(|_| (AtomicU32::new(0), AtomicU64::new(0))).collect(),
    });
    let period = if std::env::var_os("EPOCH_MS").is_some() { epoch() } else { Duration::from_secs(1) };
    let ready =
        LocalJob::new("rescale", job(&load, &seen).build()?).epoch(period).storage(scratch("rescale")).fresh(true).prepare()?;
    let handle = ready.handle();
    let running = std::thread::spawn(move || ready.run().map(|_| ()));
    let numbers = std::thread::scope(|s| {
        s.spawn(|| load.tick(|| running.is_finished()));
        let numbers = steer(&load, &seen, &handle, keys);
        load.start();
        load.stop();
        if numbers.is_err() {
            handle.stop();
        }
        numbers
    });
    running.join().map_err(|_| "the job's thread failed")??;
    let mut numbers = numbers?;
    numbers.push(("wrong_keys".to_owned(), seen.wrong(&load.expected()) as f64));
    numbers.push(("rows".to_owned(), seen.rows.load(Ordering::Acquire) as f64));
    say(&numbers.iter().map(|(k, v)| (k.as_str(), *v)).collect::<Vec<_>>())
}

fn status(handle: &Handle) -> Result<Progress, Failure> {
    handle.status().ok_or_else(|| "the job ended too early".into())
}

type Numbers = Vec<(String, f64)>;

fn steer(load: &Load, seen: &Seen, handle: &Handle, keys: u64) -> Result<Numbers, Failure> {
    let begin = Instant::now();
    while seen.rows.load(Ordering::Acquire) < keys {
        status(handle)?;
        if begin.elapsed() > PATIENCE {
            return Err("filling took too long".into());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let mut all = vec![("fill_s".to_owned(), begin.elapsed().as_secs_f64())];
    load.start();
    std::thread::sleep(PAUSE);
    seen.worst();
    std::thread::sleep(PAUSE);
    let bytes: u64 = status(handle)?.nodes.iter().flat_map(|(_, n)| n).map(|n| n.bytes).sum();
    let (silence, latency) = seen.worst();
    all.extend(
        [("state_mb", bytes as f64 / 1048576.0), ("silence_before_ms", silence), ("latency_before_ms", latency)].map(named),
    );
    let (mut gates, mut longest, mut silences) = (Vec::new(), 0u64, 0f64);
    for slots in [2u16, 4, 1] {
        let before = status(handle)?;
        seen.worst();
        let after = scale(handle, slots)?;
        let took = after.1;
        let (silence, latency) = seen.worst();
        silences = silences.max(silence);
        let (moved, least) = moves(&owners(&before), &owners(&after.0), slots);
        for (slot, stats) in &after.0.moves {
            let old = before.moves.iter().find(|(s, _)| s == slot).map(|(_, m)| *m).unwrap_or_default();
            gates.extend(gated(&old, stats));
            longest = longest.max(stats.longest_gate);
        }
        let here =
            [("s", took), ("silence_ms", silence), ("latency_ms", latency), ("moved", moved as f64), ("least", least as f64)];
        all.extend(here.map(|(name, value)| (format!("to_{slots}_{name}"), value)));
        std::thread::sleep(PAUSE);
    }
    gates.sort_unstable();
    let p99 = watershed_bench::quantile(&gates, 0.99);
    let tail = [("batches", gates.len() as f64), ("gate_p99_ms_at_most", p99 as f64), ("gate_max_ms", longest as f64 / 1e3)];
    all.extend(tail.map(named));
    all.push(named(("silence_ms", silences)));
    Ok(all)
}

fn named((name, value): (&str, f64)) -> (String, f64) {
    (name.to_owned(), value)
}

/// Scales and waits until that is settled; the status then, and the seconds.
fn scale(handle: &Handle, slots: u16) -> Result<(Progress, f64), Failure> {
    let begin = Instant::now();
    handle.scale(slots);
    loop {
        let now = status(handle)?;
        if now.settled && now.slots.len() == usize::from(slots) {
            return Ok((now, begin.elapsed().as_secs_f64()));
        }
        if begin.elapsed() > PATIENCE {
            return Err(format!("scaling to {slots} took too long: waiting for {:?}", now.waiting).into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The owner of each key group.
fn owners(of: &Progress) -> Vec<u16> {
    of.ranges.iter().flat_map(|r| std::iter::repeat_n(r.slot, r.groups as usize)).collect()
}

/// Key groups that have another owner, and how many must at least have one for every slot to own as many.
fn moves(before: &[u16], after: &[u16], slots: u16) -> (usize, usize) {
    let moved = before.iter().zip(after).filter(|(a, b)| a != b).count();
    let share = before.len() / usize::from(slots.max(1));
    let kept = |slot: u16| before.iter().filter(|s| **s == slot).count().min(share);
    let stay: usize = (0..slots).map(kept).sum();
    (moved, before.len().saturating_sub(stay))
}

/// The upper bound, in milliseconds, of each new gate's bucket; the longest there was for one beyond the bounds.
fn gated(old: &MoveStats, new: &MoveStats) -> Vec<u64> {
    let bounds = GATE_MILLIS.iter().copied().chain([new.longest_gate.div_ceil(1000)]);
    let counts = new.gates.iter().zip(old.gates).map(|(n, o)| n.saturating_sub(o));
    bounds.zip(counts).flat_map(|(bound, n)| std::iter::repeat_n(bound, n as usize)).collect()
}
