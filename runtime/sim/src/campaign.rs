//! Many seeds: what they came across together, and how soon the removal of each rule is detected.

use std::panic::{AssertUnwindSafe, catch_unwind};

use watershed_runtime::protocol::rules::{RuleSet, Rules};

use crate::jobs::JobKind;
use crate::world::cover::Cover;
use crate::world::run::{Outcome, Wanted, run};

/// A seed that broke a law.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The seed.
    pub seed: u64,
    /// The job.
    pub job: JobKind,
    /// The law and what happened.
    pub breach: String,
}

/// Results of some seeds, added up.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Runs.
    pub runs: u64,
    /// Steps of the scheduler.
    pub steps: u64,
    /// Rows read, those read again included.
    pub rows: u64,
    /// Manifests published.
    pub epochs: u64,
    /// Faults.
    pub faults: u64,
    /// Wishes for another number of slots.
    pub rescales: u64,
    /// By [`Cover`]: how many seeds came across it.
    pub seen: Vec<u64>,
    /// Seeds that broke a law.
    pub broken: Vec<Broken>,
}

impl Tally {
    /// Adds a run.
    pub fn add(&mut self, o: &Outcome) {
        self.seen.resize(Cover::ALL.len(), 0);
        self.runs += 1;
        self.steps += o.steps;
        self.rows += o.rows;
        self.epochs += o.epochs;
        self.faults += o.faults;
        self.rescales += o.rescales;
        for ((cover, _), n) in Cover::ALL.iter().zip(&mut self.seen) {
            *n += u64::from(o.seen.has(*cover));
        }
        if let Some(breach) = &o.breach {
            self.broken.push(Broken { seed: o.seed, job: o.job, breach: breach.clone() });
        }
    }

    /// Adds another tally.
    pub fn merge(&mut self, other: Self) {
        let Self { runs, steps, rows, epochs, faults, rescales, seen, broken } = other;
        self.runs += runs;
        self.steps += steps;
        self.rows += rows;
        self.epochs += epochs;
        self.faults += faults;
        self.rescales += rescales;
        self.seen.resize(Cover::ALL.len(), 0);
        self.seen.iter_mut().zip(seen).for_each(|(a, b)| *a += b);
        self.broken.extend(broken);
        self.broken.sort_by_key(|b| b.seed);
    }

    /// An average over the runs.
    #[must_use]
    pub fn mean(&self, of: u64) -> f64 {
        of as f64 / self.runs.max(1) as f64
    }

    /// One line.
    #[must_use]
    pub fn line(&self) -> String {
        format!(
            "{} runs; a run has {:.0} rows, {:.1} epochs, {:.1} faults, {:.1} rescales, {:.0} steps; {} broke a law",
            self.runs,
            self.mean(self.rows),
            self.mean(self.epochs),
            self.mean(self.faults),
            self.mean(self.rescales),
            self.mean(self.steps),
            self.broken.len()
        )
    }

    /// A table of what the runs came across.
    #[must_use]
    pub fn coverage(&self, cluster: bool) -> String {
        let mut text = String::from("| what a run comes across | seeds in a thousand |\n|---|---:|\n");
        let here = |c: Cover| if cluster { c.of_cluster() } else { c.of_process() };
        for ((_, what), n) in Cover::ALL.iter().zip(&self.seen).filter(|((c, _), _)| here(*c)) {
            text.push_str(&format!("| {what} | {:.1} |\n", 1000.0 * self.mean(*n)));
        }
        text
    }

    /// Events that no run came across.
    #[must_use]
    pub fn unseen(&self, cluster: bool) -> Vec<&'static str> {
        let here = |c: Cover| if cluster { c.of_cluster() } else { c.of_process() };
        let all = Cover::ALL.iter().zip(&self.seen).filter(|((c, _), n)| **n == 0 && here(*c));
        all.map(|((_, what), _)| *what).collect()
    }
}

/// Runs a seed; a panic is a breach like any other.
#[must_use]
pub fn try_run(wanted: &Wanted) -> Outcome {
    catch_unwind(AssertUnwindSafe(|| run(wanted))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
        Outcome::lost(wanted, format!("panic: {}", text.unwrap_or_default()))
    })
}

/// Rules of the manager and the task managers of `watershed-cluster`. Only a job in many processes has need of them, and no model has the
/// parts for them.
pub const MANAGER: &[&str] = &[
    "replaced_for_good",
    "excuses_silence",
    "looks_for_newer_term",
    "journal_first",
    "reports_into_journal",
    "stop_is_kept",
    "drain_is_renewed",
    "rests_and_retries",
    "leaver_is_no_target",
    "struck_out_first",
];

