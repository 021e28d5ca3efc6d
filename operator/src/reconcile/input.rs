//! The input of a plan: the validated job, its names, the state of the cluster, and the environment.

use super::build::Environment;
use super::cluster::ClusterState;
use super::names::Names;
use super::validate::Validated;

/// The input of a plan.
#[derive(Clone, Copy)]
pub(crate) struct Input<'a> {
    /// The job as its spec asks for it.
    pub(crate) validated: &'a Validated,
    /// The names of its objects.
    pub(crate) names: &'a Names,
    /// The state of the job in the cluster.
    pub(crate) cluster: &'a ClusterState,
    /// The operator's settings that objects are made with.
    pub(crate) environment: &'a Environment,
}
