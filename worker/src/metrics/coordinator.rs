//! A coordinator: the job as a whole. What rows do is said by the workers, who are asked themselves.

use watershed_wire::v1::{BatchStep, Phase, StatusReply};

use super::page::Page;

/// Numbers of a coordinator's thread.
#[derive(Clone, Debug, Default)]
pub(crate) struct Numbers {
    pub(crate) status: StatusReply,
    /// Slots that take part.
    pub(crate) slots: usize,
    /// Runs that this process has begun or taken over.
    pub(crate) runs: u64,
    /// Workers that were lost while they took part.
    pub(crate) lost: u64,
}

const PHASES: [Phase; 8] = [
    Phase::Starting,
    Phase::Running,
    Phase::Rescaling,
    Phase::Recovering,
    Phase::Draining,
    Phase::Stopped,
    Phase::Finished,
    Phase::Failed,
];

const STEPS: [BatchStep; 5] =
    [BatchStep::Provisioning, BatchStep::Warming, BatchStep::Cutting, BatchStep::Settling, BatchStep::Releasing];

/// The page.
pub(crate) fn coordinator(job: &str, numbers: &Numbers) -> String {
    let Numbers { status, slots, runs, lost } = numbers;
    let mut page = Page::new(job);
    let mut phases = page.family("watershed_phase", "gauge", "1 for the phase that the job is in.");
    for phase in PHASES {
        let name = phase.as_str_name().trim_start_matches("PHASE_").to_lowercase();
        phases.sample(&[("phase", &name)], u8::from(status.phase() == phase));
    }
    let era = status.era.unwrap_or_default();
    page.gauge("watershed_term", "The coordinator's term.", era.term);
    page.gauge("watershed_generation", "The term under which the run began: each recovery raises it.", era.generation);
    page.gauge("watershed_epoch", "The last published epoch.", status.epoch);
    if let Some(age) = status.epoch_age_millis {
        page.gauge("watershed_snapshot_age_seconds", "Since the last epoch was published.", age as f64 / 1000.0);
    }
    page.gauge("watershed_slots", "Slots that take part.", slots);
    page.gauge(
        "watershed_settled",
        "1 if the job runs and no key group is about to move.",
        u8::from(status.phase() == Phase::Running),
    );
    page.gauge("watershed_waiting", "For how much the job waits, besides for rows.", status.waiting.len());
    page.counter("watershed_runs_total", "Runs that this process has begun or taken over.", runs);
    page.counter("watershed_workers_lost_total", "Workers lost while they took part: each ended a run.", lost);
    page.gauge("watershed_workers_wanted", "Workers wanted.", status.wanted);
    let connected = status.workers.iter().filter(|w| w.connected).count();
    page.gauge("watershed_workers_connected", "Workers that are connected.", connected);
    ownership(&mut page, status);
    rescale(&mut page, status);
    page.text()
}

fn ownership(page: &mut Page, status: &StatusReply) {
    let mut by_slot = std::collections::BTreeMap::<u32, u32>::new();
    status.ranges.iter().for_each(|r| *by_slot.entry(r.slot).or_default() += r.groups);
    let mut groups = page.family("watershed_slot_key_groups", "gauge", "Key groups that a slot owns.");
    by_slot.iter().for_each(|(slot, n)| groups.sample(&[("slot", slot)], n));
    let mut groups = page.family("watershed_worker_key_groups", "gauge", "Key groups that a worker's slots own.");
    status.workers.iter().for_each(|w| groups.sample(&[("worker", &w.worker)], w.key_groups));
    let mut connected = page.family("watershed_worker_connected", "gauge", "1 for a worker that is connected.");
    status.workers.iter().for_each(|w| connected.sample(&[("worker", &w.worker)], u8::from(w.connected)));
    let mut leaving = page.family("watershed_worker_leaving", "gauge", "1 for a worker that hands over what it has, and ends.");
    status.workers.iter().for_each(|w| leaving.sample(&[("worker", &w.worker)], u8::from(w.leaving)));
}

fn rescale(page: &mut Page, status: &StatusReply) {
    let left = status.rescale.as_ref().map_or(0, |r| r.groups_to_move.saturating_sub(r.groups_moved));
    page.gauge("watershed_rescale_groups_left", "Key groups that are to move and have not.", left);
    let current = status.rescale.as_ref().and_then(|r| r.current.as_ref()).map(|c| c.step());
    let mut steps = page.family("watershed_rescale_step", "gauge", "1 for what a rescale does now.");
    for step in STEPS {
        let name = step.as_str_name().trim_start_matches("BATCH_STEP_").to_lowercase();
        steps.sample(&[("step", &name)], u8::from(current == Some(step)));
    }
}

#[cfg(test)]
mod tests {
    use watershed_wire::v1::{BatchStatus, Era, KeyRange, RescaleStatus, WorkerStatus};

    use super::*;

    #[test]
    fn a_job_of_processes_says_where_its_key_groups_are_and_what_a_rescale_does() {
        let range = |slot, groups| KeyRange { slot, groups, ..KeyRange::default() };
        let mut current = BatchStatus::default();
        current.set_step(BatchStep::Cutting);
        let rescale = RescaleStatus { groups_to_move: 10, groups_moved: 4, current: Some(current), ..RescaleStatus::default() };
        let mut status = StatusReply {
            era: Some(Era { term: 9, generation: 7 }),
            ranges: vec![range(2, 5), range(3, 1), range(2, 6)],
            workers: vec![WorkerStatus { worker: 1, connected: true, key_groups: 12, ..WorkerStatus::default() }],
            wanted: 2,
            rescale: Some(rescale),
            ..StatusReply::default()
        };
        status.set_phase(Phase::Rescaling);
        let page = coordinator("j", &Numbers { status, slots: 4, runs: 3, lost: 1 });
        for sample in [
            "watershed_phase{job=\"j\",phase=\"rescaling\"} 1",
            "watershed_phase{job=\"j\",phase=\"running\"} 0",
            "watershed_generation{job=\"j\"} 7",
            "watershed_settled{job=\"j\"} 0",
            "watershed_slot_key_groups{job=\"j\",slot=\"2\"} 11",
            "watershed_worker_key_groups{job=\"j\",worker=\"1\"} 12",
            "watershed_workers_wanted{job=\"j\"} 2",
            "watershed_rescale_groups_left{job=\"j\"} 6",
            "watershed_rescale_step{job=\"j\",step=\"cutting\"} 1",
            "watershed_workers_lost_total{job=\"j\"} 1",
        ] {
            assert!(page.lines().any(|l| l == sample), "{sample} in {page}");
        }
        assert!(!page.contains("snapshot_age"), "nothing has been published yet");
    }
}
