//! Turns: a barrier or a cut; and the table that both go by.
//!
//! Laws. I9: an alignment (first injection to the last slot's `Aligned`) and a cut (first Fence to `Active`) never overlap; each half
//! has a rule. I11: a group is cut only while the last published manifest carries its previous cut. I4: the table changes only
//! here, by a cut, one version each. Several cuts may be open at once, of different groups.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::cut::CutPlan;
use super::rules::RuleSet;
use crate::error::{Error, Result};
use crate::key::{Assignment, GroupSet, SlotId};

/// The coordinator's view of barriers and cuts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turns {
    table: Arc<Assignment>,
    aligning: Option<Aligning>,
    open: BTreeMap<u64, Arc<CutPlan>>,
    /// By group: the version of its last cut, while no published manifest carries it.
    unpublished: BTreeMap<u16, u64>,
    published: u64,
    /// A barrier is due and waits for the open cuts: no other cut goes before it.
    due: bool,
    rules: RuleSet,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Aligning {
    epoch: u64,
    missing: BTreeSet<SlotId>,
}

/// The table is left out: it follows from the version and the cuts that led to it.
impl std::hash::Hash for Turns {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.table.version.hash(state);
        self.aligning.hash(state);
        self.open.hash(state);
        self.unpublished.hash(state);
        self.published.hash(state);
        self.due.hash(state);
    }
}

impl Turns {
    /// Nothing under way, `table` published.
    #[must_use]
    pub fn new(table: Assignment, rules: RuleSet) -> Self {
        let published = table.version;
        Self {
            table: Arc::new(table),
            aligning: None,
            open: BTreeMap::new(),
            unpublished: BTreeMap::new(),
            published,
            due: false,
            rules,
        }
    }

    /// As a coordinator before this one left them: the table with every cut, the version that the last manifest carries, the barrier that
    /// is aligning and the slots that have not aligned it, the cuts that no manifest carries and whether they are open.
    #[must_use]
    pub fn adopted(
        table: Arc<Assignment>,
        published: u64,
        aligning: Option<(u64, BTreeSet<SlotId>)>,
        cuts: &[(Arc<CutPlan>, bool)],
        rules: RuleSet,
    ) -> Self {
        let aligning = aligning.map(|(epoch, missing)| Aligning { epoch, missing });
        let open = cuts.iter().filter(|(_, open)| *open).map(|(c, _)| (c.batch, Arc::clone(c))).collect();
        let mut unpublished = BTreeMap::new();
        for (cut, _) in cuts.iter().filter(|_| rules.adopts_cut_versions()) {
            unpublished.extend(cut.groups.iter().map(|g| (g.0, cut.version)));
        }
        Self { table, aligning, open, unpublished, published, due: false, rules }
    }

    /// The rules that it goes by.
    pub(super) fn rules(&self) -> RuleSet {
        self.rules
    }

    /// The table that routers use once all open cuts are over.
    #[must_use]
    pub fn table(&self) -> &Arc<Assignment> {
        &self.table
    }

    /// The open cuts.
    pub fn open(&self) -> impl Iterator<Item = &Arc<CutPlan>> {
        self.open.values()
    }

    /// The reason for which no barrier may be injected now.
    #[must_use]
    pub fn barrier_waits(&self) -> Option<String> {
        if let Some(a) = &self.aligning {
            return Some(format!("epoch {} is aligning: {}", a.epoch, slots(&a.missing)));
        }
        let cut = self.open.values().next().filter(|_| self.rules.no_barrier_in_cut())?;
        Some(format!("batch {} is being cut: waits for slot {} to report it active", cut.batch, cut.target.0))
    }

    /// A barrier is due but it is not its turn: the next turn is its. Otherwise cuts that overlap would starve snapshots.
    pub fn barrier_due(&mut self) {
        self.due = true;
    }

    /// Barrier `epoch` goes out to `members`: the table that its manifest will carry.
    ///
    /// # Errors
    /// `Broken` while [`Turns::barrier_waits`].
    pub fn inject(&mut self, epoch: u64, members: impl IntoIterator<Item = SlotId>) -> Result<Arc<Assignment>> {
        if let Some(why) = self.barrier_waits() {
            return Err(Error::broken("I9", format!("barrier {epoch} was injected while {why}")));
        }
        self.due = false;
        self.aligning = Some(Aligning { epoch, missing: members.into_iter().collect() });
        Ok(Arc::clone(&self.table))
    }

    /// A slot has aligned; whether that was the last.
    pub fn aligned(&mut self, epoch: u64, slot: SlotId) -> bool {
        let Some(a) = self.aligning.as_mut().filter(|a| a.epoch == epoch) else { return false };
        a.missing.remove(&slot);
        let over = a.missing.is_empty() || !self.rules.align_all();
        if over {
            self.aligning = None;
        }
        over
    }

