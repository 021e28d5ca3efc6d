//! The number of workers: a state of the cluster, and the next step of a rescale.

use std::time::Duration;

use serde_json::json;
use watershed_crds::RescaleStatus;
use watershed_wire::v1::Phase;

use super::{There, problem, workers};
use crate::reconcile::plan::{Request, State};
use crate::reconcile::rescale_step::RescaleStep;
use crate::reconcile::times::time;

fn step(there: &There) -> (String, Option<u64>, Option<Request>) {
    let plan = there.plan();
    let step = if let State::Rescaling { step, .. } = &plan.decision.state {
        step.word().to_owned()
    } else {
        format!("{:?}", plan.decision.state).split([' ', '{']).next().unwrap_or_default().to_owned()
    };
    (step, workers(&plan), plan.decision.request)
}

#[test]
fn a_job_that_is_as_wanted_is_left_alone() {
    let there = There::running(3, json!({"replicas": 3}));
    assert_eq!(step(&there), ("Running".into(), Some(3), None));
}

#[test]
fn more_workers_first_come_then_are_asked_for() {
    let mut there = There::running(2, json!({"replicas": 4}));
    assert_eq!(step(&there), ("Provisioning".into(), Some(4), None), "pods are raised, nothing moves yet");
    there.cluster.workloads.workers.as_mut().unwrap().replicas = 4;
    there.says(Phase::Running, 2, &[2048, 2048, 0]);
    assert_eq!(step(&there), ("Provisioning".into(), Some(4), None), "worker 3 is missing");
    there.says(Phase::Running, 2, &[2048, 2048, 0, 0]);
    assert_eq!(step(&there), ("Moving".into(), Some(4), Some(Request::Scale(4))));
    there.status(|s| s.rescale = Some(at("Moving", 2, 4)));
    there.says(Phase::Rescaling, 4, &[1500, 1500, 1096, 0]);
    let plan = there.plan();
    assert_eq!((workers(&plan), plan.decision.request), (Some(4), None));
    let rescale = plan.decision.rescale.unwrap();
    assert_eq!((rescale.from_replicas, rescale.moved_key_groups, rescale.total_key_groups), (2, Some(1096), Some(2048)));
    there.says(Phase::Running, 4, &[1024, 1024, 1024, 1024]);
    let moves = |longest_gate_micros| watershed_wire::v1::Moves { batches_in: 1, longest_gate_micros, ..Default::default() };
    there.says_more(|s| s.moves = [(2, moves(12_000)), (3, moves(31_400))].into());
    let plan = there.plan();
    assert_eq!(plan.decision.state, State::Running);
    let rescale = plan.decision.rescale.unwrap();
    assert_eq!((rescale.step.as_str(), rescale.last_pause_milliseconds), ("Done", None), "this operator has not seen it begin");
    there.cluster.coordinator.counted = Some([].into());
    assert_eq!(there.plan().decision.rescale.unwrap().last_pause_milliseconds, Some(32));
}

#[test]
fn fewer_workers_first_give_up_what_they_hold_and_then_go() {
    let mut there = There::running(4, json!({"replicas": 2}));
    assert_eq!(step(&there), ("Moving".into(), Some(4), Some(Request::Scale(2))), "no pod goes yet");
    there.status(|s| s.rescale = Some(at("Moving", 4, 2)));
    there
        .says(Phase::Rescaling, 2, &[1024, 1024, 1024, 1024])
        .says_more(|s| s.releasable = Some((0..4).map(|n| (n, false)).collect()));
    assert_eq!(step(&there), ("Releasing".into(), Some(4), None));
    there.says(Phase::Running, 2, &[2000, 2000, 96, 0]);
    assert_eq!(step(&there), ("Releasing".into(), Some(3), None), "worker 3 may go before worker 2");
    there.says(Phase::Running, 2, &[2048, 2048, 0, 0]);
    assert_eq!(step(&there), ("Moving".into(), Some(2), None));
    there.cluster.workloads.workers.as_mut().unwrap().replicas = 2;
    assert_eq!(step(&there).0, "Running");
}

