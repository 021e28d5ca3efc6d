//! Plans of the assignment: the balanced table with the fewest moves, in batches; and splits over slots.
//!
//! Laws (held by proptest): afterwards each wanted slot has ⌊G/n⌋ or ⌈G/n⌉ groups; no plan with that outcome moves fewer; a balanced
//! table needs no move. From N to M slots that is 1 − min/max of the groups. A batch has one source, one target and at most
//! `max_batch` groups, so that one Final and one gate serve it. Batches of different sources alternate, so that several may warm up at
//! once.
//!
//! Groups are handed over from the end of a source's list, in runs as long as they come: tables stay run-length coded.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::env::SplitId;
use crate::key::{Assignment, GroupSet, KeyGroup, SlotId};

/// The most groups of a batch, unless told otherwise.
pub const MAX_BATCH: usize = 64;

/// One batch to move.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Move {
    /// The slot that has the groups.
    pub source: SlotId,
    /// The slot that gets them.
    pub target: SlotId,
    /// The groups.
    pub groups: Arc<GroupSet>,
}

/// The moves from `table` to a balanced one over `slots`; empty if there is nothing to do (or no slot).
#[must_use]
pub fn plan(table: &Assignment, slots: &BTreeSet<SlotId>, max_batch: usize) -> Vec<Move> {
    let mut owned: BTreeMap<SlotId, Vec<KeyGroup>> = slots.iter().map(|s| (*s, Vec::new())).collect();
    for (g, slot) in table.table().iter().enumerate() {
        owned.entry(*slot).or_default().push(KeyGroup(g as u16));
    }
    let counts = owned.iter().map(|(s, g)| (*s, g.len())).collect();
    let quota = quotas(&counts, slots);
    let mut surplus: Vec<(SlotId, Vec<KeyGroup>)> = Vec::new();
    let mut deficit: VecDeque<(SlotId, usize)> = VecDeque::new();
    for (slot, groups) in &mut owned {
        let want = quota.get(slot).copied().unwrap_or(0);
        match groups.len().checked_sub(want) {
            Some(0) => {}
            Some(_) => surplus.push((*slot, groups.split_off(want))),
            None => deficit.push_back((*slot, want - groups.len())),
        }
    }
    if slots.is_empty() {
        return Vec::new();
    }
    alternate(pair(surplus, deficit, max_batch.max(1)), table)
}

/// ⌊G/n⌋ each, and one more for those that own the most: that moves the fewest.
fn quotas(counts: &BTreeMap<SlotId, usize>, slots: &BTreeSet<SlotId>) -> BTreeMap<SlotId, usize> {
    let total: usize = counts.values().sum();
    let (base, extra) = (total / slots.len().max(1), total % slots.len().max(1));
    let mut by_count: Vec<SlotId> = slots.iter().copied().collect();
    by_count.sort_by_key(|s| (std::cmp::Reverse(counts.get(s).copied().unwrap_or(0)), *s));
    by_count.into_iter().enumerate().map(|(i, s)| (s, base + usize::from(i < extra))).collect()
}

/// Each source's batches, in order.
type Batches = Vec<VecDeque<(SlotId, SlotId, Vec<KeyGroup>)>>;

fn pair(surplus: Vec<(SlotId, Vec<KeyGroup>)>, mut deficit: VecDeque<(SlotId, usize)>, max_batch: usize) -> Batches {
    let mut all = Vec::new();
    for (source, mut groups) in surplus {
        let mut mine = VecDeque::new();
        while !groups.is_empty() {
            let Some((target, room)) = deficit.front_mut() else { break };
            let n = groups.len().min(*room).min(max_batch);
            mine.push_back((source, *target, groups.split_off(groups.len() - n)));
            *room -= n;
            if *room == 0 {
                deficit.pop_front();
            }
        }
        all.push(mine);
    }
    all
}

fn alternate(mut batches: Batches, table: &Assignment) -> Vec<Move> {
    let mut moves = Vec::new();
    while batches.iter().any(|b| !b.is_empty()) {
        for (source, target, groups) in batches.iter_mut().filter_map(VecDeque::pop_front) {
            moves.push(Move { source, target, groups: Arc::new(GroupSet::of(table.space(), groups)) });
        }
    }
    moves
}

/// Names a split of a source node.
pub type SplitKey = (u64, SplitId);

