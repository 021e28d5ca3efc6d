//! A source node of one slot: which split to read next, and what watermark the splits make together.
//!
//! The split whose event time is furthest behind is read first, and none is read further ahead of it than [`Tuning::drift_micros`]:
//! replaying many files or partitions makes nothing late and keeps few windows open. A split that this slot knows but has not opened
//! holds the watermark, because nobody knows its first row's time. A source without event time takes its splits in turn.

use std::sync::Arc;
use std::task::Waker;

use crate::container::Batch;
use crate::env::{Position, Read, Source, SplitId, SplitReader, TimeStamper};
use crate::error::Result;
use crate::graph::{EventTime, NodeId};
use crate::key::SlotId;
use crate::messages::{Barrier, SplitState};
use crate::time::Time;

use super::Tuning;

#[derive(Debug)]
struct Split {
    id: SplitId,
    start: Position,
    reader: Option<Box<dyn SplitReader>>,
    stamper: Option<Box<dyn TimeStamper>>,
    /// The highest event time seen, or the watermark it was taken over with plus the disorder.
    watermark: Time,
    finished: bool,
    /// The reader said Pending, and its waker has not been called since.
    pending: bool,
    /// The time at which it last gave a row.
    active_at: i64,
}

/// The splits a slot reads of one source.
pub(super) struct SourceState {
    pub(super) id: NodeId,
    source: Arc<dyn Source>,
    event_time: Option<EventTime>,
    splits: Vec<Split>,
    /// The slot has heard which splits are its own, if any: until then its watermark stands.
    pub(super) told: bool,
    /// No split will ever come again.
    ended: bool,
    turn: usize,
    tuning: Tuning,
    stopped: bool,
    /// A barrier has ended it: every split ends where it stands, also one that comes later.
    closed: bool,
    /// Rows read since the last barrier, moved positions: whether the epoch changed anything.
    pub(super) changed: bool,
    /// Splits that come to this slot with the last barrier and have not been given to it yet: until then its watermark stands.
    pub(super) expecting: Vec<SplitId>,
}

impl std::fmt::Debug for SourceState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SourceState").field("id", &self.id).field("splits", &self.splits).finish_non_exhaustive()
    }
}

/// The result of a turn of a source.
#[derive(Debug)]
pub(super) enum Turn {
    Rows(Batch),
    /// A split ended.
    Finished(SplitId),
    /// Nothing can be read now.
    Nothing,
}

impl SourceState {
    pub(super) fn new(id: NodeId, source: Arc<dyn Source>, event_time: Option<EventTime>, tuning: Tuning) -> Self {
        Self {
            id,
            source,
            event_time,
            splits: Vec::new(),
            told: false,
            ended: false,
            turn: 0,
            tuning,
            stopped: false,
            closed: false,
            changed: false,
            expecting: Vec::new(),
        }
    }

    /// Takes splits over.
    pub(super) fn add(&mut self, splits: Vec<(SplitId, Position, Time)>, now: i64) {
        // A split that a barrier moves here says nothing of splits that nobody reads, which this slot may hold event time for (I6).
        let moved = !splits.is_empty() && splits.iter().all(|(id, ..)| self.expecting.contains(id));
        for (id, start, watermark) in splits {
            // By name: others may be given to this slot while it waits for one.
            self.expecting.retain(|e| *e != id);
            self.splits.push(Split {
                id,
                start,
                reader: None,
                stamper: self.event_time.as_ref().map(|e| (e.stamper)()),
                watermark,
                finished: self.closed,
                pending: false,
                active_at: now,
            });
        }
        self.told |= !moved;
    }

    pub(super) fn end(&mut self) {
        self.told = true;
        self.ended = true;
    }

    /// Nothing more is read.
    pub(super) fn stop(&mut self) {
        self.stopped = true;
    }

    /// Every split ends where it stands (I15).
    pub(super) fn close(&mut self) {
        self.closed = true;
        for split in &mut self.splits {
            if let Some(reader) = split.reader.take() {
                split.start = reader.position();
            }
            split.finished = true;
        }
    }

    /// A waker was called: every split is worth asking again.
    pub(super) fn wake(&mut self) {
        for s in &mut self.splits {
            s.pending = false;
        }
    }

    /// The splits' common watermark: `None` = nothing to expect for now.
    pub(super) fn watermark(&self, now: i64) -> Option<Time> {
        if self.ended && self.splits.iter().all(|s| s.finished) {
            return Some(Time::MAX);
        }
        let idle = self.event_time.as_ref().and_then(|e| e.idle_micros);
        self.splits
            .iter()
            .filter(|s| !s.finished)
            .filter(|s| !(s.pending && idle.is_some_and(|i| now.saturating_sub(s.active_at) >= i)))
            .map(|s| s.watermark)
            .min()
    }

