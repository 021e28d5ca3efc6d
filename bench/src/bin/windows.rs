//! `windows IN OUT [WORKERS]`: the windowed count in the public Rust API, with snapshots and exactly-once output.

use std::error::Error;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use watershed::{Job, LocalJob, Str, Time, io};
use watershed_bench::{DISORDER_MS, SLACK_MS, WINDOW_MS, args, epoch};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Clone, Debug, Deserialize)]
struct Row {
    ts: i64,
    key: Str,
    #[allow(dead_code, reason = "decoded like the loop does")]
    value: i64,
}

#[derive(Clone, Debug, Serialize)]
struct Count {
    window: i64,
    key: Str,
    count: u64,
}

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let a = args()?;
    let job = Job::new();
    job.source("events", io::json_lines::<Row>(a.input))
        .event_time(|r| Time::from_millis(r.ts), Duration::from_millis(DISORDER_MS + SLACK_MS))
        .key_by(|r| r.key.clone())
        .tumbling(Duration::from_millis(WINDOW_MS))?
        .count()
        .map(|r| Count { window: r.start.0 / 1000, key: r.key, count: r.value })
        .sink("counts", io::json_files(&a.out));
    LocalJob::new("windows", job.build()?)
        .slots(a.workers)
        .epoch(epoch())
        .storage(format!("{}.state", a.out))
        .fresh(true)
        .run()?;
    Ok(())
}
