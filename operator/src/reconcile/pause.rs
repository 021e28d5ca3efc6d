//! The pause of a rescale: for how long the rows that moved waited at most. Pure.
//!
//! Workers count since their slots began, so a rescale's own figure is the difference between the counts after it and those before.
//! A maximum has no difference: where it has not grown, the highest bucket that has grown gives the figure, rounded up.

use std::collections::BTreeMap;

use watershed_wire::GATE_MILLIS;
use watershed_wire::v1::Moves;

/// The moved batches that each worker has counted, by the worker's number.
pub(crate) type MoveCounts = BTreeMap<u32, Moves>;

/// The milliseconds that the longest batch of rows waited between two counts; none if nothing has moved.
pub(crate) fn longest(before: &MoveCounts, after: &MoveCounts) -> Option<i64> {
    after.iter().filter_map(|(worker, now)| one(before.get(worker), now)).max()
}

fn one(before: Option<&Moves>, now: &Moves) -> Option<i64> {
    let none = Moves::default();
    // A worker process that was started again counts from zero.
    let before =
        before.filter(|b| b.batches_in <= now.batches_in && b.longest_gate_micros <= now.longest_gate_micros).unwrap_or(&none);
    let longest = i64::try_from(now.longest_gate_micros.div_ceil(1000)).unwrap_or(i64::MAX);
    if now.longest_gate_micros > before.longest_gate_micros {
        return Some(longest);
    }
    let grown = |at: &usize| now.gates.get(*at).copied().unwrap_or(0) > before.gates.get(*at).copied().unwrap_or(0);
    let highest = (0..now.gates.len()).rev().find(grown)?;
    let bound = GATE_MILLIS.get(highest).and_then(|ms| i64::try_from(*ms).ok());
    Some(bound.unwrap_or(longest).min(longest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(worker: u32, gates: &[u32], longest_gate_micros: u64) -> MoveCounts {
        let batches_in = gates.iter().map(|n| u64::from(*n)).sum();
        BTreeMap::from([(worker, Moves { batches_in, gates: gates.to_vec(), longest_gate_micros, ..Moves::default() })])
    }

    #[test]
    fn the_pause_of_a_rescale_is_what_has_been_added_since_it_began() {
        let before = counted(0, &[3, 0, 0, 0, 0, 0, 1], 80_500);
        assert_eq!(longest(&before, &before), None, "nothing has moved");
        assert_eq!(longest(&MoveCounts::new(), &before), Some(81), "a worker that is new");
        assert_eq!(longest(&before, &counted(0, &[3, 0, 0, 0, 0, 0, 2, 1], 120_000)), Some(120), "longer than ever");
        assert_eq!(longest(&before, &counted(0, &[3, 0, 0, 1, 0, 0, 1], 80_500)), Some(10), "the highest bucket that has grown");
        assert_eq!(longest(&before, &counted(0, &[3, 0, 0, 0, 0, 0, 2], 80_500)), Some(81), "and never more than the longest");
        assert_eq!(longest(&before, &counted(0, &[1], 300)), Some(1), "begun again");
    }
}
