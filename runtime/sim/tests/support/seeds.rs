//! Seeds of whole jobs and what tests ask of them, for one process and for many.

use watershed_runtime::protocol::rules::{RuleSet, Rules};
use watershed_sim::world::run::{Wanted, run};

/// A seed with every rule.
pub(crate) fn wanted(seed: u64, cluster: bool) -> Wanted {
    Wanted { seed, job: None, cluster, rules: RuleSet::ALL, text: false }
}

/// The first sixty seeds break no law.
pub(crate) fn no_seed_breaks_a_law(cluster: bool) {
    for seed in 0..60 {
        let o = run(&wanted(seed, cluster));
        assert!(o.breach.is_none(), "seed {seed} ({}): {}", o.job.name(), o.breach.unwrap_or_default());
    }
}

/// Seeds that found something, with what it was, break no law.
pub(crate) fn nothing_is_found(found: &[(u64, &str)], cluster: bool) {
    for (seed, what) in found {
        let o = run(&wanted(*seed, cluster));
        assert!(o.breach.is_none(), "seed {seed} ({what}): {}", o.breach.unwrap_or_default());
    }
}

/// The same seed has the same trace, and another seed another.
pub(crate) fn a_seed_decides_everything(cluster: bool) {
    for seed in [3, 14, 159] {
        let (a, b) = (run(&wanted(seed, cluster)), run(&wanted(seed, cluster)));
        assert_eq!((a.hash, a.steps), (b.hash, b.steps), "seed {seed}");
        assert_ne!(a.hash, run(&wanted(seed + 1, cluster)).hash);
    }
}

/// Each scenario (a rule, a seed, the fault) breaks a law without its rule, and none with it.
pub(crate) fn rules_are_needed(scenarios: &[(&str, u64, &str)], cluster: bool) {
    for (rule, seed, what) in scenarios {
        let rules = RuleSet::new(Rules::without(rule).unwrap());
        assert!(run(&Wanted { rules, ..wanted(*seed, cluster) }).breach.is_some(), "{rule}, seed {seed}: {what}");
        nothing_is_found(&[(*seed, what)], cluster);
    }
}
