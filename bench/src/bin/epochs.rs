//! `epochs ROWS EPOCH_MS [KEYS]`: a running sum a key over generated rows into a blackhole; says the seconds and the epochs published.
//! With an epoch period longer than the run there are none: the difference is what snapshots cost.

use std::error::Error;
use std::time::{Duration, Instant};

use watershed::{Job, LocalJob, io};
use watershed_bench::{number, say, scratch};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let (rows, period, keys) = (number(1, 100_000_000u64)?, number(2, 1000u64)?, number(3, 100_000u64)?);
    let job = Job::new();
    let source = io::generate(move |n: u64| (n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20) % keys).rows(rows);
    let (sums, _) = job.source("rows", source).key_by(|k| *k).process::<u64, (u64, u64), _, _>(
        |k, cx| {
            *cx.state += 1;
            let row = (k, *cx.state);
            cx.emit(row);
        },
        |_| {},
    );
    sums.sink("sums", io::blackhole());
    let local = LocalJob::new("epochs", job.build()?).epoch(Duration::from_millis(period));
    let ready = local.storage(scratch("epochs")).fresh(true).prepare()?;
    let handle = ready.handle();
    let begin = Instant::now();
    let watch = std::thread::spawn(move || {
        let mut last = 0;
        while let Some(status) = handle.status() {
            last = status.epoch;
            std::thread::sleep(Duration::from_millis(100));
        }
        last
    });
    ready.run()?;
    let seconds = begin.elapsed().as_secs_f64();
    let epochs = watch.join().map_err(|_| "the watching thread failed")?;
    say(&[("seconds", seconds), ("rows", rows as f64), ("epochs", epochs as f64)])
}
