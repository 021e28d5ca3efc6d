//! The reads of a reconciliation: the job's objects, its pods, and the status of its coordinator.
//!
//! Everything is read anew each time instead of being kept: a job has few objects, and an operator that caches the pods of a cluster is as
//! big as the cluster.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{ConfigMap, Event, Pod, Service};
use kube::api::{DynamicObject, ListParams, ObjectMeta};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, ResourceExt};
use serde_json::Value;
use watershed_crds::StreamJob;

use super::answer::Answer;
use super::cluster::{ClusterState, SILENCE_LIMIT, Workload};
use super::names::{COORDINATOR, COORDINATOR_ADDRESS, FINALIZER, Names, OUTCOME, REVISION, REVISION_MAP, TEMPLATES, WORKER};
use super::pods::{PodState, Problem, pods_refused};
use super::rescale_step::is_over;
use crate::context::Context;
use crate::error::{Result, Tried};

/// The annotation that makes the operator leave a job alone.
const PAUSE: &str = "watershed.dev/pause-reconciliation";
/// The port of a node's kubelet, by which it is seen whether the node is on the network.
const KUBELET_PORT: u16 = 10250;

/// The observation of a job: the state that the plan sees, and what only the ends of the reconciliation need.
#[derive(Clone, Debug, Default)]
pub(crate) struct Observation {
    /// The state that the plan sees.
    pub(crate) cluster: ClusterState,
    /// The image of the present revision.
    pub(crate) image: Option<String>,
    /// The address of the coordinator's Service.
    pub(crate) address: Option<String>,
    /// The generations of the Deployment and the StatefulSet, by kind and name.
    pub(crate) generations: BTreeMap<String, i64>,
}

/// The objects of a job as the API server has them.
struct Objects {
    deployment: Option<Deployment>,
    set: Option<StatefulSet>,
    service: Option<Service>,
    start_map: Option<ConfigMap>,
    revisions: Vec<ConfigMap>,
    coordinators: Vec<Pod>,
    workers: Vec<Pod>,
}

/// Reads the state of a job.
pub(crate) async fn observe(job: &StreamJob, names: &Names, context: &Context) -> Result<Observation> {
    let objects = read(names, context).await?;
    let mut observation = state(job, names, &objects);
    if let (Some(set), Some(workers)) = (&objects.set, &mut observation.cluster.workloads.workers) {
        workers.problem = refused_workers(set, names, context).await;
    }
    check_unwatched(names, context).await?;
    ask(&mut observation, names, context).await;
    Ok(observation)
}

async fn read(names: &Names, context: &Context) -> Result<Objects> {
    let (client, ns) = (&context.client, names.namespace.as_str());
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), ns);
    let sets: Api<StatefulSet> = Api::namespaced(client.clone(), ns);
    let services: Api<Service> = Api::namespaced(client.clone(), ns);
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), ns);
    let pods: Api<Pod> = Api::namespaced(client.clone(), ns);
    let of = |component: &str| ListParams::default().labels(&names.selector_text(component));
    let (coordinator, worker) = (names.coordinator(), names.worker());
    let (of_coordinator, of_worker, of_revision) = (of(COORDINATOR), of(WORKER), of(REVISION_MAP));
    let (deployment, set, service, start_map, revisions, coordinators, workers) = tokio::try_join!(
        deployments.get_opt(&coordinator),
        sets.get_opt(&worker),
        services.get_opt(&coordinator),
        maps.get_opt(&coordinator),
        maps.list(&of_revision),
        pods.list(&of_coordinator),
        pods.list(&of_worker),
    )
    .tried(|| format!("read what belongs to the job {ns}/{}", names.job))?;
    let (revisions, coordinators, workers) = (revisions.items, coordinators.items, workers.items);
    Ok(Objects { deployment, set, service, start_map, revisions, coordinators, workers })
}

