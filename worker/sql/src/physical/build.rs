//! Puts the graph together, node by node. Ids come from the plan; the steps of an aggregation derive theirs from it.

use std::sync::Arc;

use arrow::datatypes::Schema;
use watershed_columnar::aggregate::{Call, CallKind, Changelog, Combiner, EmitMode, Finish, Group, Grouping, WindowField};
use watershed_columnar::{KeyBytes, KeyLayout};
use watershed_runtime::container::RowsCodec;
use watershed_runtime::error::{Error, Result};
use watershed_runtime::graph::{EventTime, Graph, NodeId, NodeIndex, OperatorFactory, Path, Role};
use watershed_runtime::key::KeySpace;
use watershed_runtime::operator::Operator;
use watershed_runtime::operator::combine::Partial;
use watershed_runtime::operator::window::{WindowAggregate, Windows};

use super::calc::CalcOperator;
use super::shape::Reshape;
use super::stamp::{Stamper, WindowColumns};
use crate::catalog::Connectors;
use crate::functions::AggregateKind;
use crate::plan::node::{AggregateCall, AggregateNode, Node, NodeKind, Plan, SinkMode, SourceNode, WindowAggregateNode};
use crate::window::WindowColumn;

/// The engine's graph of a plan. Sources and sinks are made by the connectors here.
pub fn build(plan: &Plan, connectors: &dyn Connectors) -> Result<Graph> {
    let mut b = Build { graph: Graph::default(), ends: Vec::new() };
    for node in &plan.nodes {
        let inputs: Vec<Input<'_>> = node
            .inputs
            .iter()
            .map(|i| match (plan.nodes.get(*i), b.ends.get(*i)) {
                (Some(n), Some(at)) => Ok(Input { schema: &n.schema, at: *at }),
                _ => Err(Error::broken("plan", "a node stands before its input")),
            })
            .collect::<Result<_>>()?;
        let end = b.node(node, &inputs, connectors)?;
        b.ends.push(end);
    }
    b.graph.check()?;
    Ok(b.graph)
}

struct Build {
    graph: Graph,
    /// The graph's node that each node of the plan ends in.
    ends: Vec<NodeIndex>,
}

/// An input of a node.
struct Input<'a> {
    schema: &'a Schema,
    at: NodeIndex,
}

