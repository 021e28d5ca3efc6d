//! Tables of the plan: a state of the cluster, and the plan that follows. And each object as a cluster gets it.

mod conditions;
mod coordinators;
mod lifecycles;
mod objects;
mod scales;

use std::time::Duration;

use serde_json::{Value, json};
use watershed_crds::{JobStatus, StreamJob};
use watershed_wire::v1::Phase;

use super::answer::{Answer, CoordinatorStatus, WorkerState};
use super::build::Environment;
use super::cluster::{ClusterState, Workload};
use super::decide::plan;
use super::names::Names;
use super::observe::Observation;
use super::plan::Plan;
use super::pods::{PodState, Problem};
use super::validate::{Invalid, Validated, validate};

/// A job with more fields in its spec.
pub(super) fn job(more: &Value) -> StreamJob {
    let mut whole = json!({
        "apiVersion": "watershed.dev/v1alpha1",
        "kind": "StreamJob",
        "metadata": {"name": "clicks", "namespace": "shop", "uid": "u-1", "generation": 3},
        "spec": {"sql": "INSERT INTO a SELECT 1;\n", "snapshots": {"storage": {"s3": {"bucket": "data", "prefix": "clicks"}}}},
    });
    if let (Some(spec), Some(more)) = (whole["spec"].as_object_mut(), more.as_object()) {
        for (name, value) in more {
            spec.insert(name.clone(), value.clone());
        }
    }
    serde_json::from_value(whole).unwrap()
}

pub(super) fn names() -> Names {
    Names { job: "clicks".into(), namespace: "shop".into(), uid: "u-1".into() }
}

pub(super) fn validated(more: &Value) -> Result<Validated, Invalid> {
    validate(&job(more), "stock:1")
}

/// A spec and a state of the cluster, written down shortly.
pub(super) struct There {
    pub(super) spec: Value,
    pub(super) cluster: ClusterState,
}

impl There {
    /// A job with this spec of which no object exists but the coordinator's Service.
    pub(super) fn nothing(spec: Value) -> Self {
        let mut cluster = ClusterState { now: 1_000_000, ..ClusterState::default() };
        cluster.coordinator.address = Some("10.96.0.7".into());
        Self { spec, cluster }
    }

    /// A job of the present revision with so many workers, all of which take part.
    pub(super) fn running(replicas: u32, spec: Value) -> Self {
        let mut there = Self::nothing(spec);
        let revision = validated(&there.spec).unwrap().revision;
        there.pods_of(&revision, 1, replicas);
        there.cluster.job.status.term = Some(1);
        there.says(Phase::Running, replicas, &vec![4096 / replicas.max(1); replicas as usize]);
        there
    }

    /// The workloads have so many pods of a revision, and these exist.
    pub(super) fn pods_of(&mut self, revision: &str, coordinator: u32, workers: u32) -> &mut Self {
        let workload = |replicas| Some(Workload { revision: revision.to_owned(), replicas, ..Workload::default() });
        let workloads = &mut self.cluster.workloads;
        (workloads.coordinator, workloads.workers) = (workload(coordinator), workload(workers));
        workloads.revisions.insert(revision.to_owned(), json!({"coordinator": {"c": revision}, "worker": {"w": revision}}));
        let pod = |name: String, ordinal| PodState {
            uid: format!("uid-{name}"),
            name,
            ordinal,
            revision: revision.to_owned(),
            ready: true,
            ..PodState::default()
        };
        self.cluster.pods.coordinator = (0..coordinator).map(|_| pod("clicks-coordinator-x".into(), None)).collect();
        self.cluster.pods.workers = (0..workers).map(|n| pod(format!("clicks-worker-{n}"), Some(n))).collect();
        self
    }

    /// The coordinator answers this: workers with their key groups, in order. Those beyond the wanted number may go if they own none.
    pub(super) fn says(&mut self, phase: Phase, wanted: u32, groups: &[u32]) -> &mut Self {
        let each = || groups.iter().zip(0..);
        let workers = each().map(|(groups, number)| WorkerState { number, connected: true, groups: *groups }).collect();
        let releasable = Some(each().map(|(groups, n)| (n, n >= wanted && *groups == 0)).collect());
        let status =
            CoordinatorStatus { phase, era: Some((1, 1)), epoch: 7, wanted, workers, releasable, ..CoordinatorStatus::default() };
        self.cluster.coordinator.answer = Some(Answer::Status(status));
        self
    }

    pub(super) fn says_more(&mut self, then: impl FnOnce(&mut CoordinatorStatus)) -> &mut Self {
        if let Some(Answer::Status(status)) = &mut self.cluster.coordinator.answer {
            then(status);
        }
        self
    }

    pub(super) fn silent(&mut self, since: Duration) -> &mut Self {
        self.cluster.coordinator.answer = Some(Answer::Silent("nobody listens there".into()));
        self.cluster.coordinator.silent = since;
        self
    }

    pub(super) fn status(&mut self, then: impl FnOnce(&mut JobStatus)) -> &mut Self {
        then(&mut self.cluster.job.status);
        self
    }

    /// The status that is reported after this reconciliation.
    pub(super) fn report(&self) -> JobStatus {
        let observation = Observation { cluster: self.cluster.clone(), ..Observation::default() };
        super::report::status(&job(&self.spec), &names(), &validated(&self.spec), &self.plan(), &observation)
    }

    /// The job goes on with the status that it has reported.
    pub(super) fn reported(&mut self) -> &mut Self {
        self.cluster.job.status = self.report();
        self
    }

    pub(super) fn plan(&self) -> Plan {
        plan(&validated(&self.spec), &names(), &self.cluster, &Environment::default())
    }
}

/// The number of worker pods in a plan.
pub(super) fn workers(plan: &Plan) -> Option<u64> {
    replicas(plan, "StatefulSet")
}

/// The number of coordinator pods in a plan.
pub(super) fn coordinators(plan: &Plan) -> Option<u64> {
    replicas(plan, "Deployment")
}

fn replicas(plan: &Plan, kind: &str) -> Option<u64> {
    plan.decision.objects.iter().find(|o| o["kind"] == kind).and_then(|o| o.pointer("/spec/replicas")).and_then(Value::as_u64)
}

pub(super) fn problem(reason: &'static str) -> Problem {
    Problem { reason, message: format!("{reason}!"), fatal: reason == "JobInvalid" }
}