/// The state that follows from the objects. Pure, apart from the clock.
fn state(job: &StreamJob, names: &Names, objects: &Objects) -> Observation {
    let mut observation = Observation::default();
    let cluster = &mut observation.cluster;
    let metadata = [
        objects.deployment.as_ref().map(|d| &d.metadata),
        objects.set.as_ref().map(|s| &s.metadata),
        objects.service.as_ref().map(|s| &s.metadata),
    ];
    cluster.workloads.foreign = metadata.into_iter().flatten().any(|m| owned_by_another(m, &names.uid));
    if let Some(d) = &objects.deployment {
        let spec = d.spec.clone().unwrap_or_default();
        let coordinator = Workload { problem: refused(d), ..workload(d.annotations(), spec.replicas) };
        cluster.workloads.coordinator = Some(coordinator);
        let containers = spec.template.spec.map(|s| s.containers).unwrap_or_default();
        observation.image = containers.into_iter().next().and_then(|c| c.image);
        observation.generations.insert(format!("Deployment/{}", d.name_any()), d.metadata.generation.unwrap_or(0));
    }
    if let Some(s) = &objects.set {
        cluster.workloads.workers = Some(workload(s.annotations(), s.spec.as_ref().and_then(|s| s.replicas)));
        observation.generations.insert(format!("StatefulSet/{}", s.name_any()), s.metadata.generation.unwrap_or(0));
    }
    cluster.workloads.revisions = objects.revisions.iter().filter_map(templates).collect();
    cluster.pods.coordinator = objects.coordinators.iter().map(PodState::of).collect();
    cluster.pods.workers = objects.workers.iter().map(PodState::of).collect();
    cluster.pods.workers.sort_by_key(|p| p.ordinal);
    let now = k8s_openapi::jiff::Timestamp::now().as_second();
    cluster.now = now;
    cluster.job.status = job.status.clone().unwrap_or_default();
    cluster.job.finalizer = job.finalizers().iter().any(|f| f == FINALIZER);
    cluster.job.paused = job.annotations().get(PAUSE).is_some_and(|v| v == "true");
    let since = |since: i64| Duration::from_secs(u64::try_from(now - since).unwrap_or(0));
    cluster.job.deleted = job.metadata.deletion_timestamp.as_ref().map(|t| since(t.0.as_second()));
    let ip = objects.service.as_ref().and_then(|s| s.spec.as_ref()?.cluster_ip.clone());
    observation.address = ip.filter(|ip| ip != "None" && !ip.is_empty());
    let started_with = objects.start_map.as_ref().and_then(|map| map.data.as_ref()?.get(COORDINATOR_ADDRESS));
    let started_with = started_with.and_then(|at| Some(at.rsplit_once(':')?.0.trim_matches(['[', ']']).to_owned()));
    observation.cluster.coordinator.address = observation.address.clone().or(started_with);
    observation
}

/// The problem of a Deployment whose pods the API server refuses: a quota, a limit range, an admission rule.
fn refused(deployment: &Deployment) -> Option<Problem> {
    let conditions = deployment.status.as_ref()?.conditions.as_ref()?;
    let failure = conditions.iter().find(|c| c.type_ == "ReplicaFailure" && c.status == "True")?;
    Some(pods_refused(&deployment.name_any(), failure.message.as_deref().unwrap_or("no reason is given")))
}

/// The problem of a StatefulSet whose pods the API server refuses. A StatefulSet has no condition for it, only Events, so these are read
/// while it has fewer pods than it is to have. Without the right to read Events the cause stays unknown, and nothing else changes.
async fn refused_workers(set: &StatefulSet, names: &Names, context: &Context) -> Option<Problem> {
    let made = set.status.as_ref().map_or(0, |s| s.replicas);
    if made >= set.spec.as_ref().and_then(|s| s.replicas).unwrap_or(1) {
        return None;
    }
    let (name, uid) = (set.name_any(), set.uid().unwrap_or_default());
    let fields =
        format!("involvedObject.kind=StatefulSet,involvedObject.name={name},involvedObject.uid={uid},reason=FailedCreate");
    let events: Api<Event> = Api::namespaced(context.client.clone(), &names.namespace);
    let found = events.list(&ListParams::default().fields(&fields).limit(100)).await.ok()?;
    newest(&found.items).map(|message| pods_refused(&name, &message))
}

/// The message of the newest Event.
fn newest(events: &[Event]) -> Option<String> {
    let time = |e: &Event| {
        let series = e.series.as_ref().and_then(|s| s.last_observed_time.as_ref()).map(|t| t.0);
        let last = || e.last_timestamp.as_ref().map(|t| t.0);
        series.or_else(last).or_else(|| e.event_time.as_ref().map(|t| t.0))
    };
    events.iter().max_by_key(|e| time(e))?.message.clone()
}

/// Looks for objects that are neither watched nor read in each reconciliation, now and then: one that is gone is applied again.
async fn check_unwatched(names: &Names, context: &Context) -> Result<()> {
    if !context.memory.check_is_due(&names.uid) {
        return Ok(());
    }
    for object in context.memory.all_applied(&names.uid) {
        let Some((kind, name)) = object.split_once('/') else { continue };
        let group = match kind {
            "PodDisruptionBudget" => ("policy", "v1"),
            "NetworkPolicy" => ("networking.k8s.io", "v1"),
            "Service" | "ServiceAccount" | "ConfigMap" => ("", "v1"),
            // The others are read in each reconciliation.
            _ => continue,
        };
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group.0, group.1, kind));
        let api: Api<DynamicObject> = Api::namespaced_with(context.client.clone(), &names.namespace, &resource);
        if api.get_metadata_opt(name).await.tried(|| format!("read {object}"))?.is_none() {
            context.memory.gone(&names.uid, &object);
        }
    }
    Ok(())
}

