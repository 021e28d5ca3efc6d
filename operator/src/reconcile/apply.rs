//! The writes of a reconciliation, apart from the job's status: requests to the coordinator, objects, removals, the finaliser.
//!
//! Objects are applied by the server (one field manager, by force: the resource is the truth), in the order of the plan. At rest nothing is
//! written: an object is applied again only if another text is wanted than the last time, or if another client has changed it since, which
//! its generation tells. Objects without a generation (services, maps, accounts) have no other writer, and are applied once a process.
//!
//! One object that is refused holds up nothing else: the rest is applied, and the first refusal is reported.

use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, Preconditions};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};
use watershed_crds::StreamJob;
use xxhash_rust::xxh3::xxh3_64;

use super::names::{FINALIZER, MANAGER, Names};
use super::observe::Observation;
use super::plan::{Plan, Request, State};
use crate::context::Context;
use crate::error::{Error, Refused, Result, Tried};
use crate::log::Level;

/// Carries a plan out.
pub(crate) async fn apply(
    job: &StreamJob,
    names: &Names,
    plan: &Plan,
    observation: &Observation,
    context: &Context,
) -> Result<()> {
    if let State::Stopping { purpose, .. } = &plan.decision.state {
        context.memory.stopping(&names.uid, *purpose);
    } else {
        context.memory.stopped(&names.uid);
    }
    // The finaliser is added before anything that it protects, and its removal is the end.
    if plan.finalizer == Some(true) && !finalizer(job, names, true, context).await? {
        return Ok(());
    }
    request(plan, names, observation, context).await;
    let mut refused = None;
    for object in &plan.decision.objects {
        match apply_object(object, names, observation, context).await {
            Ok(()) => {}
            Err(Error::Refused(why)) => {
                refused.get_or_insert(why);
            }
            Err(other) => return Err(other),
        }
    }
    remove(plan, names, context).await?;
    if plan.finalizer == Some(false) && finalizer(job, names, false, context).await? {
        context.memory.forget(&names.uid);
    }
    refused.map_or(Ok(()), |why| Err(Error::Refused(why)))
}

/// Sends the plan's request to the coordinator. A refusal or silence is seen in the next reconciliation.
async fn request(plan: &Plan, names: &Names, observation: &Observation, context: &Context) {
    let (Some(request), Some(address)) = (plan.decision.request, &observation.address) else { return };
    let token = context.token();
    let (what, answer) = match request {
        Request::Scale(replicas) => {
            (format!("scale to {replicas}"), context.coordinators.scale(address, token.as_deref(), replicas).await)
        }
        Request::Stop(purpose) => {
            (format!("stop ({})", purpose.word()), context.coordinators.stop(address, token.as_deref()).await)
        }
    };
    let (level, outcome) = match &answer {
        Ok(()) => (Level::Info, "accepted"),
        Err(why) => (Level::Warning, why.as_str()),
    };
    let fields = [("job", names.job.as_str()), ("namespace", &names.namespace), ("request", &what), ("answer", outcome)];
    context.log.event(level, "requested", &fields);
}

fn text<'a>(object: &'a Value, path: &str) -> &'a str {
    object.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

/// Applies an object, unless it is as it was applied last.
async fn apply_object(object: &Value, names: &Names, observation: &Observation, context: &Context) -> Result<()> {
    let (kind, name) = (text(object, "/kind"), text(object, "/metadata/name"));
    let key = format!("{kind}/{name}");
    let hash = xxh3_64(object.to_string().as_bytes());
    // Only these have a generation, and are read in each reconciliation; the others count as they were applied.
    let watched = matches!(kind, "Deployment" | "StatefulSet");
    let generation = if watched { observation.generations.get(&key).copied() } else { Some(0) };
    if context.memory.is_applied(&names.uid, &key, hash, generation) {
        return Ok(());
    }
    let (group, version) = text(object, "/apiVersion").split_once('/').unwrap_or_else(|| ("", text(object, "/apiVersion")));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    let api: Api<DynamicObject> = Api::namespaced_with(context.client.clone(), &names.namespace, &resource);
    let answer = api.patch(name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(object)).await;
    match answer {
        Ok(made) => {
            let generation = if watched { made.metadata.generation.unwrap_or(0) } else { 0 };
            context.memory.applied(&names.uid, &key, hash, generation);
            context.log.event(Level::Info, "applied", &[("job", &names.job), ("namespace", &names.namespace), ("object", &key)]);
            Ok(())
        }
        Err(kube::Error::Api(status)) if matches!(status.code, 400 | 403 | 422) => {
            Err(Error::Refused(Refused { object: key, why: status.message.clone() }))
        }
        Err(e) => Err(Error::Api { what: format!("apply {key}"), source: e }),
    }
}

/// Deletes the pods and revisions of a plan.
async fn remove(plan: &Plan, names: &Names, context: &Context) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(context.client.clone(), &names.namespace);
    for pod in &plan.removals {
        let only = Preconditions { uid: Some(pod.uid.clone()), resource_version: None };
        let at_once = DeleteParams::default().grace_period(0).preconditions(only);
        deleted(pods.delete(&pod.name, &at_once).await.map(|_| ()), || format!("remove the pod {}", pod.name))?;
        let fields = [("job", names.job.as_str()), ("namespace", &names.namespace), ("pod", &pod.name), ("why", &pod.why)];
        context.log.event(Level::Warning, "removed", &fields);
    }
    let maps: Api<ConfigMap> = Api::namespaced(context.client.clone(), &names.namespace);
    for revision in &plan.prune {
        let name = names.revision(revision);
        deleted(maps.delete(&name, &DeleteParams::default()).await.map(|_| ()), || format!("remove the revision {revision}"))?;
    }
    Ok(())
}

/// The result of a deletion. An object that is gone already, or has a successor, counts as deleted.
fn deleted(answer: kube::Result<()>, what: impl FnOnce() -> String) -> Result<()> {
    match answer {
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
        other => other.tried(what),
    }
}

/// Adds the operator's finaliser to the job, or removes it. False if the job has changed meanwhile: the next reconciliation tries again.
async fn finalizer(job: &StreamJob, names: &Names, wanted: bool, context: &Context) -> Result<bool> {
    let jobs: Api<StreamJob> = Api::namespaced(context.client.clone(), &names.namespace);
    let mut all = job.metadata.finalizers.clone().unwrap_or_default();
    all.retain(|f| f != FINALIZER);
    if wanted {
        all.push(FINALIZER.to_owned());
    }
    // The resource version holds off concurrent changes of the list.
    let patch = json!({"metadata": {"finalizers": all, "resourceVersion": job.metadata.resource_version}});
    match jobs.patch(&names.job, &PatchParams::default(), &Patch::Merge(&patch)).await {
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(true),
        other => other.map(|_| true).tried(|| format!("change the finaliser of {}", names.job)),
    }
}