    /// The time at which an idle time-out will next change the watermark.
    pub(super) fn next_timeout(&self, now: i64) -> Option<i64> {
        let idle = self.event_time.as_ref().and_then(|e| e.idle_micros)?;
        self.splits
            .iter()
            .filter(|s| !s.finished && s.pending)
            .map(|s| s.active_at.saturating_add(idle))
            .filter(|t| *t > now)
            .min()
    }

    /// True if a read is worth trying.
    pub(super) fn readable(&self) -> bool {
        !self.stopped && self.pick().is_some()
    }

    /// The split to read next.
    fn pick(&self) -> Option<usize> {
        let open = |i: &usize| self.splits.get(*i).is_some_and(|s| !s.finished);
        let live = (0..self.splits.len()).filter(open).take(self.tuning.open_splits);
        if self.event_time.is_none() {
            let n = self.splits.len();
            let live: Vec<usize> = live.filter(|i| self.splits.get(*i).is_some_and(|s| !s.pending)).collect();
            return live.iter().copied().min_by_key(|i| (i + n - self.turn % n.max(1)) % n.max(1));
        }
        let floor = live.clone().filter_map(|i| self.splits.get(i)).map(|s| s.watermark).min()?;
        live.filter_map(|i| self.splits.get(i).map(|s| (i, s)))
            .filter(|(_, s)| {
                !s.pending && (s.watermark == Time::MIN || s.watermark.0 <= floor.0.saturating_add(self.tuning.drift_micros))
            })
            .min_by_key(|(_, s)| s.watermark)
            .map(|(i, _)| i)
    }

    /// Reads once.
    pub(super) fn read(&mut self, max_rows: usize, now: i64, waker: &Waker) -> Result<Turn> {
        if self.stopped {
            return Ok(Turn::Nothing);
        }
        let Some(i) = self.pick() else { return Ok(Turn::Nothing) };
        self.turn = i + 1;
        let Some(split) = self.splits.get_mut(i) else { return Ok(Turn::Nothing) };
        if split.reader.is_none() {
            split.reader = Some(self.source.open(&split.id, &split.start)?);
        }
        let Some(reader) = split.reader.as_mut() else { return Ok(Turn::Nothing) };
        match reader.read(max_rows, waker)? {
            Read::Pending => {
                split.pending = true;
                Ok(Turn::Nothing)
            }
            Read::Finished => {
                split.start = reader.position();
                split.finished = true;
                split.reader = None;
                self.changed = true;
                Ok(Turn::Finished(split.id.clone()))
            }
            Read::Batch(batch) => {
                split.active_at = now;
                self.changed = true;
                let Some(stamper) = split.stamper.as_mut() else { return Ok(Turn::Rows(batch)) };
                let (batch, highest) = stamper.stamp(batch)?;
                if let (Some(t), Some(e)) = (highest, self.event_time.as_ref()) {
                    split.watermark = split.watermark.max(t.minus(e.disorder_micros).minus(1));
                }
                Ok(Turn::Rows(batch))
            }
        }
    }

    /// A barrier: where every split stands; those that move away are given up here, and returned apart.
    pub(super) fn barrier(&mut self, barrier: &Barrier, me: SlotId) -> (Vec<SplitState>, Vec<SplitState>) {
        if barrier.last {
            self.stopped = true;
        }
        let node = self.id;
        let state = |s: &Split| SplitState {
            node,
            split: s.id.clone(),
            position: s.reader.as_ref().map_or_else(|| s.start.clone(), |r| r.position()),
            watermark: s.watermark,
            finished: s.finished,
        };
        let all: Vec<SplitState> = self.splits.iter().map(state).collect();
        let moves = |s: &SplitId| barrier.moves.iter().any(|m| m.node == node && m.from == me && m.split == *s);
        self.splits.retain(|s| !moves(&s.id));
        let comes = barrier.moves.iter().filter(|m| m.node == node && m.to == me);
        self.expecting.extend(comes.map(|m| m.split.clone()));
        let handed = all.iter().filter(|s| moves(&s.split)).cloned().collect();
        (all, handed)
    }

    /// Thousandths of splits done and in total: a finished split is done, one not opened is not begun. (0, 0) where a split has no end.
    pub(super) fn progress(&self) -> (u64, u64) {
        let mut sum = (0, 0);
        for split in &self.splits {
            let done = match (split.finished, &split.reader) {
                (true, _) => 1000,
                (false, None) => 0,
                (false, Some(reader)) => match reader.progress() {
                    Some((done, of)) => done.min(of).saturating_mul(1000).checked_div(of).unwrap_or(0),
                    None => return (0, 0),
                },
            };
            sum = (sum.0 + done, sum.1 + 1000);
        }
        sum
    }
}
