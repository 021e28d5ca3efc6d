//! Conditions of each step, and the model as the checker sees it.

use stateright::{Model, Property};
use watershed_runtime::protocol::cut::target::TargetPhase;
use watershed_runtime::protocol::rules::{RuleSet, Rules};

use super::config::{Config, Item};
use super::state::{KEYS, Msg, World, start};
use crate::model::run::Checked;

/// One world under one set of rules.
#[derive(Clone, Debug)]
pub struct CutModel {
    pub(super) g: Config,
    pub(super) rules: Rules,
    pub(super) set: RuleSet,
    steps: Vec<Step>,
}

/// A step of somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// An upstream sends the next item of its script.
    Next(usize),
    /// An upstream switches its routing and fences.
    UpFence(usize, u8),
    /// An upstream puts a barrier.
    UpBarrier(usize),
    /// A slot switches its routing between stages and fences.
    SlotFence(usize, u8),
    /// Edge, sender, receiver: the head of the channel is taken.
    Take(usize, usize, usize),
    /// Edge, receiver: a released row goes on.
    Released(usize, usize),
    /// A Final arrives.
    Final(usize),
    /// Slot, cut, stage: a gated row goes on.
    Drain(usize, u8, usize),
    /// Slot, cut: the batch's timers fire.
    Fire(usize, u8),
    /// The coordinator begins a cut.
    Cut(usize),
    /// The coordinator injects a barrier.
    Barrier,
    /// The oldest epoch is published.
    Publish,
    /// A slot hears of a publication.
    Hear(usize),
    /// A slot is lost.
    Crash(usize),
    /// Something else is lost: everybody starts again from the manifest.
    Restart,
}

impl CutModel {
    /// This world under these rules.
    #[must_use]
    pub fn new(g: Config, rules: Rules) -> Self {
        let mut steps = Vec::new();
        for u in 0..g.scripts.len() {
            steps.push(Step::Next(u));
            steps.push(Step::UpBarrier(u));
            steps.extend((0..g.cuts.len() as u8).map(|c| Step::UpFence(u, c)));
        }
        for edge in 0..=g.stages {
            let from = if edge == 0 { g.scripts.len() } else { g.slots };
            let to = if edge == g.stages { g.consumers } else { g.slots };
            for t in 0..to {
                steps.extend((0..from).map(|f| Step::Take(edge, f, t)));
                if edge > 0 {
                    steps.push(Step::Released(edge, t));
                }
            }
        }
        for (c, cut) in g.cuts.iter().enumerate() {
            let (c8, to) = (c as u8, usize::from(cut.to));
            steps.push(Step::Cut(c));
            steps.push(Step::Final(c));
            steps.push(Step::Fire(to, c8));
            steps.extend((0..g.stages).map(|s| Step::Drain(to, c8, s)));
            if g.stages > 1 {
                steps.extend((0..g.slots).map(|k| Step::SlotFence(k, c8)));
            }
        }
        steps.extend([Step::Barrier, Step::Publish]);
        steps.extend((0..g.slots).map(Step::Hear));
        if g.crashes > 0 {
            steps.extend((0..g.slots).map(Step::Crash));
            steps.push(Step::Restart);
        }
        Self { g, rules, set: RuleSet::new(rules), steps }
    }

    /// A channel that a control item may be put into.
    fn open(&self, w: &World, edge: usize, from: usize, to: &[usize]) -> bool {
        self.rules.control_bypass || to.iter().all(|t| !w.channels[edge][from][*t].full())
    }

    /// True if a row of `key` may leave stage `s` of slot `k`.
    fn room(&self, w: &World, k: usize, s: usize, key: u8) -> bool {
        let (edge, to, _) = self.onward(w, k, s, key);
        !w.channels[edge][k][to].full()
    }

    fn room_for_all(&self, w: &World, k: usize, s: usize) -> bool {
        (0..self.g.home.len() as u8).all(|key| self.room(w, k, s, key))
    }

    /// True if a row may be worked on at a stage now: gating emits nothing.
    fn workable(&self, w: &World, k: usize, s: usize, key: u8) -> bool {
        w.moving(k, key).1.is_some_and(|t| t.gates()) || self.room(w, k, s, key)
    }

