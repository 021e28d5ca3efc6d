//! Builds nodes: computes their ids, finds shared ones, and fuses neighbouring filters and projections.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use watershed_runtime::graph::NodeId;

use super::node::{CalcNode, Changes, Node, NodeKind, Plan};
use crate::catalog::SourceTraits;
use crate::scalar::Scalar;

/// The plan while it is built.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    nodes: Vec<Node>,
    by_id: HashMap<NodeId, usize>,
    /// The traits of the sources, by table name.
    pub(crate) sources: HashMap<String, SourceTraits>,
    /// The event time of a row of each table that has a watermark, over its stored columns.
    pub(crate) event_times: HashMap<String, Scalar>,
    /// Only final results leave.
    pub(crate) batch: bool,
}

impl Builder {
    /// A plan without nodes.
    pub(crate) fn new(batch: bool, event_times: HashMap<String, Scalar>) -> Self {
        Self { batch, event_times, ..Self::default() }
    }

    /// The node at an index, which came from this builder.
    pub(crate) fn node(&self, index: usize) -> &Node {
        self.nodes.get(index).expect("indices come from this builder")
    }

    /// Adds a node, or finds the one that does the same.
    pub(super) fn add(&mut self, role: &str, text: &str, node: Node) -> usize {
        let inputs: Vec<NodeId> = node.inputs.iter().map(|i| self.node(*i).id).collect();
        let id = NodeId::derive(role, text, &inputs);
        if let Some(known) = self.by_id.get(&id) {
            return *known;
        }
        let index = self.nodes.len();
        self.nodes.push(Node { id, ..node });
        self.by_id.insert(id, index);
        index
    }

    /// Names of a node's columns in canonical texts: a source's are its own, so that reading one column more changes nothing.
    pub(super) fn namer(&self, index: usize) -> impl Fn(usize) -> String + use<> {
        let node = self.node(index);
        let names = match node.kind {
            NodeKind::Source(_) => Some(Arc::clone(&node.schema)),
            _ => None,
        };
        move |i| names.as_ref().and_then(|s| s.fields().get(i)).map_or_else(|| format!("#{i}"), |f| format!("`{}`", f.name()))
    }

    /// Filters and projects a node's rows, fused into one step with the node itself where that costs nothing.
    pub(crate) fn calc(&mut self, input: usize, filters: Vec<Scalar>, project: Vec<(String, Scalar)>) -> usize {
        if filters.is_empty() && self.is_identity(input, &project) {
            return input;
        }
        if let Some((below, filters, project)) = self.fused(input, &filters, &project) {
            return self.calc(below, filters, project);
        }
        let node = self.node(input);
        let (changes, input_key) = (node.changes, node.key.clone());
        let key = input_key.and_then(|key| {
            let place = |k: usize| project.iter().position(|(_, s)| s.as_column() == Some(k));
            key.into_iter().map(place).collect::<Option<Vec<usize>>>()
        });
        let name = self.namer(input);
        let texts = |s: &[&Scalar]| s.iter().map(|s| s.text(&name)).collect::<Vec<_>>().join("; ");
        let all: Vec<&Scalar> = project.iter().map(|(_, s)| s).collect();
        let text = format!("where {} select {}", texts(&filters.iter().collect::<Vec<_>>()), texts(&all));
        let schema = unique_schema(project.iter().map(|(n, s)| Field::new(n, s.data_type.clone(), s.nullable)));
        let kind = NodeKind::Calc(CalcNode { filters, project: project.into_iter().map(|(_, s)| s).collect() });
        self.add("calc", &text, Node { id: NodeId(0), kind, inputs: vec![input], schema, changes, key })
    }

    fn is_identity(&self, input: usize, project: &[(String, Scalar)]) -> bool {
        let node = self.node(input);
        !matches!(node.kind, NodeKind::Source(_))
            && node.schema.fields().len() == project.len()
            && project.iter().enumerate().all(|(i, (_, s))| s.as_column() == Some(i))
    }

    /// The two steps as one, unless an expression would be evaluated twice.
    #[allow(clippy::type_complexity, reason = "input, filters and projection of a calculation, taken apart at once")]
    fn fused(
        &self,
        input: usize,
        filters: &[Scalar],
        project: &[(String, Scalar)],
    ) -> Option<(usize, Vec<Scalar>, Vec<(String, Scalar)>)> {
        let node = self.node(input);
        let NodeKind::Calc(below) = &node.kind else { return None };
        let mut uses: HashMap<usize, usize> = HashMap::new();
        for i in filters.iter().chain(project.iter().map(|(_, s)| s)).flat_map(Scalar::uses) {
            *uses.entry(i).or_default() += 1;
        }
        let dear = |(i, n): (&usize, &usize)| *n > 1 && below.project.get(*i).is_none_or(|s| !s.is_cheap());
        if uses.iter().any(dear) {
            return None;
        }
        let with = |i: usize| below.project.get(i).map(|s| s.expr.clone());
        let mut all = below.filters.clone();
        all.extend(filters.iter().map(|f| f.substitute(&with)));
        let project = project.iter().map(|(n, s)| (n.clone(), s.substitute(&with))).collect();
        Some((*node.inputs.first()?, all, project))
    }

