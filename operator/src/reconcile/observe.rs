//! What is there: the job's objects, its pods, and what its coordinator says. The only reads of a look at a job.
//!
//! Everything is read anew each time instead of being kept: a job has few objects, and an operator that caches the pods of a cluster is as
//! big as the cluster.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Service};
use kube::api::{DynamicObject, ListParams, ObjectMeta};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, ResourceExt};
use serde_json::Value;
use watershed_crds::{JobStatus, StreamJob};

use super::ask::Answer;
use super::build::{TEMPLATES, TOLD_ADDRESS};
use super::names::{COORDINATOR, FINALIZER, Names, OUTCOME, REVISION, WORKER};
use super::pause::Counted;
use super::plan::Purpose;
use super::pods::PodSeen;
use crate::context::Context;
use crate::error::{Result, Tried};

/// The component of a ConfigMap that holds a revision.
pub(crate) const REVISION_MAP: &str = "revision";
/// The annotation that makes the operator leave a job alone.
const PAUSE: &str = "watershed.dev/pause-reconciliation";

/// What the pure middle sees.
#[derive(Clone, Debug, Default)]
pub(crate) struct World {
    /// The coordinator's Deployment.
    pub(crate) coordinator: Option<Workload>,
    /// The workers' StatefulSet.
    pub(crate) workers: Option<Workload>,
    /// The coordinator's pods.
    pub(crate) coordinator_pods: Vec<PodSeen>,
    /// The workers' pods.
    pub(crate) worker_pods: Vec<PodSeen>,
    /// The pod templates of each revision that is held.
    pub(crate) revisions: BTreeMap<String, Value>,
    /// What the coordinator says.
    pub(crate) answer: Option<Answer>,
    /// For how long it has said nothing.
    pub(crate) silent: Duration,
    /// For how long it is being stopped, and what for.
    pub(crate) stopping: Option<(&'static str, Duration)>,
    /// Whether the coordinator's node does not answer either.
    pub(crate) host_gone: bool,
    /// The address of the coordinator's Service, as it is or as the workers were told.
    pub(crate) address: Option<String>,
    /// What workers had counted before the rescale under way, if this operator has seen it begin.
    pub(crate) counted: Option<Counted>,
    /// Whether objects of a deleted job of the same name are still there.
    pub(crate) foreign: bool,
    /// For how long the job is being deleted.
    pub(crate) deleted: Option<Duration>,
    /// Whether the finaliser is on it.
    pub(crate) finalizer: bool,
    /// Whether the operator is to leave it alone.
    pub(crate) paused: bool,
    /// What was reported last.
    pub(crate) status: JobStatus,
    /// Seconds since 1970.
    pub(crate) now: i64,
}

impl World {
    /// For how long the job is being stopped for this.
    pub(crate) fn stopping(&self, purpose: Purpose) -> Duration {
        self.stopping.filter(|(word, _)| *word == purpose.word()).map_or(Duration::ZERO, |(_, since)| since)
    }
}

/// A Deployment or a StatefulSet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Workload {
    /// The revision of its pods.
    pub(crate) revision: String,
    /// How many pods it is to have.
    pub(crate) replicas: u32,
    /// How the job ended, if it has.
    pub(crate) outcome: Option<String>,
}

/// What was read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// What the plan sees.
    pub(crate) world: World,
    /// The image of the present revision.
    pub(crate) image: Option<String>,
    /// The coordinator's address.
    pub(crate) address: Option<String>,
    /// The generations of objects that have one.
    pub(crate) generations: BTreeMap<String, i64>,
}

/// Reads.
pub(crate) async fn observe(job: &StreamJob, names: &Names, context: &Context) -> Result<Seen> {
    let (client, ns) = (&context.client, names.namespace.as_str());
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), ns);
    let sets: Api<StatefulSet> = Api::namespaced(client.clone(), ns);
    let services: Api<Service> = Api::namespaced(client.clone(), ns);
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), ns);
    let pods: Api<Pod> = Api::namespaced(client.clone(), ns);
    let of = |component: &str| ListParams::default().labels(&names.selector_text(component));
    let (coordinator_name, worker_name) = (names.coordinator(), names.worker());
    let told_name = coordinator_name.clone();
    let (of_coordinator, of_worker, of_revision) = (of(COORDINATOR), of(WORKER), of(REVISION_MAP));
    let (deployment, set, service, told, revisions, coordinators, workers) = tokio::try_join!(
        deployments.get_opt(&coordinator_name),
        sets.get_opt(&worker_name),
        services.get_opt(&coordinator_name),
        maps.get_opt(&told_name),
        maps.list(&of_revision),
        pods.list(&of_coordinator),
        pods.list(&of_worker),
    )
    .tried(|| format!("read what belongs to the job {ns}/{}", names.job))?;
    let mut seen = Seen::default();
    let world = &mut seen.world;
    let owners =
        [deployment.as_ref().map(|d| &d.metadata), set.as_ref().map(|s| &s.metadata), service.as_ref().map(|s| &s.metadata)];
    world.foreign = owners.into_iter().flatten().any(|m| owned_by_another(m, &names.uid));
    if let Some(d) = &deployment {
        let spec = d.spec.clone().unwrap_or_default();
        world.coordinator = Some(workload(d.annotations(), spec.replicas));
        let containers = spec.template.spec.map(|s| s.containers).unwrap_or_default();
        seen.image = containers.into_iter().next().and_then(|c| c.image);
        seen.generations.insert(format!("Deployment/{coordinator_name}"), d.metadata.generation.unwrap_or(0));
    }
    if let Some(s) = &set {
        world.workers = Some(workload(s.annotations(), s.spec.as_ref().and_then(|s| s.replicas)));
        seen.generations.insert(format!("StatefulSet/{worker_name}"), s.metadata.generation.unwrap_or(0));
    }
    world.revisions = revisions.items.iter().filter_map(templates).collect();
    world.coordinator_pods = coordinators.items.iter().map(PodSeen::of).collect();
    world.worker_pods = workers.items.iter().map(PodSeen::of).collect();
    world.worker_pods.sort_by_key(|p| p.ordinal);
    world.status = job.status.clone().unwrap_or_default();
    world.finalizer = job.finalizers().iter().any(|f| f == FINALIZER);
    world.paused = job.annotations().get(PAUSE).is_some_and(|v| v == "true");
    let now = k8s_openapi::jiff::Timestamp::now();
    world.now = now.as_second();
    let seconds = |since: i64| Duration::from_secs(u64::try_from(now.as_second() - since).unwrap_or(0));
    world.deleted = job.metadata.deletion_timestamp.as_ref().map(|t| seconds(t.0.as_second()));
    seen.address = service.and_then(|s| s.spec?.cluster_ip).filter(|ip| ip != "None" && !ip.is_empty());
    let told =
        told.and_then(|map| map.data?.remove(TOLD_ADDRESS)).and_then(|at| at.rsplit_once(':').map(|(ip, _)| ip.to_owned()));
    seen.world.address = seen.address.clone().or_else(|| told.map(|ip| ip.trim_matches(['[', ']']).to_owned()));
    standing(names, context).await?;
    ask(&mut seen, names, context).await;
    Ok(seen)
}

