//! `explain`: the physical graph as text, or as a picture in the language of Graphviz.
//!
//! The graph that is shown is the one that runs: each node with its id (as in metrics and snapshots), what feeds it, and where rows cross
//! to the slot that owns their key.

use std::fmt::Write;

use watershed_runtime::graph::{Edge, Graph, NodeIndex, Path, Role};

/// One line a node, inputs first.
#[must_use]
pub fn outline(graph: &Graph) -> String {
    let mut out = String::new();
    for (i, node) in graph.nodes().iter().enumerate() {
        let id = node.id.0 >> 32;
        let _ = write!(out, "{i:>3} {} [{id:08x}]", node.name);
        let _ = match &node.role {
            Role::Source { source, .. } => write!(out, " source{}", if source.bounded() { ", bounded" } else { "" }),
            Role::Operator { keyed: true, .. } => write!(out, " keyed"),
            Role::Operator { keyed: false, .. } => Ok(()),
            Role::Sink(_) => write!(out, " sink"),
        };
        let inputs: Vec<String> = inputs(graph, i).map(|e| input(&e)).collect();
        if !inputs.is_empty() {
            let _ = write!(out, " <- {}", inputs.join(", "));
        }
        out.push('\n');
    }
    out
}

fn inputs(graph: &Graph, node: usize) -> impl Iterator<Item = Edge> + '_ {
    graph.edges().iter().copied().filter(move |e| e.to == NodeIndex(node))
}

fn input(edge: &Edge) -> String {
    let mut text = edge.from.0.to_string();
    if edge.output > 0 {
        let _ = write!(text, " side output {}", edge.output);
    }
    if edge.path == Path::Exchange {
        text.push_str(" by key");
    }
    text
}

/// The graph for `dot -Tsvg`. Edges by key are drawn bold.
#[must_use]
pub fn dot(name: &str, graph: &Graph) -> String {
    let quote = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    let mut out = format!("digraph {} {{\n  rankdir=LR;\n  node [fontname=\"sans-serif\", shape=box];\n", quote(name));
    for (i, node) in graph.nodes().iter().enumerate() {
        let shape = match &node.role {
            Role::Source { .. } => "cds",
            Role::Operator { keyed: true, .. } => "box3d",
            Role::Operator { keyed: false, .. } => "box",
            Role::Sink(_) => "note",
        };
        let _ = writeln!(out, "  n{i} [label={}, shape={shape}];", quote(&node.name));
    }
    for edge in graph.edges() {
        let style = if edge.path == Path::Exchange { " [style=bold, label=\"by key\"]" } else { "" };
        let _ = writeln!(out, "  n{} -> n{}{style};", edge.from.0, edge.to.0);
    }
    out.push_str("}\n");
    out
}
