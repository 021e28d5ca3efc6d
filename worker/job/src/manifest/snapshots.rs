//! Snapshot settings: where they are kept, how often they are taken, how long they live, and the start state of a job.
//!
//! Everything durable of a job is in object storage; a local run without `storage` keeps it in `./.watershed/<job>`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Snapshots of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "!(has(self.periodSeconds) && has(self.schedule))", "message": "both periodSeconds and schedule are given: keep one of them"},
    {"rule": "!has(self.timeZone) || has(self.schedule)", "message": "a timeZone without a schedule: leave it out"}
]))]
pub struct Snapshots {
    /// The object storage; its kind cannot be changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage: Option<Storage>,
    /// The period after which an epoch ends and sinks commit.
    #[schemars(range(min = 10, max = 600_000))]
    pub epoch_period_milliseconds: i64,
    /// The period after which a snapshot gets a name and is kept by retention; 300 where neither this nor `schedule` is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 10, max = 2_678_400))]
    pub period_seconds: Option<i64>,
    /// The same by the calendar, in cron's five fields; instead of `periodSeconds`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// The time zone of `schedule`, such as `Europe/Paris`; UTC where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// The number of named snapshots that are kept, and for how long.
    pub retention: Retention,
    /// The policy for a last snapshot when the job is deleted.
    pub on_delete: OnDelete,
    /// The policy for the job's snapshots when the job is deleted.
    pub deletion_policy: DeletionPolicy,
}

impl Default for Snapshots {
    fn default() -> Self {
        Self {
            storage: None,
            epoch_period_milliseconds: 1000,
            period_seconds: None,
            schedule: None,
            time_zone: None,
            retention: Retention::default(),
            on_delete: OnDelete::default(),
            deletion_policy: DeletionPolicy::default(),
        }
    }
}

/// The object storage of a job: exactly one of these.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "[has(self.s3), has(self.gcs), has(self.azure), has(self.persistentVolumeClaim)].exists_one(kind, kind)",
        "message": "give exactly one of s3, gcs, azure, persistentVolumeClaim"
    }
]))]
pub struct Storage {
    /// Amazon S3, or what speaks its protocol.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s3: Option<S3Storage>,
    /// Google Cloud Storage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gcs: Option<GcsStorage>,
    /// Azure Blob Storage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub azure: Option<AzureStorage>,
    /// A volume that every pod of the job mounts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub persistent_volume_claim: Option<ClaimStorage>,
}

/// A bucket of S3.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct S3Storage {
    /// The bucket.
    #[schemars(length(min = 3, max = 63))]
    pub bucket: String,
    /// The beginning of the name of every object of this job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// The region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The address of another service that speaks the protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^https?://"))]
    pub endpoint: Option<String>,
}

/// A bucket of Google Cloud Storage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GcsStorage {
    /// The bucket.
    #[schemars(length(min = 3, max = 63))]
    pub bucket: String,
    /// The beginning of the name of every object of this job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
}

/// A container of Azure Blob Storage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AzureStorage {
    /// The storage account.
    #[schemars(length(min = 3, max = 24))]
    pub account: String,
    /// The container.
    #[schemars(length(min = 3, max = 63))]
    pub container: String,
    /// The beginning of the name of every object of this job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// The address of another service that speaks the protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^https?://"))]
    pub endpoint: Option<String>,
}

/// A volume that every pod of the job mounts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClaimStorage {
    /// The claim; it must be `ReadWriteMany` where the job has more than one node.
    #[schemars(length(min = 1))]
    pub claim_name: String,
    /// The directory within the volume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
}

/// The number of named snapshots that are kept, and for how long. The latest one is always kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Retention {
    /// The most that are kept.
    #[schemars(range(min = 1, max = 10_000))]
    pub max_count: i64,
    /// The longest that one is kept.
    #[schemars(range(min = 60, max = 315_360_000))]
    pub max_age_seconds: i64,
}

impl Default for Retention {
    fn default() -> Self {
        Self { max_count: 10, max_age_seconds: 86_400 }
    }
}

/// The policy for a last snapshot when the job is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnDelete {
    /// No.
    #[default]
    Skip,
    /// Yes.
    Take,
}

/// The policy for the job's snapshots when the job is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// Kept in the storage.
    #[default]
    Retain,
    /// Deleted from the storage.
    Delete,
}

/// The start state of a job: exactly one of these.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "has(self.snapshotName) != has(self.location)", "message": "give exactly one of snapshotName and location"}
]))]
pub struct RestoreFrom {
    /// A `StreamSnapshot` of the same namespace; in a local run a snapshot of the same storage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot_name: Option<String>,
    /// The address of a manifest in object storage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
}

/// The policy, on restore, for state that no operator of the program asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum UnmatchedState {
    /// Refuses to start, and says which state it is.
    #[default]
    Fail,
    /// Drops it.
    Ignore,
}
