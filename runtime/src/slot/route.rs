//! The sending end of an exchange: one builder and one credit account for each destination.
//!
//! Emitting never blocks (I12): rows go into builders, and a builder ships when it is full, when control follows it, or when the
//! slot has nothing else to do. A destination without credits keeps its builder; the node that feeds it is not run until
//! credits come back. Control ships what lies before it even without credits (the account goes below zero): that keeps the order and
//! bounds the overdraft to one builder.
//!
//! A watermark that comes while a builder holds little waits for the next shipment: at full speed a watermark a batch would cut
//! frames to a fraction of their size.

use crate::container::Batch;
use crate::frame::{Frame, Item};
use crate::key::{Assignment, SlotId};
use crate::protocol::cut::Tag;
use crate::time::Time;

use super::Tuning;

/// Rows below which a frame costs more than what is in it.
const LEAST_ROWS: usize = 64;

/// One destination of an exchange.
#[derive(Debug)]
struct Dest {
    live: bool,
    /// Rows that may still be sent; below zero after control overdrew it.
    credits: i64,
    /// Rows that may be under way: what `credits` is when nothing is.
    window: i64,
    /// The watermark last sent, and whether the channel was last said to be idle.
    sent: Time,
    idle: bool,
}

impl Dest {
    /// Rows of a full frame: a quarter of what may be under way, so that a slow receiver gets small frames.
    fn frame_rows(&self, tuning: &Tuning) -> usize {
        usize::try_from(self.window / 4).unwrap_or(0).clamp(tuning.frame_rows.min(LEAST_ROWS), tuning.frame_rows)
    }
}

/// The sending end of one exchange edge.
#[derive(Debug)]
pub struct Exchange {
    edge: u32,
    dests: Vec<Dest>,
    builders: Vec<Option<Batch>>,
    tag: Option<Tag>,
    watermark: Time,
    /// The watermark before the end of time: every destination hears it, for it counts beside channels that are only idle.
    before: Time,
    idle: bool,
    window: i64,
    tuning: Tuning,
    scratch: Vec<u16>,
}

/// Frames that are shipped, with their destinations.
pub type Shipped = Vec<(SlotId, Frame)>;

impl Exchange {
    /// An exchange to `members`, with `window` rows of credit for each.
    #[must_use]
    pub fn new(edge: u32, members: &[SlotId], window: u32, tuning: Tuning) -> Self {
        let mut x = Self {
            edge,
            dests: Vec::new(),
            builders: Vec::new(),
            tag: None,
            watermark: Time::MIN,
            before: Time::MIN,
            idle: false,
            window: i64::from(window),
            tuning,
            scratch: Vec::new(),
        };
        x.set_members(members, SlotId(0), &mut Vec::new());
        x
    }

    /// True if every destination can still take a frame.
    #[must_use]
    pub fn open(&self) -> bool {
        self.dests
            .iter()
            .zip(&self.builders)
            .all(|(d, b)| d.credits > 0 || b.as_ref().is_none_or(|b| b.len() < d.frame_rows(&self.tuning)))
    }

    /// True if anything waits in a builder.
    #[must_use]
    pub fn pending(&self) -> bool {
        self.builders.iter().any(Option::is_some)
    }

    /// Takes a batch: each row goes to the slot that owns its group.
    pub fn push(&mut self, batch: Batch, tag: Option<Tag>, table: &Assignment, me: SlotId, out: &mut Shipped) {
        if tag != self.tag {
            self.ship_all(true, me, out);
            self.tag = tag;
        }
        let mut live = self.dests.iter().enumerate().filter(|(_, d)| d.live).map(|(i, _)| i);
        if let (Some(only), None) = (live.next(), live.next()) {
            // One destination: nothing to look up and nothing to copy.
            match self.builders.get_mut(only) {
                Some(Some(builder)) => {
                    if let Err(batch) = builder.append(batch) {
                        self.ship(only, true, me, out);
                        if let Some(b) = self.builders.get_mut(only) {
                            *b = Some(batch);
                        }
                    }
                }
                Some(empty) => *empty = Some(batch),
                None => {}
            }
        } else {
            self.scratch.clear();
            self.scratch.extend(batch.hashes().iter().map(|h| table.slot_of_hash(*h).0));
            batch.scatter(&self.scratch, &mut self.builders);
        }
        for d in 0..self.dests.len() {
            if self.full(d) {
                self.ship(d, false, me, out);
            }
        }
    }

    /// Ships one builder, and the watermark behind it.
    fn ship(&mut self, d: usize, force: bool, me: SlotId, out: &mut Shipped) {
        let (Some(dest), Some(builder)) = (self.dests.get_mut(d), self.builders.get_mut(d)) else { return };
        let to = SlotId(d as u16);
        if let Some(batch) = builder.take_if(|_| force || dest.credits > 0) {
            dest.credits -= batch.len() as i64;
            dest.idle = false;
            out.push((to, Frame { edge: self.edge, from: me, item: Item::Data(batch, self.tag) }));
        }
        if builder.is_none() && dest.live {
            for w in [self.before, self.watermark] {
                if w > dest.sent {
                    dest.sent = w;
                    dest.idle = false;
                    out.push((to, Frame { edge: self.edge, from: me, item: Item::Watermark(w) }));
                }
            }
            if self.idle && !dest.idle {
                dest.idle = true;
                out.push((to, Frame { edge: self.edge, from: me, item: Item::Idle }));
            }
        }
    }

