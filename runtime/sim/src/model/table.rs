//! Every rule removed in turn, and what found it: the table in `docs/mutants.md`.

use std::fmt::Write;

use watershed_runtime::protocol::rules::Rules;

use super::adopt::AdoptModel;
use super::cut::CutModel;
use super::cut::config::{BIG, Config, MEDIUM, SMALL};
use super::log::LogModel;
use super::recover::RecoverModel;
use super::run::{Outcome, check};
use crate::campaign::{Detection, MANAGER, UNDETECTED};

/// A state limit that no small world reaches.
pub const LIMIT: usize = 20_000_000;

/// A rule that was removed.
#[derive(Clone, Debug)]
pub struct Line {
    /// The rule's name, its text, what is said to fail.
    pub rule: &'static (&'static str, &'static str, &'static str),
    /// The world that shows it, and how; `None` if no model does.
    pub detected: Option<(&'static str, Outcome)>,
}

/// Rules of the log: no cut model consults them.
pub const LOG_RULES: &[&str] = &["term_first", "read_back", "never_next_slot"];
/// Rules of a coordinator that takes slots over, as far as two slots and one cut show them.
pub const ADOPT_RULES: &[&str] = &["adopter_repeats", "adopts_parts", "adopts_alignment", "adopts_open_cuts"];
/// Rules of who is let go, and the run of the model that shows each.
pub const RELEASE_RULES: &[&str] = &["needed_till_over", "joiner_is_needed"];
/// Rules of what is left of a run that is over.
pub const RECOVER_RULES: &[&str] = &["survivor_undoes", "survivor_forgets"];
/// Rules that the cut model shows too.
pub const RECOVER_TOO: &[&str] = &["undo_stays", "frozen_with_table", "dirty_moves"];
/// Rules beside [`MANAGER`] that no model has the parts for: the simulator and tables of (state, event) → effects hold them.
pub const NOT_MODELLED: &[&str] = &[
    "drain_at_barrier",
    "drain_in_manifest",
    "successor_drains",
    "commit_after_manifest",
    "due_within_interval",
    "commit_in_version_order",
    "idle_at_fence",
    "highest_before_idle",
    "newcomer_trusts_final",
    "final_after_table",
    "arrival_finds_timers",
    "flush_before_drained",
    "flush_before_barrier",
    "epoch_by_node",
    "segment_rises",
    "output_before_part",
    "upload_before_publish",
    "moved_split_lowers",
    "split_handed_over",
    "split_rewinds",
    "watermark_restored",
    "ahead_restored",
    "owed_is_committed",
    "obeys_newest",
    "adopts_its_own_run",
    "adopts_only_all",
    "adopts_cut_versions",
    "adopter_forgets",
    "adopts_readers",
    "unread_hold_time",
    "awaiting_slots_stay",
    "discovery_first",
    "own_history_only",
];

/// True for a rule that no model has the parts for.
fn not_modelled(rule: &str) -> bool {
    MANAGER.contains(&rule) || NOT_MODELLED.contains(&rule)
}

/// Rules whose removal alone breaks nothing in any model.
pub const NOT_SHOWN: &[&str] = &["control_bypass", "set_aside_credits"];
/// Rules whose switch only the model consults: it shows what the rule is for; it does not check the engine's code that keeps it.
pub const MODEL_ONLY: &[&str] = &["control_bypass"];

/// The log model as tests run it; with two manifests and two faults it has more than ten minutes of states.
#[must_use]
pub fn log_model(rules: Rules) -> LogModel {
    LogModel::new(2, 1, 1, rules)
}

/// The model in which a rule of who is let go matters.
#[must_use]
pub fn release_model(rule: &str, rules: Rules) -> AdoptModel {
    if rule == "joiner_is_needed" { AdoptModel::there_and_back(1, 0, rules) } else { AdoptModel::release(1, 0, rules) }
}

/// The model in which a rule of recovery matters.
#[must_use]
pub fn recover_model(rule: &str, rules: Rules) -> RecoverModel {
    let warm = matches!(rule, "survivor_forgets" | "frozen_with_table");
    if warm { RecoverModel::warm(rules) } else { RecoverModel::cut(0, 1, rules) }
}

