//! What a manager is told before it begins.

use std::sync::Arc;

use watershed_runtime::graph::Graph;
use watershed_runtime::key::KeySpace;
use watershed_runtime::protocol::epoch::Pace;
use watershed_runtime::protocol::rescale::Sizes;
use watershed_runtime::protocol::rules::RuleSet;

use crate::membership::Target;
use crate::patience::Patience;

/// What a manager is told before it begins.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The job's name.
    pub job: String,
    /// Its graph.
    pub graph: Arc<Graph>,
    /// The key space of its storage.
    pub keys: KeySpace,
    /// Stored states (`node.state`) that may be given up.
    pub may_drop: Vec<String>,
    /// Any stored state that the job no longer has may be given up.
    pub drop_unmatched: bool,
    /// How epochs follow each other.
    pub pace: Pace,
    /// How many key groups move at once.
    pub sizes: Sizes,
    /// How many slots it begins with.
    pub target: Target,
    /// How long each wait is.
    pub patience: Patience,
    /// A name that no other process has: part of what it writes.
    pub uid: String,
    /// The rules that hold.
    pub rules: RuleSet,
}
