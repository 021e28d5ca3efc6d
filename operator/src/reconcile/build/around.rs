//! What surrounds a job: what every object of it is made with.

use serde_json::{Value, json};

use super::{coordinator, workers};
use crate::reconcile::keys::Keys;
use crate::reconcile::names::Names;
use crate::reconcile::validate::Judged;

/// What a cluster gives to every job: what surrounds the operator.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Surroundings {
    /// The operator's own account, as its token says it: it may ask a coordinator.
    pub(crate) operator: Option<String>,
    /// The namespace that the operator is in.
    pub(crate) operator_namespace: Option<String>,
    /// The namespaces that metrics may be collected from; none means all.
    pub(crate) metrics_namespaces: Vec<String>,
    /// The keys that tokens are checked with, as the API server publishes them. Without them no token is asked for.
    pub(crate) keys: Option<Keys>,
}

/// The pod templates of a new revision.
pub(crate) fn templates(judged: &Judged, names: &Names, around: &Surroundings) -> Value {
    json!({
        "coordinator": coordinator::template(judged, names, around),
        "worker": workers::template(judged, names, around),
    })
}

/// The account that the pods of a job run under.
pub(crate) fn account(judged: &Judged, names: &Names) -> String {
    judged.job.pod.service_account_name.clone().unwrap_or_else(|| names.job.clone())
}
