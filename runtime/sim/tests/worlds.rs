//! Whole jobs from seeds: every kind is exact under crashes, lying storage and rescales, and a seed says all there is to know of a run.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use watershed_runtime::protocol::rules::RuleSet;
use watershed_sim::world::run::{Wanted, run};

fn wanted(seed: u64) -> Wanted {
    Wanted { seed, job: None, rules: RuleSet::ALL, text: false }
}

#[test]
fn no_seed_breaks_a_law() {
    for seed in 0..60 {
        let o = run(&wanted(seed));
        assert!(o.breach.is_none(), "seed {seed} ({}): {}", o.job.name(), o.breach.unwrap_or_default());
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in [3, 14, 159] {
        let (a, b) = (run(&wanted(seed)), run(&wanted(seed)));
        assert_eq!((a.hash, a.steps), (b.hash, b.steps), "seed {seed}");
        assert_ne!(a.hash, run(&wanted(seed + 1)).hash);
    }
}
