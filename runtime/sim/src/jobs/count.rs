//! Counts: one that speaks after each epoch, one that speaks at the end.

use std::collections::BTreeMap;

use super::kind::{Build, Check, Env, Expected};
use super::row::{Out, into_sink};

fn out(key: u32, n: u64) -> Out {
    Out { key: u64::from(key), version: n, values: [0; 3] }
}

pub(super) fn count(b: &Build<'_>) {
    let counts = b.source(0).filter(|r| r.value != 0).key_by(|r| r.key).count();
    into_sink(&counts.map(|(k, n)| out(k, n)), "counts", b.sinks, 0);
}

pub(super) fn totals(b: &Build<'_>) {
    let counts = b.source(0).filter(|r| r.value != 0).key_by(|r| r.key).at_end().count();
    into_sink(&counts.map(|(k, n)| out(k, n)), "totals", b.sinks, 0);
}

fn counts(env: &Env) -> BTreeMap<u64, Out> {
    let mut all = BTreeMap::new();
    for r in env.rows().filter(|r| r.value != 0) {
        all.entry(u64::from(r.key)).or_insert_with(|| out(r.key, 0)).version += 1;
    }
    all
}

pub(super) fn expect_count(env: &Env) -> Expected {
    Expected { sinks: vec![Check::Last { rows: counts(env), every: false }], late: 0 }
}

pub(super) fn expect_totals(env: &Env) -> Expected {
    Expected { sinks: vec![Check::Bag(counts(env).into_values().collect())], late: 0 }
}
