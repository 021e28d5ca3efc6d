//! Jobs in many processes, from seeds: exact when coordinators and workers die one by one.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

#[test]
fn no_seed_breaks_a_law_when_processes_die_one_by_one() {
    support::seeds::no_seed_breaks_a_law(true);
}

/// Faults that seeds found before the world stepped the job's machines, each with the lowest test that holds it now in brackets.
/// The runs of these seeds are others since: a fault is kept as a scenario in [`SCENARIOS`] where a rule upholds what it broke, and in
/// the test in brackets.
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
    support::seeds::nothing_is_found(FOUND, true);
}

#[test]
fn the_same_seed_gives_the_same_trace_in_many_processes() {
    support::seeds::a_seed_decides_everything(true);
}

/// Scenarios for faults of [`FOUND`] in this world: the rule that upholds what was broken, a seed that breaks a law without it, and the
/// faults.
const SCENARIOS: &[(&str, u64, &str)] = &[
    ("adopts_readers", 4, "101: a split is begun again by a slot that does not read it"),
    ("split_handed_over", 2, "45241, 59305: a split is read on from where the manifest has it"),
    ("unread_hold_time", 261, "116, 134, 839, 3783: event time passes splits that nobody reads"),
    ("obeys_newest", 36, "11219, 15203, 57074: a message that came after the journal was given away is obeyed"),
    ("joiner_is_needed", 559, "3017, 30698, 59103: a worker goes whose slot is about to join"),
    ("previous_cut_published", 27, "109 of one process: a copy is replaced that no manifest has made useless"),
    ("idle_at_fence", 196, "85461: timers fire below the promise of their new owner"),
    ("looks_for_newer_term", 354, "10658 and nine others: workers and a manager wait for each other for ever"),
    ("replaced_for_good", 380, "two processes take a name from each other for ever"),
];

#[test]
#[cfg_attr(debug_assertions, ignore = "many steps: run with --release")]
fn a_rule_that_is_removed_brings_the_fault_back_that_it_was_made_for() {
    support::seeds::rules_are_needed(SCENARIOS, true);
}
