//! The life of a job: starting, stopping, deleting.

use std::time::Duration;

use serde_json::json;
use watershed_wire::v1::Phase;

use super::{There, coordinators, problem, validated, workers};
use crate::reconcile::cluster::Workload;
use crate::reconcile::plan::{Request, State};
use crate::reconcile::purpose::Purpose;

fn kinds(there: &There) -> Vec<String> {
    there
        .plan()
        .decision
        .objects
        .iter()
        .map(|o| format!("{}/{}", o["kind"].as_str().unwrap(), o["metadata"]["name"].as_str().unwrap()))
        .collect()
}

#[test]
fn a_new_job_gets_all_its_objects_accounts_and_maps_first() {
    let there = There::nothing(json!({"replicas": 2}));
    let revision = validated(&there.spec).unwrap().revision;
    let expected = [
        "ServiceAccount/clicks".to_owned(),
        "Service/clicks-coordinator".into(),
        "Service/clicks-workers".into(),
        "PodDisruptionBudget/clicks-worker".into(),
        "NetworkPolicy/clicks".into(),
        format!("ConfigMap/clicks-{revision}"),
        "ConfigMap/clicks-coordinator".into(),
        "Deployment/clicks-coordinator".into(),
        "StatefulSet/clicks-worker".into(),
    ];
    assert_eq!(kinds(&there), expected);
    assert_eq!((coordinators(&there.plan()), workers(&there.plan())), (Some(1), Some(2)));
}

#[test]
fn workers_are_told_an_address_and_no_name_so_the_service_comes_first() {
    let mut there = There::nothing(json!({}));
    there.cluster.coordinator.address = None;
    assert!(kinds(&there).iter().any(|k| k == "Service/clicks-coordinator"));
    assert_eq!((coordinators(&there.plan()), workers(&there.plan())), (None, None));
    there.cluster.coordinator.address = Some("10.96.0.9".into());
    let plan = there.plan();
    let told =
        plan.decision.objects.iter().find(|o| o["metadata"]["name"] == "clicks-coordinator" && o["kind"] == "ConfigMap").unwrap();
    assert_eq!(told["data"]["coordinator"], "10.96.0.9:7100");
    let service = plan.decision.objects.iter().find(|o| o["kind"] == "Service").unwrap();
    assert_eq!(service["spec"]["clusterIP"], "10.96.0.9", "one that was deleted comes back under the address that was told");
}

#[test]
fn an_account_that_is_named_and_a_policy_that_is_not_wanted_are_not_made() {
    let there = There::nothing(json!({"serviceAccountName": "mine", "networkPolicy": {"mode": "None"}}));
    assert!(!kinds(&there).iter().any(|k| k.starts_with("ServiceAccount") || k.starts_with("NetworkPolicy")));
}

#[test]
fn what_is_judged_wrong_touches_nothing_that_runs() {
    let mut there = There::running(2, json!({"replicas": 2}));
    there.spec = json!({"sql": " "});
    let plan = there.plan();
    assert!(plan.decision.objects.is_empty() && plan.decision.request.is_none());
    assert!(
        matches!(&plan.decision.state, State::Invalid(i) if i.reason == "InvalidSpec" && i.message.contains("spec.sql")),
        "{:?}",
        plan.decision.state
    );
}

#[test]
fn a_running_job_keeps_the_templates_that_its_revision_was_made_with() {
    let there = There::running(2, json!({"replicas": 2}));
    let plan = there.plan();
    let set = plan.decision.objects.iter().find(|o| o["kind"] == "StatefulSet").unwrap();
    assert_eq!(set.pointer("/spec/template/w").and_then(|w| w.as_str()), Some(validated(&there.spec).unwrap().revision.as_str()));
}

