//! Jobs in many processes, from seeds: exact when coordinators and workers die one by one.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use watershed_runtime::protocol::rules::RuleSet;
use watershed_sim::world::run::{Wanted, run};

fn wanted(seed: u64) -> Wanted {
    Wanted { seed, job: None, cluster: true, rules: RuleSet::ALL, text: false }
}

#[test]
fn no_seed_breaks_a_law_when_processes_die_one_by_one() {
    for seed in 0..60 {
        let o = run(&wanted(seed));
        assert!(o.breach.is_none(), "seed {seed} ({}): {}", o.job.name(), o.breach.unwrap_or_default());
    }
}

/// Seeds that found something, with what they found. A seed's run changes when the world does; the lowest test for each is named in
/// brackets.
const FOUND: &[(u64, &str)] = &[
    (101, "a split that had ended before its reader heard that it moves was begun again (coordinator::adopt)"),
    (
        116,
        "a slot that had not heard which splits were its own was told that it had none, and event time passed theirs (coordinator::adopt)",
    ),
    (134, "the same, with splits that nobody knew of any more"),
    (839, "the same: rows of a join were missing"),
    (3017, "a worker that was about to join was let go, and its barrier waited for it for ever (coordinator::adopt)"),
    (3036, "a slot that waited for a split was given others, and waited no more (slot::tests)"),
    (3783, "a manifest lacked splits that only the dead coordinator knew: after a restart they came when event time had passed"),
    (5186, "a merged file was deleted between its merge and the manifest that names it"),
    (4814, "a worker was let go by a newer coordinator that was not its own (the world)"),
    (
        9680,
        "a split that a barrier moved to a slot that had not heard which were its own was taken for the word it waited for (slot::tests, coordinator::adopt)",
    ),
    (11219, "a barrier that nobody had heard was taken for the one with its number that came later (the world)"),
    (15203, "the same as 11219"),
    (16032, "the same as 9680"),
    (30698, "a worker was gone before its slot took part, and the slot was waited for (protocol::rescale)"),
    (40545, "a slot that joined again while its predecessor had not heard that it may go was not made (coordinator::adopt)"),
    (45241, "a split that moved twice was given to its last reader from where the manifest had it (coordinator::adopt)"),
    (52418, "the same as 40545, with one of two slots released"),
    (57074, "the same as 11219"),
    (59103, "the same as 30698, with a successor that came and was not told"),
    (59305, "a split that moves on at the next barrier came after that barrier, and stayed (coordinator::adopt)"),
    (
        85461,
        "slots heard one channel go quiet and others end in different orders: timers fired below the promise of their new owner (protocol::cut)",
    ),
    (10658, "who had lost its workers to another coordinator, which was stopped, waited for them for ever (cluster::look)"),
    (23766, "the same as 10658"),
    (48110, "the same as 10658"),
    (49788, "the same as 10658, with one that had never had any"),
    (57633, "the same as 10658"),
    (65435, "the same as 10658"),
    (80523, "the same as 10658"),
    (86458, "the same as 10658"),
    (89792, "the same as 10658"),
    (97388, "the same as 10658"),
];

#[test]
fn seeds_of_many_processes_that_found_something_find_nothing_any_more() {
    for (seed, what) in FOUND {
        let o = run(&wanted(*seed));
        assert!(o.breach.is_none(), "seed {seed} ({what}): {}", o.breach.unwrap_or_default());
    }
}

#[test]
fn the_same_seed_gives_the_same_trace_in_many_processes() {
    for seed in [3, 14, 159] {
        let (a, b) = (run(&wanted(seed)), run(&wanted(seed)));
        assert_eq!((a.hash, a.steps), (b.hash, b.steps), "seed {seed}");
    }
}
