//! The watches, and the reconciliations they cause.
//!
//! ```text
//!   StreamJob ──────────────────────────────► its reconciliation
//!   Deployment, StatefulSet (metadata) ─────► reconciliation of their owner
//!   StreamSnapshot ─────────────────────────► its reconciliation
//!   Pod with the label of a job (metadata) ─► reconciliation of that job
//!   the time that the last one has named ───► the next reconciliation
//! ```
//!
//! Watches are few and keep metadata only; each is renewed after some minutes, so that a dead connection does not last long. Each job is
//! reconciled again after a while anyway, whatever the watches say.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams, PartialObjectMeta};
use kube::runtime::controller::{Action, Config, Controller, Error as ControllerError};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher;
use kube::{Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use watershed_crds::{StreamJob, StreamSnapshot};

use crate::context::Context;
use crate::error::{Error, error_text};
use crate::log::Level;
use crate::reconcile;

/// The duration of a watch; less than the shortest silence after which load balancers forget a connection.
const WATCH_SECONDS: u32 = 200;

/// Waits until the API server knows our resources. Until then this process is alive and not ready.
pub(crate) async fn definitions(context: &Context) {
    let mut logged = String::new();
    loop {
        let namespace = context.settings.namespaces.first();
        let jobs = known::<StreamJob>(&context.client, namespace).await;
        let missing = match jobs {
            Ok(()) => known::<StreamSnapshot>(&context.client, namespace).await,
            Err(e) => Err(e),
        };
        let Err(why) = missing else { return };
        if why != logged {
            let help = "install the chart watershed-crds, or give the operator its rights";
            context.log.event(Level::Warning, "waiting for the resource definitions", &[("error", &why), ("help", help)]);
            logged = why;
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}

fn api<K>(client: &Client, namespace: Option<&String>) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
{
    match namespace {
        Some(ns) => Api::namespaced(client.clone(), ns),
        None => Api::all(client.clone()),
    }
}

async fn known<K>(client: &Client, namespace: Option<&String>) -> Result<(), String>
where
    K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope> + Clone + DeserializeOwned + std::fmt::Debug,
{
    let listed = api::<K>(client, namespace).list_metadata(&ListParams::default().limit(1)).await;
    listed.map(|_| ()).map_err(|e| error_text(&e))
}

/// Reconciles every job, until the process ends.
pub(crate) async fn run(context: Arc<Context>) {
    let namespaces: Vec<Option<String>> = match context.settings.namespaces.as_slice() {
        [] => vec![None],
        some => some.iter().cloned().map(Some).collect(),
    };
    let all = namespaces.into_iter().map(|ns| one(context.clone(), ns));
    futures_util::future::join_all(all).await;
}

/// Reconciles the jobs of a namespace, or of all.
async fn one(context: Arc<Context>, namespace: Option<String>) {
    let (client, ns) = (context.client.clone(), namespace.as_ref());
    let watch = || watcher::Config::default().timeout(WATCH_SECONDS);
    let ours = || watch().labels(&format!("app.kubernetes.io/managed-by={}", reconcile::MANAGER));
    let pods: Api<PartialObjectMeta<Pod>> = api(&client, ns);
    let of_job = |pod: PartialObjectMeta<Pod>| {
        let job = pod.labels().get(reconcile::JOB).cloned();
        job.zip(pod.namespace()).map(|(job, ns)| ObjectRef::<StreamJob>::new(&job).within(&ns))
    };
    let snapshots = Controller::new(api::<StreamSnapshot>(&client, ns), watch()).run(
        reconcile_snapshot,
        after_snapshot_error,
        context.clone(),
    );
    let of_snapshots = context.clone();
    tokio::spawn(snapshots.for_each(move |outcome| {
        if let Err(e @ (ControllerError::QueueError(_) | ControllerError::RunnerError(_))) = outcome {
            watch_failed(&of_snapshots, &error_text(&e));
        }
        std::future::ready(())
    }));
    let outcomes = Controller::new(api::<StreamJob>(&client, ns), watch())
        .owns(api::<Deployment>(&client, ns), ours())
        .owns(api::<StatefulSet>(&client, ns), ours())
        .watches(pods, watch().labels(reconcile::JOB), of_job)
        .with_config(Config::default().concurrency(context.settings.concurrency))
        .run(reconcile_job, after_error, context.clone());
    outcomes
        .for_each(|outcome| {
            match outcome {
                // A failed reconciliation has been logged.
                Ok(_) | Err(ControllerError::ReconcilerFailed(..)) => {}
                // A job that was deleted between its event and the reconciliation is no error.
                Err(ControllerError::ObjectNotFound(job)) => {
                    context.metrics.forget(job.namespace.as_deref().unwrap_or_default(), &job.name);
                }
                Err(e @ (ControllerError::QueueError(_) | ControllerError::RunnerError(_))) => {
                    watch_failed(&context, &error_text(&e));
                }
            }
            std::future::ready(())
        })
        .await;
}

fn watch_failed(context: &Context, why: &str) {
    context.log.event(Level::Warning, "watch", &[("error", why)]);
}

async fn reconcile_job(job: Arc<StreamJob>, context: Arc<Context>) -> Result<Action, Error> {
    let ticket = context.metrics.begin();
    let deadline = context.settings.deadline;
    let done = tokio::time::timeout(deadline, Box::pin(reconcile::reconcile(&job, &context))).await;
    let result = done.unwrap_or_else(|_| Err(Error::Late(deadline.as_secs())));
    context.metrics.end(ticket, result.as_ref().err().map(Error::category));
    result.map(|again| Action::requeue(again.min(context.settings.resync)))
}

async fn reconcile_snapshot(snapshot: Arc<StreamSnapshot>, context: Arc<Context>) -> Result<Action, Error> {
    let deadline = context.settings.deadline;
    let done = tokio::time::timeout(deadline, Box::pin(crate::snapshots::reconcile(&snapshot, &context))).await;
    let again = done.unwrap_or_else(|_| Err(Error::Late(deadline.as_secs())))?;
    Ok(again.map_or_else(Action::await_change, Action::requeue))
}

fn after_snapshot_error(_: Arc<StreamSnapshot>, error: &Error, context: Arc<Context>) -> Action {
    context.log.event(Level::Error, "reconciliation of a snapshot failed", &[("error", &error_text(error))]);
    Action::requeue(Duration::from_secs(10))
}

fn after_error(job: Arc<StreamJob>, error: &Error, context: Arc<Context>) -> Action {
    let (name, namespace) = (job.name_any(), job.namespace().unwrap_or_default());
    let fields = [("job", name.as_str()), ("namespace", &namespace), ("error", &error_text(error))];
    context.log.event(Level::Error, "reconciliation failed", &fields);
    match error {
        // A retry helps only with another object or other rights.
        Error::Refused(_) | Error::Nameless(_) => Action::requeue(Duration::from_secs(10)),
        Error::Api { .. } | Error::Late(_) => Action::requeue(Duration::from_secs(2)),
    }
}
