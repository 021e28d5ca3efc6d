//! The five steps of a look at a job, in their order.

use std::time::Duration;

use kube::Api;
use watershed_crds::StreamJob;

use super::{apply, names, observe, plan, report, validate};
use crate::context::Context;
use crate::error::{Result, Tried};

/// Looks at a job once, and says when to look again.
pub(crate) async fn reconcile(woken_for: &StreamJob, context: &Context) -> Result<Duration> {
    let names = names::Names::of(woken_for)?;
    // What woke this look may be older than what the last one has written.
    let jobs: Api<StreamJob> = Api::namespaced(context.client.clone(), &names.namespace);
    let now = jobs.get_opt(&names.job).await.tried(|| format!("read the job {}", names.job))?;
    let Some(job) = now.filter(|j| j.metadata.uid.as_deref() == Some(&names.uid)) else {
        context.memory.forget(&names.uid);
        return Ok(plan::AT_REST);
    };
    let job = &job;
    let seen = Box::pin(observe::observe(job, &names, context)).await?;
    let judged = validate::validate(job, &context.settings.worker_image);
    let plan = plan::plan(&judged, &names, &seen.world, &context.surroundings());
    apply::apply(job, &names, &plan, &seen, context).await?;
    report::report(job, &names, &judged, &plan, &seen, context).await?;
    Ok(plan.again)
}
