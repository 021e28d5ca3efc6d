//! A job in many processes: workers and the coordinator are killed (SIGKILL) and the number of workers changes while rows flow, and
//! nothing is lost, doubled, or out of order within a key.
//!
//! This executable is all of it: the supervisor, the coordinator, the workers, and the test that kills and scales. Moments are
//! chosen by what has become visible (the n-th new manifest), never by time.

#![allow(
    clippy::panic,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod bad;
mod drained;
#[path = "../kill/job.rs"]
mod job;
mod leaving;
mod named;
mod party;
mod rescale;
mod watched;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use job::Numbered;
use party::Party;

/// A rule and its test.
type Rule = (&'static str, fn(&Path));

const RULES: [Rule; 26] = [
    ("a_drained_job_closes_its_windows_and_is_finished", drained::a_drained_job_closes_its_windows_and_is_finished),
    (
        "a_client_that_waits_for_a_drain_asks_the_next_coordinator_for_it",
        drained::a_client_that_waits_for_a_drain_asks_the_next_coordinator_for_it,
    ),
    (
        "a_client_that_waits_for_a_drain_hears_that_the_job_was_stopped",
        drained::a_client_that_waits_for_a_drain_hears_that_the_job_was_stopped,
    ),
    ("a_named_snapshot_stays_while_the_job_goes_on", named::a_named_snapshot_stays_while_the_job_goes_on),
    ("monitors_see_who_is_ready_and_what_each_process_does", watched::monitors_see_who_is_ready_and_what_each_process_does),
    ("a_worker_told_to_end_hands_its_keys_over_first", leaving::a_worker_told_to_end_hands_its_keys_over_first),
    ("a_worker_leaves_in_the_middle_of_a_rescale", leaving::a_worker_leaves_in_the_middle_of_a_rescale),
    ("the_last_worker_told_to_end_ends_at_once", leaving::the_last_worker_told_to_end_ends_at_once),
    (
        "who_leaves_is_seen_and_the_next_coordinator_hears_of_it_too",
        leaving::who_leaves_is_seen_and_the_next_coordinator_hears_of_it_too,
    ),
    ("two_workers_share_a_job", two_workers_share_a_job),
    ("workers_join_and_leave_while_rows_flow", workers_join_and_leave_while_rows_flow),
    ("scaling_out_from_two_to_three_loses_no_state", rescale::scaling_out_from_two_to_three_loses_no_state),
    ("scaling_in_from_three_to_two_panics_nobody", rescale::scaling_in_from_three_to_two_panics_nobody),
    ("a_killed_worker_costs_nothing_but_time", a_killed_worker_costs_nothing_but_time),
    (
        "a_stop_is_not_forgotten_when_a_worker_dies_before_it_is_done",
        a_stop_is_not_forgotten_when_a_worker_dies_before_it_is_done,
    ),
    ("a_killed_coordinator_costs_nothing_but_time", a_killed_coordinator_costs_nothing_but_time),
    ("a_worker_that_sleeps_through_its_loss_comes_back_as_another", a_worker_that_sleeps_through_its_loss_comes_back_as_another),
    ("a_worker_of_another_dataflow_is_refused_by_name", bad::a_worker_of_another_dataflow_is_refused_by_name),
    ("another_job_on_the_same_storage_is_refused_by_name", bad::another_job_on_the_same_storage_is_refused_by_name),
    (
        "storage_that_something_else_wrote_is_refused_and_left_alone",
        bad::storage_that_something_else_wrote_is_refused_and_left_alone,
    ),
    (
        "no_workers_and_more_slots_than_key_groups_are_refused_by_name",
        bad::no_workers_and_more_slots_than_key_groups_are_refused_by_name,
    ),
    ("garbage_to_live_ports_harms_nobody", bad::garbage_to_live_ports_harms_nobody),
    ("who_takes_the_storage_over_fences_who_had_it", bad::who_takes_the_storage_over_fences_who_had_it),
    (
        "workers_without_room_wait_and_say_so_until_somebody_has_room",
        bad::workers_without_room_wait_and_say_so_until_somebody_has_room,
    ),
    ("who_asks_how_a_job_is_hears_that_it_waits_for_the_storage", bad::who_asks_how_a_job_is_hears_that_it_waits_for_the_storage),
    ("of_two_processes_with_one_name_the_later_one_stays", bad::of_two_processes_with_one_name_the_later_one_stays),
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.first().map(String::as_str) {
        Some("run" | "coordinator" | "worker" | "scale" | "status" | "snapshot" | "snapshots" | "stop") => {
            if std::env::var_os("OTHER_JOB").is_some() {
                return watershed::main("others", party::build);
            }
            if std::env::var_os(drained::WINDOWED).is_some() {
                return watershed::main("numbered", drained::build);
            }
            if std::env::var_os("OTHER_DATAFLOW").is_some() {
                return watershed::main("numbered", |job| {
                    let rows = job.source("other", watershed::io::generate(|n| n).rows(1));
                    rows.sink("out", watershed::io::blackhole());
                    Ok(())
                });
            }
            watershed::main("numbered", party::build)
        }
        Some("--list") => {
            RULES.iter().for_each(|(name, _)| println!("{name}: test"));
            ExitCode::SUCCESS
        }
        filter => {
            let filter = filter.filter(|f| !f.starts_with('-')).unwrap_or("");
            for (name, rule) in RULES.iter().filter(|(name, _)| name.contains(filter)) {
                let dir = tempfile::tempdir().expect("a temporary directory can be made");
                rule(dir.path());
                println!("{name}: ok");
            }
            ExitCode::SUCCESS
        }
    }
}

fn two_workers_share_a_job(dir: &Path) {
    let mut party = Party::start(dir, 2);
    party.until_workers_own(2);
    party.manifests(5);
    check(dir, party.until_all_is_out());
}

fn workers_join_and_leave_while_rows_flow(dir: &Path) {
    let mut party = Party::start(dir, 2);
    // Malstrom loses state on the way from two to three, and panics on the way back.
    for workers in [3, 2, 4, 1, 2] {
        party.manifests(3);
        party.scale(workers);
        party.until_workers_own(workers);
    }
    check(dir, party.until_all_is_out());
}

fn a_killed_worker_costs_nothing_but_time(dir: &Path) {
    let mut party = Party::start(dir, 3);
    for victim in [1, 0, 2] {
        party.until_workers_own(3);
        party.manifests(4);
        party.worker(victim).signal("KILL");
    }
    check(dir, party.until_all_is_out());
}

fn a_stop_is_not_forgotten_when_a_worker_dies_before_it_is_done(dir: &Path) {
    let mut party = Party::start(dir, 3);
    party.until_workers_own(3);
    party.manifests(4);
    // While one sleeps no barrier comes through, the last one neither.
    let sleeper = party.worker(1);
    sleeper.signal("STOP");
    party.until_nothing_is_published();
    party.client().stop().expect("the coordinator takes the wish");
    sleeper.signal("KILL");
    let (ended, said) = party.until_it_ends();
    assert!(ended.success() && said.contains("\"stopped\""), "{ended}: {said}");
    party.start_again(3, None);
    check(dir, party.until_all_is_out());
}

fn a_killed_coordinator_costs_nothing_but_time(dir: &Path) {
    let mut party = Party::start(dir, 3);
    // One worker has registered before the job ran, and one while it did.
    party.until_workers_own(3);
    party.worker(1).signal("KILL");
    party.until_workers_own(3);
    party.manifests(4);
    let (mut term, generation) = party.era();
    for _ in 0..3 {
        party.manifests(4);
        party.coordinator().signal("KILL");
        // All come back to the new one, each to a session of its own.
        party.manifests(4);
        party.until_workers_own(3);
        let (newer, same) = party.era();
        assert!(newer > term && same == generation, "slots run on under the next coordinator: {}", party.said());
        term = newer;
    }
    check(dir, party.until_all_is_out());
}

fn a_worker_that_sleeps_through_its_loss_comes_back_as_another(dir: &Path) {
    let mut party = Party::start(dir, 3);
    party.until_workers_own(3);
    let sleeper = party.worker(1);
    sleeper.signal("STOP");
    // The silence is noticed, and the others go on without it.
    party.until_workers_own(2);
    party.manifests(4);
    // The worker writes what it had in hand under a term that is over, and joins as a newcomer.
    sleeper.signal("CONT");
    party.until_workers_own(3);
    party.manifests(4);
    check(dir, party.until_all_is_out());
}

fn check(dir: &Path, rows: u64) {
    let mut keys: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    let mut seen = vec![0u32; rows as usize];
    for path in party::output(dir) {
        let text = std::fs::read_to_string(&path).expect("the output can be read");
        for line in text.lines() {
            let row: Numbered = serde_json::from_str(line).unwrap_or_else(|e| panic!("{}: {line}: {e}", path.display()));
            seen[row.id as usize] += 1;
            keys.entry(row.key).or_default().push(row.number);
        }
    }
    let wrong: Vec<(usize, u32)> = seen.iter().copied().enumerate().filter(|(_, n)| *n != 1).take(10).collect();
    let all = seen.iter().filter(|n| **n != 1).count();
    assert!(wrong.is_empty(), "{all} rows are not there exactly once (id, times): {wrong:?} …");
    for (key, mut numbers) in keys {
        numbers.sort_unstable();
        let gap = numbers.iter().zip(1..).find(|(n, want)| **n != *want);
        assert!(gap.is_none(), "key {key}: (number, expected) {gap:?}");
    }
}
