//! Runs seeds: `--seeds A..B`, or one with its record: `--seed N --trace`.

use std::io::Write;

use watershed_runtime::protocol::rules::RuleSet;
use watershed_sim::jobs::JobKind;
use watershed_sim::world::run::{Wanted, run};

fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| args.iter().position(|a| a == name).and_then(|i| args.get(i + 1)).cloned();
    let job = value("--job").and_then(|n| JobKind::named(&n));
    let text = args.iter().any(|a| a == "--trace");
    let seeds = match (value("--seeds"), value("--seed")) {
        (Some(range), _) => {
            let mut parts = range.split("..").filter_map(|p| p.parse().ok());
            parts.next().unwrap_or(0)..parts.next().unwrap_or(100)
        }
        (None, Some(seed)) => {
            let n = seed.parse().unwrap_or(0);
            n..n + 1
        }
        (None, None) => 0..100,
    };
    for seed in seeds {
        let o = run(&Wanted { seed, job, rules: RuleSet::ALL, text });
        o.lines.iter().for_each(|l| say(l));
        say(&format!(
            "{seed} {} steps {} rows {} epochs {} faults {} rescales {} hash {:016x} {}",
            o.job.name(),
            o.steps,
            o.rows,
            o.epochs,
            o.faults,
            o.rescales,
            o.hash,
            o.breach.unwrap_or_default()
        ));
    }
}
