//! Runs seeds: `--seeds A..B` on as many threads as there are cores, `--seed N --trace` for one with its record; `--job NAME` for one kind
//! of job only, `--fresh N` for N seeds from a number drawn anew and printed, `--cluster` for jobs in many processes, `--mutant RULE` with
//! one rule of the protocols removed, `--mutants` for the table of `docs/mutants.md`.
//!
//! `--cost` asks instead what a live rescale costs in virtual time: of ten gigabytes from 4 slots to 8, or with `--cost workers` of a
//! hundred slots to a hundred and ten; `--state GB`, `--load SHARE` and `--fence MILLIS` (latency between slots) change it.
//!
//! Ends with code 1 if a run broke a law (with a mutant: if none did), or if some row of the coverage table was never reached by a
//! thousand seeds or more.

use std::io::Write;
use std::ops::Range;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use watershed_runtime::protocol::rules::{RuleSet, Rules};
use watershed_sim::campaign::{Detection, Tally, UNDETECTED, remove, try_run};
use watershed_sim::cost::{Setting, rescale, stop_and_copy, table as cost_table};
use watershed_sim::jobs::JobKind;
use watershed_sim::model::cut::config::{MEDIUM, SMALL};
use watershed_sim::model::table::{self, Line};
use watershed_sim::world::run::Wanted;

/// Seeds within which the removal of a rule is to be detected.
const HUNT: u64 = 2000;
/// From so many seeds on, the coverage table must have no zero.
const COVERING: u64 = 1000;

fn say(text: &str) {
    // A closed standard output has no reader to tell.
    let _closed = writeln!(std::io::stdout(), "{text}");
}

/// The number of a seed that nobody has run before, most likely: of the machine's own chance, in ten digits at most.
fn drawn() -> Result<u64, String> {
    let mut bytes = [0; 8];
    let chance = std::fs::File::open("/dev/urandom").and_then(|mut file| std::io::Read::read_exact(&mut file, &mut bytes));
    chance.map_err(|e| format!("no number can be drawn for `--fresh`: {e}"))?;
    Ok(u64::from_le_bytes(bytes) % 10_000_000_000)
}

/// The request of the command line.
struct Asked {
    seeds: Range<u64>,
    job: Option<JobKind>,
    cluster: bool,
    rules: RuleSet,
    mutant: bool,
    trace: bool,
    mutants: bool,
    cost: bool,
}

fn ask() -> Result<Asked, String> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let flag = |name: &str| args.iter().any(|a| a == name);
    let value = |name: &str| args.iter().position(|a| a == name).and_then(|i| args.get(i + 1)).cloned();
    let number = |text: &str| text.trim().parse::<u64>().map_err(|e| format!("`{text}` is not a number of a seed: {e}"));
    let job = value("--job").map(|n| JobKind::named(&n).ok_or_else(|| format!("there is no job `{n}`"))).transpose()?;
    let mutant = value("--mutant");
    let rules = match &mutant {
        Some(rule) => {
            RuleSet::new(Rules::without(rule).ok_or_else(|| format!("there is no rule `{rule}`; see docs/mutants.md"))?)
        }
        None => RuleSet::ALL,
    };
    let fresh = value("--fresh").map(|n| number(&n)).transpose()?.map(|n| drawn().map(|from| from..from + n)).transpose()?;
    if let Some(seeds) = &fresh {
        say(&format!("seeds {}..{}, drawn anew", seeds.start, seeds.end));
    }
    let seeds = match (value("--seed"), value("--seeds")) {
        _ if fresh.is_some() => fresh.unwrap_or_default(),
        (Some(n), _) => number(&n)?..number(&n)? + 1,
        (None, Some(range)) => {
            let (from, to) = range.split_once("..").ok_or_else(|| format!("`{range}` is not a range of seeds like 0..1000"))?;
            number(from)?..number(to)?
        }
        (None, None) => 0..1000,
    };
    Ok(Asked {
        seeds,
        job,
        cluster: flag("--cluster"),
        rules,
        mutant: mutant.is_some(),
        trace: flag("--trace"),
        mutants: flag("--mutants"),
        cost: flag("--cost"),
    })
}

