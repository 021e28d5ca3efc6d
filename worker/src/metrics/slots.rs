//! Metrics of slots: their nodes, and the cost of key groups on the move.

use watershed_runtime::slot::{GATE_MILLIS, MoveStats, NodeStats};
use watershed_runtime::time::Time;

use super::page::Page;
use crate::clock::now;
use crate::telemetry::{NodeKind, NodeName};

type OfNode = fn(&NodeStats) -> Option<f64>;

/// (name, type, help, value) of what every node has.
const NODE: [(&str, &str, &str, OfNode); 7] = [
    ("watershed_node_rows_in_total", "counter", "Rows that came into the node.", |n| Some(n.rows_in as f64)),
    ("watershed_node_rows_out_total", "counter", "Rows that left the node.", |n| Some(n.rows_out as f64)),
    ("watershed_node_late_rows_total", "counter", "Rows dropped as late, or sent to the side output.", |n| Some(n.late as f64)),
    ("watershed_node_queued", "gauge", "Frames that wait in front of the node.", |n| Some(n.queued as f64)),
    ("watershed_node_state_entries", "gauge", "Entries of keyed state.", |n| Some(n.entries as f64)),
    ("watershed_node_state_bytes", "gauge", "Bytes of keyed state.", |n| Some(n.bytes as f64)),
    ("watershed_node_watermark_lag_seconds", "gauge", "How far the node's event time is behind the clock.", lag),
];

fn lag(node: &NodeStats) -> Option<f64> {
    let known = node.watermark != Time::MIN && node.watermark != Time::MAX;
    known.then(|| now().saturating_sub(node.watermark.0) as f64 / 1e6)
}

/// Counters of each node of each slot.
pub(super) fn nodes(page: &mut Page, of: &[(u16, Vec<NodeStats>)], names: &[NodeName]) {
    for (name, kind, help, value) in NODE {
        let mut family = page.family(name, kind, help);
        for (slot, nodes) in of {
            for (node, called) in nodes.iter().zip(names) {
                if let Some(value) = value(node) {
                    let id = format!("{:016x}", called.id);
                    family.sample(&[("node", &called.name), ("id", &id), ("role", &role(called.kind)), ("slot", slot)], value);
                }
            }
        }
    }
}

/// The cost of live rescales, by slot.
pub(super) fn moves(page: &mut Page, of: &[(u16, MoveStats)]) {
    let mut batches = page.family("watershed_moved_batches_total", "counter", "Batches of key groups that moved.");
    for (slot, m) in of {
        batches.sample(&[("slot", slot), ("direction", &"in")], m.batches_in);
        batches.sample(&[("slot", slot), ("direction", &"out")], m.batches_out);
    }
    let help = "How long the rows of a batch of key groups waited while it changed hands.";
    let mut gates = page.family("watershed_gate_seconds", "histogram", help);
    for (slot, m) in of {
        let mut sum = 0;
        for (i, n) in m.gates.iter().enumerate() {
            sum += n;
            let le = GATE_MILLIS.get(i).map_or_else(|| "+Inf".to_owned(), |ms| (*ms as f64 / 1000.0).to_string());
            gates.of("_bucket", &[("slot", slot), ("le", &le)], sum);
        }
        gates.of("_count", &[("slot", slot)], sum);
    }
    let mut longest = page.family("watershed_gate_longest_seconds", "gauge", "The longest of these waits.");
    for (slot, m) in of {
        longest.sample(&[("slot", slot)], m.longest_gate as f64 / 1e6);
    }
}

fn role(kind: NodeKind) -> &'static str {
    match kind {
        NodeKind::Source => "source",
        NodeKind::Operator => "operator",
        NodeKind::Sink => "sink",
    }
}