#[test]
fn the_newest_target_wins_whatever_is_under_way() {
    let mut there = There::running(4, json!({"replicas": 1}));
    there.says(Phase::Rescaling, 4, &[2000, 2000, 96, 0]).status(|s| s.rescale = Some(at("Moving", 2, 4)));
    assert_eq!(step(&there), ("Moving".into(), Some(4), Some(Request::Scale(1))));
    let mut there = There::running(4, json!({"replicas": 6}));
    there.says(Phase::Running, 2, &[2048, 2048, 0, 0]).status(|s| s.rescale = Some(at("Releasing", 4, 2)));
    assert_eq!(step(&there), ("Provisioning".into(), Some(6), None));
}

#[test]
fn after_a_rescale_the_next_one_waits_and_says_until_when() {
    let mut there = There::running(2, json!({"replicas": 3, "rescale": {"cooldownPeriodSeconds": 60}}));
    let done = |ago: i64| RescaleStatus { completion_time: Some(time(1_000_000 - ago)), ..at("Done", 1, 2) };
    there.status(|s| s.rescale = Some(done(20)));
    let plan = there.plan();
    assert!(
        matches!(&plan.decision.state, State::Rescaling { step: RescaleStep::Cooldown, why, .. } if why.contains("cooldownPeriodSeconds")),
        "{:?}",
        plan.decision.state
    );
    assert_eq!((workers(&plan), plan.decision.again), (Some(2), Duration::from_secs(40)));
    there.status(|s| s.rescale = Some(done(61)));
    assert_eq!(step(&there), ("Provisioning".into(), Some(3), None));
}

#[test]
fn a_rescale_that_was_given_up_is_over_as_one_that_is_done_is() {
    use crate::reconcile::rescale_step::is_over;
    assert!(is_over(&at("Failed", 2, 4)));
    assert!(is_over(&RescaleStatus { completion_time: Some(time(1)), ..at("Done", 2, 4) }));
    assert!(!is_over(&at("Provisioning", 2, 4)) && !is_over(&at("Moving", 2, 4)));
}

#[test]
fn workers_that_do_not_come_are_given_up_and_the_job_goes_on_as_it_was() {
    let mut there = There::running(4, json!({"replicas": 4, "rescale": {"deadlineSeconds": 300}}));
    there.says(Phase::Running, 2, &[2048, 2048, 0]);
    there.cluster.pods.workers[3].problem = Some(problem("Unschedulable"));
    let began = |ago: i64| RescaleStatus { start_time: Some(time(1_000_000 - ago)), ..at("Provisioning", 2, 4) };
    there.status(|s| s.rescale = Some(began(299)));
    assert_eq!(step(&there), ("Provisioning".into(), Some(4), None));
    there.status(|s| s.rescale = Some(began(301)));
    let plan = there.plan();
    assert!(
        matches!(&plan.decision.state, State::Rescaling { step: RescaleStep::Failed, why, .. } if why.contains("Unschedulable!")),
        "{:?}",
        plan.decision.state
    );
    assert_eq!(workers(&plan), Some(2));
    there.cluster.pods.workers.truncate(2);
    there.status(|s| s.rescale = Some(at("Failed", 2, 4)));
    there.cluster.job.status.conditions = crate::reconcile::conditions::conditions(&plan.decision, &there.cluster, None, "t");
    assert!(
        matches!(&there.plan().decision.state, State::Rescaling { why, .. } if why.contains("Unschedulable!")),
        "the cause stays in the message"
    );
    // The failure stays reported until another number is asked for.
    there.cluster.workloads.workers.as_mut().unwrap().replicas = 2;
    there.status(|s| s.rescale = Some(at("Failed", 2, 4)));
    assert_eq!(step(&there), ("Failed".into(), Some(2), None));
    there.spec = json!({"replicas": 3, "rescale": {"deadlineSeconds": 300}});
    there.says(Phase::Running, 2, &[2048, 2048]);
    assert_eq!(step(&there), ("Provisioning".into(), Some(3), None));
}

#[test]
fn retrying_for_ever_is_a_choice() {
    let mut there = There::running(3, json!({"replicas": 3, "rescale": {"deadlineSeconds": 10, "onFailure": "Retry"}}));
    there.says(Phase::Running, 2, &[2048, 2048]);
    there.status(|s| s.rescale = Some(RescaleStatus { start_time: Some(time(999_000)), ..at("Provisioning", 2, 3) }));
    assert_eq!(step(&there), ("Provisioning".into(), Some(3), None));
}