/// The other rules of which only a job in many processes has need.
pub const CLUSTER: &[&str] = &[
    "obeys_newest",
    "adopts_its_own_run",
    "adopts_only_all",
    "adopter_repeats",
    "adopts_parts",
    "adopts_alignment",
    "adopts_open_cuts",
    "adopts_cut_versions",
    "adopter_forgets",
    "adopts_readers",
    "unread_hold_time",
    "awaiting_slots_stay",
    "discovery_first",
    "due_within_interval",
    "needed_till_over",
    "joiner_is_needed",
    "own_history_only",
    "survivor_undoes",
    "survivor_forgets",
    "successor_drains",
];

/// The rules whose removal the seeds of a hunt do not detect, and why.
pub const UNDETECTED: &[(&str, &str)] = &[
    (
        "fence_implies_publication",
        "tables make room by themselves for a group that comes back, so the rule has a second line of defence; the model, which has none, shows it",
    ),
    (
        "tag_waits_for_its_own",
        "equivalent while each slot gets the coordinator's commands in order: a later cut is fenced later everywhere, so its rows lie above what the \
         earlier batch's source still holds back; the model, where cuts may be fenced out of order, shows it",
    ),
    (
        "ahead_restored",
        "a second line of defence: at a barrier every slot has taken the same prefix of every channel and so stands at the same watermark, unless \
         channels went quiet and spoke again (idle time-outs), which no simulated source does",
    ),
    (
        "newcomer_trusts_final",
        "rare since newcomers may go quiet while groups move: it takes a newcomer whose splits are still on their way and two cuts meanwhile; a \
         test of the slot holds it, and seed 2844 found it",
    ),
    (
        "final_after_table",
        "rare: it takes a target that hears of a later cut only when it has taken its batch up, and a key of that batch with rows for a group of \
         that cut; tests of the slot hold it, and seed 63310 found it",
    ),
    (
        "discovery_first",
        "simulated sources find all their splits at once, so a manifest has all of them or none; a test of the coordinator holds it, with a manifest \
         that has one of two",
    ),
    (
        "set_aside_credits",
        "equivalent: S puts Drained in the step of Final and control needs no credits, so what is set aside waits for nobody that waits for its credits",
    ),
    (
        "control_bypass",
        "equivalent, and without a switch: credits belong to one channel, its receiver takes rows until that channel's own control item has come, and a \
         sender puts control on all its channels in one step; so a control item that waited for credits would wait for rows that are being taken",
    ),
    (
        "stop_is_kept",
        "another run of a job that was told to stop is exact, and is no breach of a law; a test of the manager holds it: \
         `a_stop_is_not_forgotten_when_a_worker_dies_before_it_is_done`",
    ),
    (
        "rests_and_retries",
        "a coordinator that gives up is started again by its supervisor, so the job goes on all the same; a test of the manager holds it: \
         `a_storage_that_is_away_ends_the_run_and_the_next_begins_when_it_is_back`",
    ),
    (
        "drain_is_renewed",
        "a drain that is lost with a run is asked for again by its client in most worlds; a test of the manager holds it: \
         `a_drain_is_asked_for_again_of_a_run_that_has_forgotten_it`",
    ),
    (
        "journal_first",
        "a run that begins over running slots is exact, and only slower: no law is broken; `running_slots_are_taken_over_as_they_are` holds the way \
         with journals",
    ),
    (
        "leaver_is_no_target",
        "a worker that never goes does not keep a job from its end; a test of membership holds it: \
         `who_leaves_is_not_to_have_anything_and_nobody_who_is_missing_is_waited_for_meanwhile`",
    ),
    (
        "struck_out_first",
        "rare: it takes a worker that is told to end between the request for its slot and the barrier at which that joins; no test holds it alone yet",
    ),
    (
        "awaiting_slots_stay",
        "simulated sources find all their splits at once; a test of the coordinator holds it: \
         `a_slot_that_has_not_heard_which_splits_are_its_own_does_not_leave_before_its_source_is_looked_through`",
    ),
];

/// A rule removed, and what detected it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detection {
    /// The rule.
    pub rule: &'static str,
    /// The first seed that broke a law; `None` if none did.
    pub by: Option<Detected>,
}

/// The seed that detected that a rule was removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detected {
    /// The number of seeds until a run broke a law.
    pub seeds: u64,
    /// True if that job ran in many processes.
    pub cluster: bool,
    /// The law that the run broke.
    pub broken: Broken,
}

/// Looks for the first of `seeds` seeds that breaks a law without a rule: in the world that has need of the rule first, then in the other.
#[must_use]
pub fn remove(rule: &'static str, seeds: u64) -> Detection {
    let Some(rules) = Rules::without(rule) else { return Detection { rule, by: None } };
    let first = MANAGER.contains(&rule) || CLUSTER.contains(&rule);
    for cluster in [first, !first] {
        for seed in 0..seeds {
            let o = try_run(&Wanted { seed, job: None, cluster, rules: RuleSet::new(rules), text: false });
            if let Some(breach) = o.breach {
                let broken = Broken { seed, job: o.job, breach };
                return Detection { rule, by: Some(Detected { seeds: seed + 1, cluster, broken }) };
            }
        }
    }
    Detection { rule, by: None }
}