/// Asks the coordinator for its status, if there is to be a coordinator.
async fn ask(observation: &mut Observation, names: &Names, context: &Context) {
    let cluster = &mut observation.cluster;
    if cluster.workloads.coordinator.as_ref().is_none_or(|c| c.replicas == 0) {
        context.memory.stopped(&names.uid);
        return;
    }
    cluster.stopping = context.memory.stopping_for(&names.uid);
    let Some(address) = &observation.address else { return };
    let token = context.token();
    let pods = cluster.workloads.worker_replicas();
    let mut answer = context.coordinators.status(address, token.as_deref(), false).await;
    if matches!(&answer, Answer::Status(status) if status.wanted < pods) {
        answer = context.coordinators.status(address, token.as_deref(), true).await;
    }
    let pod = cluster.pods.coordinator.iter().find(|p| !p.deleting).cloned();
    let answered = matches!(answer, Answer::Status(_)).then(|| pod.as_ref().map(|p| p.uid.clone()).unwrap_or_default());
    let silent = context.memory.answered(&names.uid, answered.as_deref());
    cluster.coordinator.silent = silent;
    if answered.is_none()
        && silent >= SILENCE_LIMIT
        && let Some(pod) = pod
    {
        cluster.coordinator.node_gone = probe_node(&pod, names, context).await;
    }
    if let Answer::Status(status) = &answer {
        let rescaled = cluster.job.status.rescale.as_ref().is_some_and(|r| !is_over(r));
        cluster.coordinator.counted = context.memory.counted(&names.uid, (!rescaled).then_some(&status.moves));
    }
    cluster.coordinator.answer = Some(answer);
}

/// Probes the node of a coordinator that has stopped to answer. Only the node of a pod that used to answer is probed, or of its successor
/// on the very node that was found gone: an operator that cannot reach a coordinator for another reason removes nothing.
async fn probe_node(pod: &PodState, names: &Names, context: &Context) -> bool {
    let known = context.memory.has_answered(&names.uid, &pod.uid);
    let before = context.memory.gone_host(&names.uid);
    let host = match (&pod.host, &pod.node, before) {
        (Some(host), _, _) if known => host.clone(),
        (None, Some(node), Some((gone, host))) if *node == gone => host,
        _ => return false,
    };
    let gone = host_gone(&host).await;
    if gone && let Some(node) = &pod.node {
        context.memory.host_is_gone(&names.uid, node, &host);
    }
    gone
}

/// A host is gone from the network: its kubelet's port neither takes a connection nor refuses one.
async fn host_gone(host: &str) -> bool {
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let dial = tokio::net::TcpStream::connect(format!("{host}:{KUBELET_PORT}"));
    match tokio::time::timeout(Duration::from_secs(1), dial).await {
        Err(_) => true,
        Ok(Err(e)) => matches!(
            e.kind(),
            std::io::ErrorKind::HostUnreachable | std::io::ErrorKind::NetworkUnreachable | std::io::ErrorKind::TimedOut
        ),
        Ok(Ok(_)) => false,
    }
}

/// An object belongs to a job that is gone: one of the same name, whose objects the API server has not cleared away yet.
fn owned_by_another(metadata: &ObjectMeta, uid: &str) -> bool {
    let mut owners = metadata.owner_references.iter().flatten().filter(|o| o.controller == Some(true));
    metadata.deletion_timestamp.is_some() || owners.any(|o| o.uid != uid)
}

fn workload(annotations: &BTreeMap<String, String>, replicas: Option<i32>) -> Workload {
    Workload {
        revision: annotations.get(REVISION).cloned().unwrap_or_default(),
        replicas: replicas.and_then(|r| u32::try_from(r).ok()).unwrap_or(1),
        outcome: annotations.get(OUTCOME).filter(|o| !o.is_empty()).cloned(),
        problem: None,
    }
}

fn templates(map: &ConfigMap) -> Option<(String, Value)> {
    let revision = map.labels().get(REVISION)?.clone();
    let text = map.data.as_ref()?.get(TEMPLATES)?;
    Some((revision, serde_json::from_str(text).ok()?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_deployment_whose_pods_are_refused_has_a_problem_in_the_api_server_s_words() {
        let quota = "pods \"a-coordinator-x\" is forbidden: failed quota: q: must specify limits.cpu for: watershed";
        let with = |status: &str| -> Deployment {
            let conditions = json!([{"type": "ReplicaFailure", "status": status, "message": quota}]);
            serde_json::from_value(json!({"metadata": {"name": "a-coordinator"}, "status": {"conditions": conditions}})).unwrap()
        };
        let problem = refused(&with("True")).unwrap();
        assert_eq!((problem.reason, problem.fatal), ("PodsRefused", false), "the quota may be lifted");
        assert!(problem.message.contains("must specify limits.cpu"), "{}", problem.message);
        assert_eq!(refused(&with("False")), None);
    }

    #[test]
    fn of_several_events_the_newest_tells_why_a_worker_is_refused() {
        let event = |message: &str, time: &str| -> Event {
            let text = json!({"metadata": {"name": message}, "involvedObject": {}, "message": message, "lastTimestamp": time});
            serde_json::from_value(text).unwrap()
        };
        let events =
            [event("old", "2026-01-01T00:00:00Z"), event("new", "2026-01-01T00:00:09Z"), event("older", "2025-01-01T00:00:00Z")];
        assert_eq!(newest(&events).as_deref(), Some("new"));
        assert_eq!(newest(&[]), None);
    }
}