#[test]
fn suspending_takes_a_snapshot_then_the_pods_and_then_rests() {
    let spec = json!({"replicas": 2, "suspend": true});
    let mut there = There::running(2, spec);
    let plan = there.plan();
    assert_eq!((plan.decision.request, coordinators(&plan)), (Some(Request::Stop(Purpose::Suspend)), None), "first it is asked");
    there.says(Phase::Stopped, 2, &[]);
    let plan = there.plan();
    assert_eq!((plan.decision.request, coordinators(&plan), workers(&plan)), (None, Some(0), Some(0)));
    assert_eq!(plan.decision.snapshot.unwrap().epoch, 7);
    there.says_more(|s| s.epoch = 0);
    assert_eq!(there.plan().decision.snapshot, None, "nothing was published");
    there.says_more(|s| s.epoch = 7);
    there.cluster.workloads.coordinator.as_mut().unwrap().replicas = 0;
    there.cluster.workloads.workers.as_mut().unwrap().replicas = 0;
    there.cluster.coordinator.answer = None;
    assert!(matches!(there.plan().decision.state, State::Stopping { purpose: Purpose::Suspend, .. }), "pods are still there");
    there.cluster.pods.workers.clear();
    there.cluster.pods.coordinator.clear();
    assert_eq!(there.plan().decision.state, State::Suspended);
    there.spec = json!({"replicas": 2, "suspend": false});
    assert_eq!((coordinators(&there.plan()), workers(&there.plan())), (Some(1), Some(2)));
}

#[test]
fn a_changed_spec_stops_the_old_revision_and_starts_the_new_one_only_when_no_pod_is_left() {
    let mut there = There::running(2, json!({"replicas": 2}));
    let old = validated(&there.spec).unwrap().revision;
    there.spec = json!({"replicas": 2, "restartNonce": 1});
    let new = validated(&there.spec).unwrap().revision;
    assert_ne!(old, new);
    assert_eq!(there.plan().decision.request, Some(Request::Stop(Purpose::Update)));
    there.says(Phase::Stopped, 2, &[]);
    let plan = there.plan();
    let set = plan.decision.objects.iter().find(|o| o["kind"] == "StatefulSet").unwrap();
    assert_eq!(set.pointer("/spec/template/w").and_then(|w| w.as_str()), Some(old.as_str()), "no template of the new one yet");
    assert_eq!(workers(&plan), Some(0));
    there.pods_of(&old, 0, 0);
    there.cluster.coordinator.answer = None;
    let plan = there.plan();
    let set = plan.decision.objects.iter().find(|o| o["kind"] == "StatefulSet").unwrap();
    assert_eq!(set.pointer("/metadata/annotations/watershed.dev~1revision").and_then(|w| w.as_str()), Some(new.as_str()));
    assert_eq!(workers(&plan), Some(2));
}

#[test]
fn what_does_not_answer_is_waited_for_until_the_deadline_unless_it_cannot_even_start() {
    let mut there = There::running(2, json!({"suspend": true, "update": {"progressDeadlineSeconds": 100}}));
    there.silent(Duration::from_secs(2));
    assert_eq!(coordinators(&there.plan()), None);
    there.cluster.stopping = Some((Purpose::Suspend, Duration::from_secs(101)));
    assert_eq!(coordinators(&there.plan()), Some(0), "the deadline is over");
    there.cluster.stopping = None;
    there.cluster.pods.coordinator[0].problem = Some(problem("JobInvalid"));
    assert_eq!(coordinators(&there.plan()), Some(0), "there is nothing to take a snapshot of");
}

/// The reason of a fallback, and the outcome that the Deployment keeps.
fn fallback(there: &There) -> Option<(String, String)> {
    let decision = there.plan().decision;
    let deployment = decision.objects.iter().find(|o| o["kind"] == "Deployment")?;
    let outcome = deployment.pointer("/metadata/annotations/watershed.dev~1outcome").and_then(|o| o.as_str()).unwrap();
    Some((decision.fallback?.why, outcome.to_owned()))
}

#[test]
fn a_stop_without_its_last_snapshot_says_so_and_why() {
    let mut there = There::running(2, json!({"suspend": true, "update": {"progressDeadlineSeconds": 100}}));
    there.cluster.stopping = Some((Purpose::Suspend, Duration::from_secs(101)));
    let (why, outcome) = fallback(&there).unwrap();
    assert!(why.contains("being taken") && why.contains("100 s (spec.update.progressDeadlineSeconds)"), "{why}");
    assert_eq!(outcome, "SnapshotFailed");
    there.silent(Duration::from_secs(9));
    assert!(fallback(&there).unwrap().0.contains("nobody listens there"));
    there.cluster.stopping = None;
    there.cluster.pods.coordinator[0].problem = Some(problem("JobInvalid"));
    assert!(fallback(&there).unwrap().0.contains("JobInvalid!"));
    there.status(|s| s.term = None);
    assert_eq!(fallback(&there), None, "a job that has never run has nothing to take a snapshot of");
    there.status(|s| s.term = Some(1)).says(Phase::Stopped, 2, &[]).says_more(|s| s.epoch = 0);
    assert!(fallback(&there).unwrap().0.contains("storage"), "it stopped and knows of no epoch");
    there.says_more(|s| (s.epoch, s.wanted) = (7, 0));
    assert_eq!(fallback(&there), None);
    assert_eq!(there.plan().decision.snapshot.unwrap().replicas, 2, "a coordinator that has stopped knows no number of workers");
}

