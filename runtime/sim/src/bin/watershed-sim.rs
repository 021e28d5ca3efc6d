//! Runs seeds: `--seeds A..B` on both cores, `--seed N --trace` for one with its record; `--job NAME` for one kind of job only,
//! `--mutant RULE` with one rule of the protocols removed. Ends with code 1 if a run broke a law (with a mutant: if none did).

use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

use watershed_runtime::protocol::rules::{RuleSet, Rules};
use watershed_sim::jobs::JobKind;
use watershed_sim::world::run::{Wanted, run};

/// Threads: a world is single-threaded, seeds are not.
const THREADS: u64 = 2;

fn say(text: &str) {
    // Nobody is left to be told when standard output is gone.
    let _closed = writeln!(std::io::stdout(), "{text}");
}

/// What a share of the seeds gave.
#[derive(Default)]
struct Sum {
    runs: u64,
    rows: u64,
    epochs: u64,
    faults: u64,
    rescales: u64,
    broken: Vec<String>,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| args.iter().position(|a| a == name).and_then(|i| args.get(i + 1)).cloned();
    let job = value("--job").and_then(|n| JobKind::named(&n));
    let text = args.iter().any(|a| a == "--trace");
    let mutant = value("--mutant");
    let rules = match mutant.as_deref().map(Rules::without) {
        Some(None) => {
            say("there is no such rule; see docs/mutants.md");
            return ExitCode::from(2);
        }
        Some(Some(rules)) => RuleSet::new(rules),
        None => RuleSet::ALL,
    };
    let range = value("--seeds").unwrap_or_else(|| "0..100".to_owned());
    let mut ends = range.split("..").filter_map(|p| p.parse::<u64>().ok());
    let (from, to) = match value("--seed").and_then(|s| s.parse::<u64>().ok()) {
        Some(n) => (n, n + 1),
        None => (ends.next().unwrap_or(0), ends.next().unwrap_or(100)),
    };
    let start = Instant::now();
    let share = move |k: u64| {
        let mut sum = Sum::default();
        for seed in (from..to).filter(|s| s % THREADS == k) {
            let o = run(&Wanted { seed, job, rules, text });
            o.lines.iter().for_each(|l| say(l));
            sum.runs += 1;
            sum.rows += o.rows as u64;
            sum.epochs += o.epochs as u64;
            sum.faults += o.faults as u64;
            sum.rescales += o.rescales as u64;
            if to - from == 1 {
                say(&format!("seed {seed}: {}, trace {:016x}", o.job.name(), o.hash));
            }
            if let Some(breach) = o.breach {
                sum.broken.push(format!("seed {seed} ({}): {breach}", o.job.name()));
            }
        }
        sum
    };
    let threads: Vec<_> = (0..THREADS).map(|k| std::thread::spawn(move || share(k))).collect();
    let sums: Vec<Sum> = threads.into_iter().filter_map(|t| t.join().ok()).collect();
    let total = |f: fn(&Sum) -> u64| sums.iter().map(f).sum::<u64>();
    let (runs, minutes) = (total(|s| s.runs), start.elapsed().as_secs_f64() / 60.0);
    let mean = |f: fn(&Sum) -> u64| total(f) as f64 / runs.max(1) as f64;
    let broken: Vec<&String> = sums.iter().flat_map(|s| &s.broken).collect();
    broken.iter().take(20).for_each(|b| say(b));
    say(&format!(
        "{runs} runs, {:.0} a minute; a run has {:.0} rows, {:.1} epochs, {:.1} faults, {:.1} rescales; {} broke a law",
        runs as f64 / minutes.max(1e-9),
        mean(|s| s.rows),
        mean(|s| s.epochs),
        mean(|s| s.faults),
        mean(|s| s.rescales),
        broken.len()
    ));
    let complete = runs == to - from;
    let as_wanted = if mutant.is_some() { !broken.is_empty() } else { broken.is_empty() };
    if complete && as_wanted { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
