//! Two keyed stages with an exchange between them: what catches order bugs.
//!
//! The first stage sends every update of a key (`chain`), or one an epoch (`rolls`), with the number of rows so far. The second, under
//! another key, remembers the newest update of each first key and says the maximum; an update that is not newer than the one before goes
//! to a second sink, which must stay empty. Each output carries the number of updates of its own key: the sink finds every gap.

use std::collections::BTreeMap;

use watershed_runtime::operator::process::Keyed;
use watershed_runtime::stream::Stream;

use super::kind::{Build, Check, Env, Expected};
use super::row::{Out, Row, into_sink};

/// The first stage's word: key, rows so far, sum so far.
type Update = (u32, u64, i64);
/// The second stage's memory: its updates so far, and the newest of each first key.
type Newest = (u64, BTreeMap<u32, (u64, i64)>);

fn second(b: &Build<'_>, updates: &Stream<Update>) {
    let fold = b.env.fold;
    let row = |(key, n, sum): Update, cx: &mut Keyed<'_, u32, Newest, Out>| {
        let group = u64::from(*cx.key);
        let before = cx.state.1.insert(key, (n, sum)).map_or(0, |b| b.0);
        if n <= before {
            cx.emit_side(Out { key: group, version: 0, values: [i64::from(key), before as i64, n as i64] });
        }
        cx.state.0 += 1;
        let max = cx.state.1.values().map(|v| v.1).max().unwrap_or(0);
        let version = cx.state.0;
        cx.emit(Out { key: group, version, values: [max, 0, 0] });
    };
    let (max, stale) = updates.key_by(move |u: &Update| u.0 % fold).process(row, |_: &mut Keyed<'_, u32, Newest, Out>| {});
    into_sink(&max, "maximum", b.sinks, 0);
    into_sink(&stale, "stale", b.sinks, 1);
}

pub(super) fn chain(b: &Build<'_>) {
    let row = |r: Row, cx: &mut Keyed<'_, u32, (u64, i64), Update>| {
        *cx.state = (cx.state.0 + 1, cx.state.1 + r.value);
        let update = (*cx.key, cx.state.0, cx.state.1);
        cx.emit(update);
    };
    let (updates, _) = b.source(0).key_by(|r| r.key).process(row, |_: &mut Keyed<'_, u32, (u64, i64), Update>| {});
    second(b, &updates);
}

pub(super) fn rolls(b: &Build<'_>) {
    let sums = b.source(0).key_by(|r| r.key).aggregate(
        (0u64, 0i64),
        |a, r: &Row| *a = (a.0 + 1, a.1 + r.value),
        |a, o| *a = (a.0 + o.0, a.1 + o.1),
    );
    second(b, &sums.map(|(k, (n, sum))| (k, n, sum)));
}

pub(super) fn expect(env: &Env, every_row: bool) -> Expected {
    let mut sums: BTreeMap<u32, (u64, i64)> = BTreeMap::new();
    for r in env.rows() {
        let s = sums.entry(r.key).or_default();
        *s = (s.0 + 1, s.1 + r.value);
    }
    let mut rows: BTreeMap<u64, Out> = BTreeMap::new();
    for (key, (n, sum)) in sums {
        let group = u64::from(key % env.fold);
        let out = rows.entry(group).or_insert(Out { key: group, version: 0, values: [i64::MIN, 0, 0] });
        // The number of updates that `rolls` sends depends on the schedule.
        out.version += if every_row { n } else { 0 };
        out.values = [sum.max(out.values[0]), 0, 0];
    }
    Expected { sinks: vec![Check::Last { rows, every: true }, Check::Bag(Vec::new())], late: 0 }
}