    fn can_take(&self, w: &World, edge: usize, from: usize, to: usize) -> bool {
        let last = edge == self.g.stages;
        let Some(head) = w.channels[edge][from][to].items.first() else { return false };
        if last {
            let st = &w.xs[to];
            return st.barred >> from & 1 == 0 && !st.consumer.busy();
        }
        let slot = &w.slots[to];
        let st = &slot.stages[edge];
        if slot.dead || st.barred >> from & 1 == 1 || edge > 0 && st.consumer.busy() {
            return false;
        }
        match head {
            Msg::Row(row) => edge > 0 && !st.consumer.may_pass(row.tag) || self.workable(w, to, edge, row.key),
            Msg::Watermark(_) => self.room_for_all(w, to, edge),
            Msg::Barrier(_) | Msg::Fence(_) | Msg::Drained(_) => true,
        }
    }

    fn can_release(&self, w: &World, edge: usize, to: usize) -> bool {
        let last = edge == self.g.stages;
        let st = if last { &*w.xs[to] } else { &w.slots[to].stages[edge] };
        let Some(tag) = st.consumer.next_released() else { return false };
        last || st.aside.iter().find(|a| a.row.tag == Some(tag)).is_none_or(|a| self.workable(w, to, edge, a.row.key))
    }

    fn can_next(&self, w: &World, u: usize) -> bool {
        let up = &w.ups[u];
        match self.g.scripts[u].get(usize::from(up.pos)) {
            None => false,
            Some(Item::W(_)) => self.open(w, 0, u, &w.live()),
            Some(Item::R(r)) => {
                let key = usize::from(self.g.records[usize::from(*r)].0);
                !w.channels[0][u][usize::from(up.route[key])].full()
            }
        }
    }

    fn ends(&self, cut: u8) -> [usize; 2] {
        let c = self.g.cuts[usize::from(cut)];
        [c.from.into(), c.to.into()]
    }

    fn phase(w: &World, k: usize, cut: u8) -> Option<TargetPhase> {
        w.slots[k].targets.get(&cut).map(|t| t.phase())
    }

    fn can_cut(&self, w: &World, cut: usize) -> bool {
        let made = w.co.turns.table().version as usize == cut;
        let live = self.ends(cut as u8).iter().all(|k| !w.slots[*k].dead);
        let c = &self.g.cuts[cut];
        let held = c.keys.iter().all(|k| w.co.owners[usize::from(*k)] == c.from);
        let warm = || matches!(self.warm(w, cut), watershed_runtime::protocol::cut::warm::WarmStart::Stream { .. });
        made && live
            && held
            && w.co.turns.open().count() < self.g.open
            && w.co.turns.cut_waits(&self.groups(cut)).is_none()
            && warm()
    }

    /// True if the step can be taken.
    fn can(&self, w: &World, step: Step) -> bool {
        match step {
            Step::Next(u) => self.can_next(w, u),
            Step::UpFence(u, c) => Self::made(w, c) && w.ups[u].fenced >> c & 1 == 0 && self.open(w, 0, u, &self.ends(c)),
            Step::UpBarrier(u) => w.ups[u].barred < w.co.injected && self.open(w, 0, u, &w.live()),
            Step::SlotFence(k, c) => {
                let slot = &w.slots[k];
                !slot.dead && Self::made(w, c) && slot.fenced >> c & 1 == 0 && self.open(w, 1, k, &self.ends(c))
            }
            Step::Take(edge, from, to) => self.can_take(w, edge, from, to),
            Step::Released(edge, to) => self.can_release(w, edge, to),
            Step::Final(c) => w.co.finals.iter().any(|f| usize::from(f.cut) == c),
            Step::Drain(k, c, s) => {
                let head = w.slots[k].gates.get(&(c, s as u8)).and_then(|g| g.first());
                Self::phase(w, k, c) == Some(TargetPhase::Draining) && head.is_some_and(|g| self.room(w, k, s, g.row.key))
            }
            Step::Fire(k, c) => {
                Self::phase(w, k, c) == Some(TargetPhase::Firing) && (0..self.g.stages).all(|s| self.room_for_all(w, k, s))
            }
            Step::Cut(c) => self.can_cut(w, c),
            Step::Barrier => {
                let co = &w.co;
                co.injected < self.g.epochs && co.flights.len() < self.g.flights && co.turns.barrier_waits().is_none()
            }
            Step::Publish => self.publishable(w),
            Step::Hear(k) => !w.slots[k].dead && usize::from(w.slots[k].heard) < w.co.published.len(),
            Step::Crash(k) => w.crashes < self.g.crashes && w.live().len() > 1 && !w.slots[k].dead,
            Step::Restart => w.crashes < self.g.crashes,
        }
    }

