//! Rows, timers and watermarks at one stage.

use watershed_runtime::key::SlotId;
use watershed_runtime::protocol::cut::consumer::Verdict;
use watershed_runtime::protocol::cut::target::TargetPhase;

use super::TIMER_TS;
use super::state::{Msg, Own, RetainedState, Row, World, back, sender, time};
use super::steps::CutModel;

impl CutModel {
    /// The bit that a stage's timer sets.
    pub(super) fn timer(s: usize) -> u8 {
        0x80 >> s
    }

    /// True if `mask` has a timer at stage `s` that has not fired.
    pub(super) fn due(&self, s: usize, mask: u8) -> bool {
        let mut records = self.g.records.iter().enumerate();
        self.g.timers[s] && mask & Self::timer(s) == 0 && records.any(|(r, (_, ts))| mask >> r & 1 == 1 && *ts <= TIMER_TS)
    }

    /// The destination of a row of `key` that leaves stage `s` of slot `k`: edge, receiver, key there.
    pub(super) fn onward(&self, w: &World, k: usize, s: usize, key: u8) -> (usize, usize, u8) {
        if s + 1 == self.g.stages {
            return (s + 1, usize::from(key) % self.g.consumers, key);
        }
        let next = self.g.rekey[usize::from(key)];
        (s + 1, usize::from(w.slots[k].route[usize::from(next)]), next)
    }

    #[allow(clippy::too_many_arguments, reason = "what one effect consists of")]
    fn emit(&self, w: &mut World, k: usize, s: usize, key: u8, mask: u8, ts: u8) {
        if ts <= w.slots[k].stages[s].sent {
            w.fail("I6: output below an emitted watermark");
        }
        let (edge, to, next) = self.onward(w, k, s, key);
        let tag = w.moving(k, key).1.and_then(|t| t.tag_at(s as u32));
        w.channels[edge][k][to].put(Msg::Row(Row { key: next, mask, ts, tag }));
    }

    /// Fires the timer of `key` if the watermark that holds for it is there.
    fn fire(&self, w: &mut World, k: usize, s: usize, key: u8, watermark: u8) {
        let val = w.slots[k].stages[s].vals[usize::from(key)];
        if watermark < TIMER_TS || val.own != Own::Active || !self.due(s, val.v) {
            return;
        }
        let st = &mut w.slot(k).stages[s];
        let (epoch, mask) = (st.epoch, val.v | Self::timer(s));
        st.vals[usize::from(key)].write(epoch, mask);
        self.emit(w, k, s, key, mask, TIMER_TS);
    }

    /// A watermark has come, or a row: timers, each under the watermark that holds for its key. Those of a batch that fires are the role's.
    pub(super) fn timers(&self, w: &mut World, k: usize, s: usize) {
        for key in 0..self.g.home.len() as u8 {
            if w.moving(k, key).1.is_none_or(|t| t.phase() != TargetPhase::Firing) {
                self.fire(w, k, s, key, w.key_watermark(k, s, key));
            }
        }
    }

    /// The batch's timers, when the gate is empty.
    pub(super) fn fire_batch(&self, w: &mut World, k: usize, cut: u8) {
        for s in 0..self.g.stages {
            let own = w.own(k, s);
            for key in self.g.cuts[usize::from(cut)].keys {
                let upto = back(w.slots[k].targets[&cut].batch_watermark(s as u32, time(own)));
                let upto = if self.rules.fire_as_of_empty_gate { upto } else { upto.max(own) };
                self.fire(w, k, s, *key, upto);
            }
        }
    }

    /// A row at a stage: to the gate, or into the state.
    pub(super) fn row(&self, w: &mut World, k: usize, s: usize, kept: RetainedState) {
        if let Some(t) = w.moving(k, kept.row.key).1.filter(|t| t.gates()) {
            let cut = t.plan().batch as u8;
            let gate = w.slot(k).gates.entry((cut, s as u8)).or_default();
            gate.push(kept);
            if gate.len() > 6 {
                w.fail("model: gate bound");
            }
            return;
        }
        self.apply(w, k, s, kept.row);
    }

    /// A row takes effect.
    pub(super) fn apply(&self, w: &mut World, k: usize, s: usize, row: Row) {
        let key = usize::from(row.key);
        let val = w.slots[k].stages[s].vals[key];
        let receiving = w.moving(k, row.key);
        let may = receiving.0.is_none_or(|c| c.active()) && receiving.1.is_none_or(|c| c.active());
        if val.own != Own::Active || !may {
            return w.fail("I1: access to a group that is not active");
        }
        if row.ts <= w.key_watermark(k, s, row.key) {
            w.fail("I6: a record is late");
        }
        if self.g.timers[s] && val.v & Self::timer(s) != 0 && row.ts <= TIMER_TS {
            w.fail("I6: a record comes after the timer that closes it has fired");
        }
        let mask = if s == 0 { val.v | row.mask } else { row.mask | val.v & Self::timer(s) };
        if mask & val.v != val.v || mask.count_ones() != val.v.count_ones() + 1 {
            w.fail(if s == 0 {
                "I2: a record takes effect twice"
            } else {
                "I3: the next stage sees effects out of order, twice or with a gap"
            });
        }
        let st = &mut w.slot(k).stages[s];
        let epoch = st.epoch;
        st.vals[key].write(epoch, mask);
        self.emit(w, k, s, row.key, mask, row.ts);
        self.timers(w, k, s);
    }

