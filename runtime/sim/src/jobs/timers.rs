//! Timers that set timers: each row starts three, one window apart; each says how many rows of its key came up to its time. A timer that is
//! lost, doubled, early or fired before a row it should have seen shows.

use std::collections::{BTreeMap, BTreeSet};

use watershed_runtime::operator::process::Keyed;
use watershed_runtime::time::Time;

use super::kind::{Build, Check, Env, Expected};
use super::row::{Out, Row, into_sink};

const TIMES: i64 = 3;

fn out(key: u32, time: i64, rows: i64) -> Out {
    Out { key: u64::from(key), version: 0, values: [time, rows, 0] }
}

/// Times are rounded up, so that several rows share a timer.
fn first(time: i64, window: i64) -> i64 {
    (time.div_euclid(window) + 1) * window
}

/// The rows of a key by round time, and how often a timer is set again.
type Seen = BTreeMap<i64, i64>;

pub(super) fn build(b: &Build<'_>) {
    let window = b.env.window;
    let row = move |r: Row, cx: &mut Keyed<'_, u32, Seen, Out>| {
        let at = first(r.time, window);
        *cx.state.entry(at).or_default() += 1;
        cx.set_timer(Time(at));
    };
    let timer = move |cx: &mut Keyed<'_, u32, Seen, Out>| {
        let now = cx.time.0;
        let rows = cx.state.range(..=now).map(|(_, n)| n).sum();
        cx.emit(out(*cx.key, now, rows));
        // Some row came within the last windows: it wants another.
        if cx.state.range(now - (TIMES - 2) * window..=now).next().is_some() {
            cx.set_timer(Time(now + window));
        }
    };
    let (told, _) = b.source(0).key_by(|r| r.key).process(row, timer);
    into_sink(&told, "timers", b.sinks, 0);
}

pub(super) fn expect(env: &Env) -> Expected {
    let mut seen: BTreeMap<u32, Seen> = BTreeMap::new();
    for r in env.rows() {
        *seen.entry(r.key).or_default().entry(first(r.time, env.window)).or_default() += 1;
    }
    let mut rows = Vec::new();
    for (key, seen) in seen {
        let mut times: BTreeSet<i64> = BTreeSet::new();
        for at in seen.keys() {
            times.extend((0..TIMES).map(|n| at + n * env.window));
        }
        rows.extend(times.into_iter().map(|t| out(key, t, seen.range(..=t).map(|(_, n)| n).sum())));
    }
    Expected { sinks: vec![Check::Bag(rows)], late: 0 }
}
