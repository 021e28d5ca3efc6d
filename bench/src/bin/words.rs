//! `words IN OUT [WORKERS]`: the word count in the public Rust API, with snapshots and exactly-once output.

use std::error::Error;

use serde::{Deserialize, Serialize};
use watershed::{Job, LocalJob, Str, io};
use watershed_bench::{args, epoch};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Clone, Debug, Deserialize)]
struct Row {
    word: Str,
}

#[derive(Clone, Debug, Serialize)]
struct Count {
    word: Str,
    count: u64,
}

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let a = args()?;
    let job = Job::new();
    job.source("words", io::json_lines::<Row>(a.input))
        .key_by(|r| r.word.clone())
        .at_end()
        .count()
        .map(|(word, count)| Count { word, count })
        .sink("counts", io::json_files(&a.out));
    LocalJob::new("words", job.build()?).slots(a.workers).epoch(epoch()).storage(format!("{}.state", a.out)).fresh(true).run()?;
    Ok(())
}