#[test]
fn a_stateful_set_that_was_scaled_by_hand_is_put_right() {
    let mut there = There::running(3, json!({"replicas": 3}));
    there.cluster.workloads.workers.as_mut().unwrap().replicas = 2;
    there.says(Phase::Recovering, 3, &[2048, 2048]);
    assert_eq!(step(&there).1, Some(3));
    let mut there = There::running(3, json!({"replicas": 3}));
    there.cluster.workloads.workers.as_mut().unwrap().replicas = 5;
    assert_eq!(step(&there).1, Some(3));
}

#[test]
fn no_pod_goes_while_the_coordinator_is_silent() {
    let mut there = There::running(4, json!({"replicas": 2}));
    there.silent(Duration::from_secs(1));
    assert!(there.plan().decision.quiet, "one answer that did not come is no news");
    there.silent(Duration::from_secs(3));
    assert!(!there.plan().decision.quiet);
    assert_eq!(step(&there), ("Unreachable".into(), Some(4), None));
}

#[test]
fn a_worker_that_was_lost_is_a_recovery_and_no_rescale() {
    let mut there = There::running(3, json!({"replicas": 3}));
    there.says(Phase::Recovering, 3, &[2048, 2048]);
    assert_eq!(step(&there), ("Recovering".into(), Some(3), None));
    there.says(Phase::Rescaling, 3, &[2048, 2000, 48]);
    assert_eq!(step(&there), ("Recovering".into(), Some(3), None), "the one that came back takes its share");
}

#[test]
fn no_pod_goes_before_a_coordinator_that_has_just_started_has_a_run() {
    let mut there = There::running(4, json!({"replicas": 2}));
    // The coordinator's successor begins with the number it was asked for, knows no worker yet, and has neither begun nor adopted a run.
    there.says(Phase::Starting, 2, &[]).says_more(|s| (s.era, s.epoch) = (None, 0));
    assert_eq!(step(&there), ("Starting".into(), Some(4), None));
    there.says(Phase::Recovering, 2, &[]).says_more(|s| s.era = None);
    assert_eq!(step(&there).1, Some(4));
    // The successor answers that it runs, but the question which workers may go was answered before it had read who they are.
    there.says(Phase::Running, 2, &[2048, 2048]).says_more(|s| {
        s.owners = [0, 1, 3].into();
        s.releasable = Some([].into());
    });
    assert_eq!(step(&there), ("Releasing".into(), Some(4), None), "worker 3 still owns key groups");
    there.says_more(|s| s.owners = [0, 1].into());
    there.says_more(|s| s.releasable = None);
    assert_eq!(step(&there).1, Some(4), "the question was not asked");
}

#[test]
fn no_pod_goes_with_a_coordinator_that_falls_silent_before_it_has_a_run() {
    let mut there = There::running(4, json!({"replicas": 2}));
    there.says(Phase::Starting, 2, &[]).says_more(|s| s.era = None);
    let reported = there.report();
    assert_eq!(reported.term, Some(1), "the job has run, so its workers may hold something");
    there.status(|s| *s = reported).silent(Duration::from_secs(9));
    assert_eq!(step(&there).1, Some(4));
}

#[test]
fn a_rescale_that_is_given_up_takes_no_pod_away_that_is_needed() {
    let mut there = There::running(4, json!({"replicas": 4, "rescale": {"deadlineSeconds": 300}}));
    // A new coordinator begins with 2 workers, while one of the run before has key groups already, and another does not come.
    there.says(Phase::Running, 2, &[1500, 1500, 1096]);
    there.status(|s| s.rescale = Some(RescaleStatus { start_time: Some(time(999_000)), ..at("Provisioning", 2, 4) }));
    assert_eq!(step(&there), ("Failed".into(), Some(3), None));
}

#[test]
fn a_new_worker_without_a_pod_tells_why_the_api_server_refuses_it() {
    let mut there = There::running(2, json!({"replicas": 4}));
    there.cluster.workloads.workers.as_mut().unwrap().replicas = 4;
    there.cluster.workloads.workers.as_mut().unwrap().problem = Some(problem("PodsRefused"));
    let plan = there.plan();
    assert!(
        matches!(&plan.decision.state, State::Rescaling { problem: Some(p), .. } if p.reason == "PodsRefused"),
        "{:?}",
        plan.decision
    );
}

fn at(step: &str, from: i32, to: i32) -> RescaleStatus {
    RescaleStatus {
        from_replicas: from,
        to_replicas: to,
        step: step.into(),
        start_time: Some(time(999_990)),
        ..RescaleStatus::default()
    }
}