/// Deals splits over slots at a barrier: what is held by nobody in `slots`, or by somebody with too much, goes to those with the
/// least. At most ⌈n/slots⌉ each, and as few moves as that allows. Answers (split, old reader, new reader).
#[must_use]
pub fn deal(readers: &BTreeMap<SplitKey, Option<SlotId>>, slots: &BTreeSet<SlotId>) -> Vec<(SplitKey, Option<SlotId>, SlotId)> {
    let most = readers.len().div_ceil(slots.len().max(1));
    let mut load: BTreeMap<SlotId, usize> = slots.iter().map(|s| (*s, 0)).collect();
    let mut loose = Vec::new();
    for (split, reader) in readers {
        match reader.and_then(|r| load.get_mut(&r)) {
            Some(n) if *n < most => *n += 1,
            Some(_) | None => loose.push((split, *reader)),
        }
    }
    let mut dealt = Vec::new();
    for (split, from) in loose {
        if let Some((slot, n)) = load.iter_mut().min_by_key(|(s, n)| (**n, **s)) {
            *n += 1;
            dealt.push((split.clone(), from, *slot));
        }
    }
    dealt
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::KeySpace;

    const SPACE: KeySpace = KeySpace { seed: 0, bits: 8 };

    fn some(slots: impl IntoIterator<Item = u16>) -> BTreeSet<SlotId> {
        slots.into_iter().map(SlotId).collect()
    }

    fn moved(n: u16, m: u16) -> usize {
        plan(&Assignment::even(KeySpace::default(), n), &some(0..m), 64).iter().map(|m| m.groups.len()).sum()
    }

    #[test]
    fn from_n_to_m_moves_one_minus_min_over_max() {
        assert_eq!((moved(4, 8), moved(8, 4), moved(2, 3), moved(3, 3)), (2048, 2048, 1365, 0));
    }

    proptest::proptest! {
        #[test]
        fn plans_are_balanced_minimal_and_batched(owners in proptest::collection::vec(0u16..9, 256), want in proptest::collection::btree_set(0u16..9, 1..7)) {
            let want = some(want);
            let mut table = Assignment::from_table(SPACE, 0, owners.iter().map(|o| SlotId(*o)).collect()).unwrap();
            let before: Vec<usize> = want.iter().map(|s| table.groups_of(*s).len()).collect();
            let moves = plan(&table, &want, 5);
            for m in &moves {
                proptest::prop_assert!(!m.groups.is_empty() && m.groups.len() <= 5 && m.source != m.target);
                proptest::prop_assert!(m.groups.iter().all(|g| table.slot(g) == m.source));
                table.set(&m.groups, m.target, table.version + 1);
            }
            let after: Vec<usize> = want.iter().map(|s| table.groups_of(*s).len()).collect();
            proptest::prop_assert_eq!(after.iter().sum::<usize>(), 256);
            proptest::prop_assert!(after.iter().max().unwrap() - after.iter().min().unwrap() <= 1);
            // The fewest: whoever ends at the floor cannot take more, whoever is over the ceiling must give.
            let (floor, extra) = (256 / want.len(), 256 % want.len());
            let mut sorted = before.clone();
            sorted.sort_unstable_by(|a, b| b.cmp(a));
            let least: usize = sorted.iter().enumerate().map(|(i, n)| (floor + usize::from(i < extra)).saturating_sub(*n)).sum();
            proptest::prop_assert_eq!(moves.iter().map(|m| m.groups.len()).sum::<usize>(), least);
            proptest::prop_assert!(plan(&table, &want, 5).is_empty());
        }

        #[test]
        fn splits_are_dealt_evenly_and_stay_where_they_can(readers in proptest::collection::vec(proptest::option::of(0u16..6), 0..40), want in proptest::collection::btree_set(0u16..6, 1..5)) {
            let want = some(want);
            let mut all: BTreeMap<SplitKey, Option<SlotId>> =
                readers.iter().enumerate().map(|(i, r)| ((1, SplitId::from(format!("{i:03}").as_str())), r.map(SlotId))).collect();
            for (split, from, to) in deal(&all, &want) {
                proptest::prop_assert_eq!(all.insert(split, Some(to)), Some(from));
                proptest::prop_assert!(want.contains(&to));
            }
            let most = all.len().div_ceil(want.len());
            for s in &want {
                proptest::prop_assert!(all.values().filter(|r| **r == Some(*s)).count() <= most);
            }
            proptest::prop_assert!(all.values().all(|r| r.is_some_and(|r| want.contains(&r))));
            proptest::prop_assert!(deal(&all, &want).is_empty());
        }
    }
}
