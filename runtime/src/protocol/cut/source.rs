//! Role S: the slot that gives a batch away.
//!
//! Law: S works on for the batch until the last fence of the last stage's inputs, because any row before a fence is still its
//! own (I1). From a channel's fence on, that channel's watermark no longer drives the batch: the rows that follow it are at T.
//! So the batch's watermark is min(f_i where fenced, current elsewhere), it drives the batch's timers only, and until Drained is
//! on the wire it also bounds S's output, because X may have set rows of T aside that are just above it (I6).
//!
//! On [`Complete`] the slot does, in one step and in this order: Final onto the warm-up's FIFO; Drained onto every output channel
//! (its local ones too) and after it the released watermark; freeze, keeping undo images; [`SourceCut::put_drained`]. A fence is
//! taken like any item, that is after everything before it in its channel has been worked off, timers included.
//!
//! A channel that was idle at its fence holds the batch back no more than it held its target, wherever S itself stood by then: what the
//! channels came to together at any time, each of them not beyond its fence, is over for the batch ([`SourceCut::observe`]). Otherwise a
//! target that has heard more than S would fire timers below its own promise.
//!
//! Until then an output of S must not be called idle either: an idle channel bounds nobody's watermark.

use std::sync::Arc;

use super::{ChannelId, ChannelWatermark, CutPlan, Frontiers};
use crate::error::{Error, Result};
use crate::protocol::rules::RuleSet;
use crate::time::Time;

/// The state of one batch at its source.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SourceCut {
    plan: Arc<CutPlan>,
    inputs: Vec<Input>,
    /// By stage: what is over for the batch, whatever its channels say now.
    reached: Frontiers,
    phase: SourcePhase,
    rules: RuleSet,
}

/// The phase of the batch: what S may do with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SourcePhase {
    /// Some fence is missing: the batch's rows are worked on, in this slot.
    Continuing,
    /// All fences came; Final and Drained are being put. Nothing is worked on, the output is still bounded.
    Completing,
    /// Drained is on the wire: the copy is frozen and only there to recover from.
    Frozen,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Input {
    channel: ChannelId,
    stage: u32,
    fenced: bool,
    /// The promise of the channel at its fence.
    at: Option<ChannelWatermark>,
}

/// The last fence has come: what Final says about time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub struct Complete {
    /// F of each stage: the minimum of its channels' watermarks at their fences.
    pub frontiers: Frontiers,
}

impl SourceCut {
    /// A batch about to leave. `channels` are all input channels of all moving stages of this slot, each with its stage.
    #[must_use]
    pub fn new(plan: Arc<CutPlan>, channels: &[(ChannelId, u32)], rules: RuleSet) -> Self {
        let inputs = channels.iter().map(|&(channel, stage)| Input { channel, stage, fenced: false, at: None }).collect();
        Self { plan, inputs, reached: Frontiers::default(), phase: SourcePhase::Continuing, rules }
    }

    /// The plan of the cut.
    #[must_use]
    pub fn plan(&self) -> &Arc<CutPlan> {
        &self.plan
    }

    /// The phase of the batch.
    #[must_use]
    pub fn phase(&self) -> SourcePhase {
        self.phase
    }

    /// True if the batch's rows and timers are still this slot's to work on (I1).
    #[must_use]
    pub fn active(&self) -> bool {
        self.phase == SourcePhase::Continuing
    }

    /// Everything up to `time` is over at `stage`: its own watermark, before the first fence has been taken.
    pub fn reached(&mut self, stage: u32, time: Time) {
        self.reached.raise(stage, time);
    }

    /// The promises of a stage's channels have changed.
    pub fn observe<P: Into<ChannelWatermark>>(&mut self, stage: u32, current: impl Fn(ChannelId) -> P) {
        if self.phase == SourcePhase::Continuing
            && let Some(time) = self.together(stage, &current)
        {
            self.reached.raise(stage, time);
        }
    }

    /// The batch's fence has come in `channel`. `current` tells what a channel has promised.
    ///
    /// # Errors
    /// `Broken` for a fence that nobody can have sent: of an unknown channel, or a second one.
    pub fn fence<P: Into<ChannelWatermark>>(
        &mut self,
        channel: ChannelId,
        current: impl Fn(ChannelId) -> P,
    ) -> Result<Option<Complete>> {
        let batch = self.plan.batch;
        let Some(input) = self.inputs.iter_mut().find(|i| i.channel == channel) else {
            return Err(Error::broken(
                "I9",
                format!("a fence of batch {batch} came in {channel:?}, which leads into no moving stage"),
            ));
        };
        if input.fenced {
            return Err(Error::broken("I9", format!("a second fence of batch {batch} came in {channel:?}")));
        }
        input.fenced = true;
        let stage = input.stage;
        for i in self.inputs.iter_mut().filter(|i| i.stage == stage && i.at.is_none()) {
            if i.channel == channel || !self.rules.freeze_per_channel() {
                i.at = Some(current(i.channel).into());
            }
        }
        let all = self.rules.one_final();
        let complete = self.inputs.iter().all(|i| i.fenced || i.stage != stage && !all) || !self.rules.source_continues();
        if !complete || self.phase != SourcePhase::Continuing {
            return Ok(None);
        }
        self.phase = SourcePhase::Completing;
        let frontiers = self.inputs.iter().map(|i| (i.stage, self.batch_watermark(i.stage, &current))).collect();
        Ok(Some(Complete { frontiers }))
    }

    /// Drained and the watermark after it are on every output channel.
    pub fn put_drained(&mut self) {
        self.phase = SourcePhase::Frozen;
    }

    /// The watermark that drives the batch's timers, and no others, at `stage`.
    pub fn batch_watermark<P: Into<ChannelWatermark>>(&self, stage: u32, current: impl Fn(ChannelId) -> P) -> Time {
        if !self.inputs.iter().any(|i| i.stage == stage) {
            return Time::MAX;
        }
        let reached = self.reached.get(stage);
        self.together(stage, &current).map_or(reached, |t| t.max(reached))
    }

    /// The bound of the output watermark of `stage`, if it would go to `own` without this cut.
    pub fn output_bound<P: Into<ChannelWatermark>>(&self, stage: u32, own: Time, current: impl Fn(ChannelId) -> P) -> Time {
        match self.phase {
            SourcePhase::Continuing | SourcePhase::Completing if self.rules.source_holds_watermark() => {
                own.min(self.batch_watermark(stage, current))
            }
            SourcePhase::Continuing | SourcePhase::Completing | SourcePhase::Frozen => own,
        }
    }

    /// For whom S waits (I13).
    #[must_use]
    pub fn waiting(&self) -> Option<String> {
        let missing: Vec<String> = self
            .inputs
            .iter()
            .filter(|i| !i.fenced)
            .map(|i| format!("slot {} on edge {}", i.channel.from.0, i.channel.edge))
            .collect();
        (self.active() && !missing.is_empty())
            .then(|| format!("batch {} waits at its source for the fence of {}", self.plan.batch, missing.join(", ")))
    }

    fn together<P: Into<ChannelWatermark>>(&self, stage: u32, current: &impl Fn(ChannelId) -> P) -> Option<Time> {
        ChannelWatermark::together(self.inputs.iter().filter(|i| i.stage == stage).map(|i| match i.at {
            Some(at) if self.rules.freeze_at_source() => (i.channel.edge, at),
            Some(_) | None => (i.channel.edge, current(i.channel).into()),
        }))
    }
}

#[cfg(test)]
#[path = "source_tests.rs"]
mod tests;
