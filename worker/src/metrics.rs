//! A job's numbers in the text format of Prometheus.
//!
//! Counters carry the slot as a label: a slot counts from its own start, and Prometheus knows how to add what begins anew. Names and
//! labels are stable; a node is labelled by its name and its id, since names need not be unique.

use std::fmt::Write;

use watershed_runtime::slot::NodeStats;
use watershed_runtime::time::Time;

use crate::clock::now;
use crate::local::Status;
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

/// The page.
pub(crate) fn text(job: &str, status: &Status, names: &[NodeName]) -> String {
    let mut out = String::new();
    let job = escape(job);
    let mut one = |name: &str, kind: &str, help: &str, value: f64| {
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name}{{job=\"{job}\"}} {value}");
    };
    one("watershed_term", "gauge", "The coordinator's term.", status.term as f64);
    one("watershed_epoch", "gauge", "The last published epoch.", status.epoch as f64);
    one("watershed_slots", "gauge", "Slots that take part.", status.slots.len() as f64);
    one("watershed_settled", "gauge", "1 if no key group is about to move.", f64::from(u8::from(status.settled)));
    one("watershed_waiting", "gauge", "For how much the job waits, besides for rows.", status.waiting.len() as f64);
    if let Some(age) = status.snapshot_age {
        one("watershed_snapshot_age_seconds", "gauge", "Since the last epoch was published.", age.as_secs_f64());
    }
    let groups = "watershed_slot_key_groups";
    let _ = writeln!(out, "# HELP {groups} Key groups that a slot owns.\n# TYPE {groups} gauge");
    for (slot, n) in &status.groups {
        let _ = writeln!(out, "{groups}{{job=\"{job}\",slot=\"{slot}\"}} {n}");
    }
    for (name, kind, help, value) in NODE {
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (slot, nodes) in &status.nodes {
            for (node, called) in nodes.iter().zip(names) {
                if let Some(value) = value(node) {
                    let (label, id, role) = (escape(&called.name), called.id, role(called.kind));
                    let _ = writeln!(
                        out,
                        "{name}{{job=\"{job}\",node=\"{label}\",id=\"{id:016x}\",role=\"{role}\",slot=\"{slot}\"}} {value}"
                    );
                }
            }
        }
    }
    out
}

fn role(kind: NodeKind) -> &'static str {
    match kind {
        NodeKind::Source => "source",
        NodeKind::Operator => "operator",
        NodeKind::Sink => "sink",
    }
}

/// A label's value may not hold these as they are.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use watershed_runtime::graph::NodeId;

    use super::*;

    #[test]
    fn every_sample_has_its_type_and_its_labels_are_escaped() {
        let stats = NodeStats {
            id: NodeId(7),
            rows_in: 3,
            rows_out: 2,
            late: 1,
            watermark: Time::MAX,
            queued: 0,
            entries: 5,
            bytes: 80,
            progress: (0, 0),
        };
        let status = Status { epoch: 9, slots: vec![0], nodes: vec![(0, vec![stats])], ..Status::default() };
        let names = [NodeName { name: "a \"b\"".into(), id: 7, kind: NodeKind::Sink, ends: false }];
        let page = text("j", &status, &names);
        assert!(page.contains("watershed_epoch{job=\"j\"} 9\n"), "{page}");
        let sample =
            "watershed_node_rows_in_total{job=\"j\",node=\"a \\\"b\\\"\",id=\"0000000000000007\",role=\"sink\",slot=\"0\"} 3\n";
        assert!(page.contains(sample), "{page}");
        assert!(!page.contains("watermark_lag_seconds{"), "an input that has ended is not behind: {page}");
        for line in page.lines().filter(|l| !l.starts_with('#')) {
            let name = line.split('{').next().unwrap();
            assert!(page.contains(&format!("# TYPE {name} ")), "{name}");
        }
    }
}
