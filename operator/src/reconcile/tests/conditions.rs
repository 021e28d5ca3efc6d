//! The conditions of a job, and the Events they cause.

use std::time::Duration;

use serde_json::json;
use watershed_crds::Truth;
use watershed_wire::v1::Phase;

use super::{There, problem};
use crate::reconcile::conditions::conditions;
use crate::reconcile::report::news;

fn is(there: &There, kind: &str) -> (Truth, String) {
    let plan = there.plan();
    let all = conditions(&plan.decision, &there.cluster, Some(3), "2026-01-01T00:00:00Z");
    let found = all.into_iter().find(|c| c.kind == kind).unwrap();
    (found.status, found.reason)
}

#[test]
fn every_condition_is_there_from_the_first_look_on() {
    let there = There::nothing(json!({}));
    let all = conditions(&there.plan().decision, &there.cluster, Some(3), "t");
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
    there.pods_of(&there.cluster.workloads.workers.clone().unwrap().revision, 1, 3);
    there.says(Phase::Running, 2, &[2048, 2048]);
    there.cluster.pods.workers[2].problem = Some(problem("Unschedulable"));
    assert_eq!(is(&there, "Ready"), (Truth::False, "Unschedulable".into()));
    assert_eq!(is(&there, "Degraded"), (Truth::True, "Unschedulable".into()));
    let mut there = There::running(1, json!({}));
    there.silent(Duration::from_secs(1)).status(|s| s.term = None);
    there.cluster.pods.coordinator[0].problem = Some(problem("JobInvalid"));
    assert_eq!(is(&there, "Ready"), (Truth::False, "JobInvalid".into()));
    assert_eq!(is(&there, "Stalled").0, Truth::True, "only a change of the job helps");
    assert_eq!(is(&there, "Progressing").0, Truth::False);
}

#[test]
fn a_worker_that_leaves_is_told_and_is_no_trouble() {
    let mut there = There::running(3, json!({"replicas": 3}));
    there.cluster.pods.workers[2].deleting = true;
    there.says(Phase::Rescaling, 3, &[1800, 1800, 496]);
    assert_eq!(is(&there, "Ready"), (Truth::False, "WorkerLeaving".into()));
    assert_eq!((is(&there, "Available").0, is(&there, "Degraded").0), (Truth::True, Truth::False));
    let message = crate::reconcile::conditions::summary(&there.plan().decision.state).2;
    assert!(message.contains("clicks-worker-2") && message.contains("496 key groups"), "{message}");
    assert_eq!(there.plan().decision.request, None, "the number that is wanted stays what it is");
    // The worker is gone, and its successor is not there yet.
    there.says_more(|s| s.workers[2].connected = false);
    assert_eq!(is(&there, "Ready"), (Truth::False, "Recovering".into()));
    // A worker on a node that does not answer hands nothing over.
    there.says_more(|s| s.workers[2].connected = true);
    there.cluster.pods.workers[2].node_gone = true;
    assert_eq!(is(&there, "Ready"), (Truth::False, "Recovering".into()));
}

#[test]
fn a_coordinator_that_is_away_leaves_it_open_whether_rows_flow() {
    let mut there = There::running(2, json!({"replicas": 2}));
    there.silent(Duration::from_secs(9));
    assert_eq!(is(&there, "Available").0, Truth::Unknown);
    assert_eq!(is(&there, "Ready"), (Truth::False, "CoordinatorUnreachable".into()));
    there.cluster.pods.coordinator.clear();
    assert_eq!(is(&there, "Ready"), (Truth::False, "Recovering".into()));
}

#[test]
fn a_condition_that_does_not_change_keeps_its_time() {
    let mut there = There::running(2, json!({"replicas": 2}));
    let first = conditions(&there.plan().decision, &there.cluster, Some(3), "then");
    there.status(|s| s.conditions = first.clone());
    assert_eq!(conditions(&there.plan().decision, &there.cluster, Some(3), "now"), first, "at rest nothing is written");
}

#[test]
fn a_suspended_job_is_as_its_spec_asks() {
    let there = There::nothing(json!({"suspend": true}));
    assert_eq!(is(&there, "Ready"), (Truth::True, "Suspended".into()), "tools that wait for health wait for Ready");
    assert_eq!(
        (is(&there, "Suspended").0, is(&there, "Reconciling").0, is(&there, "Available").0),
        (Truth::True, Truth::False, Truth::False)
    );
}

