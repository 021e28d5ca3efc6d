//! The manifest: the `StreamJob` resource as a user writes it.
//!
//! Plain data with serde and schemars, nothing of Kubernetes: the command line reads it from a file, the custom resource definition
//! is generated from it, so that one text means one thing in both places. These types are *typed text*: they say what may be
//! written, with the bounds in the schema. What it means is said by [`crate::job::Job`], which is made from them once and is all
//! that the rest of the program sees.
//!
//! The types accept unknown fields on purpose: an operator must read what a newer one wrote. Strictness towards a person's text
//! lives in the reader.

mod pod;
mod policy;
mod resource;
mod snapshots;
mod spec;

pub use pod::{EnvVar, IntOrString, LocalReference, NetworkPolicy, NetworkPolicyMode, PodDisruptionBudget, Resources, Tls};
pub use policy::{Health, OnRescaleFailure, OnSnapshotFailure, Rescale, RescaleStrategy, Rollback, Update, UpdateMode};
pub use resource::{GROUP, KIND, Metadata, StreamJob, VERSIONS};
pub use snapshots::{
    AzureStorage, ClaimStorage, DeletionPolicy, GcsStorage, OnDelete, RestoreFrom, Retention, S3Storage, Snapshots, Storage,
    UnmatchedState,
};
pub use spec::{PullPolicy, Spec};
