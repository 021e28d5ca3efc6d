//! The status of a job as the `Job` service tells it: what its manager knows, and the last heartbeats of its workers.

use std::collections::BTreeMap;

use watershed_cluster::JobStatus;
use watershed_cluster::status::{self, Phase as JobPhase};
use watershed_runtime::protocol::rescale::progress::Step;
use watershed_wire::v1::{
    BatchStatus, BatchStep, EpochProgress, Era, Identity, KeyRange, Load, Moves, Phase, RescaleStatus, StatusReply, WorkerStatus,
};

use super::build::build;
use crate::clock::now;

/// The last heartbeat of each worker, and what follows from the last two.
#[derive(Debug, Default)]
pub(crate) struct Loads {
    by_worker: BTreeMap<u32, Heard>,
}

#[derive(Debug)]
struct Heard {
    load: Load,
    rows_in: f64,
    rows_out: f64,
}

impl Loads {
    /// A heartbeat.
    pub(crate) fn note(&mut self, worker: u32, load: Load) {
        let (rows_in, rows_out) = match self.by_worker.get(&worker) {
            // A new process, or slots that came: no rate across that.
            Some(old) if old.load.slots.len() == load.slots.len() && load.at_micros > old.load.at_micros => {
                let seconds = (load.at_micros - old.load.at_micros) as f64 / 1e6;
                let rate = |of: fn(&watershed_wire::v1::SlotLoad) -> u64| {
                    let sum = |l: &Load| l.slots.iter().map(of).sum::<u64>();
                    sum(&load).saturating_sub(sum(&old.load)) as f64 / seconds
                };
                (rate(|s| s.rows_in), rate(|s| s.rows_out))
            }
            Some(_) | None => (0.0, 0.0),
        };
        self.by_worker.insert(worker, Heard { load, rows_in, rows_out });
    }

    pub(crate) fn forget(&mut self, worker: u32) {
        self.by_worker.remove(&worker);
    }
}

/// The lag of the lowest watermark behind the clock.
fn status_lag(load: &Load) -> Option<u64> {
    let lowest = load.slots.iter().filter_map(|s| s.watermark_micros).min()?;
    u64::try_from(now().saturating_sub(lowest) / 1000).ok()
}

fn add(mut all: Moves, one: &Moves) -> Moves {
    all.batches_in += one.batches_in;
    all.batches_out += one.batches_out;
    all.gates.resize(all.gates.len().max(one.gates.len()), 0);
    all.gates.iter_mut().zip(&one.gates).for_each(|(sum, n)| *sum += n);
    all.longest_gate_micros = all.longest_gate_micros.max(one.longest_gate_micros);
    all
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn millis(micros: i64) -> u64 {
    u64::try_from(micros / 1000).unwrap_or(0)
}

/// The status as the `Job` service tells it.
pub(crate) fn status_reply(status: &JobStatus, loads: &Loads) -> StatusReply {
    let mut reply = StatusReply {
        job: status.job.clone(),
        // The term under which the run began is the generation: each way back to a manifest raises it.
        era: (status.run > 0).then_some(Era { term: status.term, generation: status.run }),
        epoch: status.epoch,
        epoch_age_millis: status.epoch_age.map(millis),
        version: status.version,
        wanted: status.wanted,
        key_groups: status.key_groups,
        rescale: status.rescale.as_ref().map(|r| rescale(r, status.wanted)),
        build: build(),
        waiting: status.waiting.clone(),
        ..StatusReply::default()
    };
    reply.set_phase(match status.phase {
        JobPhase::Starting => Phase::Starting,
        JobPhase::Running => Phase::Running,
        JobPhase::Rescaling => Phase::Rescaling,
        JobPhase::Recovering => Phase::Recovering,
        JobPhase::Draining => Phase::Draining,
        // The end is told by those who know its outcome.
        JobPhase::Ended => Phase::Unspecified,
    });
    let progress = |e: &watershed_runtime::coordinator::EpochProgress| EpochProgress {
        epoch: e.epoch,
        aligned: count(e.aligned),
        uploaded: count(e.uploaded),
        slots: count(e.slots),
    };
    reply.epochs = status.epochs.iter().map(progress).collect();
    let range = |r: &status::KeyRange| KeyRange { first: r.first, groups: r.groups, slot: u32::from(r.slot), worker: r.worker };
    reply.ranges = status.ranges.iter().map(range).collect();
    reply.workers = status.workers.iter().map(|w| worker_status(w, loads)).collect();
    reply
}

fn worker_status(worker: &status::WorkerStatus, loads: &Loads) -> WorkerStatus {
    let member = &worker.member;
    let mut status = WorkerStatus {
        worker: member.worker,
        identity: Some(Identity { name: member.name.clone(), incarnation: member.incarnation.clone() }),
        data_address: member.address.clone(),
        slots: member.slots.iter().map(|s| u32::from(s.0)).collect(),
        connected: worker.connected,
        leaving: worker.leaving,
        heard_millis_ago: millis(worker.silent),
        key_groups: worker.key_groups,
        ..WorkerStatus::default()
    };
    if let Some(Heard { load, rows_in, rows_out }) = loads.by_worker.get(&member.worker) {
        (status.rows_in_per_second, status.rows_out_per_second) = (*rows_in, *rows_out);
        let pressed = load.slots.iter().map(|s| s.back_pressure_millis).max().unwrap_or(0);
        status.back_pressure = f64::from(pressed) / 1000.0;
        status.lag_millis = status_lag(load);
        status.state_bytes = load.slots.iter().map(|s| s.state_bytes).sum();
        status.entries = load.slots.iter().map(|s| s.entries).sum();
        status.late = load.slots.iter().map(|s| s.late).sum();
        status.moves = Some(load.slots.iter().filter_map(|s| s.moves.as_ref()).fold(Moves::default(), add));
        status.watermark_micros = load.slots.iter().filter_map(|s| s.watermark_micros).min();
        status.waiting.clone_from(&load.waiting);
    }
    status
}

/// The rescale step by step; the first batch under way stands for all.
fn rescale(rescale: &status::RescaleStatus, to: u32) -> RescaleStatus {
    let first = rescale.progress.batches.iter().max_by_key(|b| b.step);
    let mut current = BatchStatus {
        batch: first.map_or(0, |b| b.batch),
        source: first.map_or(0, |b| u32::from(b.source.0)),
        target: first.map_or(0, |b| u32::from(b.target.0)),
        groups: first.map_or(0, |b| count(b.groups)),
        ..BatchStatus::default()
    };
    current.set_step(match rescale.progress.step {
        Step::Provisioning => BatchStep::Provisioning,
        Step::Warming => BatchStep::Warming,
        Step::Cutting => BatchStep::Cutting,
        Step::Settling => BatchStep::Settling,
        Step::Releasing => BatchStep::Releasing,
    });
    RescaleStatus {
        from: rescale.from,
        to,
        groups_to_move: rescale.groups_to_move,
        groups_moved: rescale.groups_moved,
        current: Some(current),
        ..RescaleStatus::default()
    }
}
