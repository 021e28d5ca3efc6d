//! `rescale-many`: one job of a coordinator and worker *processes*, with `STATE_MB` (2048) of entries of 200 bytes, under half of the load
//! that two workers sustain: 2→4→2 live, the same by stopping and starting, a worker killed, the coordinator killed.
//!
//! Each row adds to its key's entry and comes out with its number within the key; each process notes every row that it puts out with the
//! time ([`trace`]). Says one line of JSON and draws the latencies over time as `CHART` (`target/bench/rescale.svg`).

mod chart;
mod drive;
mod paced;
mod people;
mod trace;
mod written;

use std::error::Error;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use watershed::Job;
use watershed::cluster::{CoordinatorJob, WorkerJob};
use watershed::runtime::graph::Graph;
use watershed::runtime::protocol::rescale::Sizes;
use watershed_bench::feed::Tap;

use paced::Paced;
use trace::{Out, Trace};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// Bytes of an entry, its key left out.
const ENTRY: u64 = 200;
const NAME: &str = "rescale-many";
/// The mode of a coordinator that copies every batch ahead and cuts none.
pub(crate) const SHAM: &str = "sham";

/// An entry: a number, and ballast that is as long when it is encoded.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Entry {
    seen: u32,
    ballast: [u64; 24],
}

impl Default for Entry {
    fn default() -> Self {
        Self { seen: 0, ballast: [u64::MAX / 3; 24] }
    }
}

pub(crate) fn env(name: &str, or: u64) -> u64 {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(or)
}

/// The number of keys.
pub(crate) fn keys() -> u64 {
    env("STATE_MB", 2048) * (1 << 20) / ENTRY
}

fn graph(dir: &Path, trace: Option<Trace>) -> Result<Graph, Failure> {
    let job = Job::new();
    let load = Paced::new(keys(), dir.join("pace"));
    if trace.is_some() {
        load.tick();
    }
    let (rows, _) = job.source("load", load).key_by(|r| u64::from(r.key)).process::<Entry, Out, _, _>(
        |r, cx| {
            cx.state.seen += 1;
            let row = Out { key: r.key, seen: cx.state.seen, at: r.at };
            cx.emit(row);
        },
        |_| {},
    );
    rows.sink("out", Tap::new(move |rows: Vec<Out>| trace.iter().for_each(|t| t.note(&rows))));
    Ok(job.build()?)
}

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let text = |at: usize| args.get(at).cloned().unwrap_or_default();
    let dir = PathBuf::from(text(1));
    match text(0).as_str() {
        "" => drive::drive(),
        "coordinator" => {
            let epoch = Duration::from_millis(env("EPOCH_MS", 1000));
            let storage = dir.join("state").display().to_string();
            // A sham rescale copies every batch ahead and cuts none.
            let sham = Sizes { max_warming: usize::MAX, max_open: 0, ..Sizes::default() };
            let sizes = if text(4) == SHAM { sham } else { Sizes::default() };
            let job = CoordinatorJob::new(NAME, graph(&dir, None)?, storage).epoch(epoch).sizes(sizes);
            let job = job.tells(|sentence| {
                // The log is the coordinator's standard error.
                let _full = writeln!(std::io::stderr(), "{sentence}");
            });
            job.replicas(text(3).parse()?).listen(text(2)).run(|_, _| ())?;
            Ok(())
        }
        "worker" => {
            let (name, trace) = (text(3), Trace::create(&dir, &text(3))?);
            Ok(WorkerJob::new(NAME, graph(&dir, Some(trace))?, name, text(2)).run()?)
        }
        other => Err(format!("unknown role `{other}`").into()),
    }
}
