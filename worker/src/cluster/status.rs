//! What is to be seen of a job in many processes.

use std::collections::{BTreeMap, BTreeSet};

use watershed_runtime::protocol::rescale::progress::Step;
use watershed_wire::v1::{
    BatchStatus, BatchStep, EpochProgress, KeyRange, Load, Moves, Phase, RescaleStatus, StatusReply, WorkerStatus,
};

use super::coordinator::{Office, Running};
use crate::clock::now;
use crate::metrics::Numbers;

/// The last heartbeat of each worker, and what follows from the last two.
#[derive(Debug, Default)]
pub(super) struct Loads {
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
    pub(super) fn note(&mut self, worker: u32, load: Load) {
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

    pub(super) fn forget(&mut self, worker: u32) {
        self.by_worker.remove(&worker);
    }
}

/// How far the lowest watermark is behind the clock.
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

impl Office {
    /// Everything the `Job` service tells.
    pub(super) fn status(&self) -> StatusReply {
        let mut reply = StatusReply {
            job: self.name().to_owned(),
            wanted: self.wanted,
            key_groups: u32::try_from(self.keys.groups()).unwrap_or(u32::MAX),
            build: super::dataflow::build(),
            waiting: self.waiting(),
            ..StatusReply::default()
        };
        reply.set_phase(self.phase());
        let mut groups: BTreeMap<u32, u32> = BTreeMap::new();
        if let Some(running) = &self.running {
            let coordinator = &running.coordinator;
            reply.era = Some(self.era(running));
            reply.epoch = coordinator.last().epoch;
            reply.epoch_age_millis = running.host.snapshot_age().map(|a| u64::try_from(a.as_millis()).unwrap_or(u64::MAX));
            reply.version = coordinator.table().version;
            let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
            reply.epochs = coordinator
                .epochs_under_way()
                .map(|e| EpochProgress {
                    epoch: e.epoch,
                    aligned: count(e.aligned),
                    uploaded: count(e.uploaded),
                    slots: count(e.slots),
                })
                .collect();
            reply.rescale = self.rescale(running);
            let mut first = 0;
            for (run, slot) in coordinator.table().runs() {
                let worker = self.roster.worker_of(slot);
                *groups.entry(worker).or_default() += run;
                reply.ranges.push(KeyRange { first, groups: run, slot: u32::from(slot.0), worker });
                first += run;
            }
        }
        reply.workers = self.roster.all().map(|m| self.worker_status(m, groups.get(&m.worker).copied().unwrap_or(0))).collect();
        reply
    }

    /// What monitors are told beside that.
    pub(super) fn numbers(&self) -> Numbers {
        let slots = self.running.as_ref().map_or(0, |r| r.coordinator.members().len());
        Numbers { status: self.status(), slots, runs: self.runs, lost: self.lost }
    }

    fn worker_status(&self, member: &super::orders::Member, key_groups: u32) -> WorkerStatus {
        let (connected, silent) = self.roster.state(member.worker, now()).unwrap_or((false, 0));
        let mut status = WorkerStatus {
            worker: member.worker,
            data_address: member.address.clone(),
            slots: member.slots.iter().map(|s| u32::from(s.0)).collect(),
            connected,
            leaving: self.roster.leaving().contains(&member.worker),
            heard_millis_ago: u64::try_from(silent / 1000).unwrap_or(0),
            key_groups,
            ..WorkerStatus::default()
        };
        status.identity =
            Some(watershed_wire::v1::Identity { name: member.name.clone(), incarnation: member.incarnation.clone() });
        if let Some(Heard { load, rows_in, rows_out }) = self.loads.by_worker.get(&member.worker) {
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

    /// The coordinator's term; the generation is the term under which the run began, so each way back to a manifest raises it.
    fn era(&self, running: &Running) -> watershed_wire::v1::Era {
        watershed_wire::v1::Era { term: self.term, generation: running.run.term }
    }

    /// The rescale step by step; the first batch under way stands for all.
    fn rescale(&self, running: &Running) -> Option<RescaleStatus> {
        let progress = running.coordinator.rescale_under_way()?;
        let begun = running.began_rescale.as_ref()?;
        let slots: BTreeSet<u32> = begun.table().iter().map(|s| self.roster.worker_of(*s)).collect();
        let now = running.coordinator.table();
        let moved = begun.table().iter().zip(now.table()).filter(|(a, b)| a != b).count();
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let first = progress.batches.iter().max_by_key(|b| b.step);
        let mut current = BatchStatus {
            batch: first.map_or(0, |b| b.batch),
            source: first.map_or(0, |b| u32::from(b.source.0)),
            target: first.map_or(0, |b| u32::from(b.target.0)),
            groups: first.map_or(0, |b| count(b.groups)),
            ..BatchStatus::default()
        };
        current.set_step(match progress.step {
            Step::Provisioning => BatchStep::Provisioning,
            Step::Warming => BatchStep::Warming,
            Step::Cutting => BatchStep::Cutting,
            Step::Settling => BatchStep::Settling,
            Step::Releasing => BatchStep::Releasing,
        });
        Some(RescaleStatus {
            from: count(slots.len()),
            to: self.wanted,
            groups_to_move: count(moved + progress.groups_left),
            groups_moved: count(moved),
            current: Some(current),
            ..RescaleStatus::default()
        })
    }

    fn phase(&self) -> Phase {
        match &self.running {
            None if self.recovering.is_some() => Phase::Recovering,
            None => Phase::Starting,
            Some(r) if r.coordinator.draining() => Phase::Draining,
            Some(r) if !r.coordinator.settled() => Phase::Rescaling,
            Some(_) => Phase::Running,
        }
    }

    /// For whom the job waits.
    fn waiting(&self) -> Vec<String> {
        let mut all = Vec::new();
        all.extend(self.aside.map(str::to_owned));
        all.extend(self.recovering.clone());
        if let Err(missing) = self.roster.slots_of(self.wanted) {
            let names: Vec<String> = missing.iter().map(u32::to_string).collect();
            all.push(format!("for worker {} to register", names.join(", ")));
        }
        all.extend(self.leavers_wait());
        all.extend(self.sessions.waiting());
        all.extend(self.running.iter().flat_map(|r| r.coordinator.waiting()));
        all
    }
}