    /// A cut that the coordinator of this generation has made.
    fn made(w: &World, cut: u8) -> bool {
        w.co.turns.table().version > u64::from(cut)
    }

    fn go(&self, w: &mut World, step: Step) {
        match step {
            Step::Next(u) => self.send_next(w, u),
            Step::UpFence(u, c) => self.put_fence(w, 0..1, u, c),
            Step::UpBarrier(u) => self.put_barrier(w, u),
            Step::SlotFence(k, c) => self.put_fence(w, 1..self.g.stages, k, c),
            Step::Take(edge, from, to) => self.take(w, edge, from, to),
            Step::Released(edge, to) => self.take_released(w, edge, to),
            Step::Final(c) => {
                if let Some(at) = w.co.finals.iter().position(|f| usize::from(f.cut) == c) {
                    self.final_(w, at);
                }
            }
            Step::Drain(k, c, s) => self.drain(w, k, c, s),
            Step::Fire(k, c) => self.fire_and_end(w, k, c),
            Step::Cut(c) => self.start_cut(w, c),
            Step::Barrier => self.inject(w),
            Step::Publish => self.publish(w),
            Step::Hear(k) => self.hear(w, k),
            Step::Crash(k) => self.recover(w, Some(k)),
            Step::Restart => self.recover(w, None),
        }
    }

    fn send_next(&self, w: &mut World, u: usize) {
        let Some(item) = self.g.scripts[u].get(usize::from(w.ups[u].pos)) else { return };
        w.ups[u].pos += 1;
        match *item {
            Item::R(r) => {
                let (key, ts) = self.g.records[usize::from(r)];
                let to = usize::from(w.ups[u].route[usize::from(key)]);
                w.channels[0][u][to].put(Msg::Row(super::state::Row { key, mask: 1 << r, ts, tag: None }));
            }
            Item::W(t) => {
                for k in w.live() {
                    w.channels[0][u][k].put(Msg::Watermark(t));
                }
            }
        }
    }

    /// Masks that the last stage's consumers must have seen at the end, by key.
    fn want(&self) -> [u8; KEYS] {
        let mut masks = [0; KEYS];
        for (r, (key, _)) in self.g.records.iter().enumerate() {
            masks[usize::from(*key)] |= 1 << r;
        }
        let end = self.g.scripts.iter().all(|s| s.iter().any(|i| matches!(i, Item::W(t) if *t >= super::TIMER_TS)));
        for s in 0..self.g.stages {
            for m in &mut masks {
                *m |= if end && self.due(s, *m) { Self::timer(s) } else { 0 };
            }
            if s + 1 < self.g.stages {
                let mut next = [0; KEYS];
                for (key, m) in masks.iter().enumerate() {
                    next[usize::from(self.g.rekey[key])] = *m;
                }
                masks = next;
            }
        }
        masks
    }

    fn right_end(&self, w: &World) -> bool {
        let want = self.want();
        let seen = (0..self.g.home.len()).all(|key| w.xs[key % self.g.consumers].vals[key].v == want[key]);
        let read = w.ups.iter().zip(self.g.scripts).all(|(up, s)| usize::from(up.pos) == s.len());
        let quiet = w.channels.iter().flatten().flatten().all(|c| c.items.is_empty());
        seen && read && quiet && w.co.turns.open().next().is_none() && w.co.finals.is_empty() && w.co.flights.is_empty()
    }
}

impl Model for CutModel {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        vec![start(&self.g, self.set)]
    }

    fn actions(&self, w: &World, actions: &mut Vec<Step>) {
        if w.broken.is_none() {
            actions.extend(self.steps.iter().copied().filter(|s| self.can(w, *s)));
        }
    }

    fn next_state(&self, w: &World, step: Step) -> Option<World> {
        let mut next = w.clone();
        self.go(&mut next, step);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![Property::always("every law holds", |m: &Self, w: &World| m.broken(w).is_none())]
    }
}

impl Checked for CutModel {
    fn broken(&self, w: &World) -> Option<String> {
        if w.broken.is_some() {
            return w.broken.clone();
        }
        let goes_on = self.steps.iter().any(|s| !matches!(s, Step::Crash(_) | Step::Restart) && self.can(w, *s));
        (!goes_on && !self.right_end(w)).then(|| "I12: stuck".into())
    }
}
