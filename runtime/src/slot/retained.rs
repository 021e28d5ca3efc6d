//! Retained state: what a slot keeps when its run ends, and how its successor in the next run takes it over: the survivors' way back.
//!
//! A recovery returns everyone to the last manifest. A slot that still has its tables need not read that manifest's files: undo images
//! take the tables back to its barrier, in a time that goes with what has changed since and not with the size of the state. Only the
//! groups of a slot that was lost are loaded. Everything else of a slot (channels, sources, sinks, operators with what they have begun) is
//! made anew, exactly as after a restart, so that there is one way to begin and not two.
//!
//! The danger is a table of another history: a slot that was thought lost has epochs of its own with the numbers of epochs that others
//! published since. So a table is taken over only if the manifest was injected under the term in which the slot ran, or is the very one
//! that the slot began from. What does not fit is dropped, and read from files: slower, never wrong.

use crate::error::Result;
use crate::key::{GroupSet, SlotId};
use crate::operator::Operator;
use crate::protocol::gc::Age;
use crate::protocol::manifest::Manifest;
use crate::protocol::rules::RuleSet;

use super::Slot;
use super::node::Body;

/// The tables of a slot whose run is over.
pub struct RetainedState {
    id: SlotId,
    term: u64,
    base: Option<Age>,
    nodes: Vec<Option<Box<dyn Operator>>>,
}

impl std::fmt::Debug for RetainedState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RetainedState").field("id", &self.id).field("term", &self.term).finish_non_exhaustive()
    }
}

impl Slot {
    /// Ends the slot; what is left are its tables. `None` of a slot that failed: nobody knows how far it came.
    #[must_use]
    pub fn keep(self) -> Option<RetainedState> {
        if self.failed {
            return None;
        }
        let op = |body| match body {
            Body::Operator { op, keyed: true } => Some(op),
            Body::Operator { keyed: false, .. } | Body::Source(_) | Body::Sink(_) => None,
        };
        let nodes = self.nodes.into_inner().into_iter().map(|n| op(n.body)).collect();
        Some(RetainedState { id: self.id, term: self.epochs.term, base: self.epochs.base, nodes })
    }

    /// Takes over the tables of its predecessor as they were at the manifest's barrier. Says for which groups that was possible: the others
    /// are to be restored. Before [`Slot::start_from`], in a slot in which nothing has been restored.
    pub fn inherit(&mut self, mut kept: RetainedState, manifest: &Manifest) -> GroupSet {
        let space = self.routing.assignment.space();
        let none = GroupSet::new(space);
        let at = (manifest.injected_term, manifest.epoch);
        let rules = self.cuts.rules;
        let same = kept.term == at.0 && manifest.members.contains(&self.id) || kept.base == Some(at) || !rules.own_history_only();
        if kept.id != self.id || !same || kept.nodes.len() != self.nodes.len() {
            return none;
        }
        match kept.go_back(manifest.epoch, &self.routing.assignment.groups_of(self.id), rules) {
            Ok(Some(groups)) => {
                self.take_tables(&mut kept);
                groups
            }
            // The slot had not come as far as that barrier, or has lost what it takes to go back: as if it were new.
            Ok(None) | Err(_) => none,
        }
    }

    fn take_tables(&mut self, kept: &mut RetainedState) {
        for (node, old) in self.nodes.iter_mut().zip(&mut kept.nodes) {
            let (Body::Operator { op: new, .. }, Some(old)) = (&mut node.body, old) else { continue };
            new.tables(&mut |n| {
                old.tables(&mut |o| {
                    if n.desc().name == o.desc().name {
                        n.swap(o);
                    }
                });
            });
        }
    }
}

impl RetainedState {
    /// Undoes every table to the end of `epoch`, which is published. What all of them have of `owned` is theirs; the rest they forget.
    fn go_back(&mut self, epoch: u64, owned: &GroupSet, rules: RuleSet) -> Result<Option<GroupSet>> {
        let (mut common, mut tables) = (owned.clone(), 0);
        self.each(&mut |t| {
            if rules.survivor_undoes() {
                t.undo_to(epoch)?;
            }
            t.publish(epoch)?;
            common.intersect(t.active());
            tables += 1;
            Ok(())
        })?;
        if tables == 0 {
            return Ok(None);
        }
        self.each(&mut |t| {
            // Not only what was active: the next move of a group that was being warmed would add to what the last one brought.
            if rules.survivor_forgets() {
                t.keep_only(&common);
            }
            Ok(())
        })?;
        Ok(Some(common))
    }

    fn each(&mut self, visit: &mut dyn FnMut(&mut dyn crate::state::ErasedTable) -> Result<()>) -> Result<()> {
        let mut result = Ok(());
        for op in self.nodes.iter_mut().flatten() {
            op.tables(&mut |t| {
                if result.is_ok() {
                    result = visit(t);
                }
            });
        }
        result
    }
}
