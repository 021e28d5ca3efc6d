//! The Kubernetes objects of a job, one kind a file, each a pure function of the validated job. Objects are values of JSON: what is
//! applied is exactly what is written here, nothing that a typed struct would fill in, and the golden files of the tests show it as a
//! cluster gets it.

mod access;
mod configs;
mod coordinator;
mod environment;
mod merge;
mod pod;
mod templates;
mod workers;

pub(crate) use access::{budget, policy, service_account};
pub(crate) use configs::{StartParameters, revision_map, start_map};
pub(crate) use coordinator::{coordinator_service, deployment};
pub(crate) use environment::Environment;
pub(crate) use templates::templates;
pub(crate) use workers::{stateful_set, workers_service};
