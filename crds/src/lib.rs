//! `StreamJob` and `StreamSnapshot` as Kubernetes knows them: metadata, status, and the definitions an API server is given. No behaviour.
//!
//! The fields that a job's author writes are typed in [`watershed_job::manifest`], for the command line and the cluster alike; here are the
//! additions of a cluster. The definitions are made from those types ([`definition`]), so that a field, its default, its bounds and its
//! description are said once; so is the page of the manual ([`reference`]). Rules that the API server holds (CEL) stand beside the fields.
//!
//! The road not taken is kube's derive: it would put `CustomResource` on a type of a crate that must not know Kubernetes, and its schema
//! rewriting is made for any type, while ours come in few shapes and are refused when a new one appears.

mod absent;
pub mod definition;
mod files;
mod job;
pub mod reference;
mod resource;
mod snapshot;
mod status;
mod structural;
mod yaml;

pub use absent::absent;
pub use definition::{stream_job, stream_snapshot};
pub use files::files;
pub use job::StreamJob;
pub use resource::{CATEGORY, GROUP, VERSION};
pub use snapshot::{SnapshotSpec, SnapshotStatus, StreamSnapshot};
pub use status::{Condition, JobStatus, LastSnapshot, RescaleStatus, Truth};
pub use watershed_job::manifest::Spec;
pub use yaml::to_yaml;
