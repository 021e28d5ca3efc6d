//! With all rules, no interleaving of any small world breaks a law or gets stuck: of the cut-over, of the manifest log under two
//! coordinators, of coordinators that die, of slots that are let go, of slots that die in a cut.
//!
//! Exhaustive, so built without optimisation only the smallest runs: `cargo test --release -p watershed-sim --test model` is the real one
//! (every test under 60 s on one core). `watershed-model big` explores the big worlds.
#![cfg(feature = "mutants")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use watershed_runtime::protocol::rules::Rules;
use watershed_sim::model::adopt::AdoptModel;
use watershed_sim::model::cut::CutModel;
use watershed_sim::model::log::LogModel;
use watershed_sim::model::recover::RecoverModel;
use watershed_sim::model::run::{Outcome, check};
use watershed_sim::model::table::{LIMIT, log_model, world};

fn holds(name: &str, o: &Outcome) {
    few(name, o);
    assert!(o.states > 1000, "{name}: only {} states", o.states);
}

/// The same of a world that has few states.
fn few(name: &str, o: &Outcome) {
    assert!(o.failed.is_none(), "{name}: {:?}", o.failed);
    assert!(o.complete && o.states > 100, "{name}: only {} states, complete: {}", o.states, o.complete);
}

fn cut(name: &str) {
    let g = world(name).unwrap();
    holds(name, &check(CutModel::new(g.clone(), Rules::ALL), LIMIT, false));
}

/// One test a world.
macro_rules! worlds {
    ($($test:ident: $name:literal;)*) => {$(
        #[test]
        #[cfg_attr(debug_assertions, ignore = "exhaustive: run with --release")]
        fn $test() {
            cut($name);
        }
    )*};
}

worlds! {
    every_law_holds_when_one_key_stays_at_the_target: "one stays at T";
    every_law_holds_when_the_watermark_rises_in_steps: "watermarks in two steps";
    every_law_holds_with_a_barrier_and_a_crash: "a barrier and a crash";
    every_law_holds_with_two_consumers: "two consumers";
    every_law_holds_with_two_batches_at_once: "two batches at once";
    every_law_holds_with_two_targets: "two targets";
    every_law_holds_with_two_targets_when_the_second_is_fenced_first: "two targets, the second fenced first";
    every_law_holds_with_two_stages: "two stages";
    every_law_holds_with_two_stages_without_time: "two stages, no time";
    every_law_holds_with_two_stages_and_a_barrier: "two stages and a barrier";
    every_law_holds_there_and_back: "there and back";
    every_law_holds_with_two_epochs_in_flight: "two epochs in flight, a crash";
}

#[test]
fn every_law_holds_in_the_base_world() {
    cut("base");
}

#[test]
#[cfg_attr(debug_assertions, ignore = "exhaustive: run with --release")]
fn the_log_has_one_writer_whatever_the_store_does() {
    holds("two starts", &check(log_model(Rules::ALL), LIMIT, false));
    holds("two faults", &check(LogModel::new(1, 2, 2, Rules::ALL), LIMIT, false));
}

#[test]
fn slots_are_taken_over_at_any_step_of_an_epoch_and_of_a_cut() {
    holds("one death", &AdoptModel::new(1, 1, Rules::ALL).check(LIMIT));
}

#[test]
#[cfg_attr(debug_assertions, ignore = "exhaustive: run with --release")]
fn slots_are_taken_over_again_and_again() {
    holds("two deaths", &AdoptModel::new(2, 2, Rules::ALL).check(LIMIT));
}

#[test]
fn nobody_is_let_go_who_is_needed() {
    few("release", &AdoptModel::release(1, 0, Rules::ALL).check(LIMIT));
}

#[test]
#[cfg_attr(debug_assertions, ignore = "exhaustive: run with --release")]
fn nobody_is_let_go_who_is_needed_when_the_coordinator_dies() {
    holds("release, a death", &AdoptModel::release(1, 1, Rules::ALL).check(LIMIT));
}

#[test]
#[cfg_attr(debug_assertions, ignore = "exhaustive: run with --release")]
fn nobody_is_let_go_who_is_about_to_join() {
    holds("there and back", &AdoptModel::there_and_back(1, 0, Rules::ALL).check(LIMIT));
}

#[test]
#[cfg_attr(debug_assertions, ignore = "exhaustive: run with --release")]
fn a_run_goes_on_exactly_wherever_in_a_warm_up_a_slot_dies() {
    holds("a warm-up", &RecoverModel::warm(Rules::ALL).check(LIMIT));
}

#[test]
#[cfg_attr(debug_assertions, ignore = "exhaustive: run with --release")]
fn a_run_goes_on_exactly_wherever_in_a_cut_with_a_row_a_slot_dies() {
    holds("a row", &RecoverModel::cut(1, 0, Rules::ALL).check(LIMIT));
}

#[test]
#[cfg_attr(debug_assertions, ignore = "exhaustive: run with --release")]
fn a_run_goes_on_exactly_wherever_in_a_cut_with_a_barrier_a_slot_dies() {
    holds("a barrier", &RecoverModel::cut(0, 1, Rules::ALL).check(LIMIT));
}
