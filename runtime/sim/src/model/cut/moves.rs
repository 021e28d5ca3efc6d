//! Steps of a slot that the roles of a cut ask for.

use std::sync::Arc;

use watershed_runtime::key::{GroupSet, KeyGroup, SlotId};
use watershed_runtime::protocol::cut::frozen::FrozenCopies;
use watershed_runtime::protocol::cut::source::{Complete, SourceCut};
use watershed_runtime::protocol::cut::target::{TargetCut, TargetEffect};
use watershed_runtime::protocol::cut::warm::{WarmStart, warm_start};
use watershed_runtime::protocol::cut::{ChannelId, CutPlan};

use super::state::{Final, Msg, NO, Own, Val, World, sender, space, time};
use super::steps::CutModel;

impl CutModel {
    /// The key groups of a cut.
    pub(super) fn groups(&self, cut: usize) -> GroupSet {
        GroupSet::of(space(), self.g.cuts[cut].keys.iter().map(|k| KeyGroup((*k).into())))
    }

    /// The source's answer to a warm-up of this cut, if it were asked now.
    pub(super) fn warm(&self, w: &World, cut: usize) -> WarmStart {
        let source = &w.slots[usize::from(self.g.cuts[cut].from)];
        let now = u64::from(source.stages[0].epoch);
        warm_start(w.co.man.epoch.into(), u64::from(source.heard) + 1, now, self.set)
    }

    /// The coordinator begins a cut. The target's base is the manifest of now.
    pub(super) fn start_cut(&self, w: &mut World, cut: usize) {
        let WarmStart::Stream { from_epoch } = self.warm(w, cut) else { return };
        let c = self.g.cuts[cut];
        let groups = Arc::new(self.groups(cut));
        let co = w.co();
        match co.turns.cut(cut as u64, groups, SlotId(c.from.into()), SlotId(c.to.into())) {
            Ok(plan) => co.cuts[cut] = Some(plan),
            Err(e) => return w.fail(&e.to_string()),
        }
        co.bases[cut] = (from_epoch as u8, co.man.vals);
        for key in c.keys {
            co.owners[usize::from(*key)] = c.to;
        }
    }

    /// An upstream (edge 0), or a slot (the edges between stages), switches its routing and fences.
    pub(super) fn put_fence(&self, w: &mut World, edges: std::ops::Range<usize>, from: usize, cut: u8) {
        let c = self.g.cuts[usize::from(cut)];
        let upstream = edges.start == 0;
        for edge in edges {
            for to in [c.from, c.to] {
                w.channels[edge][from][usize::from(to)].put(Msg::Fence(cut));
            }
        }
        let (route, fenced) = if upstream {
            let up = &mut w.ups[from];
            (&mut up.route, &mut up.fenced)
        } else {
            let slot = w.slot(from);
            (&mut slot.route, &mut slot.fenced)
        };
        *fenced |= 1 << cut;
        for key in c.keys {
            route[usize::from(*key)] = c.to;
        }
    }

    /// A fence has come to a stage.
    pub(super) fn fence(&self, w: &mut World, edge: usize, from: usize, to: usize, cut: u8) {
        let plan = w.plan(cut);
        if plan.source == SlotId(to as u16) {
            let mut channels = Vec::new();
            for s in 0..self.g.stages {
                let of = |f: usize| (ChannelId { edge: s as u32, from: SlotId(f as u16) }, s as u32);
                channels.extend(w.senders(s).into_iter().map(of));
            }
            let slot = w.slot(to);
            let mut source = slot.sources.remove(&cut).unwrap_or_else(|| SourceCut::new(Arc::clone(&plan), &channels, self.set));
            let current = |c: ChannelId| time(slot.stages[c.edge as usize].wm[sender(c.from)]);
            let answer = source.fence(ChannelId { edge: edge as u32, from: SlotId(from as u16) }, current);
            slot.sources.insert(cut, source);
            match answer {
                Ok(Some(complete)) => self.complete(w, to, cut, &plan, complete),
                Ok(None) => {}
                Err(e) => w.fail(&e.to_string()),
            }
        } else if plan.target == SlotId(to as u16) {
            let effects = self.target(w, to, cut, &plan).fence();
            self.obey(w, to, cut, &plan, effects);
        }
    }

    /// Role S, after the last fence: Final, freeze, Drained, watermark, in one step.
    fn complete(&self, w: &mut World, k: usize, cut: u8, plan: &Arc<CutPlan>, complete: Complete) {
        let keys = self.g.cuts[usize::from(cut)].keys;
        let (from_epoch, base) = w.co.bases[usize::from(cut)];
        let mut vals = Vec::new();
        let slot = w.slot(k);
        let mut aside = false;
        for (s, st) in slot.stages.iter_mut().enumerate() {
            aside |= st.aside.iter().any(|a| keys.contains(&a.row.key));
            for key in keys {
                let val = &mut st.vals[usize::from(*key)];
                let streamed = val.written >= from_epoch;
                let v = if streamed { val.v } else { base[s][usize::from(*key)].unwrap_or(val.v) };
                vals.push((s as u8, *key, v, val.written == st.epoch));
                val.own = Own::Frozen;
                if !self.rules.undo_stays {
                    val.undo = [NO; 4];
                }
            }
        }
        slot.frozen.freeze(Arc::clone(plan));
        if aside {
            w.fail("I1: Final while rows of the batch are set aside");
        }
        w.co().finals.push(Final { cut, frontiers: complete.frontiers, vals });
        w.co().turns.final_sent(plan.batch);
        let drained = |w: &mut World| {
            for s in 0..self.g.stages {
                for to in w.receivers(s + 1, &self.g) {
                    w.channels[s + 1][k][to].put(Msg::Drained(cut));
                }
            }
        };
        if self.rules.drained_then_watermark {
            drained(w);
        }
        if let Some(c) = w.slot(k).sources.get_mut(&cut) {
            c.put_drained();
        }
        for s in 0..self.g.stages {
            self.promise(w, k, s);
        }
        if !self.rules.drained_then_watermark {
            drained(w);
        }
    }