    /// Ships every builder that has credits; all of them with `force`.
    pub fn ship_all(&mut self, force: bool, me: SlotId, out: &mut Shipped) {
        for d in 0..self.dests.len() {
            self.ship(d, force, me, out);
        }
    }

    /// A watermark for all destinations. `urgent`: rows were emitted because of it, nobody should wait for them.
    pub fn watermark(&mut self, w: Time, urgent: bool, me: SlotId, out: &mut Shipped) {
        if w == Time::MAX && self.watermark != Time::MAX {
            self.before = self.watermark;
        }
        self.watermark = self.watermark.max(w);
        self.idle = false;
        for d in 0..self.dests.len() {
            let rows = self.builders.get(d).and_then(Option::as_ref).map_or(0, |b| b.len());
            if rows == 0 || rows >= self.tuning.worth_shipping || urgent || w == Time::MAX {
                self.ship(d, urgent || w == Time::MAX, me, out);
            }
        }
    }

    /// Promises up to the barrier just sent are void: splits come to this slot, and where they stand is not known yet.
    pub fn promise_nothing(&mut self) {
        (self.watermark, self.before) = (Time::MIN, Time::MIN);
        self.idle = false;
        for d in &mut self.dests {
            (d.sent, d.idle) = (Time::MIN, false);
        }
    }

    /// Nothing is to be expected for now.
    pub fn set_idle(&mut self, me: SlotId, out: &mut Shipped) {
        self.idle = true;
        self.ship_all(true, me, out);
    }

    /// A control item to every destination, behind everything emitted so far.
    pub fn control(&mut self, me: SlotId, out: &mut Shipped, mut item: impl FnMut() -> Item) {
        self.ship_all(true, me, out);
        for (d, dest) in self.dests.iter().enumerate() {
            if dest.live {
                out.push((SlotId(d as u16), Frame { edge: self.edge, from: me, item: item() }));
            }
        }
    }

    /// A control item to one destination, behind everything emitted to it so far, its watermark included.
    pub fn control_to(&mut self, to: SlotId, item: Item, me: SlotId, out: &mut Shipped) {
        self.ship(usize::from(to.0), true, me, out);
        out.push((to, Frame { edge: self.edge, from: me, item }));
    }

    /// Credits came back, and with them how many rows may be under way from now on.
    pub fn credit(&mut self, from: SlotId, rows: u32, window: u32, me: SlotId, out: &mut Shipped) {
        let Some(dest) = self.dests.get_mut(usize::from(from.0)) else { return };
        dest.credits += i64::from(rows) + i64::from(window) - dest.window;
        dest.window = i64::from(window);
        if self.full(usize::from(from.0)) {
            self.ship(usize::from(from.0), false, me, out);
        }
    }

    /// True if a destination's builder makes a full frame.
    fn full(&self, d: usize) -> bool {
        let (Some(dest), Some(Some(builder))) = (self.dests.get(d), self.builders.get(d)) else { return false };
        builder.len() >= dest.frame_rows(&self.tuning) || builder.byte_size() >= self.tuning.frame_bytes
    }

    /// Another set of destinations, at a barrier (so every builder is empty). New ones get the present watermark first.
    pub fn set_members(&mut self, members: &[SlotId], me: SlotId, out: &mut Shipped) {
        let n = members.iter().map(|m| usize::from(m.0) + 1).max().unwrap_or(0).max(self.dests.len());
        while self.dests.len() < n {
            self.dests.push(Dest { live: false, credits: 0, window: 0, sent: Time::MIN, idle: false });
            self.builders.push(None);
        }
        for d in 0..n {
            let live = members.contains(&SlotId(d as u16));
            if let Some(dest) = self.dests.get_mut(d) {
                if live && !dest.live {
                    *dest = Dest { live, credits: self.window, window: self.window, sent: Time::MIN, idle: false };
                    self.ship(d, true, me, out);
                } else {
                    dest.live = live;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_destination_hears_the_last_promise_before_the_end() {
        let (mut x, mut out) = (Exchange::new(1, &[SlotId(0)], 16, Tuning::default()), Vec::new());
        for w in [Time(5), Time(9), Time::MAX] {
            x.watermark(w, false, SlotId(0), &mut out);
        }
        out.clear();
        x.set_members(&[SlotId(0), SlotId(1)], SlotId(0), &mut out);
        let heard = out.iter().filter(|(to, _)| *to == SlotId(1)).map(|(_, f)| format!("{:?}", f.item));
        let want = [Time(9), Time::MAX].map(|w| format!("{:?}", Item::Watermark(w)));
        assert_eq!(heard.collect::<Vec<_>>(), want, "as those that were there before it");
    }
}