/// Removes one rule and looks for a counterexample in these worlds.
#[must_use]
pub fn remove(rule: &'static (&'static str, &'static str, &'static str), worlds: &[&'static [Config]]) -> Line {
    let Some(rules) = Rules::without(rule.0) else { return Line { rule, detected: None } };
    if LOG_RULES.contains(&rule.0) {
        let outcome = check(log_model(rules), LIMIT, false);
        return Line { rule, detected: outcome.failed.is_some().then_some(("manifest log", outcome)) };
    }
    if ADOPT_RULES.contains(&rule.0) {
        let outcome = AdoptModel::new(2, 1, rules).check(LIMIT);
        return Line { rule, detected: outcome.failed.is_some().then_some(("adoption", outcome)) };
    }
    if RELEASE_RULES.contains(&rule.0) {
        let outcome = release_model(rule.0, rules).check(LIMIT);
        return Line { rule, detected: outcome.failed.is_some().then_some(("release", outcome)) };
    }
    if RECOVER_RULES.contains(&rule.0) {
        let outcome = recover_model(rule.0, rules).check(LIMIT);
        return Line { rule, detected: outcome.failed.is_some().then_some(("recovery", outcome)) };
    }
    if not_modelled(rule.0) || NOT_SHOWN.contains(&rule.0) {
        return Line { rule, detected: None };
    }
    for g in worlds.iter().copied().flatten() {
        let outcome = check(CutModel::new(g.clone(), rules), LIMIT, false);
        if outcome.failed.is_some() {
            return Line { rule, detected: Some((g.name, outcome)) };
        }
    }
    Line { rule, detected: None }
}

const HEAD: &str = "\
# Every rule removed in turn

Generated by `cargo run --release -p watershed-sim -- --mutants`. Each rule of `runtime/src/protocol/rules.rs` is switched off alone. Then the models
look for a counterexample in all interleavings of small worlds (`runtime/sim/tests/model_mutants.rs` repeats that), and the simulator runs whole
jobs, seed after seed, until one breaks a law. Engine, models and simulator consult the same switches: what is checked is production's own code. The
one exception is `control_bypass`, whose switch only the models consult.

`–` in a column: not detected there. *Not modelled*: the models have no parts for it (sinks, restarts from files, silence of channels).

";

/// The table of all rules, as Markdown.
#[must_use]
pub fn markdown(lines: &[Line], found: &[Detection], seeds: u64) -> String {
    let by = |rule: &str| found.iter().find(|d| d.rule == rule).and_then(|d| d.by.as_ref());
    let (shown, hit) = (lines.iter().filter(|l| l.detected.is_some()).count(), found.iter().filter(|d| d.by.is_some()).count());
    let mut text = String::from(HEAD);
    let _ = writeln!(
        text,
        "The removal of {shown} of {} rules is detected by the models, that of {hit} by the simulator within {seeds} seeds.\n\n\
         | rule | what it says | model: world, states | model: what fails | simulator: seeds | simulator: what fails |\n|---|---|---|---|---:|---|",
        lines.len()
    );
    for line in lines {
        let (name, says, _) = line.rule;
        let model = match &line.detected {
            Some((world, o)) => format!("{world}, {} | {}", o.states, o.failed.as_ref().map_or("", |(law, _)| law)),
            None if not_modelled(name) => "*not modelled* | ".into(),
            None => "– | ".into(),
        };
        let sim = by(name).map_or_else(
            || "– | ".into(),
            |d| {
                let (n, b, world) = (d.seeds, &d.broken, if d.cluster { "" } else { "one process, " });
                let what: String = b.breach.chars().take(90).map(|c| if c == '|' { '/' } else { c }).collect();
                format!("{n} | {world}{}: {}", b.job.name(), what.trim())
            },
        );
        let _ = writeln!(text, "| `{name}` | {} | {model} | {sim} |", says.trim());
    }
    text.push_str("\n## What the simulator does not detect\n\n");
    for (rule, why) in UNDETECTED {
        let _ = writeln!(text, "- `{rule}`: {why}.");
    }
    text
}

/// A world by its name.
#[must_use]
pub fn world(name: &str) -> Option<&'static Config> {
    SMALL.iter().chain(MEDIUM).chain(BIG).find(|g| g.name == name)
}
