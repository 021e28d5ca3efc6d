//! A worker: what its slots do, what it has written, and how its session is.

use std::time::Duration;

use super::page::Page;
use super::slots;
use crate::slots::SlotNumbers;
use crate::telemetry::NodeName;

/// Numbers of a worker.
#[derive(Debug, Default)]
pub(crate) struct WorkerNumbers {
    pub(crate) slots: Vec<SlotNumbers>,
    /// Bytes of state files written.
    pub(crate) uploaded: u64,
    /// The coordinator's term; 0 before the first session.
    pub(crate) term: u64,
    /// For how long there has been no session.
    pub(crate) down: Option<Duration>,
}

/// The page.
pub(crate) fn worker(job: &str, numbers: &WorkerNumbers, names: &[NodeName]) -> String {
    let WorkerNumbers { slots: all, uploaded, term, down } = numbers;
    let mut page = Page::new(job);
    page.gauge("watershed_term", "The coordinator's term.", term);
    page.gauge("watershed_session_connected", "1 if there is a session with the coordinator.", u8::from(down.is_none()));
    let away = down.unwrap_or_default().as_secs_f64();
    page.gauge("watershed_session_down_seconds", "For how long there has been none.", away);
    page.gauge("watershed_worker_slots", "Slots of this worker that take part.", all.len());
    page.counter("watershed_uploaded_bytes_total", "Bytes of state files that this worker has written.", uploaded);
    let mut blocked =
        page.family("watershed_slot_blocked_seconds_total", "counter", "Time in which a slot had rows that nobody took.");
    for s in all {
        blocked.sample(&[("slot", &s.slot.0)], s.blocked as f64 / 1e6);
    }
    let each = |s: &SlotNumbers| (s.slot.0, s.nodes.clone());
    slots::nodes(&mut page, &all.iter().map(each).collect::<Vec<_>>(), names);
    slots::moves(&mut page, &all.iter().map(|s| (s.slot.0, s.moves)).collect::<Vec<_>>());
    page.text()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_without_a_session_says_for_how_long() {
        let numbers = WorkerNumbers { uploaded: 77, down: Some(Duration::from_millis(1500)), ..WorkerNumbers::default() };
        let page = worker("j", &numbers, &[]);
        assert!(page.contains("watershed_session_connected{job=\"j\"} 0\n"), "{page}");
        assert!(page.contains("watershed_session_down_seconds{job=\"j\"} 1.5\n"), "{page}");
        assert!(page.contains("watershed_uploaded_bytes_total{job=\"j\"} 77\n"), "{page}");
    }
}
