//! Names of the job's nodes in metrics and displays: taken from the graph once, before it is given away to the slots.

use watershed_runtime::graph::{Graph, Node, Role};

/// The role of a node, as far as a display cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeKind {
    /// Reads.
    Source,
    /// Computes.
    Operator,
    /// Writes.
    Sink,
}

/// A node's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeName {
    /// For people.
    pub name: String,
    /// The stable id: names need not be unique, ids are.
    pub id: u64,
    /// The node's role.
    pub kind: NodeKind,
    /// A source whose input ends.
    pub ends: bool,
}

impl NodeName {
    /// The names of a graph's nodes, in its order: that of [`crate::local::Progress::nodes`].
    #[must_use]
    pub fn all(graph: &Graph) -> Vec<Self> {
        let kind = |role: &Role| match role {
            Role::Source { .. } => NodeKind::Source,
            Role::Operator { .. } => NodeKind::Operator,
            Role::Sink(_) => NodeKind::Sink,
        };
        let ends = |role: &Role| matches!(role, Role::Source { source, .. } if source.bounded());
        let name = |n: &Node| Self { name: n.name.clone(), id: n.id.0, kind: kind(&n.role), ends: ends(&n.role) };
        graph.nodes().iter().map(name).collect()
    }
}