#[test]
fn a_suspended_job_whose_last_snapshot_failed_says_so_until_the_next_stop() {
    const KIND: &str = "LastSnapshotSucceeded";
    let failed = (Truth::False, "SnapshotFailed".to_owned());
    let mut there = There::running(2, json!({"suspend": true, "update": {"progressDeadlineSeconds": 100}}));
    assert_eq!(is(&there, KIND), (Truth::Unknown, "InProgress".into()));
    let before = there.reported().cluster.job.status.conditions.clone();
    there.silent(Duration::from_secs(9)).cluster.stopping =
        Some((crate::reconcile::purpose::Purpose::Suspend, Duration::from_secs(101)));
    assert_eq!(is(&there, KIND), failed);
    let now = there.report().conditions;
    let news: Vec<_> = news(&before, &now).into_iter().filter(|n| n.condition.kind == KIND).collect();
    assert!(news.len() == 1 && news[0].warning, "an Event tells it");
    let message = &news[0].condition.message;
    assert!(
        message.contains("Suspend") && message.contains("nobody listens there") && message.contains("latest epoch"),
        "{message}"
    );
    // The job has no pods, rests, and runs again: still the last stop had no snapshot.
    there.reported();
    there.pods_of(&there.cluster.workloads.workers.clone().unwrap().revision, 0, 0);
    there.cluster.coordinator.answer = None;
    assert_eq!(is(&there, KIND), failed);
    assert!(
        crate::reconcile::report::news(&now, &there.report().conditions).iter().all(|n| n.condition.kind != KIND),
        "told once"
    );
    let revision = there.cluster.workloads.workers.clone().unwrap().revision;
    there.reported().pods_of(&revision, 1, 2).says(Phase::Running, 2, &[2048, 2048]).spec = json!({"replicas": 2});
    assert_eq!(is(&there, KIND), failed);
    there.reported().spec = json!({"replicas": 2, "suspend": true});
    assert_eq!(is(&there, KIND), (Truth::Unknown, "InProgress".into()));
    there.reported().says(Phase::Stopped, 2, &[]);
    assert_eq!(is(&there, KIND), (Truth::True, "Suspend".into()));
}

#[test]
fn an_operator_that_was_killed_after_a_fallback_still_tells_it() {
    let mut there = There::running(2, json!({"suspend": true}));
    there.pods_of(&there.cluster.workloads.workers.clone().unwrap().revision, 0, 0);
    there.cluster.workloads.coordinator.as_mut().unwrap().outcome = Some("SnapshotFailed".into());
    there.cluster.coordinator.answer = None;
    assert_eq!(is(&there, "LastSnapshotSucceeded"), (Truth::False, "SnapshotFailed".into()));
}

#[test]
fn a_rescale_is_told_by_one_event_a_step() {
    let there = There::running(2, json!({"replicas": 3}));
    let before = There::running(2, json!({"replicas": 2})).report().conditions;
    let now = there.report().conditions;
    let told: Vec<&str> = news(&before, &now).iter().map(|n| n.condition.reason.as_str()).collect();
    assert_eq!(told, ["Provisioning"]);
    assert!(news(&now, &now).is_empty());
}

#[test]
fn pods_that_the_api_server_refuses_are_the_reason_while_a_job_starts() {
    let mut there = There::running(2, json!({"replicas": 2}));
    there.silent(Duration::from_secs(9)).status(|s| s.term = None);
    there.cluster.pods.coordinator.clear();
    there.cluster.workloads.coordinator.as_mut().unwrap().problem = Some(problem("PodsRefused"));
    assert_eq!(is(&there, "Ready"), (Truth::False, "PodsRefused".into()));
    assert_eq!((is(&there, "Degraded").0, is(&there, "Stalled").0), (Truth::True, Truth::False), "a quota may be lifted");
}

#[test]
fn every_reason_is_in_the_manual() {
    let page = include_str!("../../../../docs/kubernetes-troubleshooting.md");
    let of_exits = [1, 2, 3, 4, 5, 70, 99, 137].map(|code| crate::reconcile::pods::meaning(code).0);
    let of_pods = ["OutOfMemory", "Unschedulable", "ImageUnavailable", "ConfigMissing", "ContainerBroken", "PodsRefused"];
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
        "SnapshotFailed",
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
    assert_eq!(there.plan().decision.request, None, "it is not asked for anything");
    there.spec = json!({"replicas": 4});
    assert_eq!(is(&there, "Ready"), (Truth::False, "Rescaling".into()), "it may be rescaled meanwhile");
}
