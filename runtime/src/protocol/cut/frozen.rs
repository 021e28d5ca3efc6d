//! Frozen copies: what a slot keeps of groups it has given away, and when it lets go.
//!
//! Law: a frozen copy with its undo images is what recovery goes back to, so it stays until a manifest that *carries the cut* is
//! published; epoch e may be published after a cut made in e+1, and then says nothing about it. There is one short-cut: a cut of the same
//! groups implies that publication (I11), so a slot that gets a group back drops its old copy with the first word of the cut,
//! even if it has not heard `Published` yet. A `Published` that comes later finds nothing to drop and must not touch the new copy.

use std::sync::Arc;

use super::CutPlan;
use crate::protocol::rules::RuleSet;

/// The cuts whose frozen copies this slot still has.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct FrozenCopies {
    copies: Vec<Arc<CutPlan>>,
    rules: RuleSet,
}

impl FrozenCopies {
    /// None.
    #[must_use]
    pub fn new(rules: RuleSet) -> Self {
        Self { copies: Vec::new(), rules }
    }

    /// S has sent Final: its copy of the batch is frozen.
    pub fn freeze(&mut self, plan: Arc<CutPlan>) {
        self.copies.push(plan);
    }

    /// A manifest whose table has `version` is published: the copies to drop now.
    #[must_use]
    pub fn published(&mut self, version: u64) -> Vec<Arc<CutPlan>> {
        let by_table = self.rules.frozen_with_table();
        self.copies.extract_if(.., |c| c.version <= version || !by_table).collect()
    }

    /// The first word of a cut that brings groups here: older copies of them, to drop now.
    #[must_use]
    pub fn superseded(&mut self, plan: &CutPlan) -> Vec<Arc<CutPlan>> {
        if !self.rules.fence_implies_publication() {
            return Vec::new();
        }
        self.copies.extract_if(.., |c| c.version < plan.version && c.groups.intersects(&plan.groups)).collect()
    }

    /// The cuts whose copies are here.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<CutPlan>> {
        self.copies.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{GroupSet, KeyGroup, KeySpace, SlotId};

    fn cut(version: u64, group: u16) -> Arc<CutPlan> {
        let groups = Arc::new(GroupSet::of(KeySpace::default(), [KeyGroup(group)]));
        Arc::new(CutPlan { batch: version, version, groups, source: SlotId(0), target: SlotId(1) })
    }

    #[test]
    fn a_copy_goes_with_the_manifest_that_carries_its_cut() {
        let mut f = FrozenCopies::new(RuleSet::ALL);
        f.freeze(cut(3, 7));
        f.freeze(cut(4, 8));
        assert_eq!(f.published(2), []);
        assert_eq!(f.published(3), [cut(3, 7)]);
        assert_eq!(f.iter().count(), 1);
    }

    #[test]
    fn a_newer_cut_of_its_groups_stands_for_the_publication() {
        let mut f = FrozenCopies::new(RuleSet::ALL);
        f.freeze(cut(3, 7));
        assert_eq!(f.superseded(&cut(5, 8)), []);
        assert_eq!(f.superseded(&cut(6, 7)), [cut(3, 7)]);
        assert_eq!(f.published(3), []);
    }
}
