//! Role X: one input edge of one slot, downstream of a moving stage.
//!
//! Law (I3): a tagged frame of T goes on only after S's Drained of the same batch has come on this edge; until then it is set
//! aside and its credits are returned. Everything else passes, T's watermarks included: S's own channel holds the minimum down.
//!
//! Three things follow that are easy to get wrong.
//! - A frame waits for *its own* batch only. Waiting for lower versions as well would keep it here after its S has released its
//!   watermark, and it would become late (I6). Nothing is lost: an earlier cut of the same group is behind a barrier (I11).
//! - Released frames are the head of their edge: until they are gone ([`Consumer::busy`]) the slot takes nothing else from any
//!   channel of this edge. Otherwise a later frame of T, or the watermark right behind the Drained, overtakes them.
//! - Each slot of X has a channel from S of its own and decides alone. A channel S → X inside one slot is no different.
//!
//! X need not have been told of the cut: a tag names the source, and a Drained before the first tag is remembered until the next
//! barrier, which no frame can be set aside across (I2).

use std::collections::{BTreeMap, BTreeSet};

use super::Tag;
use crate::error::{Error, Result};
use crate::key::SlotId;
use crate::protocol::rules::RuleSet;

/// The cuts since the last barrier that this edge knows of.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Consumer {
    /// (batch, version, source) whose Drained has come here.
    drained: BTreeSet<Tag>,
    /// The number of frames set aside, by tag. A tag with none is not in it.
    aside: BTreeMap<Tag, u32>,
    rules: RuleSet,
}

/// The verdict on a frame that has just been taken from a channel of the edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub enum Verdict {
    /// Hand it to the stage.
    Pass,
    /// Append it to the frames set aside under its tag and return its credits.
    SetAside,
}

impl Consumer {
    /// An edge right after a barrier, or at the start.
    #[must_use]
    pub fn new(rules: RuleSet) -> Self {
        Self { rules, ..Self::default() }
    }

    /// True if a frame with this tag would go on at once.
    #[must_use]
    pub fn may_pass(&self, tag: Option<Tag>) -> bool {
        tag.is_none_or(|tag| self.ready(&tag) && !(self.rules.released_first() && self.aside.contains_key(&tag)))
    }

    /// A frame has come. `SetAside` counts it; [`Consumer::took`] counts it off.
    pub fn offer(&mut self, tag: Option<Tag>) -> Verdict {
        if self.may_pass(tag) {
            return Verdict::Pass;
        }
        if let Some(tag) = tag {
            *self.aside.entry(tag).or_default() += 1;
        }
        Verdict::SetAside
    }

    /// Drained(batch, version) has come from `source`: the tags whose frames may go on now, in the order in which to take them.
    pub fn drained(&mut self, source: SlotId, batch: u64, version: u64) -> Vec<Tag> {
        self.drained.insert(Tag { version, batch, source });
        self.released().collect()
    }

    /// The tag whose oldest frame is to be taken next, before anything else of this edge.
    #[must_use]
    pub fn next_released(&self) -> Option<Tag> {
        self.released().next()
    }

    /// True if released frames are left: then nothing else of this edge may be taken.
    #[must_use]
    pub fn busy(&self) -> bool {
        self.rules.released_first() && self.released().next().is_some()
    }

    /// One frame that was set aside under `tag` has been handed to the stage.
    pub fn took(&mut self, tag: Tag) {
        if let Some(n) = self.aside.get_mut(&tag) {
            *n = n.saturating_sub(1);
            if *n == 0 {
                self.aside.remove(&tag);
            }
        }
    }

    /// All channels of the edge have delivered a barrier.
    ///
    /// # Errors
    /// `Broken` if frames are still set aside (I2): each S puts its Drained before its barrier.
    pub fn barrier(&mut self) -> Result<()> {
        if let Some((tag, n)) = self.aside.first_key_value() {
            return Err(Error::broken("I2", format!("{n} frames of batch {} are set aside at a barrier", tag.batch)));
        }
        self.drained.clear();
        Ok(())
    }

    /// For whom the frames set aside wait (I13).
    #[must_use]
    pub fn waiting(&self) -> Option<String> {
        let (tag, n) = self.aside.iter().find(|(tag, _)| !self.ready(tag))?;
        Some(format!("{n} frames of batch {} wait for the Drained of slot {}", tag.batch, tag.source.0))
    }

    fn ready(&self, tag: &Tag) -> bool {
        if !self.rules.drained_at_consumer() {
            return true;
        }
        let lower = || self.aside.keys().any(|t| t.version < tag.version && !self.drained.contains(t));
        self.drained.contains(tag) && (self.rules.tag_waits_for_its_own() || !lower())
    }

    fn released(&self) -> impl Iterator<Item = Tag> + '_ {
        self.aside.keys().copied().filter(|tag| self.ready(tag))
    }
}

#[cfg(test)]
mod tests {
    use super::Verdict::{Pass, SetAside};
    use super::*;

    fn tag(batch: u64, source: u16) -> Tag {
        Tag { version: batch, batch, source: SlotId(source) }
    }

    #[test]
    fn a_tagged_frame_waits_for_the_drained_of_its_own_batch_only() {
        let mut x = Consumer::new(RuleSet::ALL);
        assert_eq!(x.offer(Some(tag(1, 0))), SetAside);
        assert_eq!(x.offer(Some(tag(2, 5))), SetAside);
        assert_eq!(x.offer(None), Pass);
        assert_eq!(x.drained(SlotId(5), 2, 2), [tag(2, 5)]);
        assert_eq!(x.waiting().unwrap(), "1 frames of batch 1 wait for the Drained of slot 0");
        assert!(x.busy());
        x.took(tag(2, 5));
        assert!(!x.busy());
        assert_eq!(x.offer(Some(tag(2, 5))), Pass);
        assert_eq!(x.offer(Some(tag(1, 0))), SetAside);
        assert_eq!(x.drained(SlotId(0), 1, 1), [tag(1, 0)]);
    }

    #[test]
    fn a_later_frame_queues_behind_released_ones() {
        let mut x = Consumer::new(RuleSet::ALL);
        let (t, _) = (tag(1, 0), x.offer(Some(tag(1, 0))));
        assert_eq!(x.drained(SlotId(0), 1, 1), [t]);
        assert_eq!(x.offer(Some(t)), SetAside);
        x.took(t);
        assert_eq!(x.next_released(), Some(t));
        x.took(t);
        assert_eq!((x.offer(Some(t)), x.busy()), (Pass, false));
    }

    #[test]
    fn a_drained_that_comes_before_the_first_tag_counts() {
        let mut x = Consumer::new(RuleSet::ALL);
        assert_eq!(x.drained(SlotId(0), 1, 1), []);
        assert_eq!(x.offer(Some(tag(1, 0))), Pass);
    }

    #[test]
    fn nothing_is_set_aside_across_a_barrier() {
        let mut x = Consumer::new(RuleSet::ALL);
        let _ = x.offer(Some(tag(1, 0)));
        assert!(x.barrier().is_err());
        x.took(tag(1, 0));
        x.barrier().unwrap();
        assert_eq!(x, Consumer::new(RuleSet::ALL));
    }
}
