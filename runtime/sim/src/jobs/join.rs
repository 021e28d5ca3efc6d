//! Two inputs: a row of the left meets every row of the right with the same key that is less than a window away. Timers forget rows
//! that nothing can meet any more, so a watermark that runs ahead loses pairs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use watershed_runtime::operator::process::{Either, Keyed};
use watershed_runtime::time::Time;

use super::kind::{Build, Check, Env, Expected};
use super::row::{Out, Row, into_sink};

/// Rows that may still meet another: (time, id).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Sides {
    left: Vec<(i64, u64)>,
    right: Vec<(i64, u64)>,
}

fn pair(key: u32, left: u64, right: u64) -> Out {
    Out { key: u64::from(key), version: 0, values: [left as i64, right as i64, 0] }
}

pub(super) fn build(b: &Build<'_>) {
    let within = b.env.window;
    let row = move |r: Either<Row, Row>, cx: &mut Keyed<'_, u32, Sides, Out>| {
        let key = *cx.key;
        let near = |r: &Row, o: &(i64, u64)| (r.time - o.0).abs() < within;
        let (pairs, time): (Vec<Out>, i64) = match r {
            Either::Left(r) => {
                cx.state.left.push((r.time, r.id));
                (cx.state.right.iter().filter(|o| near(&r, o)).map(|o| pair(key, r.id, o.1)).collect(), r.time)
            }
            Either::Right(r) => {
                cx.state.right.push((r.time, r.id));
                (cx.state.left.iter().filter(|o| near(&r, o)).map(|o| pair(key, o.1, r.id)).collect(), r.time)
            }
        };
        pairs.into_iter().for_each(|p| cx.emit(p));
        cx.set_timer(Time(time + within));
    };
    let timer = move |cx: &mut Keyed<'_, u32, Sides, Out>| {
        let now = cx.time.0;
        cx.state.left.retain(|r| r.0 + within > now);
        cx.state.right.retain(|r| r.0 + within > now);
        if cx.state.left.is_empty() && cx.state.right.is_empty() {
            cx.clear();
        }
    };
    let (left, right) = (b.source(0).key_by(|r| r.key), b.source(1).key_by(|r| r.key));
    let (pairs, _) = left.connect(&right).process(row, timer);
    into_sink(&pairs, "pairs", b.sinks, 0);
}

pub(super) fn expect(env: &Env) -> Expected {
    let mut right: BTreeMap<u32, Vec<(i64, u64)>> = BTreeMap::new();
    let [l, r] = env.inputs.as_slice() else { return Expected { sinks: Vec::new(), late: 0 } };
    for r in r.all() {
        right.entry(r.key).or_default().push((r.time, r.id));
    }
    let mut rows = Vec::new();
    for l in l.all() {
        let near = right.get(&l.key).into_iter().flatten().filter(|r| (r.0 - l.time).abs() < env.window);
        rows.extend(near.map(|r| pair(l.key, l.id, r.1)));
    }
    Expected { sinks: vec![Check::Bag(rows)], late: 0 }
}
