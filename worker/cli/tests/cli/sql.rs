//! SQL through the whole of it: text, plan, slots, snapshots, files; held to answers computed here, without the engine.
//!
//! Each query runs with one slot and with three, with an epoch every few milliseconds, so that state is written and combiners flush many
//! times on the way. The rows, sorted, must be the oracle's.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use crate::bench::Bench;

/// One input row.
struct Row {
    ts: i64,
    user: String,
    page: Option<String>,
    cost: i64,
}

const ROWS: i64 = 20_000;

fn input() -> Vec<Row> {
    let mix = |n: i64| (n as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
    let row = |n: i64| Row {
        ts: 1_700_000_000_000 + n * 7 - (mix(n) % 900) as i64,
        user: format!("u{}", mix(n) % 333),
        page: (mix(n) % 10 != 0).then(|| format!("/p/{}", mix(n + 1) % 17)),
        cost: (mix(n + 2) % 1000) as i64 - 200,
    };
    (0..ROWS).map(row).collect()
}

const SOURCE: &str = "CREATE TABLE t (ts BIGINT, `user` STRING, page STRING, cost BIGINT, at AS TO_TIMESTAMP_LTZ(ts, 3),
  WATERMARK FOR at AS at - INTERVAL '1' SECOND) WITH ('connector' = 'filesystem', 'path' = 'in', 'format' = 'json');\n";

/// Runs a query into `o` and gives its rows in order.
fn run(columns: &str, settings: &str, query: &str, slots: &str) -> Vec<String> {
    let bench = Bench::new();
    let mut parts = vec![String::new(); 4];
    for (n, r) in input().iter().enumerate() {
        let page = r.page.as_ref().map_or_else(|| "null".to_owned(), |p| format!("\"{p}\""));
        writeln!(parts[n % 4], "{{\"ts\":{},\"user\":\"{}\",\"page\":{page},\"cost\":{}}}", r.ts, r.user, r.cost).unwrap();
    }
    for (n, part) in parts.iter().enumerate() {
        bench.write(&format!("in/{n}.jsonl"), part);
    }
    let sink = format!("CREATE TABLE o ({columns}) WITH ('connector' = 'filesystem', 'path' = 'out', 'format' = 'json');\n");
    bench.write("q.sql", &format!("{settings}{SOURCE}{sink}INSERT INTO o {query};\n"));
    let said = bench.run(&["run", "q.sql", "--slots", slots, "--epoch", "5ms"]);
    assert_eq!(said.code, 0, "{said:?}");
    let mut rows: Vec<String> = std::fs::read_dir(bench.path().join("out"))
        .map(|files| files.flatten().filter(|e| e.file_type().unwrap().is_file()).collect::<Vec<_>>())
        .unwrap_or_default()
        .iter()
        .flat_map(|e| std::fs::read_to_string(e.path()).unwrap().lines().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    rows.sort();
    rows
}

#[track_caller]
fn check(columns: &str, settings: &str, query: &str, want: impl IntoIterator<Item = String>) {
    let mut want: Vec<String> = want.into_iter().collect();
    want.sort();
    for slots in ["1", "3"] {
        let got = run(columns, settings, query, slots);
        let (a, b): (BTreeSet<_>, BTreeSet<_>) = (got.iter().collect(), want.iter().collect());
        let first = |x: &BTreeSet<&String>, y: &BTreeSet<&String>| x.difference(y).next().map(|s| (*s).clone());
        assert!(
            got == want,
            "{slots} slots: {} rows of {}, missing {:?}, extra {:?}",
            got.len(),
            want.len(),
            first(&b, &a),
            first(&a, &b)
        );
    }
}

const BATCH: &str = "SET 'execution.runtime-mode' = 'batch';\n";

#[test]
fn filters_projections_and_cases_are_those_of_the_rows() {
    let want = input().into_iter().filter(|r| r.cost > 500 && r.page.is_some()).map(|r| {
        let size = if r.cost >= 700 { "big" } else { "small" };
        format!("{{\"u\":\"{}\",\"half\":{},\"size\":\"{size}\"}}", r.user, r.cost / 2)
    });
    let query =
        "SELECT `user`, cost / 2, CASE WHEN cost >= 700 THEN 'big' ELSE 'small' END FROM t WHERE cost > 500 AND page IS NOT NULL";
    check("u STRING, half BIGINT, size STRING", "", query, want);
}

#[test]
fn a_batch_aggregate_has_each_key_once() {
    let mut groups: BTreeMap<String, (i64, i64, i64, i64, i64)> = BTreeMap::new();
    for r in input() {
        let g = groups.entry(r.user).or_insert((0, 0, 0, i64::MAX, i64::MIN));
        *g = (g.0 + 1, g.1 + i64::from(r.page.is_some()), g.2 + r.cost, g.3.min(r.cost), g.4.max(r.cost));
    }
    let want = groups.into_iter().map(|(u, g)| {
        format!("{{\"u\":\"{u}\",\"n\":{},\"pages\":{},\"total\":{},\"least\":{},\"most\":{}}}", g.0, g.1, g.2, g.3, g.4)
    });
    let query = "SELECT `user`, COUNT(*), COUNT(page), SUM(cost), MIN(cost), MAX(cost) FROM t GROUP BY `user`";
    check("u STRING, n BIGINT, pages BIGINT, total BIGINT, least BIGINT, most BIGINT", BATCH, query, want);
}

#[test]
fn a_null_key_is_a_key_and_having_filters_groups() {
    let mut groups: BTreeMap<Option<String>, i64> = BTreeMap::new();
    for r in input() {
        *groups.entry(r.page).or_default() += 1;
    }
    let want = groups.into_iter().filter(|(_, n)| *n > 1000).map(|(p, n)| {
        let page = p.map_or_else(|| "null".to_owned(), |p| format!("\"{p}\""));
        format!("{{\"page\":{page},\"n\":{n}}}")
    });
    let query = "SELECT page, COUNT(*) FROM t GROUP BY page HAVING COUNT(*) > 1000";
    check("page STRING, n BIGINT", BATCH, query, want);
}

#[test]
fn tumbling_windows_hold_what_fell_into_them() {
    let mut groups: BTreeMap<(i64, String), (i64, i64)> = BTreeMap::new();
    for r in input() {
        let g = groups.entry((r.ts.div_euclid(10_000), r.user)).or_default();
        *g = (g.0 + 1, g.1 + r.cost);
    }
    let want = groups.into_iter().map(|((_, u), g)| format!("{{\"u\":\"{u}\",\"n\":{},\"total\":{}}}", g.0, g.1));
    let query = "SELECT `user`, COUNT(*), SUM(cost) FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(at), INTERVAL '10' SECOND))
      GROUP BY window_start, window_end, `user`";
    check("u STRING, n BIGINT, total BIGINT", "", query, want);
}

#[test]
fn a_union_has_the_rows_of_both() {
    let rows = input();
    let low = rows.iter().filter(|r| r.cost < -150).map(|r| format!("{{\"u\":\"{}\",\"c\":{}}}", r.user, r.cost));
    let high = rows.iter().filter(|r| r.cost > 750).map(|r| format!("{{\"u\":\"{}\",\"c\":{}}}", r.user, r.cost));
    let query = "SELECT `user`, cost FROM t WHERE cost < -150 UNION ALL SELECT `user`, cost FROM t WHERE cost > 750";
    check("u STRING, c BIGINT", "", query, low.chain(high).collect::<Vec<_>>());
}
