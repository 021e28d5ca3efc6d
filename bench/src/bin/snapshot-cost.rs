//! `snapshot-cost`: what snapshots each second cost the rows that go on meanwhile.
//!
//! One slot adds to `STATE_MB` (2048) of entries of 200 bytes as fast as it can, and one percent of the keys changes each second. The same job runs
//! twice: with an epoch a second, and with one every 30 seconds. Rows are counted between second 36 and 56, after the fill and its snapshot,
//! when the second job takes none: the quotient of the two rates is what the hot path pays for encoding, uploading and merging.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use watershed::{Job, LocalJob, io};
use watershed_bench::{say, scratch};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Failure = Box<dyn Error + Send + Sync>;

/// Bytes of an entry.
const ENTRY: u64 = 200;
/// Between which seconds rows are counted.
const SPAN: (u64, u64) = (36, 56);
/// The other period: its barriers come before and after that span.
const SELDOM: Duration = Duration::from_secs(30);

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

/// Rows a second in the span, and epochs in it.
fn rate(keys: u64, period: Duration) -> Result<(f64, u64), Failure> {
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
    let ready = local.storage(scratch("snapshot-cost")).fresh(true).prepare()?;
    let handle = ready.handle();
    let begin = Instant::now();
    let watch = std::thread::spawn(move || {
        let mut marks = Vec::new();
        for s in 1..=SPAN.1 {
            std::thread::sleep((begin + Duration::from_secs(s)).saturating_duration_since(Instant::now()));
            second.store(s, Ordering::Relaxed);
            if let Some(status) = handle.status().filter(|_| s == SPAN.0 || s == SPAN.1) {
                let rows: u64 = status.nodes.iter().flat_map(|(_, nodes)| nodes).map(|n| n.rows_in).sum();
                marks.push((begin.elapsed(), rows, status.epoch));
            }
        }
        handle.stop();
        marks
    });
    ready.run()?;
    match watch.join().map_err(|_| "the watching thread failed")?.as_slice() {
        [(from, first, before), (till, last, after)] => {
            Ok(((last - first) as f64 / (*till - *from).as_secs_f64(), after - before))
        }
        _ => Err("the job ended before its time".into()),
    }
}

fn main() -> Result<(), Failure> {
    let megabytes: u64 = std::env::var("STATE_MB").ok().and_then(|v| v.parse().ok()).unwrap_or(2048);
    let keys = megabytes * (1 << 20) / ENTRY;
    let (with, epochs) = rate(keys, Duration::from_secs(1))?;
    let (without, none) = rate(keys, SELDOM)?;
    say(&[
        ("rows_per_second_with", with),
        ("epochs_with", epochs as f64),
        ("rows_per_second_without", without),
        ("epochs_without", none as f64),
        ("loss", 1.0 - with / without),
    ])
}
