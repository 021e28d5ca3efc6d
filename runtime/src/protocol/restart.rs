//! From the end of the log to a start: what is kept, what is dropped, what is missing.
//!
//! A state that the manifest has and the job has not, or has in another shape, is an error that names it: defaults in its place would
//! be silent loss. It can be dropped on request, by name. A state that only the job has starts empty, and is reported.

use std::collections::{BTreeMap, BTreeSet};

use super::log::Tail;
use super::manifest::{HandleEntry, Manifest};
use crate::error::{Error, Kind, Result};
use crate::graph::{NodeId, NodeShape};
use crate::key::{Assignment, KeySpace, SlotId};
use crate::state::StateDesc;

/// The states of manifest and job, compared. Each is named `node.state`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shapes {
    /// In both, and alike.
    pub kept: Vec<String>,
    /// Only in the manifest.
    pub missing: Vec<String>,
    /// In both, with different bytes.
    pub changed: Vec<String>,
    /// Only in the job.
    pub new: Vec<String>,
}

/// Compares node by node (by id) and state by state (by name).
#[must_use]
pub fn compare(stored: &[NodeShape], job: &[NodeShape]) -> Shapes {
    fn states(nodes: &[NodeShape]) -> BTreeMap<(NodeId, &str), (&str, &StateDesc)> {
        let flat = nodes.iter().flat_map(|n| n.states.iter().map(move |s| ((n.id, s.name.as_str()), (n.name.as_str(), s))));
        flat.collect()
    }
    let (stored, job) = (states(stored), states(job));
    let mut shapes = Shapes::default();
    for (key, (node, state)) in &stored {
        let name = format!("{node}.{}", state.name);
        match job.get(key) {
            None => shapes.missing.push(name),
            Some((_, now)) if (now.version, &now.key, &now.value) == (state.version, &state.key, &state.value) => {
                shapes.kept.push(name)
            }
            Some(_) => shapes.changed.push(name),
        }
    }
    shapes.new = job.iter().filter(|(k, _)| !stored.contains_key(*k)).map(|(_, (n, s))| format!("{n}.{}", s.name)).collect();
    shapes
}

/// The start of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// The slots that took part after the last manifest; empty for a job that begins. The manifest below says who is to.
    pub took_part: Vec<SlotId>,
    /// The manifest that it starts from.
    pub manifest: Manifest,
    /// The owners of key groups: the manifest's table, or balanced over the slots that are there.
    pub table: Assignment,
    /// To be committed again, in order, before anything new is.
    pub commit: Vec<HandleEntry>,
    /// States that begin empty.
    pub empty: Vec<String>,
    /// States given up on request.
    pub dropped: Vec<String>,
    /// The manifest was the job's last: there is nothing left to run.
    pub finished: bool,
}

/// The job as it is now.
#[derive(Clone, Debug)]
pub struct Job {
    /// A hash of its text or program, 0 so far (see [`Manifest::fingerprint`]).
    pub fingerprint: u64,
    /// The job's graph.
    pub graph: Vec<NodeShape>,
    /// The table of a job without a manifest.
    pub fresh: Assignment,
    /// The slots to start with.
    pub slots: BTreeSet<SlotId>,
    /// States (`node.state`) that may be lost.
    pub may_drop: BTreeSet<String>,
}

impl Job {
    /// A job with this graph, for these slots: its fresh table spreads the key groups over them, with as few moves as if they had come
    /// one by one.
    #[must_use]
    pub fn new(graph: Vec<NodeShape>, keys: KeySpace, slots: BTreeSet<SlotId>) -> Self {
        let mut fresh = Assignment::even(keys, u16::try_from(slots.len()).unwrap_or(u16::MAX));
        let version = fresh.version;
        replan(&mut fresh, &slots);
        // Nothing has been written by another table.
        fresh.version = version;
        Self { fingerprint: 0, graph, fresh, slots, may_drop: BTreeSet::new() }
    }

    /// The same, where these states (`node.state`) may be lost.
    #[must_use]
    pub fn may_drop(mut self, states: impl IntoIterator<Item = String>) -> Self {
        self.may_drop.extend(states);
        self
    }
}

