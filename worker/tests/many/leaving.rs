//! A worker that is told to end (SIGTERM) hands over what it has first, and then ends with 0: no run ends, and nobody goes back to a
//! snapshot.

use std::path::Path;

use crate::check;
use crate::party::Party;

/// Tells a worker to end, and waits until it has and the coordinator has said why it could.
fn told_to_end(party: &mut Party, worker: u32, why: &str) {
    let ends = |p: &Party| p.said().matches(&format!("worker {worker} has ended with code 0")).count();
    let before = ends(party);
    party.worker(worker).signal("TERM");
    party.until(&format!("the end of worker {worker}"), |p| ends(p) > before);
    let said = party.said();
    assert!(said.contains(&format!("worker {worker} may go: {why}")), "{said}");
}

pub(crate) fn a_worker_told_to_end_hands_its_keys_over_first(dir: &Path) {
    let mut party = Party::start(dir, 3);
    party.until_workers_own(3);
    let (_, generation) = party.era();
    for worker in [1, 2, 0] {
        party.manifests(4);
        told_to_end(&mut party, worker, "others have what it had");
        // The process that comes under its name is a newcomer, and gets key groups by a rescale.
        party.until_workers_own(3);
    }
    assert_eq!(party.era().1, generation, "no run has ended: {}", party.said());
    check(dir, party.until_all_is_out());
}

pub(crate) fn a_worker_leaves_in_the_middle_of_a_rescale(dir: &Path) {
    let mut party = Party::start(dir, 2);
    party.until_workers_own(2);
    let generation = party.era().1;
    // One that was there, and one that has just come.
    for worker in [0, 2] {
        party.until_workers_own(2);
        // That has registered: a process that has just been made does not know SIGTERM yet.
        let third = |p: &Party| p.said().contains(r#""name":"worker-2""#);
        party.until("nobody but two", |p| !third(p));
        party.client().scale(3).expect("the coordinator takes the wish");
        party.until("a third worker", third);
        told_to_end(&mut party, worker, "others have what it had");
        party.until_workers_own(3);
        party.scale(2);
    }
    assert_eq!(party.era().1, generation, "no run has ended: {}", party.said());
    check(dir, party.until_all_is_out());
}

pub(crate) fn the_last_worker_told_to_end_ends_at_once(dir: &Path) {
    let mut party = Party::start(dir, 1);
    party.until_workers_own(1);
    party.manifests(4);
    told_to_end(&mut party, 0, "nobody is there to take over what it has");
    party.until_workers_own(1);
    party.manifests(4);
    check(dir, party.until_all_is_out());
}

pub(crate) fn who_leaves_is_seen_and_the_next_coordinator_hears_of_it_too(dir: &Path) {
    let mut party = Party::start(dir, 3);
    party.until_workers_own(3);
    party.manifests(4);
    // One of those who take over sleeps, so that it takes a moment.
    let sleeper = party.worker(0);
    sleeper.signal("STOP");
    let leaver = party.worker(1);
    leaver.signal("TERM");
    party.until_it_waits_for("worker 1 leaves: ");
    party.coordinator().signal("KILL");
    sleeper.signal("CONT");
    party.until("the end of worker 1", |p| p.said().contains("worker 1 has ended with code 0"));
    party.until_workers_own(3);
    check(dir, party.until_all_is_out());
}