    /// All rows of several nodes with the same columns.
    pub(super) fn union(&mut self, inputs: Vec<usize>) -> usize {
        let first = inputs.first().map(|i| Arc::clone(&self.node(*i).schema)).unwrap_or_else(|| Arc::new(Schema::empty()));
        let schema = unique_schema(first.fields().iter().map(|f| f.as_ref().clone().with_nullable(true)));
        let changes = if inputs.iter().all(|i| appends(self.node(*i))) { Changes::Append } else { Changes::Retract };
        self.add("union", "", Node { id: NodeId(0), kind: NodeKind::Union, inputs, schema, changes, key: None })
    }

    /// Adds a sink. Its id does not depend on its inputs: what it has committed stays its own when the query changes.
    pub(super) fn add_sink(&mut self, text: &str, node: Node) -> usize {
        let index = self.nodes.len();
        self.nodes.push(Node { id: NodeId::derive("sink", text, &[]), ..node });
        index
    }

    /// The plan of what these sinks need, with sources that decode only what is used.
    pub(crate) fn finish(self, sinks: &[usize]) -> Plan {
        let mut needed: BTreeSet<usize> = BTreeSet::new();
        let mut open: Vec<usize> = sinks.to_vec();
        while let Some(i) = open.pop() {
            if needed.insert(i) {
                open.extend(&self.node(i).inputs);
            }
        }
        // Inputs are always built before their users, so the old order stays topological.
        let place: HashMap<usize, usize> = needed.iter().enumerate().map(|(new, old)| (*old, new)).collect();
        let mut nodes: Vec<Node> = needed.iter().map(|i| self.node(*i).clone()).collect();
        for node in &mut nodes {
            for input in &mut node.inputs {
                *input = place.get(input).copied().unwrap_or(0);
            }
        }
        prune_sources(&mut nodes);
        Plan { nodes, batch: self.batch }
    }
}

/// Makes every source decode only the columns that its users or its event time read. Users of a source are always calcs.
fn prune_sources(nodes: &mut [Node]) {
    for at in 0..nodes.len() {
        let Some(Node { kind: NodeKind::Source(source), .. }) = nodes.get(at) else { continue };
        let mut used: BTreeSet<usize> = source.event_time.iter().flat_map(Scalar::columns).collect();
        for node in nodes.iter().filter(|n| n.inputs.contains(&at)) {
            if let NodeKind::Calc(c) = &node.kind {
                used.extend(c.filters.iter().chain(&c.project).flat_map(Scalar::columns));
            }
        }
        let used: Vec<usize> = used.into_iter().collect();
        let to = |i: usize| used.iter().position(|u| *u == i).unwrap_or(0);
        for node in nodes.iter_mut() {
            if let NodeKind::Calc(c) = &mut node.kind
                && node.inputs.contains(&at)
            {
                c.filters.iter_mut().chain(&mut c.project).for_each(|s| *s = s.renumber(&to));
            }
        }
        if let Some(node) = nodes.get_mut(at)
            && let NodeKind::Source(source) = &mut node.kind
        {
            let fields: Vec<_> = used.iter().filter_map(|i| node.schema.fields().get(*i).cloned()).collect();
            node.schema = Arc::new(Schema::new(fields));
            source.event_time = source.event_time.as_ref().map(|s| s.renumber(&to));
            source.columns = used;
        }
    }
}

/// A schema whose names are unique: a name that comes again gets a number.
pub(super) fn unique_schema(fields: impl Iterator<Item = Field>) -> SchemaRef {
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let mut out = Vec::new();
    for f in fields {
        let mut name = f.name().clone();
        let mut n = 1;
        while !seen.insert(name.clone()) {
            name = format!("{}_{n}", f.name());
            n += 1;
        }
        out.push(f.with_name(name));
    }
    Arc::new(Schema::new(out))
}

/// Every column of a node, as it is.
pub(super) fn identity(node: &Node) -> Vec<(String, Scalar)> {
    let fields = node.schema.fields().iter().enumerate();
    fields.map(|(i, f)| (f.name().clone(), Scalar::column(i, f.data_type().clone(), f.is_nullable()))).collect()
}

/// True if only new rows leave a node.
pub(super) fn appends(node: &Node) -> bool {
    node.changes == Changes::Append
}
