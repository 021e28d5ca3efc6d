//! Whole jobs from seeds: every kind is exact under crashes, lying storage and rescales, and a seed says all there is to know of a run.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

#[test]
fn no_seed_breaks_a_law() {
    support::seeds::no_seed_breaks_a_law(false);
}

/// Faults that seeds found before the world stepped the job's machines, each with the lowest test that holds it now in brackets.
/// The runs of these seeds are others since: a fault is kept as a scenario in [`SCENARIOS`] where a rule upholds what it broke, and in
/// the test in brackets.
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
    support::seeds::nothing_is_found(FOUND, false);
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    support::seeds::a_seed_decides_everything(false);
}

/// Scenarios for faults of [`FOUND`] in this world: the rule that upholds what was broken, a seed that breaks a law without it, and the
/// faults.
const SCENARIOS: &[(&str, u64, &str)] = &[
    ("idle_at_fence", 34, "42, 252, 4757: an idle channel holds a batch back below its target's promise"),
    ("highest_before_idle", 7, "1295: a stage goes idle below the promises that others have come to"),
    ("previous_cut_published", 168, "109: a warm-up takes the place of a copy that no manifest has made useless"),
    ("split_handed_over", 4, "a split is read on from where the manifest has it"),
];

#[test]
#[cfg_attr(debug_assertions, ignore = "many steps: run with --release")]
fn a_rule_that_is_removed_brings_the_fault_back_that_it_was_made_for() {
    support::seeds::rules_are_needed(SCENARIOS, false);
}

/// A stop whose last manifest is in the log, while its coordinator does not know it, is a stop: the next start commits what is owed.
#[test]
fn a_job_that_was_stopped_while_the_storage_was_away_owes_its_output_to_the_next_start() {
    support::seeds::nothing_is_found(&[(1_000_481, "a stop was judged as the end of the job")], false);
}
