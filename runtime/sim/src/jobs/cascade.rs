//! Event time through two keyed stages: timers in the first, windows in the second.
//!
//! The first stage passes each row on and sets a timer; the timer says, at its own time, how many rows it stood for. Both are counted in
//! windows of another key. So a timer that fires late or early, a watermark that runs ahead of what a timer still has to say, or a row set
//! aside for too long ends in a wrong window or among the late rows, and there must be none.

use std::collections::BTreeMap;
use std::time::Duration;

use watershed_runtime::error::Result;
use watershed_runtime::operator::process::Keyed;
use watershed_runtime::operator::window::WindowResult;
use watershed_runtime::time::Time;

use super::kind::{Build, Check, Env, Expected};
use super::row::{Out, Row, into_sink};

/// The output of the first stage: its key, and a number to add up.
type Word = (u32, i64);
/// The number of rows that each timer stands for.
type Seen = BTreeMap<i64, i64>;

fn micros(n: i64) -> Duration {
    Duration::from_micros(n.unsigned_abs())
}

/// Timers lie closer together than windows, so that several fall into each.
fn at(env: &Env, time: i64) -> i64 {
    let step = env.window / 3;
    (time.div_euclid(step) + 1) * step
}

fn window(key: u32, start: i64, (n, sum): (u64, i64)) -> Out {
    Out { key: u64::from(key), version: 0, values: [start, n as i64, sum] }
}

pub(super) fn build(b: &Build<'_>) -> Result<()> {
    let env = b.env.clone();
    let row = move |r: Row, cx: &mut Keyed<'_, u32, Seen, Word>| {
        let at = at(&env, r.time);
        *cx.state.entry(at).or_default() += 1;
        cx.set_timer(Time(at));
        let key = *cx.key;
        cx.emit((key, r.value));
    };
    let timer = |cx: &mut Keyed<'_, u32, Seen, Word>| {
        let n = cx.state.remove(&cx.time.0).unwrap_or_default();
        if cx.state.is_empty() {
            cx.clear();
        }
        let key = *cx.key;
        cx.emit((key, n));
    };
    let (words, _) = b.source(0).key_by(|r| r.key).process(row, timer);
    let fold = b.env.fold;
    let folded = words.key_by(move |w| w.0 % fold);
    let windows = folded.sliding(micros(b.env.window), micros(b.env.slide))?;
    let add = |a: &mut (u64, i64), w: &Word| *a = (a.0 + 1, a.1 + w.1);
    let (sums, late) = windows.aggregate_with_late((0u64, 0i64), add, |a, o| *a = (a.0 + o.0, a.1 + o.1));
    into_sink(&sums.map(|w: WindowResult<u32, _>| window(w.key, w.start.0, w.value)), "windows", b.sinks, 0);
    let told = |(group, (key, n)): (u32, Word)| Out { key: u64::from(group), version: 0, values: [i64::from(key), n, 0] };
    into_sink(&late.map(told), "late", b.sinks, 1);
    Ok(())
}

pub(super) fn expect(env: &Env) -> Expected {
    let mut all: BTreeMap<(u32, i64), (u64, i64)> = BTreeMap::new();
    let mut add = |key: u32, time: i64, n: i64| {
        let mut start = time.div_euclid(env.slide) * env.slide;
        while start > time - env.window {
            let sum = all.entry((key % env.fold, start)).or_default();
            *sum = (sum.0 + 1, sum.1 + n);
            start -= env.slide;
        }
    };
    let mut timers: BTreeMap<(u32, i64), i64> = BTreeMap::new();
    for r in env.rows() {
        add(r.key, r.time, r.value);
        *timers.entry((r.key, at(env, r.time))).or_default() += 1;
    }
    for ((key, time), n) in timers {
        add(key, time, n);
    }
    let rows = all.into_iter().map(|((key, start), sum)| window(key, start, sum)).collect();
    Expected { sinks: vec![Check::Bag(rows), Check::Bag(Vec::new())], late: 0 }
}
