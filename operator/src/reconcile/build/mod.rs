//! One Kubernetes object a file, each a pure function of the judged job. Objects are values of JSON: what is applied is exactly what is
//! written here, nothing that a typed struct would fill in, and the golden files of the tests show it as a cluster gets it.

mod access;
mod around;
mod configs;
mod coordinator;
mod merge;
mod pod;
mod workers;

pub(crate) use access::{budget, policy, service_account};
pub(crate) use around::{Surroundings, account, templates};
pub(crate) use configs::{TEMPLATES, TOLD_ADDRESS, Told, revision_map, told_map};
pub(crate) use coordinator::{coordinator_service, deployment};
pub(crate) use workers::{stateful_set, workers_service};
