//! `snapshot-cost`: what snapshots each second cost the rows that go on meanwhile.
//!
//! One slot adds to `STATE_MB` (2048) of entries of 200 bytes as fast as it can, and one percent of the keys changes each second. From one
//! snapshot of the full state the job goes on `ROUNDS` (3) times with an epoch a second and as often with none before the end of the span
//! in which rows are counted; the quotient of the rates is what the hot path pays for encoding, uploading and merging. The span is short
//! because what changes without a snapshot has to fit into the memory for undoing it.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use watershed::{Handle, Job, LocalJob, io};
use watershed_bench::{say, scratch};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Failure = Box<dyn Error + Send + Sync>;

/// Bytes of an entry.
const ENTRY: u64 = 200;
/// Between which seconds after the first row rows are counted.
const SPAN: (u64, u64) = (2, 8);
/// The other period: its first barrier comes after that span.
const SELDOM: Duration = Duration::from_secs(20);

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

/// The job, from where it is, until `watch` has seen enough; what that says.
fn run<R: Send + 'static>(
    keys: u64,
    storage: &str,
    (period, fresh): (Duration, bool),
    watch: impl FnOnce(&Handle, &AtomicU64) -> R + Send + 'static,
) -> Result<R, Failure> {
    let job = Job::new();
    let (second, share) = (Arc::new(AtomicU64::new(0)), keys / 100);
    let clock = second.clone();
    let load = io::generate(move |n: u64| {
        if n < keys {
            return n;
        }
        let hash = n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
        (clock.load(Ordering::Relaxed) * share + hash % share) % keys
    });
    let (sums, _) = job.source("rows", load).key_by(|k| *k).process::<Entry, (u64, u64), _, _>(
        |k, cx| {
            cx.state.seen += 1;
            let row = (k, cx.state.seen);
            cx.emit(row);
        },
        |_| {},
    );
    sums.sink("sums", io::blackhole());
    let local = LocalJob::new("snapshot-cost", job.build()?).epoch(period);
    let ready = local.storage(storage).fresh(fresh).prepare()?;
    let handle = ready.handle();
    let watching = std::thread::spawn(move || {
        let seen = watch(&handle, &second);
        handle.stop();
        seen
    });
    ready.run()?;
    watching.join().map_err(|_| "the watching thread failed".into())
}

/// Rows read so far, and the newest epoch.
fn progress(handle: &Handle) -> (u64, u64) {
    handle.status().map_or((0, 0), |s| (s.nodes.iter().flat_map(|(_, nodes)| nodes).map(|n| n.rows_in).sum(), s.epoch))
}

fn until(handle: &Handle, rows: u64) {
    while progress(handle).0 < rows {
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Rows a second in the span, and epochs in it.
fn rate(keys: u64, storage: &str, period: Duration) -> Result<(f64, u64), Failure> {
    run(keys, storage, (period, false), move |handle, second| {
        until(handle, 1);
        let begin = Instant::now();
        let mark = |s: u64| {
            std::thread::sleep((begin + Duration::from_secs(s)).saturating_duration_since(Instant::now()));
            second.store(s, Ordering::Relaxed);
            (begin.elapsed(), progress(handle))
        };
        let marks: Vec<_> = (1..=SPAN.1).map(mark).collect();
        let at = |s: u64| marks.get(s as usize - 1).copied().unwrap_or_default();
        let ((from, (first, before)), (till, (last, after))) = (at(SPAN.0), at(SPAN.1));
        ((last - first) as f64 / (till - from).as_secs_f64(), after - before)
    })
}

fn main() -> Result<(), Failure> {
    let number = |name: &str, or: u64| std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(or);
    let keys = number("STATE_MB", 2048) * (1 << 20) / ENTRY;
    let storage = scratch("snapshot-cost");
    run(keys, &storage, (Duration::from_secs(1), true), move |handle, _| until(handle, keys))?;
    let (mut with, mut without, mut epochs) = (Vec::new(), Vec::new(), (0, 0));
    for _ in 0..number("ROUNDS", 3) {
        let (each, seldom) = (rate(keys, &storage, Duration::from_secs(1))?, rate(keys, &storage, SELDOM)?);
        (epochs.0, epochs.1) = (epochs.0 + each.1, epochs.1 + seldom.1);
        with.push(each.0);
        without.push(seldom.0);
    }
    let median = |mut all: Vec<f64>| {
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied().unwrap_or_default()
    };
    let (with, without) = (median(with), median(without));
    say(&[
        ("rows_per_second_with", with),
        ("epochs_with", epochs.0 as f64),
        ("rows_per_second_without", without),
        ("epochs_without", epochs.1 as f64),
        ("loss", 1.0 - with / without),
    ])
}
