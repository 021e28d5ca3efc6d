//! A worker's heartbeat, on a thread of its own: a slot that is busy must keep neither messages nor the sign of life waiting.

use std::collections::BTreeMap;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use watershed_runtime::error::{Error, Kind, Result};
use watershed_runtime::graph::NodeId;
use watershed_runtime::key::SlotId;
use watershed_runtime::slot::NodeStats;
use watershed_runtime::time::Time;
use watershed_wire::v1::{Load, Moves, SlotLoad};

use crate::clock::now;
use crate::slots::{Directory, SlotNumbers};
use crate::telemetry::{NodeKind, NodeName};

/// The time between two heartbeats.
const EVERY: Duration = Duration::from_millis(500);
/// The time that a slot has to answer; it answers between two steps.
const PATIENCE: Duration = Duration::from_millis(200);

/// Beats until it is dropped.
#[derive(Debug)]
pub(crate) struct Heartbeat {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Heartbeat {
    /// `waiting` says what the worker waits for beside its slots; `to` takes each beat.
    pub(crate) fn start(
        names: &[NodeName],
        directory: Directory,
        waiting: impl Fn() -> Vec<String> + Send + 'static,
        to: impl Fn(Load) + Send + 'static,
    ) -> Result<Self> {
        let (stop, stopped) = channel();
        let ids = |kind| names.iter().filter(|n| n.kind == kind).map(|n| NodeId(n.id)).collect::<Vec<_>>();
        let ends = (ids(NodeKind::Source), ids(NodeKind::Sink));
        let beat = move || {
            let mut blocked = Blocked::default();
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(EVERY) {
                to(load(&ends, &directory, waiting(), &mut blocked));
            }
        };
        let thread = std::thread::Builder::new()
            .name("heartbeat".into())
            .spawn(beat)
            .map_err(|e| Error::new(Kind::Unavailable, "cannot start the thread of the heartbeat").because(e))?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

/// By slot: microseconds blocked, and when that was said.
type Blocked = BTreeMap<SlotId, (i64, i64)>;

/// Thousandths of the time since the last beat in which a slot was blocked; 0 for a slot that has just come.
fn back_pressure(blocked: &mut Blocked, slot: SlotId, micros: i64) -> u32 {
    let at = now();
    let Some((before, since)) = blocked.insert(slot, (micros, at)) else { return 0 };
    let (spent, time) = (micros - before, (at - since).max(1));
    // A slot of the same number that came anew counts from nothing.
    u32::try_from(spent.max(0) * 1000 / time).unwrap_or(u32::MAX).min(1000)
}

/// The numbers of the slots; `sources` and `sinks` are those of the graph.
fn load(
    (sources, sinks): &(Vec<NodeId>, Vec<NodeId>),
    directory: &Directory,
    waiting: Vec<String>,
    blocked: &mut Blocked,
) -> Load {
    let at_micros = u64::try_from(now()).unwrap_or(0);
    let mut load = Load { at_micros, slots: Vec::new(), waiting, memory_used_bytes: 0 };
    for SlotNumbers { slot, nodes, waiting, moves, blocked: micros } in directory.numbers(PATIENCE) {
        load.waiting.extend(waiting);
        let sum = |of: fn(&NodeStats) -> u64| nodes.iter().map(of).sum::<u64>();
        let rows = |ids: &[NodeId]| nodes.iter().filter(|n| ids.contains(&n.id)).map(|n| n.rows_in).sum::<u64>();
        let least = nodes.iter().map(|n| n.watermark).filter(|w| *w != Time::MIN && *w != Time::MAX).min();
        load.memory_used_bytes += sum(|n| n.bytes);
        load.slots.push(SlotLoad {
            slot: u32::from(slot.0),
            rows_in: rows(sources),
            rows_out: rows(sinks),
            late: sum(|n| n.late),
            state_bytes: sum(|n| n.bytes),
            entries: sum(|n| n.entries),
            back_pressure_millis: back_pressure(blocked, slot, micros),
            watermark_micros: least.map(|w| w.0),
            queued: sum(|n| n.queued as u64),
            moves: Some(Moves {
                batches_in: moves.batches_in,
                batches_out: moves.batches_out,
                gates: moves.gates.to_vec(),
                longest_gate_micros: moves.longest_gate,
            }),
        });
    }
    load
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_buckets_of_what_is_told_are_those_of_what_is_counted() {
        assert_eq!(watershed_wire::GATE_MILLIS, watershed_runtime::slot::GATE_MILLIS);
    }
}
