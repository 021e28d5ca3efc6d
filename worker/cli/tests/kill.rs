//! `watershed run` is killed (SIGKILL) again and again at random moments, and its SQL job loses nothing and doubles nothing.
//!
//! The rows are copied into one table and counted into another: the copy shows each row exactly once, the counts show that the state
//! neither forgot nor repeated a row. Moments and lives are those of the Rust job's test.

#![allow(clippy::panic, clippy::expect_used, clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "../../tests/kill/life.rs"]
mod life;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use life::Random;

const KILLS: u32 = 50;
const ROWS: u64 = 200_000;
const FILES: u64 = 6;
const KEYS: u64 = 97;

const SQL: &str = "SET 'execution.runtime-mode' = 'batch';
CREATE TABLE input (id BIGINT, k BIGINT) WITH ('connector' = 'filesystem', 'path' = 'in', 'format' = 'json');
CREATE TABLE copy (id BIGINT, k BIGINT) WITH ('connector' = 'filesystem', 'path' = 'out', 'format' = 'json');
CREATE TABLE counts (k BIGINT, n BIGINT) WITH ('connector' = 'filesystem', 'path' = 'counts', 'format' = 'json');
EXECUTE STATEMENT SET BEGIN
INSERT INTO copy SELECT id, k FROM input;
INSERT INTO counts SELECT k, COUNT(*) FROM input GROUP BY k;
END;
";

#[test]
fn killed_at_any_moment_a_job_in_sql_loses_and_doubles_nothing() {
    let seed = std::env::var("KILL_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(|| u64::from(std::process::id()));
    let mut random = Random::new(seed);
    let mut kills = 0;
    while kills < KILLS {
        let dir = tempfile::tempdir().expect("a temporary directory can be made");
        write_input(dir.path());
        let program = || {
            let mut program = Command::new(env!("CARGO_BIN_EXE_watershed"));
            program.args(["run", "q.sql"]);
            program
        };
        kills += life::until_it_finishes(program, dir.path(), &mut random, KILLS - kills);
        check(dir.path(), seed);
    }
}

fn write_input(dir: &Path) {
    std::fs::write(dir.join("q.sql"), SQL).unwrap();
    std::fs::create_dir(dir.join("in")).unwrap();
    for file in 0..FILES {
        let mut text = String::new();
        for id in (file..ROWS).step_by(FILES as usize) {
            writeln!(text, "{{\"id\":{id},\"k\":{}}}", id * 7 % KEYS).unwrap();
        }
        std::fs::write(dir.join("in").join(format!("{file}.jsonl")), text).unwrap();
    }
}

fn check(dir: &Path, seed: u64) {
    let mut seen = vec![0u32; ROWS as usize];
    let mut want: BTreeMap<u64, u64> = BTreeMap::new();
    (0..ROWS).for_each(|id| *want.entry(id * 7 % KEYS).or_default() += 1);
    let rows = |path: &Path| -> Vec<serde_json::Value> {
        std::fs::read_to_string(path).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect()
    };
    for row in life::output(dir).iter().flat_map(|p| rows(p)) {
        seen[row["id"].as_u64().unwrap() as usize] += 1;
    }
    let wrong: Vec<(usize, u32)> = seen.iter().copied().enumerate().filter(|(_, n)| *n != 1).take(10).collect();
    assert!(wrong.is_empty(), "KILL_SEED={seed}: rows (id, times) that are not there exactly once: {wrong:?} …");
    let mut got: Vec<(u64, u64)> = Vec::new();
    for entry in std::fs::read_dir(dir.join("counts")).unwrap().flatten().filter(|e| e.file_type().unwrap().is_file()) {
        got.extend(rows(&entry.path()).iter().map(|r| (r["k"].as_u64().unwrap(), r["n"].as_u64().unwrap())));
    }
    got.sort_unstable();
    assert_eq!(got, want.into_iter().collect::<Vec<_>>(), "KILL_SEED={seed}");
}
