//! Configuration of a manager, fixed when it starts.

use std::sync::Arc;

use watershed_runtime::graph::Graph;
use watershed_runtime::key::KeySpace;
use watershed_runtime::protocol::epoch::Pace;
use watershed_runtime::protocol::rescale::Sizes;
use watershed_runtime::protocol::rules::RuleSet;

use crate::membership::Target;
use crate::patience::Patience;

/// Configuration of a manager, fixed when it starts.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The job's name.
    pub job: String,
    /// The job's graph.
    pub graph: Arc<Graph>,
    /// The key space of its storage.
    pub keys: KeySpace,
    /// Stored states (`node.state`) that may be given up.
    pub may_drop: Vec<String>,
    /// Any stored state that the job no longer has may be given up.
    pub drop_unmatched: bool,
    /// The pace of barriers and epochs.
    pub pace: Pace,
    /// The number of key groups that move at once.
    pub sizes: Sizes,
    /// The initial number of slots.
    pub target: Target,
    /// The waits and time-outs.
    pub patience: Patience,
    /// A name that no other process has: part of what it writes.
    pub uid: String,
    /// The rules that hold.
    pub rules: RuleSet,
}
