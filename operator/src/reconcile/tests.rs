//! The tables of the plan: what is there, what follows. And each object as a cluster gets it.

mod lives;
mod objects;
mod says;
mod scales;

use std::time::Duration;

use serde_json::{Value, json};
use watershed_crds::{JobStatus, StreamJob};
use watershed_wire::v1::Phase;

use super::ask::{Answer, Says};
use super::build::Surroundings;
use super::names::Names;
use super::observe::{Workload, World};
use super::plan::{Plan, plan};
use super::pods::{PodSeen, Trouble};
use super::validate::{Invalid, Judged, validate};

/// A job with more said of its spec.
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

pub(super) fn judged(more: &Value) -> Result<Judged, Invalid> {
    validate(&job(more), "stock:1")
}

/// What is there, written down shortly.
pub(super) struct There {
    pub(super) spec: Value,
    pub(super) world: World,
}

impl There {
    /// Nothing, for a job with this spec.
    pub(super) fn nothing(spec: Value) -> Self {
        Self { spec, world: World { now: 1_000_000, address: Some("10.96.0.7".into()), ..World::default() } }
    }

    /// A job of the present revision with so many workers, all of which take part.
    pub(super) fn running(replicas: u32, spec: Value) -> Self {
        let mut there = Self::nothing(spec);
        let revision = judged(&there.spec).unwrap().revision;
        there.pods_of(&revision, 1, replicas);
        there.world.status.term = Some(1);
        there.says(Phase::Running, replicas, &vec![4096 / replicas.max(1); replicas as usize]);
        there
    }

    /// The workloads have so many pods of a revision, and these are there.
    pub(super) fn pods_of(&mut self, revision: &str, coordinator: u32, workers: u32) -> &mut Self {
        let workload = |replicas| Some(Workload { revision: revision.to_owned(), replicas, outcome: None });
        (self.world.coordinator, self.world.workers) = (workload(coordinator), workload(workers));
        self.world.revisions.insert(revision.to_owned(), json!({"coordinator": {"c": revision}, "worker": {"w": revision}}));
        let pod = |name: String, ordinal| PodSeen {
            uid: format!("uid-{name}"),
            name,
            ordinal,
            revision: revision.to_owned(),
            ready: true,
            ..PodSeen::default()
        };
        self.world.coordinator_pods = (0..coordinator).map(|_| pod("clicks-coordinator-x".into(), None)).collect();
        self.world.worker_pods = (0..workers).map(|n| pod(format!("clicks-worker-{n}"), Some(n))).collect();
        self
    }

    /// The coordinator says this: workers with their key groups, in order.
    pub(super) fn says(&mut self, phase: Phase, wanted: u32, groups: &[u32]) -> &mut Self {
        let workers = groups.iter().zip(0..).map(|(groups, n)| (n, true, *groups)).collect();
        let says = Says { phase, era: Some((1, 1)), epoch: 7, wanted, workers, ..Says::default() };
        self.world.answer = Some(Answer::Says(says));
        self
    }

    pub(super) fn says_more(&mut self, then: impl FnOnce(&mut Says)) -> &mut Self {
        if let Some(Answer::Says(says)) = &mut self.world.answer {
            then(says);
        }
        self
    }

    pub(super) fn silent(&mut self, since: Duration) -> &mut Self {
        self.world.answer = Some(Answer::Silent("nobody listens there".into()));
        self.world.silent = since;
        self
    }

    pub(super) fn status(&mut self, then: impl FnOnce(&mut JobStatus)) -> &mut Self {
        then(&mut self.world.status);
        self
    }

    pub(super) fn plan(&self) -> Plan {
        plan(&judged(&self.spec), &names(), &self.world, &Surroundings::default())
    }
}

/// The number of pods that a plan gives to the workers.
pub(super) fn workers(plan: &Plan) -> Option<u64> {
    replicas(plan, "StatefulSet")
}

/// And to the coordinator.
pub(super) fn coordinators(plan: &Plan) -> Option<u64> {
    replicas(plan, "Deployment")
}

fn replicas(plan: &Plan, kind: &str) -> Option<u64> {
    plan.objects.iter().find(|o| o["kind"] == kind).and_then(|o| o.pointer("/spec/replicas")).and_then(Value::as_u64)
}

pub(super) fn trouble(reason: &'static str) -> Trouble {
    Trouble { reason, message: format!("{reason}!"), fatal: reason == "JobInvalid" }
}