#[test]
fn the_outcome_of_a_stop_stays_while_its_pods_end() {
    let mut there = There::running(2, json!({"suspend": true}));
    let coordinator = there.cluster.workloads.coordinator.as_mut().unwrap();
    (coordinator.replicas, coordinator.outcome) = (0, Some("SnapshotFailed".into()));
    there.cluster.coordinator.answer = None;
    let plan = there.plan();
    let deployment = plan.decision.objects.iter().find(|o| o["kind"] == "Deployment").unwrap();
    assert_eq!(
        deployment.pointer("/metadata/annotations/watershed.dev~1outcome").and_then(|o| o.as_str()),
        Some("SnapshotFailed")
    );
}

#[test]
fn a_job_that_is_stopped_while_it_recovers_says_that_no_snapshot_was_taken() {
    let mut there = There::running(2, json!({"suspend": true}));
    there.says(Phase::Recovering, 2, &[]).says_more(|s| s.era = None);
    let plan = there.plan();
    assert_eq!(plan.decision.request, Some(Request::Stop(Purpose::Suspend)));
    assert!(plan.decision.fallback.is_some() && plan.decision.objects.iter().all(|o| o["kind"] != "Deployment"));
    there.reported().says(Phase::Stopped, 2, &[]).says_more(|s| s.era = None);
    assert!(fallback(&there).unwrap().0.contains("recovering"), "the epoch that it knows is not that of a last snapshot");
}

#[test]
fn a_coordinator_without_the_address_of_its_service_is_waited_for() {
    let mut there = There::running(2, json!({"suspend": true}));
    there.cluster.coordinator.answer = None;
    let plan = there.plan();
    assert_eq!((coordinators(&plan), workers(&plan)), (None, None), "the Service was deleted by hand, and comes back");
    there.cluster.pods.coordinator.clear();
    there.silent(Duration::from_secs(1));
    assert_eq!(coordinators(&there.plan()), None, "its pod moves to another node");
}

#[test]
fn an_update_may_insist_on_its_snapshot() {
    let mut there = There::running(2, json!({}));
    there.spec = json!({"restartNonce": 1, "update": {"onSnapshotFailure": "Block", "progressDeadlineSeconds": 10}});
    there.cluster.stopping = Some((Purpose::Update, Duration::from_secs(1000)));
    assert_eq!((coordinators(&there.plan()), there.plan().decision.request), (None, Some(Request::Stop(Purpose::Update))));
    there.spec = json!({"restartNonce": 1, "update": {"mode": "LatestSnapshot"}});
    assert_eq!(coordinators(&there.plan()), Some(0), "the latest one is good enough");
}

#[test]
fn a_job_at_its_end_is_taken_away_and_stays_over() {
    let mut there = There::running(2, json!({"replicas": 2}));
    there.says(Phase::Finished, 2, &[]);
    let plan = there.plan();
    let deployment = plan.decision.objects.iter().find(|o| o["kind"] == "Deployment").unwrap();
    assert_eq!(deployment.pointer("/metadata/annotations/watershed.dev~1outcome").and_then(|o| o.as_str()), Some("Finished"));
    let revision = validated(&there.spec).unwrap().revision;
    there.pods_of(&revision, 0, 0);
    there.cluster.coordinator.answer = None;
    there.cluster.workloads.coordinator = Some(Workload { revision, outcome: Some("Finished".into()), ..Workload::default() });
    assert_eq!(there.plan().decision.state, State::Finished);
    assert_eq!(coordinators(&there.plan()), None);
    there.spec = json!({"replicas": 2, "restartNonce": 1});
    assert_eq!(coordinators(&there.plan()), Some(1), "another revision is another job");
}