/// Plans the start from the end of the log.
///
/// # Errors
/// `Invalid`, naming them, if stored states have no home; `Corrupt` if the manifest contradicts itself.
pub fn start(tail: &Tail, job: &Job) -> Result<Start> {
    let Some((seq, stored)) = &tail.last else {
        let manifest = Manifest::origin(job.fingerprint, job.graph.clone(), &job.fresh, job.slots.iter().copied().collect());
        let empty = compare(&[], &job.graph).new;
        let took_part = Vec::new();
        return Ok(Start {
            took_part,
            manifest,
            table: job.fresh.clone(),
            commit: vec![],
            empty,
            dropped: vec![],
            finished: false,
        });
    };
    let shapes = compare(&stored.graph, &job.graph);
    let lost: Vec<String> = shapes.missing.iter().chain(&shapes.changed).cloned().collect();
    let refused: Vec<&str> = lost.iter().filter(|s| !job.may_drop.contains(*s)).map(String::as_str).collect();
    if !refused.is_empty() {
        return Err(Error::new(
            Kind::Invalid,
            format!("the snapshot holds state that the job cannot take: {}{}", refused.join(", "), others(&shapes)),
        )
        .at(super::entry::name(*seq))
        .advise("bring these states back as they were, name them as droppable, or start without the snapshot"));
    }
    let mut table = stored.table.assignment()?;
    if table.space() != job.fresh.space() {
        return Err(Error::new(Kind::Corrupt, "the manifest's key groups are not those of the job").at(super::entry::name(*seq)));
    }
    replan(&mut table, &job.slots);
    let mut manifest = stored.clone();
    manifest.graph.clone_from(&job.graph);
    manifest.fingerprint = job.fingerprint;
    manifest.members = job.slots.iter().copied().collect();
    Ok(Start {
        took_part: stored.members.clone(),
        commit: stored.handles_in_order(),
        finished: stored.finished(),
        manifest,
        table,
        empty: shapes.new,
        dropped: lost,
    })
}

/// The fate of the states that are no obstacle.
fn others(shapes: &Shapes) -> String {
    let list = |what: &str, states: &[String]| (!states.is_empty()).then(|| format!("{what}: {}", states.join(", ")));
    let all: Vec<String> = [list("kept", &shapes.kept), list("new and empty", &shapes.new)].into_iter().flatten().collect();
    if all.is_empty() { String::new() } else { format!(" ({})", all.join("; ")) }
}

/// Gives the groups of slots that are not there to those that are: recovery, and a start with another number of slots. What need
/// not move stays, since a survivor has it in memory. Raises the version if anything moved.
pub fn replan(table: &mut Assignment, slots: &BTreeSet<SlotId>) {
    let before = table.version;
    for m in super::plan::plan(table, slots, usize::MAX) {
        table.set(&m.groups, m.target, before + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: u64, name: &str, states: &[(&str, u32)]) -> NodeShape {
        let states = states.iter().map(|(n, v)| StateDesc { version: *v, ..StateDesc::of::<u64, u64>(n) }).collect();
        NodeShape { id: NodeId(id), name: name.into(), states }
    }

    fn job(graph: Vec<NodeShape>, slots: u16) -> Job {
        let fresh = Assignment::even(KeySpace { seed: 0, bits: 8 }, slots);
        Job { fingerprint: 1, graph, fresh, slots: (0..slots).map(SlotId).collect(), may_drop: BTreeSet::new() }
    }

    fn tail(job: &Job) -> Tail {
        let mut first = start(&Tail::default(), job).unwrap();
        first.manifest.epoch = 7;
        Tail { next: 4, term: 1, last: Some((3, first.manifest)) }
    }

    #[test]
    fn an_empty_log_starts_from_nothing() {
        let s = start(&Tail::default(), &job(vec![node(1, "count", &[("n", 1)])], 2)).unwrap();
        assert_eq!((s.manifest.epoch, s.empty, s.finished), (0, vec!["count.n".to_owned()], false));
    }

    #[test]
    fn lost_and_changed_states_are_refused_by_name_unless_given_up() {
        let old = job(vec![node(1, "count", &[("n", 1), ("kept", 1)]), node(2, "join", &[("left", 1)])], 2);
        let mut new = job(vec![node(1, "count", &[("n", 2), ("kept", 1), ("extra", 1)])], 2);
        let e = start(&tail(&old), &new).unwrap_err();
        assert_eq!(
            e.to_string(),
            "manifest/00000000000000000003.json: the snapshot holds state that the job cannot take: join.left, count.n (kept: count.kept; new and empty: count.extra)"
        );
        new.may_drop = ["join.left".to_owned(), "count.n".to_owned()].into();
        let s = start(&tail(&old), &new).unwrap();
        assert_eq!((s.dropped.len(), s.empty), (2, vec!["count.extra".to_owned()]));
    }

    #[test]
    fn a_start_with_other_slots_moves_only_what_must() {
        let old = job(vec![], 4);
        let s = start(&tail(&old), &job(vec![], 3)).unwrap();
        let stayed =
            (0..256u16).filter(|g| s.table.slot(crate::key::KeyGroup(*g)) == old.fresh.slot(crate::key::KeyGroup(*g))).count();
        assert_eq!((stayed, s.table.version), (192, 1));
    }
}
