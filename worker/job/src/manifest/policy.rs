//! Policies: updates, rescales and restarts of a job.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The way in which a changed job replaces the running one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Update {
    /// The start state of the changed job.
    pub mode: UpdateMode,
    /// The policy for a final snapshot that cannot be taken.
    pub on_snapshot_failure: OnSnapshotFailure,
    /// The longest time of the final snapshot of a change, or of suspending.
    #[schemars(range(min = 10, max = 86_400))]
    pub progress_deadline_seconds: i64,
    /// The policy for a changed job that makes no progress.
    pub rollback: Rollback,
}

impl Default for Update {
    fn default() -> Self {
        Self {
            mode: UpdateMode::default(),
            on_snapshot_failure: OnSnapshotFailure::default(),
            progress_deadline_seconds: 600,
            rollback: Rollback::default(),
        }
    }
}

/// The start state of a changed job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum UpdateMode {
    /// A final snapshot, taken for the change.
    #[default]
    Snapshot,
    /// The latest snapshot there is: quicker, and what came after it is processed again.
    LatestSnapshot,
    /// Nothing: state is given up.
    Stateless,
}

/// The policy for a final snapshot that cannot be taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnSnapshotFailure {
    /// The latest snapshot is used.
    #[default]
    Fallback,
    /// The change waits.
    Block,
}

/// The policy for a change that makes no progress.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Rollback {
    /// The last stable revision comes back.
    #[default]
    Automatic,
    /// A person decides.
    Manual,
}

/// The way in which a job changes its number of workers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Rescale {
    /// Live, or by a restart.
    pub strategy: RescaleStrategy,
    /// The least time between two rescales.
    #[schemars(range(min = 0, max = 86_400))]
    pub cooldown_period_seconds: i64,
    /// The longest time of one rescale.
    #[schemars(range(min = 10, max = 86_400))]
    pub deadline_seconds: i64,
    /// The policy for a rescale that takes longer.
    pub on_failure: OnRescaleFailure,
}

impl Default for Rescale {
    fn default() -> Self {
        Self {
            strategy: RescaleStrategy::default(),
            cooldown_period_seconds: 60,
            deadline_seconds: 300,
            on_failure: OnRescaleFailure::default(),
        }
    }
}

/// The way in which key groups change hands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RescaleStrategy {
    /// While the job runs: only what moves pauses, and only for the hand-over.
    #[default]
    Live,
    /// By a snapshot and a restart of the whole job.
    Restart,
}

/// The policy for a rescale that does not finish.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnRescaleFailure {
    /// The old number of workers comes back.
    #[default]
    Revert,
    /// The rescale is tried again.
    Retry,
}

/// The limits after which a job that keeps failing is given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Health {
    /// The number of restarts that are borne within the period.
    #[schemars(range(min = 0, max = 10_000))]
    pub max_restarts: i64,
    /// The period they are counted over.
    #[schemars(range(min = 1, max = 604_800))]
    pub restart_period_seconds: i64,
    /// A job without a new snapshot for so long is restarted.
    #[schemars(range(min = 10, max = 604_800))]
    pub snapshot_progress_timeout_seconds: i64,
}

impl Default for Health {
    fn default() -> Self {
        Self { max_restarts: 10, restart_period_seconds: 600, snapshot_progress_timeout_seconds: 900 }
    }
}
