//! Event-time timers of keys: entries like all others, and a volatile index by time.
//!
//! A timer must survive a crash, be undone, be moved: so it is an entry of a [`Table`] with the key (time, key), and all of that
//! is the table's work. The index by time is a cache of it. It may name timers that are gone (they are skipped when met) but never
//! misses one: whoever adds entries behind its back (a restore, a move, an undo) calls [`Timers::rebuild`].
//!
//! The watermark is asked for by hash, since groups that are being cut over have their own (I6).

use std::collections::BTreeMap;
use std::fmt::Debug;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::desc::StateDesc;
use super::key::Windowed;
use super::table::{Slot, Table};
use crate::error::Result;
use crate::key::{GroupSet, KeySpace};
use crate::time::Time;

/// What a timer is: its time as the window start, and the key.
pub type Timer<K> = Windowed<K>;

/// Cells by time, times in ascending order.
type ByTime = BTreeMap<Time, Vec<Slot>>;

/// A timer that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Due<K> {
    /// When.
    pub time: Time,
    /// For whom.
    pub key: K,
    /// The carried hash of the key.
    pub hash: u64,
}

/// The timers of one operator on one slot.
#[derive(Debug)]
pub struct Timers<K> {
    table: Table<Timer<K>, ()>,
    index: ByTime,
}

impl<K: Clone + Eq + Send + Debug + Serialize + DeserializeOwned + 'static> Timers<K> {
    /// No timers, no active group.
    #[must_use]
    pub fn new(name: &str, space: KeySpace) -> Self {
        Self { table: Table::new(StateDesc::of::<Timer<K>, ()>(name), space), index: BTreeMap::new() }
    }

    /// The table behind, for everything that is not about time.
    pub fn table(&mut self) -> &mut Table<Timer<K>, ()> {
        &mut self.table
    }

    /// Sets a timer; setting it twice is setting it once.
    pub fn set(&mut self, hash: u64, key: &K, time: Time) -> Result<()> {
        let name = || (Windowed { start: time.0, key: key.clone() }, ());
        let before = self.table.len();
        let (slot, ()) = self.table.update_slot(hash, time.0 as u64, |t| t.start == time.0 && t.key == *key, name, |()| ())?;
        if self.table.len() != before {
            self.index.entry(time).or_default().push(slot);
        }
        Ok(())
    }

    /// Takes a timer back; whether there was one.
    pub fn cancel(&mut self, hash: u64, key: &K, time: Time) -> Result<bool> {
        let gone = self.table.remove(hash, time.0 as u64, |t| t.start == time.0 && t.key == *key)?;
        Ok(gone.is_some())
    }

    /// Removes and returns at most `limit` timers at or below the watermark of their hash, in order of time. `highest` is the
    /// highest watermark there is, so that the search ends. Fewer than `limit`: there is no more.
    pub fn due(&mut self, highest: Time, watermark: impl Fn(u64) -> Time, limit: usize) -> Result<Vec<Due<K>>> {
        let mut due = Vec::new();
        let mut from = Time::MIN;
        while due.len() < limit {
            let Some((&time, slots)) = self.index.range_mut(from..=highest).next() else { break };
            let mut waiting = Vec::new();
            while due.len() < limit
                && let Some(slot) = slots.pop()
            {
                match timer_at(&self.table, slot, time) {
                    Some(hash) if watermark(hash) < time => waiting.push(slot),
                    Some(hash) => {
                        if let Some((Windowed { start: _, key }, ())) = self.table.remove_at(slot)? {
                            due.push(Due { time, key, hash });
                        }
                    }
                    None => {}
                }
            }
            slots.append(&mut waiting);
            if slots.is_empty() {
                self.index.remove(&time);
            }
            if time == highest {
                break;
            }
            from = Time(time.0 + 1);
        }
        Ok(due)
    }

    /// The earliest time at which something may be due.
    #[must_use]
    pub fn earliest(&self) -> Option<Time> {
        self.index.keys().next().copied()
    }

    /// Reads the timers of active groups into the index again: after a restore, an arrival, a thaw.
    pub fn rebuild(&mut self, groups: &GroupSet) -> Result<()> {
        for group in groups.iter() {
            for (slot, timer, (), _) in self.table.group(group)? {
                self.index.entry(Time(timer.start)).or_default().push(slot);
            }
        }
        Ok(())
    }

    /// After an undo: forgets the index and reads all active groups.
    pub fn rebuild_all(&mut self) -> Result<()> {
        self.index.clear();
        let groups = self.table.active().clone();
        self.rebuild(&groups)
    }
}

