//! The plan of a reconciliation, made from the validated job and the state of the cluster. Pure.

use serde_json::Value;

use super::build::{self, Environment};
use super::cluster::ClusterState;
use super::input::Input;
use super::lifecycle::{self, Stage};
use super::names::Names;
use super::plan::{AT_REST, Decision, LATER, Plan, SOON, State};
use super::removal;
use super::scale;
use super::validate::{Invalid, Validated};

/// Makes the plan.
pub(crate) fn plan(
    validated: &Result<Validated, Invalid>,
    names: &Names,
    cluster: &ClusterState,
    environment: &Environment,
) -> Plan {
    if cluster.job.deleted.is_some() {
        return lifecycle::delete(validated.as_ref().ok(), cluster);
    }
    if cluster.job.paused {
        return Decision::new(State::Paused, AT_REST, cluster).alone();
    }
    let validated = match validated {
        Ok(validated) => validated,
        // A job that runs goes on as it is: a mistake in the text stops nothing.
        Err(invalid) => return Decision::new(State::Invalid(invalid.clone()), LATER, cluster).alone(),
    };
    if cluster.workloads.foreign {
        let why = "objects of a deleted job of the same name are still being removed".to_owned();
        return Decision::new(State::Starting { why, problem: None }, SOON, cluster).alone();
    }
    let of = Input { validated, names, cluster, environment };
    let mut decision = decide(of);
    let mut objects = standing(of);
    objects.append(&mut decision.objects);
    decision.objects = objects;
    Plan {
        decision,
        removals: removal::removals(cluster),
        prune: removal::unused_revisions(validated, cluster),
        finalizer: lifecycle::wants_finalizer(validated, cluster),
    }
}

/// The decision for the stage of the job's life.
fn decide(of: Input<'_>) -> Decision {
    let cluster = of.cluster;
    match lifecycle::stage(of.validated, cluster) {
        Stage::Start => lifecycle::start(of),
        Stage::Run => scale::keep_running(of),
        Stage::Stop(purpose) => lifecycle::stop(of, purpose),
        Stage::Terminate(purpose) => Decision::new(State::Stopping { purpose, why: cluster.pods.left() }, SOON, cluster),
        Stage::Suspended => Decision::new(State::Suspended, AT_REST, cluster),
        Stage::Finished => Decision::new(State::Finished, AT_REST, cluster),
    }
}

/// The objects that a job has at all times, running or not. The account comes first, since pods are made under it.
fn standing(of: Input<'_>) -> Vec<Value> {
    let mut objects: Vec<Value> = build::service_account(of.validated, of.names).into_iter().collect();
    objects.push(build::coordinator_service(of.names, of.cluster.coordinator.address.as_deref()));
    objects.push(build::workers_service(of.names));
    objects.push(build::budget(of.validated, of.names));
    objects.extend(build::policy(of.validated, of.names, of.environment));
    objects
}
