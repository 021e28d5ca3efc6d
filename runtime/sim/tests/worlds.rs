//! Whole jobs from seeds: every kind is exact under crashes, lying storage and rescales, and a seed says all there is to know of a run.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use watershed_runtime::protocol::rules::RuleSet;
use watershed_sim::world::run::{Wanted, run};

fn wanted(seed: u64) -> Wanted {
    Wanted { seed, job: None, cluster: false, rules: RuleSet::ALL, text: false }
}

#[test]
fn no_seed_breaks_a_law() {
    for seed in 0..60 {
        let o = run(&wanted(seed));
        assert!(o.breach.is_none(), "seed {seed} ({}): {}", o.job.name(), o.breach.unwrap_or_default());
    }
}

/// Seeds that found something, with what they found. A seed's run changes when the world does; the lowest test for each is named in
/// brackets.
const FOUND: &[(u64, &str)] = &[
    (42, "a channel that was quiet at its fence held a batch back below its target's promise (slot::tests)"),
    (252, "the same, with a window that lost a row"),
    (1295, "a stage went quiet below the promises that others had come to (slot::tests)"),
    (2844, "a newcomer gave groups away as if nothing had fired (slot::tests)"),
    (4757, "a channel that was quiet at its fence and spoke again was taken for one that had ended (protocol::cut::source)"),
    (44388, "nobody moved on when the slots that held event time back had left: the job never ended (slot::tests)"),
    (45495, "the same"),
    (57591, "the same, with five slots"),
    (
        63310,
        "a batch's new owner sent rows by an older table than its old owner had, to the old owner of a group of the next stage (slot::tests)",
    ),
    (109, "a warm-up took the place of a copy that no manifest had made useless (protocol::rescale)"),
];

#[test]
fn seeds_that_found_something_find_nothing_any_more() {
    for (seed, what) in FOUND {
        let o = run(&wanted(*seed));
        assert!(o.breach.is_none(), "seed {seed} ({what}): {}", o.breach.unwrap_or_default());
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