/// The cost of a rescale in virtual time.
fn cost() -> Result<String, String> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| args.iter().position(|a| a == name).and_then(|i| args.get(i + 1));
    let number = |name: &str, or: f64| match value(name) {
        Some(text) => text.parse().map_err(|e| format!("`{text}` is not a number for {name}: {e}")),
        None => Ok(or),
    };
    let mut set = Setting::default();
    if value("--cost").is_some_and(|w| w == "workers") {
        set = Setting { slots: (100, 110), rate: 4000.0, state: 100e9, ..set };
    }
    set.state = number("--state", set.state / 1e9)? * 1e9;
    set.load = number("--load", set.load)?;
    set.latency = (number("--fence", set.latency as f64 / 1e6)? * 1e6) as i64;
    let explain = |e| watershed_runtime::error::explain(&e);
    let mut live = rescale(set).map_err(explain)?;
    let mut stopped = stop_and_copy(set).map_err(explain)?;
    Ok(cost_table(&set, &mut live, Some(&mut stopped)))
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// All seeds, on all cores; what they gave does not depend on who ran them.
fn sweep(asked: &Asked) -> Tally {
    let next = AtomicU64::new(asked.seeds.start);
    let share = || {
        let mut tally = Tally::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= asked.seeds.end {
                return tally;
            }
            let o = try_run(&Wanted { seed, job: asked.job, cluster: asked.cluster, rules: asked.rules, text: asked.trace });
            o.lines.iter().for_each(|l| say(l));
            if asked.seeds.end - asked.seeds.start == 1 {
                say(&format!("seed {seed}: {}, {} steps, trace {:016x}", o.job.name(), o.steps, o.hash));
            }
            tally.add(&o);
        }
    };
    let mut all = Tally::default();
    std::thread::scope(|scope| {
        let shares: Vec<_> = (0..threads()).map(|_| scope.spawn(share)).collect();
        for one in shares {
            if let Ok(tally) = one.join() {
                all.merge(tally);
            }
        }
    });
    all
}

/// Every rule removed in turn, on all cores: what the models find, and what the seeds do.
fn hunt() -> (Vec<Line>, Vec<Detection>) {
    let next = AtomicUsize::new(0);
    let share = || {
        let mut found = Vec::new();
        while let Some(rule) = Rules::TABLE.get(next.fetch_add(1, Ordering::Relaxed)) {
            let (line, found_by) = (table::remove(rule, &[SMALL, MEDIUM]), remove(rule.0, HUNT));
            let seeds = found_by.by.as_ref().map_or_else(|| "no seed".into(), |d| format!("{} seeds", d.seeds));
            // A closed standard error has no reader to tell.
            let _closed = writeln!(std::io::stderr(), "{}: model {}, {seeds}", rule.0, line.detected.is_some());
            found.push((line, found_by));
        }
        found
    };
    let mut all = Vec::new();
    std::thread::scope(|scope| {
        let shares: Vec<_> = (0..threads()).map(|_| scope.spawn(share)).collect();
        all.extend(shares.into_iter().filter_map(|s| s.join().ok()).flatten());
    });
    all.sort_by_key(|(_, m)| Rules::TABLE.iter().position(|(rule, ..)| *rule == m.rule));
    all.into_iter().unzip()
}

fn main() -> ExitCode {
    let asked = match ask() {
        Ok(asked) => asked,
        Err(e) => {
            say(&e);
            return ExitCode::from(2);
        }
    };
    if asked.cost {
        let told = cost();
        say(told.as_ref().unwrap_or_else(|e| e));
        return if told.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    // A panic is told as a breach of its seed, not by the hook.
    std::panic::set_hook(Box::new(|_| {}));
    if asked.mutants {
        let (lines, found) = hunt();
        say(&table::markdown(&lines, &found, HUNT));
        let excused = |d: &Detection| UNDETECTED.iter().any(|(rule, _)| *rule == d.rule);
        return if found.iter().all(|m| m.by.is_some() || excused(m)) { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let start = Instant::now();
    let tally = sweep(&asked);
    let minutes = start.elapsed().as_secs_f64() / 60.0;
    if tally.runs >= COVERING {
        say(&tally.coverage(asked.cluster));
    }
    tally.broken.iter().take(20).for_each(|b| say(&format!("seed {} ({}): {}", b.seed, b.job.name(), b.breach)));
    say(&format!("{}; {:.0} runs a minute", tally.line(), tally.runs as f64 / minutes.max(1e-9)));
    let covered = asked.mutant || asked.job.is_some() || tally.runs < COVERING || tally.unseen(asked.cluster).is_empty();
    if !covered {
        say(&format!("never came across: {}", tally.unseen(asked.cluster).join("; ")));
    }
    if tally.broken.is_empty() != asked.mutant && covered { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
