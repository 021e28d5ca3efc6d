//! `windows-sql IN OUT [WORKERS]`: the windowed count as SQL text through the library.

use std::error::Error;

use watershed::LocalJob;
use watershed_bench::sql::{graph, quoted};
use watershed_bench::{DISORDER_MS, SLACK_MS, WINDOW_MS, args, epoch};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let a = args()?;
    // The result's start is a time; milliseconds since 1970 are a division away from it, and once a row.
    let text = format!(
        "CREATE TABLE events (ts BIGINT, `key` STRING, `value` BIGINT, happened AS TO_TIMESTAMP_LTZ(ts, 3),
  WATERMARK FOR happened AS happened - INTERVAL '{:.1}' SECOND
) WITH ('connector' = 'filesystem', 'path' = {}, 'format' = 'json');
CREATE TABLE counts (`window` BIGINT, `key` STRING, `count` BIGINT)
  WITH ('connector' = 'filesystem', 'path' = {}, 'format' = 'json');
INSERT INTO counts
SELECT CAST(TIMESTAMPDIFF(SECOND, TIMESTAMP '1970-01-01 00:00:00', window_start) AS BIGINT) * 1000, `key`, COUNT(*)
FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(happened), INTERVAL '{}' SECOND))
GROUP BY window_start, window_end, `key`;",
        (DISORDER_MS + SLACK_MS) as f64 / 1000.0,
        quoted(&a.input),
        quoted(&a.out),
        WINDOW_MS / 1000
    );
    let job = LocalJob::new("windows-sql", graph(&text)?);
    job.slots(a.workers).epoch(epoch()).storage(format!("{}.state", a.out)).fresh(true).run()?;
    Ok(())
}
