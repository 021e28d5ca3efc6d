//! The cost of whole sources: nanoseconds a row on the slot's thread, file reading by the I/O threads included.
//!
//! `source_rate DIR`: `DIR/words/part-0.jsonl` and `DIR/events/part-0.jsonl`, and generated tables.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::indexing_slicing, reason = "a measuring program, not a library")]

use std::sync::Arc;
use std::task::{Wake, Waker};

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use serde::Deserialize;
use watershed_connectors::options::Options;
use watershed_connectors::tables::{TableSpec, source};
use watershed_connectors::{FileSource, JsonLines};
use watershed_runtime::container::Batch;
use watershed_runtime::env::{Read, Source};
use watershed_runtime::key::Str;

/// As in every binary of the project.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Clone, Debug, Deserialize)]
struct Word {
    #[allow(dead_code, reason = "only decoded")]
    word: Str,
}

#[derive(Clone, Debug, Deserialize)]
struct Event {
    #[allow(dead_code, reason = "only decoded")]
    ts: u64,
    #[allow(dead_code, reason = "only decoded")]
    key: Str,
}

struct Unpark(std::thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn drain(source: &dyn Source, each: &mut dyn FnMut(Batch)) {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    for split in source.discover().unwrap().splits {
        let mut reader = source.open(&split, &[]).unwrap();
        loop {
            match reader.read(4096, &waker).unwrap() {
                Read::Batch(b) => each(b),
                Read::Finished => break,
                Read::Pending => std::thread::park(),
            }
        }
    }
}

/// Nanoseconds this thread has had a core: what others do on the machine does not count.
fn on_core() -> f64 {
    std::fs::read_to_string("/proc/thread-self/schedstat").unwrap().split(' ').next().unwrap().parse().unwrap()
}

fn best(name: &str, rows: usize, make: impl Fn() -> Arc<dyn Source>) {
    let mut times: Vec<f64> = (0..5)
        .map(|_| {
            let source = make();
            let t = on_core();
            drain(source.as_ref(), &mut |b| drop(std::hint::black_box(b)));
            (on_core() - t) / rows as f64
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!("{name:48} {:7.1} ns/row (median {:.1})", times[0], times[2]);
}

fn table(columns: &[(&str, DataType)], options: &[(&str, &str)]) -> TableSpec {
    let fields = columns.iter().map(|(n, t)| Field::new(*n, t.clone(), true)).collect::<Vec<_>>();
    let options = options.iter().fold(Options::new(), |o, (k, v)| o.with(*k, *v));
    TableSpec::new("t", Arc::new(Schema::new(fields)), options)
}

fn main() {
    let dir = std::env::args().nth(1).unwrap();
    let (words, events) = (format!("{dir}/words/part-0.jsonl"), format!("{dir}/events/part-0.jsonl"));
    let count = |p: &str| std::fs::read(p).unwrap().iter().filter(|b| **b == b'\n').count();
    let (nw, ne) = (count(&words), count(&events));
    best("words: file into Rows", nw, || Arc::new(FileSource::new(&words, JsonLines::<Word>::new())));
    best("events: file into Rows (ts, key)", ne, || Arc::new(FileSource::new(&events, JsonLines::<Event>::new())));
    let json = |path: &str, columns: &[(&str, DataType)]| {
        let spec = table(columns, &[("connector", "filesystem"), ("path", path), ("format", "json")]);
        source(&spec, &spec.schema).unwrap()
    };
    best("words: file into columns", nw, || json(&words, &[("word", DataType::Utf8)]));
    best("events: file into columns (ts, key)", ne, || json(&events, &[("ts", DataType::Int64), ("key", DataType::Utf8)]));
    best("events: file into columns (ts)", ne, || json(&events, &[("ts", DataType::Int64)]));

    let time = DataType::Timestamp(TimeUnit::Millisecond, None);
    let bid = [
        ("auction", DataType::Int64),
        ("bidder", DataType::Int64),
        ("price", DataType::Int64),
        ("channel", DataType::Utf8),
        ("url", DataType::Utf8),
        ("dateTime", time),
        ("extra", DataType::Utf8),
    ];
    let n = 4_000_000;
    let rows = n.to_string();
    let spec = table(&bid, &[("connector", "nexmark"), ("event-type", "bid"), ("number-of-rows", &rows)]);
    for (name, columns) in [
        ("nexmark bid: all columns", vec![0, 1, 2, 3, 4, 5, 6]),
        ("nexmark bid: auction, bidder, price, time, extra", vec![0, 1, 2, 5, 6]),
        ("nexmark bid: auction, price", vec![0, 2]),
        ("nexmark bid: auction", vec![0]),
        ("nexmark bid: time", vec![5]),
        ("nexmark bid: no column", vec![]),
    ] {
        let projected = Arc::new(spec.schema.project(&columns).unwrap());
        best(name, n, || source(&spec, &projected).unwrap());
    }
}