/// The hash of the timer in a cell, if that cell still holds a timer of that time which this slot may touch.
fn timer_at<K: Clone + Eq + Send + Debug + Serialize + DeserializeOwned + 'static>(
    table: &Table<Timer<K>, ()>,
    slot: Slot,
    time: Time,
) -> Option<u64> {
    // A group that has left is an error to the table and nothing to us: its timers fire elsewhere.
    table.at(slot).ok().flatten().filter(|(t, (), _)| t.start == time.0).map(|(_, (), hash)| hash)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::key::Key;

    const SPACE: KeySpace = KeySpace { seed: 0, bits: 8 };

    fn timers() -> Timers<u64> {
        let mut t = Timers::new("timers", SPACE);
        t.table().activate(&GroupSet::all(SPACE));
        t
    }

    /// I6: groups that are being cut over have a watermark of their own.
    #[test]
    fn a_timer_waits_for_the_watermark_of_its_own_group() {
        let mut t = timers();
        let held = 3u64.hash(SPACE);
        (1..6u64).for_each(|k| t.set(k.hash(SPACE), &k, Time(10)).unwrap());
        let mark = |h| if h == held { Time(9) } else { Time(10) };
        let mut keys: Vec<u64> = t.due(Time(10), mark, 100).unwrap().iter().map(|d| d.key).collect();
        keys.sort_unstable();
        assert_eq!(keys, [1, 2, 4, 5]);
        assert_eq!(t.due(Time(10), |_| Time(10), 100).unwrap(), [Due { time: Time(10), key: 3, hash: held }]);
    }

    #[test]
    fn timers_come_back_with_an_undo_and_leave_with_a_move() {
        let (mut s, mut t) = (timers(), Timers::<u64>::new("timers", SPACE));
        s.table().begin_epoch(1).unwrap();
        (0..50u64).for_each(|k| s.set(k.hash(SPACE), &k, Time(k as i64)).unwrap());
        s.table().begin_epoch(2).unwrap();
        assert_eq!(s.due(Time::MAX, |_| Time::MAX, 1000).unwrap().len(), 50);
        s.table().undo_to(1).unwrap();
        s.rebuild_all().unwrap();
        assert_eq!(s.due(Time(4), |_| Time(4), 1000).unwrap().len(), 5);

        let groups = GroupSet::of(SPACE, (0..100).map(crate::key::KeyGroup));
        s.table().ship_start(1, &groups).unwrap();
        let last = s.table().ship_final(1).unwrap();
        s.table().freeze(1, 1).unwrap();
        t.table().absorb_final(&last, &groups).unwrap();
        t.rebuild(&groups).unwrap();
        let (a, b) = (s.due(Time::MAX, |_| Time::MAX, 1000).unwrap(), t.due(Time::MAX, |_| Time::MAX, 1000).unwrap());
        assert!(!a.is_empty() && !b.is_empty());
        let both: BTreeSet<u64> = a.iter().chain(&b).map(|d| d.key).collect();
        assert_eq!((both.len(), a.len() + b.len()), (45, 45));
    }

    proptest! {
        #[test]
        fn timers_fire_once_and_in_order(ops in prop::collection::vec((0..20u64, 0..30i64, 0..4u8), 1..200)) {
            let (mut t, mut model) = (timers(), BTreeSet::new());
            for (key, time, what) in ops {
                let hash = key.hash(SPACE);
                match what {
                    0 | 1 => {
                        t.set(hash, &key, Time(time)).unwrap();
                        model.insert((time, key));
                    }
                    2 => prop_assert_eq!(t.cancel(hash, &key, Time(time)).unwrap(), model.remove(&(time, key))),
                    _ => {
                        let due = t.due(Time(time), |_| Time(time), key as usize).unwrap();
                        prop_assert!(due.is_sorted_by_key(|d| d.time));
                        prop_assert_eq!(due.len(), model.range(..(time + 1, 0)).count().min(key as usize));
                        for d in due {
                            prop_assert!(model.remove(&(d.time.0, d.key)));
                        }
                    }
                }
            }
        }
    }
}
