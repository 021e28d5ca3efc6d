//! `words-sql IN OUT [WORKERS]`: the word count as SQL text through the library. A batch: each count is written once, at the end.

use std::error::Error;

use watershed::LocalJob;
use watershed_bench::sql::{graph, quoted};
use watershed_bench::{args, epoch};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let a = args()?;
    let text = format!(
        "SET 'execution.runtime-mode' = 'batch';
CREATE TABLE words (word STRING) WITH ('connector' = 'filesystem', 'path' = {}, 'format' = 'json');
CREATE TABLE counts (word STRING, `count` BIGINT) WITH ('connector' = 'filesystem', 'path' = {}, 'format' = 'json');
INSERT INTO counts SELECT word, COUNT(*) FROM words GROUP BY word;",
        quoted(&a.input),
        quoted(&a.out)
    );
    let job = LocalJob::new("words-sql", graph(&text)?);
    job.slots(a.workers).epoch(epoch()).storage(format!("{}.state", a.out)).fresh(true).run()?;
    Ok(())
}