/// Whether the node of a coordinator that has stopped to answer is gone. Asked only of a pod that used to answer, or of its successor that was
/// put on the very node that was found gone: an operator that cannot reach a coordinator for another reason removes nothing.
async fn suspect(pod: &PodSeen, names: &Names, context: &Context) -> bool {
    let known = context.memory.has_answered(&names.uid, &pod.uid);
    let before = context.memory.gone_host(&names.uid);
    let host = match (&pod.host, &pod.node, before) {
        (Some(host), _, _) if known => host.clone(),
        (None, Some(node), Some((gone, host))) if *node == gone => host,
        _ => return false,
    };
    let gone = super::life::host_gone(&host).await;
    if gone && let Some(node) = &pod.node {
        context.memory.host_is_gone(&names.uid, node, &host);
    }
    gone
}

/// Objects that are neither watched nor read at each look: that one is gone is noticed now and then.
async fn standing(names: &Names, context: &Context) -> Result<()> {
    if !context.memory.may_look(&names.uid) {
        return Ok(());
    }
    for object in context.memory.all_applied(&names.uid) {
        let Some((kind, name)) = object.split_once('/') else { continue };
        let group = match kind {
            "PodDisruptionBudget" => ("policy", "v1"),
            "NetworkPolicy" => ("networking.k8s.io", "v1"),
            "Service" | "ServiceAccount" | "ConfigMap" => ("", "v1"),
            // Read at each look.
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

/// Asks the coordinator, if there is to be one.
async fn ask(seen: &mut Seen, names: &Names, context: &Context) {
    let world = &mut seen.world;
    if world.coordinator.as_ref().is_none_or(|c| c.replicas == 0) {
        context.memory.stopped(&names.uid);
        return;
    }
    world.stopping = context.memory.stopping_for(&names.uid);
    let Some(address) = &seen.address else { return };
    let token = context.token();
    let pods = world.workers.as_ref().map_or(0, |w| w.replicas);
    let mut answer = context.coordinators.status(address, token.as_deref(), false).await;
    if matches!(&answer, Answer::Says(says) if says.wanted < pods) {
        answer = context.coordinators.status(address, token.as_deref(), true).await;
    }
    let pod = world.coordinator_pods.iter().find(|p| !p.deleting).cloned();
    let answered = matches!(answer, Answer::Says(_)).then(|| pod.as_ref().map(|p| p.uid.clone()).unwrap_or_default());
    world.silent = context.memory.answered(&names.uid, answered.as_deref());
    if answered.is_none()
        && world.silent >= super::life::SUSPICION
        && let Some(pod) = pod
    {
        world.host_gone = suspect(&pod, names, context).await;
    }
    if let Answer::Says(says) = &answer {
        let rescaled = world.status.rescale.as_ref().is_some_and(|r| !super::scale::is_over(r));
        world.counted = context.memory.counted(&names.uid, (!rescaled).then_some(&says.moves));
    }
    world.answer = Some(answer);
}

/// Whether an object belongs to a job that is gone: one of the same name, which the API server has not cleared away yet.
fn owned_by_another(metadata: &ObjectMeta, uid: &str) -> bool {
    let mut owners = metadata.owner_references.iter().flatten().filter(|o| o.controller == Some(true));
    metadata.deletion_timestamp.is_some() || owners.any(|o| o.uid != uid)
}

fn workload(annotations: &BTreeMap<String, String>, replicas: Option<i32>) -> Workload {
    Workload {
        revision: annotations.get(REVISION).cloned().unwrap_or_default(),
        replicas: replicas.and_then(|r| u32::try_from(r).ok()).unwrap_or(1),
        outcome: annotations.get(OUTCOME).filter(|o| !o.is_empty()).cloned(),
    }
}

fn templates(map: &ConfigMap) -> Option<(String, Value)> {
    let revision = map.labels().get(REVISION)?.clone();
    let text = map.data.as_ref()?.get(TEMPLATES)?;
    Some((revision, serde_json::from_str(text).ok()?))
}
