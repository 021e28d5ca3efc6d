//! The five steps of a look at a job, in their order.

use std::time::Duration;

use watershed_crds::StreamJob;

use super::{apply, names, observe, plan, report, validate};
use crate::context::Context;
use crate::error::Result;

/// Looks at a job once, and says when to look again.
pub(crate) async fn reconcile(job: &StreamJob, context: &Context) -> Result<Duration> {
    let names = names::Names::of(job)?;
    let seen = Box::pin(observe::observe(job, &names, context)).await?;
    let judged = validate::validate(job, &context.settings.worker_image);
    let plan = plan::plan(&judged, &names, &seen.world, &context.surroundings());
    apply::apply(job, &names, &plan, &seen, context).await?;
    report::report(job, &names, &judged, &plan, &seen, context).await?;
    Ok(plan.again)
}
