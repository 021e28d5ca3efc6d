//! Ways to end a job: a stop with a snapshot, after which the job is started again, and a drain, after which nothing is left to do.
//!
//! A drain that is lost with whoever was told is asked for again, or not: that is its client's to decide, so both come up. What the
//! simulator knows of a drain it knows from the log alone: the manifest in which every split has ended says how many rows of each were
//! read, the answer is that of a batch over exactly these, and no later manifest may say otherwise (I15).

use std::sync::Arc;

use watershed_runtime::protocol::manifest::{Manifest, SourceEntry};

use super::cover::Cover;
use super::env::SimEnv;
use super::plan::{Plan, Trigger};
use super::rng::Rng;
use super::source::SimSource;
use crate::jobs::input::Input;

/// A way to end a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Stop with a snapshot.
    Stop,
    /// Drain; asked for again where it was lost, or not.
    Drain(bool),
}

/// The endings of a run: few, in half of the seeds.
pub(super) fn endings(seed: u64, mut trigger: impl FnMut(&mut Rng) -> Trigger) -> Vec<(Trigger, Ending)> {
    let mut rng = Rng::new(seed.rotate_left(43) ^ 0x00d7_a1b2);
    let mut all = Vec::new();
    if rng.chance(1, 3) {
        let again = rng.chance(2, 3);
        all.push((trigger(&mut rng), Ending::Drain(again)));
    }
    if rng.chance(1, 6) {
        all.push((trigger(&mut rng), Ending::Stop));
    }
    all
}

/// Endings that are still due, and the coordinator that was told last.
#[derive(Debug)]
pub(super) struct Endings {
    left: Vec<(Trigger, Ending)>,
    draining: Option<bool>,
    told: Option<(u64, u64)>,
}

impl Endings {
    pub(super) fn new(plan: &Plan) -> Self {
        Self { left: plan.endings.clone(), draining: None, told: None }
    }

    /// The ending that the present coordinator (process and run) is to be told next.
    pub(super) fn next(&mut self, who: (u64, u64), due: impl Fn(Trigger) -> bool, env: &mut SimEnv) -> Option<Ending> {
        if let Some(at) = self.left.iter().position(|(t, _)| due(*t)) {
            let (_, ending) = self.left.swap_remove(at);
            match ending {
                Ending::Stop => {
                    env.stops += 1;
                    env.trace.note(40, who.0, who.1, || "a stop is wished".into());
                    return Some(Ending::Stop);
                }
                Ending::Drain(again) => self.draining = Some(again),
            }
        }
        let again = self.draining?;
        // A coordinator that begins another run asks by itself; what is lost with one its client has to ask for again.
        let anew = self.told.is_none_or(|told| told != who && (again || told.0 == who.0));
        if !anew || env.read.is_some() {
            return None;
        }
        self.told = Some(who);
        env.drains += 1;
        env.trace.note(41, who.0, who.1, || "a drain is wished".into());
        Some(Ending::Drain(again))
    }

    /// Records coverage for a drain that was under way when its process died.
    pub(super) fn note_crash(&self, who: u64, env: &mut SimEnv) {
        let (told, cut) = (self.told.is_some_and(|t| t.0 == who), env.cut_short());
        if told && env.read.is_none() {
            env.seen.see(Cover::CrashDraining);
        } else if told && cut && !env.finished {
            env.seen.see(Cover::CrashDrained);
        }
    }
}

/// The number of rows of each split of each input read when all of them had ended; `None` while some have not.
fn read(manifest: &Manifest, inputs: &[Arc<Input>]) -> Option<Vec<Vec<usize>>> {
    let entry = |n: usize| {
        let node = manifest.graph.iter().find(|g| g.name == format!("input {n}"))?;
        manifest.sources.get(&node.id.0).filter(|s| s.discovery_complete && s.splits.iter().all(|x| x.finished))
    };
    let rows = |source: &SourceEntry, split: usize| {
        let found = source.splits.iter().find(|s| s.split == SimSource::split(split));
        found.and_then(|s| s.position.as_slice().try_into().ok()).map_or(0, u32::from_le_bytes) as usize
    };
    let of = |(n, input): (usize, &Arc<Input>)| entry(n).map(|e| (0..input.splits).map(|s| rows(e, s)).collect());
    inputs.iter().enumerate().map(of).collect()
}

/// I15: where reading ends, it ends for good, and only if somebody wished it, or at the end.
pub(super) fn check_ending(manifest: &Manifest, env: &mut SimEnv) {
    let (epoch, now) = (manifest.epoch, read(manifest, &env.plan.env.inputs));
    match (&env.read, now) {
        (Some(before), now) if now.as_ref() != Some(before) => {
            env.broken(|| format!("I15: manifest {epoch} says that rows were read after the barrier at which all reading ended"));
        }
        (None, Some(now)) => {
            env.read = Some(now);
            if env.cut_short() {
                env.seen.see(Cover::Drained);
                if env.drains == 0 {
                    env.broken(|| format!("I15: manifest {epoch} ends what nobody wished to end"));
                }
            }
        }
        (Some(_), _) | (None, None) => {}
    }
    env.finished = manifest.finished();
    if manifest.last && !env.finished {
        env.trace
            .note(42, epoch, 0, || format!("manifest {epoch} is the last: {:?} {:?}", manifest.sources, manifest.watermarks));
    }
}

impl SimEnv {
    /// True if a drain has left rows unread.
    pub(super) fn cut_short(&self) -> bool {
        let short = |(input, read): (&Arc<Input>, &Vec<usize>)| read.iter().any(|n| *n < input.rows);
        self.read.as_ref().is_some_and(|all| self.plan.env.inputs.iter().zip(all).any(short))
    }

    /// The job is over: the answer is that of a batch over what was read.
    pub(super) fn judge(&mut self) {
        if self.breach.is_some() {
            return;
        }
        if !self.finished {
            return self.broken(|| "I15: the job is over, and its last manifest does not say so".into());
        }
        if let Some(read) = self.read.clone().filter(|_| self.cut_short()) {
            let mut env = self.plan.env.clone();
            for (input, rows) in env.inputs.iter_mut().zip(read) {
                Arc::make_mut(input).read = Some(rows);
            }
            self.expected = self.plan.kind.expected(&env);
        }
        self.breach = self.sinks.judge(&self.expected).err();
    }
}