    /// Sends the watermark that may be sent now.
    pub(super) fn promise(&self, w: &mut World, k: usize, s: usize) {
        let slot = &w.slots[k];
        let wm = &slot.stages[s].wm;
        let own = time(w.own(k, s));
        let bound = slot.sources.values().fold(own, |t, c| c.output_bound(s as u32, t, |ch| time(wm[sender(ch.from)])));
        let sent = slot.stages[s].sent;
        let next = back(slot.holds.bound(time(sent), bound));
        if next > sent {
            w.slot(k).stages[s].sent = next;
            for to in w.receivers(s + 1, &self.g) {
                w.channels[s + 1][k][to].put(Msg::Watermark(next));
            }
        }
    }

    /// A row has reached consumer `x`.
    fn x_row(&self, w: &mut World, x: usize, row: Row) {
        let live = w.live();
        let st = w.x(x);
        let watermark = live.iter().map(|k| st.wm[*k]).min().unwrap_or(0);
        let seen = st.vals[usize::from(row.key)].v;
        st.vals[usize::from(row.key)].v = row.mask;
        if row.ts <= watermark {
            w.fail("I6: a row is late at a consumer");
        }
        if row.mask & seen != seen || row.mask.count_ones() != seen.count_ones() + 1 {
            w.fail("I3: a consumer sees effects out of order, twice or with a gap");
        }
    }

    /// The head of a channel is taken.
    pub(super) fn take(&self, w: &mut World, edge: usize, from: usize, to: usize) {
        let m = w.channels[edge][from][to].items.remove(0);
        let last = edge == self.g.stages;
        match m {
            Msg::Row(row) => {
                let verdict = if edge == 0 {
                    Verdict::Pass
                } else if last {
                    w.x(to).consumer.offer(row.tag)
                } else {
                    w.slot(to).stages[edge].consumer.offer(row.tag)
                };
                let kept = RetainedState { row, from: from as u8 };
                let aside = verdict == Verdict::SetAside;
                let gated = !last && !aside && w.moving(to, row.key).1.is_some_and(|t| t.gates());
                let keeps = aside && !self.rules.set_aside_credits || gated && !self.rules.gate_credits;
                w.channels[edge][from][to].used -= u8::from(!keeps);
                match (aside, last) {
                    (true, true) => w.x(to).aside.push(kept),
                    (true, false) => w.slot(to).stages[edge].aside.push(kept),
                    (false, true) => self.x_row(w, to, row),
                    (false, false) => self.row(w, to, edge, kept),
                }
            }
            Msg::Watermark(t) if last => w.x(to).wm[from] = t,
            Msg::Watermark(t) => {
                w.slot(to).stages[edge].wm[from] = t;
                self.timers(w, to, edge);
                self.promise(w, to, edge);
            }
            Msg::Barrier(_) if last => {
                w.x(to).barred |= 1 << from;
                self.align_consumer(w, to);
            }
            Msg::Barrier(_) => {
                w.slot(to).stages[edge].barred |= 1 << from;
                self.align_stage(w, to, edge);
            }
            Msg::Fence(cut) => self.fence(w, edge, from, to, cut),
            Msg::Drained(cut) => {
                let plan = w.plan(cut);
                let consumer = if last { &mut w.x(to).consumer } else { &mut w.slot(to).stages[edge].consumer };
                let _ = consumer.drained(SlotId(from as u16), plan.batch, plan.version);
            }
        }
    }

    /// The oldest released row of an edge goes on.
    pub(super) fn take_released(&self, w: &mut World, edge: usize, to: usize) {
        let last = edge == self.g.stages;
        let st = if last { w.x(to) } else { &mut w.slot(to).stages[edge] };
        let Some(tag) = st.consumer.next_released() else { return };
        let Some(at) = st.aside.iter().position(|k| k.row.tag == Some(tag)) else {
            return w.fail("I3: a released frame is not there");
        };
        st.consumer.took(tag);
        let kept = st.aside.remove(at);
        if !self.rules.set_aside_credits {
            w.channels[edge][usize::from(kept.from)][to].used -= 1;
        }
        if last { self.x_row(w, to, kept.row) } else { self.row(w, to, edge, kept) }
    }
}
