//! A job that is killed (SIGKILL) again and again at random moments loses nothing and doubles nothing.
//!
//! This executable is both: called with `run` (or `status`) it is a job like any Rust program's, called otherwise it is the test that
//! starts, kills and restarts itself until it has done so often enough. The job numbers each key's rows, so its output tells both laws at
//! once: every row is there exactly once (sinks), and the numbers of a key run from 1 without a gap (state). Moments are chosen by what
//! has become visible (the n-th new manifest, a chosen output file, the mere start), never by time.

#![allow(
    clippy::panic,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod job;
mod life;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, ExitCode};

use job::{Numbered, Row};
use life::Random;

/// The number of kills.
const KILLS: u32 = 50;
/// Rows of one job, and the files they are in.
const ROWS: u64 = 400_000;
const FILES: u64 = 6;
const KEYS: u64 = 97;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.first().map(String::as_str) {
        Some("run" | "status") => watershed::main("numbered", job::build),
        Some("--list") => {
            println!("killed_at_any_moment_a_job_loses_and_doubles_nothing: test");
            ExitCode::SUCCESS
        }
        Some(filter) if !filter.starts_with('-') && !"killed_at_any_moment_a_job_loses_and_doubles_nothing".contains(filter) => {
            ExitCode::SUCCESS
        }
        Some(_) | None => {
            killed_at_any_moment_a_job_loses_and_doubles_nothing();
            ExitCode::SUCCESS
        }
    }
}

fn killed_at_any_moment_a_job_loses_and_doubles_nothing() {
    let seed = std::env::var("KILL_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(|| u64::from(std::process::id()));
    println!("kill: KILL_SEED={seed}");
    let mut random = Random::new(seed);
    let (mut kills, mut jobs) = (0, 0);
    while kills < KILLS {
        let dir = tempfile::tempdir().expect("a temporary directory can be made");
        write_input(dir.path());
        kills += life::until_it_finishes(itself, dir.path(), &mut random, KILLS - kills);
        check(dir.path());
        jobs += 1;
    }
    println!("kill: {kills} kills over {jobs} jobs, every row exactly once");
}

fn itself() -> Command {
    let mut program = Command::new(std::env::current_exe().expect("this executable has a path"));
    program.arg("run");
    program
}

fn write_input(dir: &Path) {
    std::fs::create_dir(dir.join("in")).expect("the input directory can be made");
    for file in 0..FILES {
        let mut text = String::new();
        for id in (file..ROWS).step_by(FILES as usize) {
            text.push_str(&serde_json::to_string(&Row { id, key: id * 7 % KEYS }).expect("a row is JSON"));
            text.push('\n');
        }
        std::fs::write(dir.join("in").join(format!("{file}.jsonl")), text).expect("the input can be written");
    }
}

fn check(dir: &Path) {
    let mut keys: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    let mut seen = vec![0u32; ROWS as usize];
    for path in life::output(dir) {
        let text = std::fs::read_to_string(&path).expect("the output can be read");
        for line in text.lines() {
            let row: Numbered = serde_json::from_str(line).unwrap_or_else(|e| panic!("{}: {line}: {e}", path.display()));
            seen[row.id as usize] += 1;
            keys.entry(row.key).or_default().push(row.number);
        }
    }
    let wrong: Vec<(usize, u32)> = seen.iter().copied().enumerate().filter(|(_, n)| *n != 1).take(10).collect();
    assert!(wrong.is_empty(), "rows (id, times) that are not there exactly once: {wrong:?} …");
    for (key, mut numbers) in keys {
        numbers.sort_unstable();
        let gap = numbers.iter().zip(1..).find(|(n, want)| **n != *want);
        assert!(gap.is_none(), "key {key}: (number, expected) {gap:?}");
    }
}
