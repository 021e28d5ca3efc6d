//! The erased physical graph: what a job is, the same on every slot.
//!
//! Nodes are in topological order and have stable ids: hashes of role, name and inputs, never counters of everything built so far,
//! so that adding a branch elsewhere renames nothing. What a snapshot stores of a graph is its [`Shape`]: ids, names and state
//! descriptors; never closures, expressions or types.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::container::BatchCodec;
use crate::env::{Sink, Source, TimeStamper};
use crate::error::{Error, Kind, Result};
use crate::key::KeySpace;
use crate::operator::Operator;

/// A node's stable id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(pub u64);

impl NodeId {
    /// The id of a node: a hash of what it is and what feeds it.
    #[must_use]
    pub fn derive(role: &str, name: &str, inputs: &[Self]) -> Self {
        let mut bytes = Vec::new();
        for part in [role, name] {
            bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        for input in inputs {
            bytes.extend_from_slice(&input.0.to_le_bytes());
        }
        Self(xxh3_64(&bytes))
    }

    /// The id of one of the node's states: the key of its entries in snapshot files.
    #[must_use]
    pub fn table(self, state: &str) -> u64 {
        Self::derive("state", state, &[self]).0
    }
}

/// A node by its place in the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeIndex(pub usize);

/// Makes a node's operator for one slot.
pub type OperatorFactory = Arc<dyn Fn(KeySpace) -> Result<Box<dyn Operator>> + Send + Sync>;

/// The event time of a source.
#[derive(Clone)]
pub struct EventTime {
    /// Makes a stamper for one split.
    pub stamper: Arc<dyn Fn() -> Box<dyn TimeStamper> + Send + Sync>,
    /// The most microseconds that a row may be behind the highest event time.
    pub disorder_micros: i64,
    /// After how long without a row a split no longer holds the watermark; `None` = never.
    pub idle_micros: Option<i64>,
}

impl fmt::Debug for EventTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "disorder {} us, idle after {:?} us", self.disorder_micros, self.idle_micros)
    }
}

/// The role of a node.
#[derive(Clone)]
pub enum Role {
    /// Reads splits.
    Source {
        /// The table or program input.
        source: Arc<dyn Source>,
        /// Event time, if the source has it.
        event_time: Option<EventTime>,
    },
    /// Computes.
    Operator {
        /// Makes the operator for a slot.
        make: OperatorFactory,
        /// True if it has keyed state: then its groups are owned, and move.
        keyed: bool,
    },
    /// Writes.
    Sink(Arc<dyn Sink>),
}

impl fmt::Debug for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source { source, event_time } => write!(f, "source {source:?} {event_time:?}"),
            Self::Operator { keyed, .. } => write!(f, "operator, keyed: {keyed}"),
            Self::Sink(sink) => write!(f, "sink {sink:?}"),
        }
    }
}

/// A node.
#[derive(Clone)]
pub struct Node {
    /// The stable id.
    pub id: NodeId,
    /// For people: dumps, metrics, EXPLAIN.
    pub name: String,
    /// The node's role.
    pub role: Role,
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:016x}", self.name, self.id.0)
    }
}

/// The path of rows from one node to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// Within the slot: the two nodes are fused.
    Local,
    /// To the slot that owns the row's key group.
    Exchange,
}

/// An edge; its id is its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// From this node …
    pub from: NodeIndex,
    /// … on this output …
    pub output: u8,
    /// … to this node …
    pub to: NodeIndex,
    /// … on this input.
    pub input: u8,
    /// The path of its rows.
    pub path: Path,
}

/// A dataflow. Built once, then shared by every slot.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    nodes: Vec<Node>,
    edges: Vec<Edge>,
    /// For each edge with an exchange, how its batches are encoded for another process.
    codecs: Vec<Option<Arc<dyn BatchCodec>>>,
}

impl Graph {
    /// Adds a node whose inputs (node, output, path) are the given ones, in port order.
    pub fn add(&mut self, name: impl Into<String>, role: Role, inputs: &[(NodeIndex, u8, Path)]) -> NodeIndex {
        let name = name.into();
        let word = match &role {
            Role::Source { .. } => "source",
            Role::Operator { .. } => "operator",
            Role::Sink(_) => "sink",
        };
        let ids: Vec<NodeId> = inputs.iter().map(|(n, o, _)| NodeId::derive("output", &o.to_string(), &[self.id(*n)])).collect();
        let mut id = NodeId::derive(word, &name, &ids);
        // Two nodes alike in everything (two `map`s of one stream) get the number of their twin into the hash.
        let mut twin = 0u64;
        while self.nodes.iter().any(|n| n.id == id) {
            twin += 1;
            id = NodeId::derive(word, &format!("{name}#{twin}"), &ids);
        }
        self.add_with_id(id, name, role, inputs)
    }

