//! The five steps of a reconciliation, in their order.

use std::time::Duration;

use kube::Api;
use watershed_crds::StreamJob;

use super::{apply, decide, names, observe, plan, report, validate};
use crate::context::Context;
use crate::error::{Result, Tried};

/// Reconciles a job once, and gives the time until the next reconciliation.
pub(crate) async fn reconcile(woken_for: &StreamJob, context: &Context) -> Result<Duration> {
    let names = names::Names::of(woken_for)?;
    // The object of the watch may be older than the last write of the operator.
    let jobs: Api<StreamJob> = Api::namespaced(context.client.clone(), &names.namespace);
    let now = jobs.get_opt(&names.job).await.tried(|| format!("read the job {}", names.job))?;
    let Some(job) = now.filter(|j| j.metadata.uid.as_deref() == Some(&names.uid)) else {
        context.memory.forget(&names.uid);
        return Ok(plan::AT_REST);
    };
    let job = &job;
    let observation = Box::pin(observe::observe(job, &names, context)).await?;
    let validated = validate::validate(job, &context.settings.worker_image);
    let plan = decide::plan(&validated, &names, &observation.cluster, &context.environment());
    apply::apply(job, &names, &plan, &observation, context).await?;
    report::report(job, &names, &validated, &plan, &observation, context).await?;
    Ok(plan.decision.again)
}
