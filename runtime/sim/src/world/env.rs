//! The environment of all processes of a run: store, sinks, random numbers, time, and what is known of the run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use watershed_runtime::error::Result;
use watershed_runtime::graph::Graph;
use watershed_runtime::key::{KeySpace, SlotId};
use watershed_runtime::protocol::rules::RuleSet;
use watershed_runtime::state::StateDesc;

use super::clock::Clock;
use super::cover::Covered;
use super::plan::Plan;
use super::rng::Rng;
use super::sink::Sinks;
use super::source::Readers;
use super::store::Store;
use super::trace::Trace;
use crate::jobs::Expected;

/// The key groups of every run.
pub(super) const SPACE: KeySpace = KeySpace { seed: 0, bits: 8 };
/// Microseconds of a manager's time that a row, and a step of the scheduler, take.
const ROW: u64 = 1000;
const STEP: u64 = 20;

/// The environment that all processes of a run share.
#[derive(Debug)]
pub(super) struct SimEnv {
    pub(super) plan: Plan,
    pub(super) expected: Expected,
    pub(super) store: Store,
    pub(super) sinks: Arc<Sinks>,
    pub(super) rng: Rng,
    /// The time of slots.
    pub(super) now: i64,
    /// Time in which nothing moved: added to the time of managers.
    pub(super) idle: u64,
    /// Time goes on by `idle` alone: rows and steps take none.
    pub(super) still: bool,
    pub(super) trace: Trace,
    pub(super) seen: Covered,
    pub(super) breach: Option<String>,
    pub(super) rules: RuleSet,
    /// Until which step the store answers nothing, and until which it lies.
    pub(super) down: u64,
    pub(super) lies: u64,
    /// Nothing passes from one to another until a step.
    pub(super) stall: Option<(usize, usize, u64)>,
    /// By term of the run and epoch: the version of the table when its barrier went out.
    pub(super) barriers: BTreeMap<(u64, u64), u64>,
    /// Term and epoch of the log's last entries.
    pub(super) term: (u64, u64),
    /// Slots a worker has, where a job runs in many processes; and what time it is to each worker.
    pub(super) each: usize,
    pub(super) clocks: Vec<Clock>,
    /// Runs that were taken over.
    pub(super) adopted: BTreeSet<u64>,
    /// The run of the newest manifest, and the slots that it names as owners.
    pub(super) owners: (u64, BTreeSet<SlotId>),
    /// By run: the version of the table in its last manifest.
    pub(super) carried: BTreeMap<u64, u64>,
    /// Stops, and drains, asked for so far.
    pub(super) stops: u64,
    pub(super) drains: u64,
    /// By input and split: the rows read when all splits had ended, by the log.
    pub(super) read: Option<Vec<Vec<usize>>>,
    /// The log ends with the end of the job.
    pub(super) finished: bool,
    /// Manifests put, rows read, and so on: for the report.
    pub(super) epochs: u64,
    pub(super) rows: u64,
    pub(super) rescales: u64,
    /// A graph for those that only look at it, and its states.
    pub(super) graph: Arc<Graph>,
    pub(super) descs: Vec<(u64, StateDesc)>,
}

impl SimEnv {
    /// The environment of a plan.
    pub(super) fn new(plan: Plan, rules: RuleSet, text: bool) -> Self {
        let mut env = Self {
            expected: plan.kind.expected(&plan.env),
            store: Store::default(),
            sinks: Arc::new(Sinks::new(plan.kind.sinks())),
            rng: Rng::new(plan.seed.rotate_left(17) ^ 0xabcd),
            now: 1_000_000_000,
            idle: 0,
            still: false,
            trace: Trace::new(text),
            seen: Covered::default(),
            breach: None,
            rules,
            down: 0,
            lies: 0,
            stall: None,
            barriers: BTreeMap::new(),
            term: (0, 0),
            each: 1,
            clocks: Vec::new(),
            adopted: BTreeSet::new(),
            owners: (0, BTreeSet::new()),
            carried: BTreeMap::new(),
            stops: 0,
            drains: 0,
            read: None,
            finished: false,
            epochs: 0,
            rows: 0,
            rescales: 0,
            graph: Arc::default(),
            descs: Vec::new(),
            plan,
        };
        match env.graph(0).and_then(|(graph, _)| Ok((graph.shape()?.nodes, graph))) {
            Ok((shape, graph)) => (env.descs, env.graph) = (watershed_runtime::protocol::state_file::descriptors(&shape), graph),
            Err(e) => env.broken(|| format!("the job cannot be built: {e}")),
        }
        env
    }

    /// The job's graph, with readers of its own.
    pub(super) fn graph(&self, salt: u64) -> Result<(Arc<Graph>, Arc<Readers>)> {
        let plan = &self.plan;
        let readers = Arc::new(Readers::new(plan.seed ^ salt << 32, plan.pending, plan.patience));
        Ok((Arc::new(plan.kind.graph(&plan.env, &readers, &self.sinks)?), readers))
    }

    /// The time of managers, by a clock that is right: rows read, mostly. Only goes forward.
    pub(super) fn time(&self) -> i64 {
        let taken = if self.still { 0 } else { self.rows * ROW + self.trace.steps() * STEP };
        i64::try_from(taken + self.idle).unwrap_or(i64::MAX)
    }

    /// The slot's time, by its worker's clock.
    pub(super) fn time_of(&self, slot: usize) -> i64 {
        self.clocks.get(slot / self.each).map_or(self.now, |c| c.at(self.now))
    }

    /// The world's time at which the slot's clock reaches `time`.
    pub(super) fn until(&self, slot: usize, time: i64) -> i64 {
        let wait = time.saturating_sub(self.time_of(slot));
        self.now.saturating_add(self.clocks.get(slot / self.each).map_or(wait, |c| c.lasts(wait)))
    }

    /// Something that must not be.
    pub(super) fn broken(&mut self, what: impl FnOnce() -> String) {
        if self.breach.is_none() {
            self.breach = Some(what());
        }
    }
}