impl Build {
    fn node(&mut self, node: &Node, inputs: &[Input<'_>], connectors: &dyn Connectors) -> Result<NodeIndex> {
        match &node.kind {
            NodeKind::Source(s) => self.source(node, s, connectors),
            NodeKind::Calc(calc) => {
                let (calc, input, output) =
                    (Arc::new(calc.clone()), Arc::new(first(inputs)?.schema.clone()), Arc::clone(&node.schema));
                let make = move |_| Ok(boxed(CalcOperator::new(&calc, &input, Arc::clone(&output))?));
                make(KeySpace::default())?;
                Ok(self.step(node.id, "calc", inputs, Arc::new(make)))
            }
            NodeKind::Window(window) => {
                let (window, output) = (*window, Arc::clone(&node.schema));
                Ok(self.step(
                    node.id,
                    "window",
                    inputs,
                    Arc::new(move |_| Ok(boxed(WindowColumns::new(window, Arc::clone(&output))))),
                ))
            }
            NodeKind::Union => {
                let output = Arc::clone(&node.schema);
                Ok(self.step(node.id, "union", inputs, Arc::new(move |_| Ok(boxed(Reshape::renaming(&output))))))
            }
            NodeKind::WindowAggregate(a) => self.windows(node, a, inputs),
            NodeKind::Aggregate(a) => self.changelog(node, a, inputs),
            NodeKind::Sink(s) => {
                let (output, name, upsert) =
                    (Arc::clone(&node.schema), s.table.name.clone(), matches!(s.mode, SinkMode::Upsert(_)));
                let make = Arc::new(move |_| Ok(boxed(Reshape::sink(Arc::clone(&output), &name, upsert))));
                let before = self.step(part(node.id, "shape"), "shape", inputs, make);
                let sink = connectors.sink(&s.table, &node.schema)?;
                Ok(self.graph.add_with_id(node.id, s.table.name.clone(), Role::Sink(sink), &[(before, 0, Path::Local)]))
            }
        }
    }

    fn step(&mut self, id: NodeId, name: &str, inputs: &[Input<'_>], make: OperatorFactory) -> NodeIndex {
        let inputs: Vec<_> = inputs.iter().map(|i| (i.at, 0, Path::Local)).collect();
        self.graph.add_with_id(id, name, Role::Operator { make, keyed: false }, &inputs)
    }

    fn source(&mut self, node: &Node, s: &SourceNode, connectors: &dyn Connectors) -> Result<NodeIndex> {
        let source = connectors.source(&s.table, &node.schema)?;
        let event_time = match (&s.event_time, &s.table.watermark) {
            (Some(time), Some(watermark)) => {
                let (time, table): (_, Arc<str>) = (Stamper::evaluator(time, &node.schema)?, s.table.name.as_str().into());
                let stamper = Arc::new(move || Box::new(Stamper::new(Arc::clone(&time), Arc::clone(&table))) as _);
                Some(EventTime { stamper, disorder_micros: watermark.delay_micros, idle_micros: None })
            }
            _ => None,
        };
        Ok(self.graph.add_with_id(node.id, s.table.name.clone(), Role::Source { source, event_time }, &[]))
    }

    /// Combiner and exchange; what comes next is keyed.
    fn combine(&mut self, node: &Node, inputs: &[Input<'_>], layout: &KeyLayout, grouping: &Grouping, pane: i64) -> NodeIndex {
        let (layout, grouping) = (layout.clone(), grouping.clone());
        let make = Arc::new(move |_| Ok(boxed(Combiner::new(layout.clone(), grouping.clone(), pane))));
        self.step(part(node.id, "combine"), "combine", inputs, make)
    }

    fn owner(&mut self, node: &Node, name: &str, combiner: NodeIndex, make: OperatorFactory) -> NodeIndex {
        // Two aggregations of a job are told apart in messages and metrics by what EXPLAIN shows of their ids.
        let name = format!("{name}-{:08x}", node.id.0 >> 32);
        let owner = self.graph.add_with_id(node.id, name, Role::Operator { make, keyed: true }, &[(combiner, 0, Path::Exchange)]);
        self.graph.carry(owner, 0, &RowsCodec::<Partial<KeyBytes, Group>>::shared());
        owner
    }

    fn windows(&mut self, node: &Node, a: &WindowAggregateNode, inputs: &[Input<'_>]) -> Result<NodeIndex> {
        let layout = layout(first(inputs)?.schema, a.keys)?;
        let grouping = Grouping::new(calls(&a.calls), false);
        let windows = Windows::new(a.window.size_micros, a.window.size_micros)?;
        let combiner = self.combine(node, inputs, &layout, &grouping, windows.pane());
        let owned = grouping.clone();
        type Owner = WindowAggregate<Partial<KeyBytes, Group>, (), KeyBytes, Grouping>;
        let make = Arc::new(move |space| Ok(boxed(Owner::new(windows, owned.clone(), space))));
        let owner = self.owner(node, "windows", combiner, make);
        let (fields, output) = (a.emit.iter().map(field).collect::<Vec<_>>(), Arc::clone(&node.schema));
        let make: OperatorFactory =
            Arc::new(move |_| Ok(boxed(Finish::new(layout.clone(), grouping.clone(), fields.clone(), Arc::clone(&output)))));
        let role = Role::Operator { make, keyed: false };
        Ok(self.graph.add_with_id(part(node.id, "finish"), "finish", role, &[(owner, 0, Path::Local)]))
    }

    fn changelog(&mut self, node: &Node, a: &AggregateNode, inputs: &[Input<'_>]) -> Result<NodeIndex> {
        let layout = layout(first(inputs)?.schema, a.keys)?;
        let grouping = Grouping::new(calls(&a.calls), a.retracting);
        let combiner = self.combine(node, inputs, &layout, &grouping, 0);
        let (output, speak) = (Arc::clone(&node.schema), if a.final_only { EmitMode::End } else { EmitMode::Changes });
        let make =
            Arc::new(move |space| Ok(boxed(Changelog::new(layout.clone(), grouping.clone(), Arc::clone(&output), speak, space))));
        Ok(self.owner(node, "aggregate", combiner, make))
    }
}

fn boxed(operator: impl Operator + 'static) -> Box<dyn Operator> {
    Box::new(operator)
}

fn first<'a, 'b>(inputs: &'b [Input<'a>]) -> Result<&'b Input<'a>> {
    inputs.first().ok_or_else(|| Error::broken("plan", "a node without its input"))
}

/// The id of one step of a node.
fn part(id: NodeId, step: &str) -> NodeId {
    NodeId::derive("step", step, &[id])
}

fn layout(schema: &Schema, keys: usize) -> Result<KeyLayout> {
    KeyLayout::new(schema.fields().iter().take(keys).map(|f| f.data_type().clone()).collect())
}

fn field(c: &WindowColumn) -> WindowField {
    match c {
        WindowColumn::Start => WindowField::Start,
        WindowColumn::End => WindowField::End,
        WindowColumn::Time => WindowField::Time,
    }
}

fn calls(all: &[AggregateCall]) -> Vec<Call> {
    let kind = |k: AggregateKind| match k {
        AggregateKind::Count => CallKind::Count,
        AggregateKind::Sum => CallKind::Sum,
        AggregateKind::Avg => CallKind::Avg,
        AggregateKind::Min => CallKind::Min,
        AggregateKind::Max => CallKind::Max,
    };
    let one = |c: &AggregateCall| Call {
        kind: kind(c.kind),
        argument: c.argument.zip(c.argument_type.clone()),
        result: c.result.clone(),
    };
    all.iter().map(one).collect()
}