    /// The reason for which these groups may not be cut now.
    #[must_use]
    pub fn cut_waits(&self, groups: &GroupSet) -> Option<String> {
        if let Some(a) = self.aligning.as_ref().filter(|_| self.rules.no_cut_in_alignment()) {
            return Some(format!("epoch {} is aligning: {}", a.epoch, slots(&a.missing)));
        }
        if self.due {
            return Some("a barrier is due, which goes first".into());
        }
        if let Some(cut) = self.open.values().find(|c| c.groups.intersects(groups)) {
            return Some(format!("batch {} moves some of the same groups", cut.batch));
        }
        let before = self.previous_cut(groups)?;
        Some(format!("the cut before (table version {before}) waits for a manifest that carries it"))
    }

    /// The version of an earlier cut of some of these groups that no published manifest carries (I11): until one does, they are neither cut
    /// nor sent ahead, for the slot that gave them away may need its copy.
    #[must_use]
    pub fn previous_cut(&self, groups: &GroupSet) -> Option<u64> {
        groups.iter().find_map(|g| self.unpublished.get(&g.0)).copied().filter(|_| self.rules.previous_cut_published())
    }

    /// Cuts a batch: the plan that goes into the fences. The table has the groups at `target` from now on.
    ///
    /// # Errors
    /// `Broken` while [`Turns::cut_waits`].
    pub fn cut(&mut self, batch: u64, groups: Arc<GroupSet>, source: SlotId, target: SlotId) -> Result<Arc<CutPlan>> {
        if let Some(why) = self.cut_waits(&groups) {
            return Err(Error::broken("I9, I11", format!("batch {batch} was cut while {why}")));
        }
        let version = self.table.version + 1;
        Arc::make_mut(&mut self.table).set(&groups, target, version);
        self.unpublished.extend(groups.iter().map(|g| (g.0, version)));
        let plan = Arc::new(CutPlan { batch, version, groups, source, target });
        self.open.insert(batch, Arc::clone(&plan));
        Ok(plan)
    }

    /// The target has reported the batch active: the cut is over.
    pub fn active(&mut self, batch: u64) -> Option<Arc<CutPlan>> {
        self.open.remove(&batch)
    }

    /// A manifest with this table version is published.
    pub fn published(&mut self, version: u64) {
        self.published = self.published.max(version);
        self.unpublished.retain(|_, cut| *cut > version);
    }

    /// The newest table version that a published manifest carries.
    #[must_use]
    pub fn published_version(&self) -> u64 {
        self.published
    }

    /// Only mutants listen: S has sent its Final.
    #[cfg(feature = "mutants")]
    pub fn final_sent(&mut self, batch: u64) {
        if !self.rules.cut_ends_at_active() {
            self.open.remove(&batch);
        }
    }
}

fn slots(missing: &BTreeSet<SlotId>) -> String {
    let names: Vec<String> = missing.iter().map(|s| s.0.to_string()).collect();
    format!("waits for slot {}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{KeyGroup, KeySpace};

    const SPACE: KeySpace = KeySpace { seed: 0, bits: 8 };

    fn turns() -> Turns {
        Turns::new(Assignment::even(SPACE, 2), RuleSet::ALL)
    }

    fn groups(g: u16) -> Arc<GroupSet> {
        Arc::new(GroupSet::of(SPACE, [KeyGroup(g)]))
    }

    #[test]
    fn barrier_and_cut_exclude_each_other() {
        let mut t = turns();
        t.inject(1, [SlotId(0), SlotId(1)]).unwrap();
        assert!(t.inject(2, [SlotId(0)]).is_err());
        assert_eq!(t.cut_waits(&groups(0)).unwrap(), "epoch 1 is aligning: waits for slot 0, 1");
        assert!(!t.aligned(1, SlotId(1)));
        assert!(!t.aligned(7, SlotId(0)), "another epoch says nothing");
        assert!(t.aligned(1, SlotId(0)));
        t.cut(1, groups(0), SlotId(0), SlotId(1)).unwrap();
        t.cut(2, groups(1), SlotId(0), SlotId(1)).unwrap();
        assert!(t.active(1).is_some());
        assert_eq!(t.barrier_waits().unwrap(), "batch 2 is being cut: waits for slot 1 to report it active");
        assert!(t.active(2).is_some() && t.active(2).is_none());
        assert_eq!(t.inject(2, [SlotId(0)]).unwrap().version, 2);
    }

    #[test]
    fn a_group_is_cut_again_only_when_a_manifest_carries_its_last_cut() {
        let mut t = turns();
        t.cut(1, groups(0), SlotId(0), SlotId(1)).unwrap();
        assert!(t.cut(2, groups(0), SlotId(1), SlotId(0)).is_err(), "the same groups twice at once");
        t.active(1);
        assert!(t.cut(2, groups(0), SlotId(1), SlotId(0)).is_err());
        t.published(0);
        assert!(t.cut_waits(&groups(0)).is_some());
        assert!(t.cut_waits(&groups(1)).is_none());
        t.published(1);
        let plan = t.cut(2, groups(0), SlotId(1), SlotId(0)).unwrap();
        assert_eq!((plan.version, t.table().slot(KeyGroup(0))), (2, SlotId(0)));
    }
}
