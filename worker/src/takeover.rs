//! From a job and its storage to a term: what is there is read, compared with the job, and claimed.

use std::collections::BTreeSet;
use std::sync::Arc;

use watershed_runtime::error::{Error, Kind, Result};
use watershed_runtime::graph::{Graph, NodeShape};
use watershed_runtime::key::{Assignment, KeySpace, SlotId};
use watershed_runtime::protocol::log::LogWriter;
use watershed_runtime::protocol::restart;
use watershed_runtime::protocol::rules::RuleSet;
use watershed_runtime::state::StateDesc;

use crate::restore::{claim, clear, read_log, root};
use crate::store::Store;

/// What a start found in the storage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// The epoch it goes on from; 0 for a job that begins.
    pub epoch: u64,
    /// Stored states (`node.state`) that go on.
    pub kept: Vec<String>,
    /// States that the storage does not have: they begin empty.
    pub empty: Vec<String>,
    /// Stored states given up, as was asked.
    pub dropped: Vec<String>,
}

/// A job and what it may do to its storage.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    pub(crate) name: String,
    pub(crate) graph: Arc<Graph>,
    /// Throw earlier snapshots away.
    pub(crate) fresh: bool,
    pub(crate) keys: KeySpace,
    pub(crate) may_drop: Vec<String>,
    pub(crate) drop_unmatched: bool,
}

/// Keyed states by table id.
pub(crate) type Descs = Arc<Vec<(u64, StateDesc)>>;

/// A job whose term is ours.
#[derive(Debug)]
pub(crate) struct TakenOver {
    pub(crate) start: restart::Start,
    pub(crate) log: LogWriter,
    pub(crate) restored: Restored,
    /// Every keyed state of the job, by table id.
    pub(crate) descs: Descs,
}

/// How often a lost claim is tried again: each loss means that another process wrote to the log in between.
const CLAIMS: u32 = 1000;

impl Claim {
    /// Storage that is this job's and honours create-only puts, and how the job hashes.
    pub(crate) fn open(&self, url: &str) -> Result<(Store, KeySpace)> {
        self.graph.check()?;
        let store = Store::open(url)?;
        store.probe()?;
        if self.fresh {
            clear(&store)?;
        }
        let keys = root(&store, &self.name, self.keys)?;
        for (_, node, sink) in self.graph.sinks() {
            sink.check().map_err(|e| e.at(node.name.clone()))?;
        }
        Ok((store, keys))
    }

    /// Reads the log, checks that the job can go on from its end with these slots, and claims the next term. Whoever runs the job now may
    /// publish between the reading and the claim: then the claim is lost, and the log is read again. The newcomer wins in the end (I10).
    pub(crate) fn take_over(&self, store: &Store, keys: KeySpace, slots: &BTreeSet<SlotId>, uid: &str) -> Result<TakenOver> {
        let shape = self.graph.shape()?.nodes;
        let tables = |n: &NodeShape| n.states.iter().map(|s| (n.id.table(&s.name), s.clone())).collect::<Vec<_>>();
        let descs = Arc::new(shape.iter().flat_map(tables).collect());
        let mut fresh = Assignment::even(keys, u16::try_from(slots.len()).unwrap_or(u16::MAX));
        let version = fresh.version;
        restart::replan(&mut fresh, slots);
        fresh.version = version;
        for tries in 0.. {
            let tail = read_log(store)?;
            let stored = tail.last.as_ref().map_or(&[][..], |(_, m)| m.graph.as_slice());
            let shapes = restart::compare(stored, &shape);
            let mut may_drop = self.may_drop.clone();
            if self.drop_unmatched {
                may_drop.extend(shapes.missing.iter().chain(&shapes.changed).cloned());
            }
            let job = restart::Job {
                fingerprint: 0,
                graph: shape.clone(),
                fresh: fresh.clone(),
                slots: slots.clone(),
                may_drop: may_drop.into_iter().collect(),
            };
            let start = restart::start(&tail, &job)?;
            let mut log = LogWriter::new(&tail, RuleSet::ALL);
            match claim(store, &mut log, uid) {
                Err(e) if e.kind() == Kind::Fenced && tries < CLAIMS => {}
                claimed => {
                    claimed?;
                    let (empty, dropped) = (start.empty.clone(), start.dropped.clone());
                    let restored = Restored { epoch: start.manifest.epoch, kept: shapes.kept, empty, dropped };
                    return Ok(TakenOver { start, log, restored, descs });
                }
            }
        }
        Err(Error::broken("I10", "claiming a term ended without an answer"))
    }
}
