//! From counters to rows a second.
//!
//! A slot counts from its own start, and slots come and go in a rescale; so differences are taken slot by slot and never below zero.

use std::collections::BTreeMap;
use std::time::Instant;

use super::names::{NodeKind, NodeName};
use crate::local::Progress;

/// Rows read and written, and how fast.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Rate {
    pub(crate) rows_in: f64,
    pub(crate) rows_out: f64,
}

/// Remembers the last look.
#[derive(Debug)]
pub(crate) struct Rates {
    at: Instant,
    slots: BTreeMap<u16, (u64, u64)>,
    /// Everything read and written since the first look.
    total: (u64, u64),
    shown: Rate,
}

impl Rates {
    pub(crate) fn new() -> Self {
        Self { at: Instant::now(), slots: BTreeMap::new(), total: (0, 0), shown: Rate::default() }
    }

    #[cfg(test)]
    pub(crate) fn total(&self) -> (u64, u64) {
        self.total
    }

    /// The rates since the last look, smoothed a little so that they can be read.
    pub(crate) fn look(&mut self, status: &Progress, names: &[NodeName]) -> Rate {
        let seconds = self.at.elapsed().as_secs_f64().max(1e-3);
        self.at = Instant::now();
        let mut slots = BTreeMap::new();
        let mut more = (0, 0);
        for (slot, nodes) in &status.nodes {
            let mut now = (0, 0);
            for (node, name) in nodes.iter().zip(names) {
                match name.kind {
                    NodeKind::Source => now.0 += node.rows_out,
                    NodeKind::Sink => now.1 += node.rows_in,
                    NodeKind::Operator => {}
                }
            }
            let before = self.slots.get(slot).copied().unwrap_or_default();
            // A count that fell is that of a new slot under an old number.
            let grown = |now: u64, before: u64| if now >= before { now - before } else { now };
            more = (more.0 + grown(now.0, before.0), more.1 + grown(now.1, before.1));
            slots.insert(*slot, now);
        }
        self.slots = slots;
        self.total = (self.total.0 + more.0, self.total.1 + more.1);
        let smooth = |shown: f64, rows: u64| {
            let now = rows as f64 / seconds;
            if shown == 0.0 { now } else { shown * 0.6 + now * 0.4 }
        };
        self.shown = Rate { rows_in: smooth(self.shown.rows_in, more.0), rows_out: smooth(self.shown.rows_out, more.1) };
        self.shown
    }
}

#[cfg(test)]
mod tests {
    use watershed_runtime::graph::NodeId;
    use watershed_runtime::slot::NodeStats;
    use watershed_runtime::time::Time;

    use super::*;

    fn status(slots: &[(u16, u64, u64)]) -> Progress {
        let node = |rows_in, rows_out| NodeStats {
            id: NodeId(0),
            rows_in,
            rows_out,
            late: 0,
            watermark: Time::MIN,
            queued: 0,
            entries: 0,
            bytes: 0,
            progress: (0, 0),
        };
        let nodes = slots.iter().map(|(slot, read, written)| (*slot, vec![node(0, *read), node(*written, 0)])).collect();
        Progress { nodes, ..Progress::default() }
    }

    #[test]
    fn a_slot_that_leaves_or_begins_anew_takes_nothing_back() {
        let name = |kind| NodeName { name: String::new(), id: 0, kind, ends: true };
        let names = [name(NodeKind::Source), name(NodeKind::Sink)];
        let mut rates = Rates::new();
        rates.look(&status(&[(0, 100, 10), (1, 50, 5)]), &names);
        assert_eq!(rates.total(), (150, 15));
        rates.look(&status(&[(0, 120, 12)]), &names);
        assert_eq!(rates.total(), (170, 17));
        rates.look(&status(&[(0, 7, 1)]), &names);
        assert_eq!(rates.total(), (177, 18));
    }
}
