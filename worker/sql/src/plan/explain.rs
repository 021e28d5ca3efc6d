//! The plan as text: one tree a sink, a shared node written out once and referred to by its id afterwards.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::node::{AggregateCall, Changes, Node, NodeKind, Plan, SinkMode};
use crate::scalar::Scalar;
use crate::text::types::sql_name;

impl Plan {
    /// The text of EXPLAIN.
    #[must_use]
    pub fn explain(&self) -> String {
        let mut out = String::new();
        let mut seen = BTreeSet::new();
        for (i, node) in self.nodes.iter().enumerate() {
            if matches!(node.kind, NodeKind::Sink(_)) {
                self.write(i, 0, &mut seen, &mut out);
            }
        }
        out
    }

    fn write(&self, index: usize, depth: usize, seen: &mut BTreeSet<usize>, out: &mut String) {
        let Some(node) = self.nodes.get(index) else { return };
        let indent = "  ".repeat(depth);
        let short = node.id.0 >> 32;
        if !seen.insert(index) {
            let _ = writeln!(out, "{indent}{} (shared, {short:08x})", self.role(node));
            return;
        }
        let _ = writeln!(out, "{indent}{} {}[{short:08x}]", self.role(node), self.detail(node));
        for input in &node.inputs {
            self.write(*input, depth + 1, seen, out);
        }
    }

    fn role(&self, node: &Node) -> &'static str {
        match node.kind {
            NodeKind::Source(_) => "Source",
            NodeKind::Calc(_) => "Calc",
            NodeKind::Window(_) => "Window",
            NodeKind::WindowAggregate(_) => "WindowAggregate",
            NodeKind::Aggregate(_) => "Aggregate",
            NodeKind::Union => "Union",
            NodeKind::Sink(_) => "Sink",
        }
    }

    fn detail(&self, node: &Node) -> String {
        let input = node.inputs.first().and_then(|i| self.nodes.get(*i));
        let name = |i: usize| {
            let of = input.map_or(&node.schema, |n| &n.schema);
            of.fields().get(i).map_or_else(|| format!("#{i}"), |f| f.name().clone())
        };
        let names = |range: std::ops::Range<usize>| range.map(name).collect::<Vec<_>>().join(", ");
        let call =
            |c: &AggregateCall| format!("{}({})", c.kind.name().to_uppercase(), c.argument.map_or_else(|| "*".into(), name));
        let calls = |all: &[AggregateCall]| all.iter().map(call).collect::<Vec<_>>().join(", ");
        match &node.kind {
            NodeKind::Source(s) => {
                let fields = node.schema.fields().iter().map(|f| format!("{} {}", f.name(), sql_name(f.data_type())));
                let mut text = format!("{} ({})", s.table.name, fields.collect::<Vec<_>>().join(", "));
                if let (Some(e), Some(w)) = (&s.event_time, &s.table.watermark) {
                    let own = |i: usize| node.schema.fields().get(i).map_or_else(String::new, |f| f.name().clone());
                    let _ = write!(text, ", watermark {} - {}", e.text(&own), duration(w.delay_micros));
                }
                let _ = write!(text, ", {} ", if s.bounded { "bounded" } else { "unbounded" });
                text
            }
            NodeKind::Calc(c) => {
                let mut text = String::new();
                for f in &c.filters {
                    let _ = write!(text, "where {} ", f.text(&name));
                }
                let one = |(i, s): (usize, &Scalar)| {
                    let text = s.text(&name);
                    let own = node.schema.fields().get(i).map_or("", |f| f.name().as_str());
                    if text == own { text } else { format!("{text} AS {own}") }
                };
                let _ = write!(text, "select {} ", c.project.iter().enumerate().map(one).collect::<Vec<_>>().join(", "));
                text
            }
            NodeKind::Window(w) => format!("tumble {} ", duration(w.size_micros)),
            NodeKind::WindowAggregate(a) => {
                format!("tumble {}, by ({}), {} ", duration(a.window.size_micros), names(0..a.keys), calls(&a.calls))
            }
            NodeKind::Aggregate(a) => {
                let how = match (a.final_only, node.changes) {
                    (true, _) => "final results only",
                    (false, Changes::Append) => "new keys only",
                    (false, Changes::Retract) => "updates",
                };
                format!("by ({}), {}, {how} ", names(0..a.keys), calls(&a.calls))
            }
            NodeKind::Union => String::new(),
            NodeKind::Sink(s) => {
                let how = match &s.mode {
                    SinkMode::Append => "append".to_owned(),
                    SinkMode::Upsert(_) => format!("upsert by ({})", s.table.primary_key.join(", ")),
                    SinkMode::Retract => "changelog".to_owned(),
                };
                format!("{}, {how} ", s.table.name)
            }
        }
    }
}

/// A length in the largest unit that divides it.
fn duration(micros: i64) -> String {
    for (size, unit) in [(86_400_000_000, "d"), (3_600_000_000, "h"), (60_000_000, "min"), (1_000_000, "s"), (1000, "ms")] {
        if micros != 0 && micros % size == 0 {
            return format!("{} {unit}", micros / size);
        }
    }
    format!("{micros} us")
}