    fn target<'w>(&self, w: &'w mut World, k: usize, cut: u8, plan: &Arc<CutPlan>) -> &'w mut TargetCut {
        w.slot(k).targets.entry(cut).or_insert_with(|| TargetCut::new(Arc::clone(plan), self.set))
    }

    /// Role T: Final has come.
    pub(super) fn final_(&self, w: &mut World, at: usize) {
        let last = w.co().finals.remove(at);
        let plan = w.plan(last.cut);
        let k = usize::from(plan.target.0);
        match self.target(w, k, last.cut, &plan).final_(last.frontiers) {
            Ok(effects) => {
                for effect in effects {
                    if effect == TargetEffect::Apply {
                        self.absorb(w, k, &last.vals);
                        self.drained_gate(w, k, last.cut);
                    } else {
                        self.obey(w, k, last.cut, &plan, vec![effect]);
                    }
                }
            }
            Err(e) => w.fail(&e.to_string()),
        }
    }

    fn absorb(&self, w: &mut World, k: usize, vals: &[(u8, u8, u8, bool)]) {
        for (s, key, v, dirty) in vals {
            let st = &mut w.slot(k).stages[usize::from(*s)];
            let written = if *dirty && self.rules.dirty_moves { st.epoch } else { 0 };
            let val = &mut st.vals[usize::from(*key)];
            let twice = val.own != Own::None;
            *val = Val { own: Own::Active, v: *v, written, ..Val::default() };
            if twice {
                w.fail("I1: a group comes to a slot that still has a copy");
            }
        }
    }

    /// Tells the role if the batch's gates are empty.
    fn drained_gate(&self, w: &mut World, k: usize, cut: u8) {
        let empty = self.gate_empty(w, k, cut);
        let own: Vec<u8> = (0..self.g.stages).map(|s| w.own(k, s)).collect();
        let plan = w.plan(cut);
        if empty {
            let effects = self.target(w, k, cut, &plan).gate_empty(|s| time(own[s as usize]));
            self.obey(w, k, cut, &plan, effects);
        }
    }

    fn gate_empty(&self, w: &World, k: usize, cut: u8) -> bool {
        w.slots[k].gates.iter().all(|((c, _), rows)| *c != cut || rows.is_empty())
    }

    /// One gated row goes on.
    pub(super) fn drain(&self, w: &mut World, k: usize, cut: u8, s: usize) {
        let slot = w.slot(k);
        let Some(rows) = slot.gates.get_mut(&(cut, s as u8)) else { return };
        let kept = rows.remove(0);
        if rows.is_empty() {
            slot.gates.remove(&(cut, s as u8));
        }
        if !self.rules.gate_credits {
            w.channels[s][usize::from(kept.from)][k].used -= 1;
        }
        self.apply(w, k, s, kept.row);
        self.drained_gate(w, k, cut);
    }

    /// The batch's timers fire, and the role is told.
    pub(super) fn fire_and_end(&self, w: &mut World, k: usize, cut: u8) {
        self.fire_batch(w, k, cut);
        let plan = w.plan(cut);
        self.target(w, k, cut, &plan).timers_fired();
        self.drained_gate(w, k, cut);
    }

    fn obey(&self, w: &mut World, k: usize, cut: u8, plan: &Arc<CutPlan>, effects: Vec<TargetEffect>) {
        for effect in effects {
            match effect {
                TargetEffect::DropFrozen => {
                    let old = w.slot(k).frozen.superseded(plan);
                    Self::drop_copies(w, k, &old);
                }
                // The gate is `TargetCut::gates`, the timers a step of their own, Final is applied where it comes.
                TargetEffect::FireTimers | TargetEffect::Apply => {}
                TargetEffect::StartHold => w.slot(k).holds.start(plan.batch),
                TargetEffect::ReleaseHold => {
                    w.slot(k).holds.release(plan.batch);
                    for s in 0..self.g.stages {
                        self.promise(w, k, s);
                    }
                }
                TargetEffect::ReportActive => {
                    w.co().turns.active(cut.into());
                }
            }
        }
    }

    /// Frozen copies go.
    pub(super) fn drop_copies(w: &mut World, k: usize, old: &[Arc<CutPlan>]) {
        for plan in old {
            for st in &mut w.slot(k).stages {
                for (key, val) in st.vals.iter_mut().enumerate() {
                    if val.own == Own::Frozen && plan.groups.contains(KeyGroup(key as u16)) {
                        *val = Val::default();
                    }
                }
            }
        }
    }

    /// Nothing frozen is left.
    pub(super) fn no_copies(&self) -> FrozenCopies {
        FrozenCopies::new(self.set)
    }
}