#[test]
fn a_job_that_somebody_else_stopped_is_started_again() {
    let mut there = There::running(2, json!({"replicas": 2}));
    there.says(Phase::Stopped, 2, &[]);
    assert_eq!(coordinators(&there.plan()), Some(0));
}

#[test]
fn deleting_takes_a_last_snapshot_only_if_asked_and_never_waits_for_ever() {
    let mut there = There::running(2, json!({}));
    assert_eq!(there.plan().finalizer, None, "a job that skips it needs no finaliser");
    there.spec = json!({"snapshots": {"storage": {"s3": {"bucket": "data"}}, "onDelete": "Take"}});
    assert_eq!(there.plan().finalizer, Some(true));
    let mut there = There::running(2, there.spec);
    there.cluster.job.finalizer = true;
    there.cluster.job.deleted = Some(Duration::from_secs(1));
    let plan = there.plan();
    assert_eq!((plan.decision.request, plan.finalizer), (Some(Request::Stop(Purpose::Delete)), None));
    there.says(Phase::Stopped, 2, &[]);
    assert_eq!(there.plan().finalizer, Some(false));
    there.silent(Duration::from_secs(5));
    assert_eq!(there.plan().finalizer, None);
    there.cluster.job.deleted = Some(Duration::from_secs(61));
    assert_eq!(there.plan().finalizer, Some(false), "the deadline is over");
    there.cluster.job.deleted = Some(Duration::from_secs(1));
    there.status(|s| s.term = None);
    assert_eq!(there.plan().finalizer, Some(false), "it has never run");
    there.cluster.coordinator.answer = None;
    assert_eq!(there.plan().finalizer, Some(false), "nobody can be asked");
}

#[test]
fn a_pod_on_a_dead_node_is_removed_once_the_job_has_gone_on_without_it() {
    let mut there = There::running(3, json!({"replicas": 3}));
    there.cluster.pods.workers[1].deleting = true;
    there.cluster.pods.workers[1].node_gone = true;
    assert!(there.plan().removals.is_empty(), "it still takes part");
    there.says_more(|s| s.workers[1].connected = false);
    let removals = there.plan().removals;
    assert_eq!(removals.len(), 1);
    assert_eq!(removals[0].uid, "uid-clicks-worker-1");
    there.says_more(|s| s.era = None);
    assert!(
        there.plan().removals.is_empty(),
        "a coordinator that has just started may still adopt the run that it takes part in"
    );
    there.says_more(|s| s.workers.clear());
    assert_eq!(there.plan().removals.len(), 1, "no run can begin without any worker");
    there.silent(Duration::from_secs(5));
    assert!(there.plan().removals.is_empty(), "nobody can say whether it is fenced");
    there.cluster.coordinator.node_gone = true;
    assert_eq!(there.plan().removals[0].name, "clicks-coordinator-x", "a coordinator is fenced by its successor");
}

#[test]
fn a_job_that_is_paused_is_left_alone_but_may_be_deleted() {
    let mut there = There::nothing(json!({}));
    there.cluster.job.paused = true;
    assert!(there.plan().decision.objects.is_empty());
    there.cluster.job.finalizer = true;
    there.cluster.job.deleted = Some(Duration::ZERO);
    assert_eq!(there.plan().finalizer, Some(false));
}

#[test]
fn revisions_that_nobody_needs_are_removed() {
    let mut there = There::running(1, json!({}));
    for other in ["old", "stable", "used"] {
        there.cluster.workloads.revisions.insert(other.into(), json!({}));
    }
    there.cluster.job.status.stable_revision = Some("stable".into());
    there.cluster.pods.workers[0].revision = "used".into();
    assert_eq!(there.plan().prune, ["old"]);
}

#[test]
fn a_job_waits_until_its_deleted_namesake_is_cleared_away() {
    let mut there = There::running(2, json!({"replicas": 2}));
    there.cluster.workloads.foreign = true;
    let plan = there.plan();
    assert!(plan.decision.objects.is_empty() && plan.decision.request.is_none());
    assert!(matches!(&plan.decision.state, State::Starting { why, .. } if why.contains("same name")));
}
