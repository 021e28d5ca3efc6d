//! The environment of a job: the settings of the operator that every object of a job is made with.

use crate::reconcile::key_set::KeySet;
use crate::reconcile::names::Names;
use crate::reconcile::validate::Validated;

/// The environment of a job, the same for every job of an operator.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Environment {
    /// The operator's own account, as its token names it: a coordinator answers it.
    pub(crate) operator: Option<String>,
    /// The operator's namespace.
    pub(crate) operator_namespace: Option<String>,
    /// The namespaces that metrics may be collected from; none means all.
    pub(crate) metrics_namespaces: Vec<String>,
    /// The keys that tokens are checked with, as the API server publishes them. Without them no token is asked for.
    pub(crate) keys: Option<KeySet>,
}

/// The service account of a job's pods.
pub(crate) fn account(validated: &Validated, names: &Names) -> String {
    validated.job.pod.service_account_name.clone().unwrap_or_else(|| names.job.clone())
}
