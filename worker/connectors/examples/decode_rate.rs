//! The cost of decoding lines: nanoseconds a row, against the loop a programmer would write by hand.
//!
//! `decode_rate DIR`: `DIR/words/part-*.jsonl` and `DIR/events/part-*.jsonl`, read from memory so that only decoding is measured.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::indexing_slicing, reason = "a measuring program, not a library")]

use std::borrow::Cow;
use std::io::BufRead;

use rustc_hash::FxHashMap;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use watershed_connectors::JsonLines;
use watershed_connectors::format::LineFormat;
use watershed_runtime::container::{Data, Rows};
use watershed_runtime::key::Str;

/// As in every binary of the project.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Deserialize)]
struct LoopWord<'a> {
    #[serde(borrow)]
    word: Cow<'a, str>,
}

#[derive(Deserialize)]
struct LoopEvent<'a> {
    ts: u64,
    #[serde(borrow)]
    key: Cow<'a, str>,
    value: i64,
}

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
    #[allow(dead_code, reason = "only decoded")]
    value: i64,
}

/// Nanoseconds this thread has had a core: what others do on the machine does not count.
fn on_core() -> f64 {
    std::fs::read_to_string("/proc/thread-self/schedstat").unwrap().split(' ').next().unwrap().parse().unwrap()
}

fn best(name: &str, rows: usize, mut run: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..7)
        .map(|_| {
            let t = on_core();
            run();
            (on_core() - t) / rows as f64
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!("{name:40} {:7.1} ns/row (median {:.1})", times[0], times[3]);
    times[0]
}

fn lines(text: &str, mut each: impl FnMut(&[u8])) {
    let mut r = text.as_bytes();
    let mut buf = Vec::with_capacity(256);
    loop {
        buf.clear();
        if r.read_until(b'\n', &mut buf).unwrap() == 0 {
            return;
        }
        each(&buf);
    }
}

fn ours<T: DeserializeOwned + Data>(text: &str, chunk: usize) -> usize {
    let mut decoder = JsonLines::<T>::new().decoder();
    let (mut n, mut from) = (0, 0);
    while from < text.len() {
        let to = (from + chunk).min(text.len());
        let to = memchr::memrchr(b'\n', &text.as_bytes()[from..to]).map_or(to, |i| from + i + 1);
        let mut at = from;
        while at < to {
            at += decoder.decode(&text[at..to], 4096).consumed;
            n += std::hint::black_box(Rows::<T>::downcast(decoder.take().unwrap()).unwrap()).rows.len();
        }
        from = to;
    }
    n
}

fn main() {
    let dir = std::env::args().nth(1).unwrap();
    let part = |p: &str| std::fs::read_to_string(format!("{dir}/{p}/part-0.jsonl")).unwrap();
    let (words, events) = (part("words"), part("events"));
    let (nw, ne) = (words.lines().count(), events.lines().count());

    best("words: hand-written loop with map", nw, || {
        let mut counts: FxHashMap<String, u64> = FxHashMap::default();
        lines(&words, |l| {
            let row: LoopWord<'_> = serde_json::from_slice(l).unwrap();
            match counts.get_mut(&*row.word) {
                Some(c) => *c += 1,
                None => drop(counts.insert(row.word.into_owned(), 1)),
            }
        });
        std::hint::black_box(counts);
    });
    best("words: serde_json::from_slice", nw, || {
        lines(&words, |l| drop(std::hint::black_box(serde_json::from_slice::<LoopWord<'_>>(l).unwrap())))
    });
    best("words: serde_json::from_str, Str", nw, || {
        words.lines().for_each(|l| drop(std::hint::black_box(serde_json::from_str::<Word>(l).unwrap())))
    });
    best("words: JsonLines into Rows", nw, || assert_eq!(ours::<Word>(&words, 256 << 10), nw));
    best("events: serde_json::from_slice", ne, || {
        lines(&events, |l| {
            let row: LoopEvent<'_> = serde_json::from_slice(l).unwrap();
            std::hint::black_box((row.ts, row.key, row.value));
        });
    });
    best("events: JsonLines into Rows", ne, || assert_eq!(ours::<Event>(&events, 256 << 10), ne));
}
