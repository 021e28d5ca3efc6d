//! The cut-over of one batch of key groups, as seen by one slot.
//!
//! ```text
//!   every upstream slot ──Fence(plan)──► S and T          (each switches its routing in the same step)
//!   S, when it has every fence ──Final──► T               (on the FIFO of the warm-up, after its last item)
//!   S ──Drained(batch)──► every X                         (on each output channel, its local ones too; then the watermark)
//!   T drains its gate, fires timers, releases its watermark, is Active ──Active──► coordinator
//! ```
//!
//! One file a role: [`source`] (S), [`target`] (T), [`consumer`] (X), and what they share: [`hold`] (output watermarks),
//! [`frozen`] (copies kept for recovery), [`warm`] (what the warm-up owes). A slot may play all of them at once, for different
//! batches. The roles decide; rows, state and channels stay with the slot, which does what the effects say, in their order.
//!
//! A cut is never repaired: before the next manifest a crash makes every role vanish with its generation.

pub mod consumer;
pub mod frozen;
pub mod hold;
pub mod source;
pub mod target;
pub mod warm;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::key::{GroupSet, SlotId};
use crate::time::Time;

/// One input channel of a slot: an exchange edge of the physical graph, and the slot at its other end (perhaps this one).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChannelId {
    /// The exchange edge. It leads into one node, the stage.
    pub edge: u32,
    /// The slot that sends.
    pub from: SlotId,
}

/// The plan of a cut: the content of a Fence, shared by all who hear of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CutPlan {
    /// The batch, unique in the job's life.
    pub batch: u64,
    /// The assignment's version once the batch is cut: raised by one each cut, so it orders cuts.
    pub version: u64,
    /// The groups that move.
    pub groups: Arc<GroupSet>,
    /// The slot that has them: S.
    pub source: SlotId,
    /// The slot that gets them: T.
    pub target: SlotId,
}

impl CutPlan {
    /// The tag that T writes on frames of the batch's rows.
    #[must_use]
    pub fn tag(&self) -> Tag {
        Tag { version: self.version, batch: self.batch, source: self.source }
    }
}

/// Marks a frame of T that holds rows of a moved batch. It names the source, so that a consumer that has never heard of the cut
/// knows on whose channel to expect the Drained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Tag {
    /// The cut's assignment version; also the version of a sink's segment.
    pub version: u64,
    /// The batch.
    pub batch: u64,
    /// S.
    pub source: SlotId,
}

/// The watermark of a channel: what its sender has said about time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChannelWatermark {
    /// No later row at or below this.
    pub watermark: Time,
    /// Nothing is to be expected for now: the channel holds nobody back.
    pub idle: bool,
    /// The promise before its end, where it has ended; otherwise its promise.
    pub before: Time,
}

impl From<Time> for ChannelWatermark {
    fn from(watermark: Time) -> Self {
        Self { watermark, idle: false, before: if watermark == Time::MAX { Time::MIN } else { watermark } }
    }
}

impl ChannelWatermark {
    /// The promise of several channels together, each with its edge: the least of those that speak. Where none does, the highest of all,
    /// since another slot may have heard the channels go idle in an order in which that one spoke last; a channel that has ended counts
    /// with what it had promised before, for the same reason, whatever its edge. The end of time comes only with the end of every
    /// channel. `None`: nothing new.
    #[must_use]
    pub fn together(all: impl Iterator<Item = (u32, Self)> + Clone) -> Option<Time> {
        let ended = |p: &Self| p.watermark == Time::MAX;
        let speaking = all.clone().filter(|(_, p)| !p.idle && !ended(p)).map(|(_, p)| p.watermark).min();
        if speaking.is_some() {
            return speaking;
        }
        if all.clone().all(|(_, p)| ended(&p)) {
            return all.clone().any(|(_, p)| !p.idle).then_some(Time::MAX);
        }
        all.map(|(_, p)| p.before).max()
    }
}

/// One watermark a stage, sorted by stage: the F of a Final, or how far timers are to fire.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Frontiers(Vec<(u32, Time)>);

impl Frontiers {
    /// Of a stage; a stage that is not named has promised nothing.
    #[must_use]
    pub fn get(&self, stage: u32) -> Time {
        self.0.iter().find(|(s, _)| *s == stage).map_or(Time::MIN, |(_, t)| *t)
    }

    /// The stages and their watermarks.
    pub fn iter(&self) -> impl Iterator<Item = (u32, Time)> + '_ {
        self.0.iter().copied()
    }

    /// Raises the value of a stage to `time`, or sets it.
    pub(super) fn raise(&mut self, stage: u32, time: Time) {
        match self.0.binary_search_by_key(&stage, |(s, _)| *s) {
            Ok(i) => {
                if let Some((_, t)) = self.0.get_mut(i) {
                    *t = time.max(*t);
                }
            }
            Err(i) => self.0.insert(i, (stage, time)),
        }
    }

    /// Lowers the value of a stage to `time`, or sets it.
    fn lower(&mut self, stage: u32, time: Time) {
        match self.0.binary_search_by_key(&stage, |(s, _)| *s) {
            Ok(i) => {
                if let Some((_, t)) = self.0.get_mut(i) {
                    *t = time.min(*t);
                }
            }
            Err(i) => self.0.insert(i, (stage, time)),
        }
    }
}

impl FromIterator<(u32, Time)> for Frontiers {
    /// The minimum, where a stage comes twice.
    fn from_iter<I: IntoIterator<Item = (u32, Time)>>(iter: I) -> Self {
        let mut all = Self::default();
        for (stage, time) in iter {
            all.lower(stage, time);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each channel of two edges says its promise and then ends or goes idle: in each order a stage comes to the same.
    #[test]
    fn a_stage_comes_to_the_same_time_in_whatever_order_its_channels_end_and_go_quiet() {
        let last = |(edge, at): (u32, i64), ended: bool| {
            let watermark = if ended { Time::MAX } else { Time(at) };
            (edge, ChannelWatermark { watermark, idle: !ended, before: Time(at) })
        };
        for (first, second) in [(7, 5), (5, 7), (5, 5)] {
            let spoken = [(0, ChannelWatermark::from(Time(first))), (1, ChannelWatermark::from(Time(second)))];
            let over = [last((0, first), true), last((1, second), false)];
            let come_to = |order: [usize; 2]| {
                let mut now = spoken;
                let mut own = ChannelWatermark::together(now.into_iter()).unwrap();
                for at in order {
                    now[at] = over[at];
                    own = own.max(ChannelWatermark::together(now.into_iter()).unwrap_or(own));
                }
                own
            };
            assert_eq!(come_to([0, 1]), come_to([1, 0]), "I6: edge 0 at {first} ends, edge 1 at {second} goes idle");
        }
    }
}
