//! What is reported.

use std::time::Duration;

use serde_json::json;
use watershed_crds::Truth;
use watershed_wire::v1::Phase;

use super::{There, trouble};
use crate::reconcile::conditions::conditions;

fn is(there: &There, kind: &str) -> (Truth, String) {
    let plan = there.plan();
    let all = conditions(&plan.state, &there.world, Some(3), "2026-01-01T00:00:00Z");
    let found = all.into_iter().find(|c| c.kind == kind).unwrap();
    (found.status, found.reason)
}

#[test]
fn every_condition_is_there_from_the_first_look_on() {
    let there = There::nothing(json!({}));
    let all = conditions(&there.plan().state, &there.world, Some(3), "t");
    let kinds: Vec<&str> = all.iter().map(|c| c.kind.as_str()).collect();
    let expected = [
        "Ready",
        "Available",
        "Progressing",
        "Degraded",
        "Suspended",
        "Rescaling",
        "LastSnapshotSucceeded",
        "ReconciliationPaused",
        "Reconciling",
        "Stalled",
    ];
    assert_eq!(kinds, expected);
    assert!(all.iter().all(|c| !c.reason.is_empty() && c.observed_generation == Some(3)));
}

#[test]
fn a_job_that_is_rescaled_is_available_and_not_ready() {
    let there = There::running(2, json!({"replicas": 3}));
    assert_eq!(is(&there, "Ready"), (Truth::False, "Rescaling".into()));
    assert_eq!(is(&there, "Available").0, Truth::True);
    assert_eq!(is(&there, "Rescaling"), (Truth::True, "Provisioning".into()));
    assert_eq!(is(&there, "Reconciling").0, Truth::True);
    let there = There::running(3, json!({"replicas": 3}));
    assert_eq!(is(&there, "Ready"), (Truth::True, "Running".into()));
    assert_eq!(is(&there, "Reconciling").0, Truth::False);
}

#[test]
fn what_is_wrong_with_a_pod_is_the_reason() {
    let mut there = There::running(2, json!({"replicas": 3}));
    there.pods_of(&there.world.workers.clone().unwrap().revision, 1, 3);
    there.says(Phase::Running, 2, &[2048, 2048]);
    there.world.worker_pods[2].trouble = Some(trouble("Unschedulable"));
    assert_eq!(is(&there, "Ready"), (Truth::False, "Unschedulable".into()));
    assert_eq!(is(&there, "Degraded"), (Truth::True, "Unschedulable".into()));
    let mut there = There::running(1, json!({}));
    there.silent(Duration::from_secs(1)).status(|s| s.term = None);
    there.world.coordinator_pods[0].trouble = Some(trouble("JobInvalid"));
    assert_eq!(is(&there, "Ready"), (Truth::False, "JobInvalid".into()));
    assert_eq!(is(&there, "Stalled").0, Truth::True, "only a change of the job helps");
    assert_eq!(is(&there, "Progressing").0, Truth::False);
}

#[test]
fn a_worker_that_leaves_is_told_and_is_no_trouble() {
    let mut there = There::running(3, json!({"replicas": 3}));
    there.world.worker_pods[2].deleting = true;
    there.says(Phase::Rescaling, 3, &[1800, 1800, 496]);
    assert_eq!(is(&there, "Ready"), (Truth::False, "WorkerLeaving".into()));
    assert_eq!((is(&there, "Available").0, is(&there, "Degraded").0), (Truth::True, Truth::False));
    let message = crate::reconcile::conditions::summary(&there.plan().state).2;
    assert!(message.contains("clicks-worker-2") && message.contains("496 key groups"), "{message}");
    assert_eq!(there.plan().ask, None, "the number that is wanted stays what it is");
    // It is gone, and its successor is not there yet.
    there.says_more(|s| s.workers[2].1 = false);
    assert_eq!(is(&there, "Ready"), (Truth::False, "Recovering".into()));
    // On a node that does not answer nobody hands anything over.
    there.says_more(|s| s.workers[2].1 = true);
    there.world.worker_pods[2].node_gone = true;
    assert_eq!(is(&there, "Ready"), (Truth::False, "Recovering".into()));
}

#[test]
fn a_coordinator_that_is_away_leaves_it_open_whether_rows_flow() {
    let mut there = There::running(2, json!({"replicas": 2}));
    there.silent(Duration::from_secs(9));
    assert_eq!(is(&there, "Available").0, Truth::Unknown);
    assert_eq!(is(&there, "Ready"), (Truth::False, "CoordinatorUnreachable".into()));
    there.world.coordinator_pods.clear();
    assert_eq!(is(&there, "Ready"), (Truth::False, "Recovering".into()));
}

#[test]
fn a_condition_that_does_not_change_keeps_its_time() {
    let mut there = There::running(2, json!({"replicas": 2}));
    let first = conditions(&there.plan().state, &there.world, Some(3), "then");
    there.status(|s| s.conditions = first.clone());
    assert_eq!(conditions(&there.plan().state, &there.world, Some(3), "now"), first, "at rest nothing is written");
}

#[test]
fn every_reason_is_in_the_manual() {
    let page = include_str!("../../../../docs/kubernetes-troubleshooting.md");
    let of_exits = [1, 2, 3, 4, 5, 70, 99, 137].map(|code| crate::reconcile::pods::meaning(code).0);
    let of_pods = ["OutOfMemory", "Unschedulable", "ImageUnavailable", "ConfigMissing", "ContainerBroken"];
    let of_specs = ["InvalidSpec", "NotSupportedYet", "StorageMissing"];
    let of_states = [
        "Running",
        "Finished",
        "Starting",
        "Rescaling",
        "RescaleFailed",
        "WorkerLeaving",
        "Recovering",
        "CoordinatorUnreachable",
        "Suspending",
        "Suspended",
        "Updating",
        "Restarting",
        "Finishing",
        "Deleting",
        "Paused",
    ];
    for reason in of_exits.iter().chain(&of_pods).chain(&of_specs).chain(&of_states) {
        assert!(page.contains(&format!("`{reason}`")), "{reason} is not explained");
    }
}

#[test]
fn a_job_that_is_drained_finishes_and_is_no_trouble() {
    let mut there = There::running(3, json!({"replicas": 3}));
    there.says(Phase::Draining, 3, &[1366, 1365, 1365]);
    assert_eq!(is(&there, "Ready"), (Truth::False, "Finishing".into()));
    assert_eq!((is(&there, "Available").0, is(&there, "Degraded").0), (Truth::True, Truth::False));
    assert_eq!(there.plan().ask, None, "it is not asked for anything");
    there.spec = json!({"replicas": 4});
    assert_eq!(is(&there, "Ready"), (Truth::False, "Rescaling".into()), "it may be rescaled meanwhile");
}
