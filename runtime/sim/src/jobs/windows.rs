//! Windowed counts: with a combiner and no late row, and without one and with rows from far back.

use std::collections::BTreeMap;
use std::time::Duration;

use watershed_runtime::error::Result;
use watershed_runtime::operator::window::WindowResult;

use super::kind::{Build, Check, Env, Expected};
use super::row::{Out, Row, into_sink};

fn micros(n: i64) -> Duration {
    Duration::from_micros(n.unsigned_abs())
}

fn result(key: u32, start: i64, n: u64, sum: i64) -> Out {
    Out { key: u64::from(key), version: 0, values: [start, n as i64, sum] }
}

fn late_row(r: &Row) -> Out {
    Out { key: u64::from(r.key), version: 0, values: [r.time, r.value, r.id as i64] }
}

pub(super) fn windows(b: &Build<'_>) -> Result<()> {
    let counts = b.source(0).key_by(|r| r.key).sliding(micros(b.env.window), micros(b.env.slide))?.aggregate(
        (0u64, 0i64),
        |a, r: &Row| *a = (a.0 + 1, a.1 + r.value),
        |a, o| *a = (a.0 + o.0, a.1 + o.1),
    );
    into_sink(&counts.map(|w: WindowResult<u32, _>| result(w.key, w.start.0, w.value.0, w.value.1)), "windows", b.sinks, 0);
    Ok(())
}

pub(super) fn late(b: &Build<'_>) -> Result<()> {
    let (counts, late) = b.source(0).key_by(|r| r.key).sliding(micros(b.env.window), micros(b.env.slide))?.aggregate_with_late(
        (0u64, 0i64),
        |a, r: &Row| *a = (a.0 + 1, a.1 + r.value),
        |a, o| *a = (a.0 + o.0, a.1 + o.1),
    );
    into_sink(&counts.map(|w: WindowResult<u32, _>| result(w.key, w.start.0, w.value.0, w.value.1)), "windows", b.sinks, 0);
    into_sink(&late.map(|(_, r)| late_row(&r)), "late", b.sinks, 1);
    Ok(())
}

pub(super) fn expect(env: &Env, with_late: bool) -> Expected {
    let mut all: BTreeMap<(u32, i64), (u64, i64)> = BTreeMap::new();
    for r in env.inputs.iter().flat_map(|i| i.by_lateness(false)) {
        let last = r.time.div_euclid(env.slide) * env.slide;
        let mut start = last;
        while start > r.time - env.window {
            let sum = all.entry((r.key, start)).or_default();
            *sum = (sum.0 + 1, sum.1 + r.value);
            start -= env.slide;
        }
    }
    let rows = all.into_iter().map(|((key, start), (n, sum))| result(key, start, n, sum)).collect();
    let late: Vec<Out> = env.inputs.iter().flat_map(|i| i.by_lateness(true)).map(|r| late_row(&r)).collect();
    let n = late.len() as u64;
    let mut sinks = vec![Check::Bag(rows)];
    if with_late {
        sinks.push(Check::Bag(late));
    }
    Expected { sinks, late: n }
}
