//! The number of workers.

use std::time::Duration;

use serde_json::json;
use watershed_crds::RescaleStatus;
use watershed_wire::v1::Phase;

use super::{There, trouble, workers};
use crate::reconcile::plan::{Ask, State};
use crate::reconcile::report::time;

fn step(there: &There) -> (String, Option<u64>, Option<Ask>) {
    let plan = there.plan();
    let step = if let State::Rescaling { step, .. } = &plan.state {
        (*step).to_owned()
    } else {
        format!("{:?}", plan.state).split([' ', '{']).next().unwrap_or_default().to_owned()
    };
    (step, workers(&plan), plan.ask)
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
    there.world.workers.as_mut().unwrap().replicas = 4;
    there.says(Phase::Running, 2, &[2048, 2048, 0]);
    assert_eq!(step(&there), ("Provisioning".into(), Some(4), None), "worker 3 is missing");
    there.says(Phase::Running, 2, &[2048, 2048, 0, 0]);
    assert_eq!(step(&there), ("Moving".into(), Some(4), Some(Ask::Scale(4))));
    there.status(|s| s.rescale = Some(at("Moving", 2, 4)));
    there.says(Phase::Rescaling, 4, &[1500, 1500, 1096, 0]);
    let plan = there.plan();
    assert_eq!((workers(&plan), plan.ask), (Some(4), None));
    let rescale = plan.rescale.unwrap();
    assert_eq!((rescale.from_replicas, rescale.moved_key_groups, rescale.total_key_groups), (2, Some(1096), Some(2048)));
    there.says(Phase::Running, 4, &[1024, 1024, 1024, 1024]);
    let moves = |longest_gate_micros| watershed_wire::v1::Moves { batches_in: 1, longest_gate_micros, ..Default::default() };
    there.says_more(|s| s.moves = [(2, moves(12_000)), (3, moves(31_400))].into());
    let plan = there.plan();
    assert_eq!(plan.state, State::Running);
    let rescale = plan.rescale.unwrap();
    assert_eq!((rescale.step.as_str(), rescale.last_pause_milliseconds), ("Done", None), "nobody has seen it begin");
    there.world.counted = Some([].into());
    assert_eq!(there.plan().rescale.unwrap().last_pause_milliseconds, Some(32));
}

#[test]
fn fewer_workers_first_give_up_what_they_hold_and_then_go() {
    let mut there = There::running(4, json!({"replicas": 2}));
    assert_eq!(step(&there), ("Moving".into(), Some(4), Some(Ask::Scale(2))), "no pod goes yet");
    there.status(|s| s.rescale = Some(at("Moving", 4, 2)));
    there.says(Phase::Rescaling, 2, &[1024, 1024, 1024, 1024]).says_more(|s| s.held = vec![0, 1, 2, 3]);
    assert_eq!(step(&there), ("Releasing".into(), Some(4), None));
    there.says(Phase::Running, 2, &[2000, 2000, 96, 0]).says_more(|s| s.held = vec![0, 1, 2]);
    assert_eq!(step(&there), ("Releasing".into(), Some(3), None), "worker 3 may go before worker 2");
    there.says(Phase::Running, 2, &[2048, 2048, 0, 0]).says_more(|s| s.held = vec![0, 1]);
    assert_eq!(step(&there), ("Moving".into(), Some(2), None));
    there.world.workers.as_mut().unwrap().replicas = 2;
    assert_eq!(step(&there).0, "Running");
}

#[test]
fn the_newest_target_wins_whatever_is_under_way() {
    let mut there = There::running(4, json!({"replicas": 1}));
    there.says(Phase::Rescaling, 4, &[2000, 2000, 96, 0]).status(|s| s.rescale = Some(at("Moving", 2, 4)));
    assert_eq!(step(&there), ("Moving".into(), Some(4), Some(Ask::Scale(1))));
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
        matches!(&plan.state, State::Rescaling { step: "Cooldown", why, .. } if why.contains("cooldownPeriodSeconds")),
        "{:?}",
        plan.state
    );
    assert_eq!((workers(&plan), plan.again), (Some(2), Duration::from_secs(40)));
    there.status(|s| s.rescale = Some(done(61)));
    assert_eq!(step(&there), ("Provisioning".into(), Some(3), None));
}

#[test]
fn a_rescale_that_was_given_up_is_over_as_one_that_is_done_is() {
    use crate::reconcile::scale::is_over;
    assert!(is_over(&at("Failed", 2, 4)));
    assert!(is_over(&RescaleStatus { completion_time: Some(time(1)), ..at("Done", 2, 4) }));
    assert!(!is_over(&at("Provisioning", 2, 4)) && !is_over(&at("Moving", 2, 4)));
}

#[test]
fn workers_that_do_not_come_are_given_up_and_the_job_goes_on_as_it_was() {
    let mut there = There::running(4, json!({"replicas": 4, "rescale": {"deadlineSeconds": 300}}));
    there.says(Phase::Running, 2, &[2048, 2048, 0]);
    there.world.worker_pods[3].trouble = Some(trouble("Unschedulable"));
    let began = |ago: i64| RescaleStatus { start_time: Some(time(1_000_000 - ago)), ..at("Provisioning", 2, 4) };
    there.status(|s| s.rescale = Some(began(299)));
    assert_eq!(step(&there), ("Provisioning".into(), Some(4), None));
    there.status(|s| s.rescale = Some(began(301)));
    let plan = there.plan();
    assert!(
        matches!(&plan.state, State::Rescaling { step: "Failed", why, .. } if why.contains("Unschedulable!")),
        "{:?}",
        plan.state
    );
    assert_eq!(workers(&plan), Some(2));
    there.world.worker_pods.truncate(2);
    there.status(|s| s.rescale = Some(at("Failed", 2, 4)));
    there.world.status.conditions = crate::reconcile::conditions::conditions(&plan.state, &there.world, None, "t");
    assert!(
        matches!(&there.plan().state, State::Rescaling { why, .. } if why.contains("Unschedulable!")),
        "the cause stays said"
    );
    // And it stays so until something else is asked for.
    there.world.workers.as_mut().unwrap().replicas = 2;
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
fn a_stateful_set_that_somebody_scaled_is_put_right() {
    let mut there = There::running(3, json!({"replicas": 3}));
    there.world.workers.as_mut().unwrap().replicas = 2;
    there.says(Phase::Recovering, 3, &[2048, 2048]);
    assert_eq!(step(&there).1, Some(3));
    let mut there = There::running(3, json!({"replicas": 3}));
    there.world.workers.as_mut().unwrap().replicas = 5;
    assert_eq!(step(&there).1, Some(3));
}

#[test]
fn no_pod_goes_while_the_coordinator_is_silent() {
    let mut there = There::running(4, json!({"replicas": 2}));
    there.silent(Duration::from_secs(1));
    assert!(there.plan().quiet, "one answer that did not come is no news");
    there.silent(Duration::from_secs(3));
    assert!(!there.plan().quiet);
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

fn at(step: &str, from: i32, to: i32) -> RescaleStatus {
    RescaleStatus {
        from_replicas: from,
        to_replicas: to,
        step: step.into(),
        start_time: Some(time(999_990)),
        ..RescaleStatus::default()
    }
}