    /// Adds a node under an id that the caller derived.
    pub fn add_with_id(
        &mut self,
        id: NodeId,
        name: impl Into<String>,
        role: Role,
        inputs: &[(NodeIndex, u8, Path)],
    ) -> NodeIndex {
        let to = NodeIndex(self.nodes.len());
        for (port, (from, output, path)) in inputs.iter().enumerate() {
            self.edges.push(Edge { from: *from, output: *output, to, input: port as u8, path: *path });
            self.codecs.push(None);
        }
        self.nodes.push(Node { id, name: name.into(), role });
        to
    }

    /// Says how the batches of an input with an exchange are encoded for another process.
    pub fn carry(&mut self, to: NodeIndex, input: u8, codec: &Arc<dyn BatchCodec>) {
        for (edge, place) in self.edges.iter().zip(&mut self.codecs) {
            if edge.to == to && edge.input == input && edge.path == Path::Exchange {
                *place = Some(Arc::clone(codec));
            }
        }
    }

    /// The codec of an edge's batches for another process; none where they never leave a slot.
    #[must_use]
    pub fn codec(&self, edge: u32) -> Option<&Arc<dyn BatchCodec>> {
        self.codecs.get(edge as usize).and_then(Option::as_ref)
    }

    /// The id of a node.
    #[must_use]
    pub fn id(&self, node: NodeIndex) -> NodeId {
        self.nodes.get(node.0).map_or(NodeId(0), |n| n.id)
    }

    /// The role of a node, to be changed while the graph is being built.
    pub(crate) fn role_mut(&mut self, node: NodeIndex) -> Option<&mut Role> {
        self.nodes.get_mut(node.0).map(|n| &mut n.role)
    }

    /// The nodes, inputs before what they feed.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The edges; an edge's id is its index.
    #[must_use]
    pub fn edges(&self) -> &[Edge] {
        &self.edges
    }

    /// The node with this id.
    #[must_use]
    pub fn find(&self, id: NodeId) -> Option<NodeIndex> {
        self.nodes.iter().position(|n| n.id == id).map(NodeIndex)
    }

    /// The sources, with their places.
    pub fn sources(&self) -> impl Iterator<Item = (NodeIndex, &Node, &Arc<dyn Source>)> {
        self.nodes.iter().enumerate().filter_map(|(i, n)| match &n.role {
            Role::Source { source, .. } => Some((NodeIndex(i), n, source)),
            Role::Operator { .. } | Role::Sink(_) => None,
        })
    }

    /// The sinks, with their places.
    pub fn sinks(&self) -> impl Iterator<Item = (NodeIndex, &Node, &Arc<dyn Sink>)> {
        self.nodes.iter().enumerate().filter_map(|(i, n)| match &n.role {
            Role::Sink(sink) => Some((NodeIndex(i), n, sink)),
            Role::Source { .. } | Role::Operator { .. } => None,
        })
    }

    /// Refuses graphs that cannot run.
    pub fn check(&self) -> Result<()> {
        if self.sinks().next().is_none() {
            return Err(Error::new(Kind::Invalid, "the job has no sink, so nothing it computes would be seen")
                .advise("end at least one stream in a sink (print and blackhole are sinks too)"));
        }
        let mute = |(e, codec): (&Edge, &Option<_>)| (e.path == Path::Exchange && codec.is_none()).then_some(e.to.0);
        if let Some(node) = self.edges.iter().zip(&self.codecs).find_map(mute).and_then(|to| self.nodes.get(to)) {
            return Err(Error::broken("graph", "an exchange does not say how its rows are encoded").at(node.name.clone()));
        }
        Ok(())
    }

    /// The shape of this graph that a snapshot stores.
    pub fn shape(&self) -> Result<Shape> {
        let mut nodes = Vec::new();
        for node in &self.nodes {
            let mut states = Vec::new();
            if let Role::Operator { make, .. } = &node.role {
                make(KeySpace::default())?.tables(&mut |t| states.push(t.desc().clone()));
            }
            nodes.push(NodeShape { id: node.id, name: node.name.clone(), states });
        }
        Ok(Shape { nodes })
    }
}

/// The graph as a snapshot knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// The nodes in order.
    pub nodes: Vec<NodeShape>,
}

/// A node as a snapshot knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeShape {
    /// The stable id.
    pub id: NodeId,
    /// The node's name, for messages.
    pub name: String,
    /// The node's keyed states.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub states: Vec<crate::state::StateDesc>,
}
