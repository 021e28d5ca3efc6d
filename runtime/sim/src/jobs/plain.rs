//! A job without keyed state, and one whose sinks lie at different depths.

use std::collections::BTreeMap;

use super::kind::{Build, Check, Env, Expected};
use super::row::{Out, Row, into_sink};

fn copy_of(r: &Row) -> Out {
    Out { key: u64::from(r.key), version: 0, values: [r.time, r.value, r.id as i64] }
}

pub(super) fn copy(b: &Build<'_>) {
    let rows = b.source(0).filter(|r| r.value >= 0).flat_map(|r| (0..=r.value % 2).map(|_| copy_of(&r)).collect::<Vec<_>>());
    into_sink(&rows, "rows", b.sinks, 0);
}

pub(super) fn expect_copy(env: &Env) -> Expected {
    let rows = env.rows().filter(|r| r.value >= 0);
    let rows = rows.flat_map(|r| (0..=r.value % 2).map(|_| copy_of(&r)).collect::<Vec<_>>()).collect();
    Expected { sinks: vec![Check::Bag(rows)], late: 0 }
}

/// Every row to one sink, and the greatest value of each key, once at the end, to another behind two exchanges.
pub(super) fn depths(b: &Build<'_>) {
    let source = b.source(0);
    into_sink(&source.map(|r: Row| copy_of(&r)), "rows", b.sinks, 0);
    let fold = b.env.fold;
    let greatest = source.map(|r: Row| (r.key, r.value)).key_by(|r| r.0).at_end().reduce(|a, b| a.1 = a.1.max(b.1));
    let sums = greatest.map(|(_, r)| r).key_by(move |r| r.0 % fold).at_end().aggregate(0i64, |a, r| *a += r.1, |a, b| *a += b);
    into_sink(&sums.map(|(k, sum)| Out { key: u64::from(k), version: 0, values: [sum, 0, 0] }), "sums", b.sinks, 1);
}

pub(super) fn expect_depths(env: &Env) -> Expected {
    let mut greatest: BTreeMap<u32, i64> = BTreeMap::new();
    for r in env.rows() {
        greatest.entry(r.key).and_modify(|v| *v = (*v).max(r.value)).or_insert(r.value);
    }
    let mut sums: BTreeMap<u32, i64> = BTreeMap::new();
    for (key, value) in greatest {
        *sums.entry(key % env.fold).or_default() += value;
    }
    let sums = sums.into_iter().map(|(k, sum)| Out { key: u64::from(k), version: 0, values: [sum, 0, 0] }).collect();
    Expected { sinks: vec![Check::Bag(env.rows().map(|r| copy_of(&r)).collect()), Check::Bag(sums)], late: 0 }
}
