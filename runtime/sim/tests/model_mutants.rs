//! Each rule of the protocols removed alone: the model must then find a counterexample. A rule whose removal is not detected is not
//! needed, or not checked.
//!
//! `docs/mutants.md` is the same list with what fails; `watershed-model rule <name>` prints the steps that lead there.
#![cfg(feature = "mutants")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use watershed_runtime::protocol::rules::Rules;
use watershed_sim::campaign::MANAGER;
use watershed_sim::model::adopt::AdoptModel;
use watershed_sim::model::cut::CutModel;
use watershed_sim::model::run::check;
use watershed_sim::model::table::{
    ADOPT_RULES, LIMIT, LOG_RULES, NOT_MODELLED, NOT_SHOWN, RECOVER_RULES, RECOVER_TOO, RELEASE_RULES, log_model, recover_model,
    release_model, world,
};

fn detected(rule: &str, name: &str) {
    let (g, rules) = (world(name).unwrap(), Rules::without(rule).unwrap());
    let o = check(CutModel::new(g.clone(), rules), LIMIT, false);
    assert!(o.failed.is_some(), "without `{rule}` nothing fails in `{name}` ({} states)", o.states);
}

/// One test a rule, in the smallest world that shows it.
macro_rules! mutants {
    ($($rule:ident: $name:literal;)*) => {
        $(
            #[test]
            #[cfg_attr(debug_assertions, ignore = "exhaustive: run with --release")]
            fn $rule() {
                detected(stringify!($rule), $name);
            }
        )*

        const IN_CUT_MODEL: &[&str] = &[$(stringify!($rule)),*];
    };
}

mutants! {
    source_continues: "base";
    freeze_at_source: "base";
    freeze_per_channel: "base";
    source_holds_watermark: "base";
    one_final: "two stages";
    drained_then_watermark: "base";
    undo_stays: "a barrier and a crash";
    frozen_with_table: "a barrier and a crash";
    dirty_moves: "a barrier and a crash";
    final_covers: "a barrier and a crash";
    gate: "base";
    gate_tail: "two stages";
    gate_credits: "two stages";
    drain_under_final: "base";
    hold_output: "base";
    hold_by_batch: "two batches at once";
    late_fence_ignored: "base";
    timers_then_release: "base";
    fire_as_of_empty_gate: "watermarks in two steps";
    fires_until_level: "watermarks in two steps";
    tag_ends_by_stage: "two stages and a barrier";
    fence_implies_publication: "there and back";
    drained_at_consumer: "base";
    tag_waits_for_its_own: "two targets, the second fenced first";
    released_first: "base";
    no_barrier_in_cut: "a barrier and a crash";
    no_cut_in_alignment: "a barrier and a crash";
    align_all: "a barrier and a crash";
    cut_ends_at_active: "a barrier and a crash";
    previous_cut_published: "there and back";
    table_at_barrier: "a barrier and a crash";
}

#[test]
#[cfg_attr(debug_assertions, ignore = "exhaustive: run with --release")]
fn the_removal_of_each_rule_of_the_log_is_detected() {
    for rule in LOG_RULES {
        let o = check(log_model(Rules::without(rule).unwrap()), LIMIT, false);
        assert!(o.failed.is_some(), "without `{rule}` nothing fails ({} states)", o.states);
    }
}

#[test]
#[cfg_attr(debug_assertions, ignore = "exhaustive: run with --release")]
fn the_removal_of_each_rule_of_adoption_is_detected() {
    for rule in ADOPT_RULES {
        let o = AdoptModel::new(2, 1, Rules::without(rule).unwrap()).check(LIMIT);
        assert!(o.failed.is_some(), "without `{rule}` nothing fails ({} states)", o.states);
    }
}

#[test]
#[cfg_attr(debug_assertions, ignore = "exhaustive: run with --release")]
fn the_removal_of_each_rule_of_release_is_detected() {
    for rule in RELEASE_RULES {
        let o = release_model(rule, Rules::without(rule).unwrap()).check(LIMIT);
        assert!(o.failed.is_some(), "without `{rule}` nothing fails ({} states)", o.states);
    }
}

#[test]
#[cfg_attr(debug_assertions, ignore = "exhaustive: run with --release")]
fn the_removal_of_each_rule_of_recovery_is_detected() {
    for rule in RECOVER_RULES.iter().chain(RECOVER_TOO) {
        let o = recover_model(rule, Rules::without(rule).unwrap()).check(LIMIT);
        assert!(o.failed.is_some(), "without `{rule}` nothing fails ({} states)", o.states);
    }
}

#[test]
fn no_rule_is_left_out() {
    for (rule, _, _) in Rules::TABLE {
        let known = [IN_CUT_MODEL, LOG_RULES, ADOPT_RULES, RELEASE_RULES, RECOVER_RULES, MANAGER, NOT_MODELLED, NOT_SHOWN]
            .iter()
            .filter(|list| list.contains(rule))
            .count();
        assert_eq!(known, 1, "`{rule}` is in {known} lists");
    }
}
