//! Barriers, manifests, what slots hear of them, and recovery.

use std::sync::Arc;

use watershed_runtime::key::SlotId;
use watershed_runtime::protocol::cut::consumer::Consumer;

use super::config::Item;
use super::state::{KEYS, Man, Msg, NO, Own, Stage, Up, Val, World, blank_slot, channels, turns};
use super::steps::CutModel;

/// Consumers report to the coordinator under these slot numbers.
const CONSUMER: u16 = 100;

impl CutModel {
    /// A barrier is injected.
    pub(super) fn inject(&self, w: &mut World) {
        let epoch = w.co.injected + 1;
        let consumers = (0..self.g.consumers).map(|x| SlotId(CONSUMER + x as u16));
        let members: Vec<SlotId> = w.live().into_iter().map(|k| SlotId(k as u16)).chain(consumers).collect();
        let owners = w.co.owners;
        let co = w.co();
        let version = match co.turns.inject(epoch.into(), members) {
            Ok(table) => table.version as u8,
            Err(e) => return w.fail(&e.to_string()),
        };
        co.injected = epoch;
        co.flights.push(Man {
            epoch,
            owners,
            version,
            pos: vec![0; self.g.scripts.len()],
            marks: vec![vec![(Vec::new(), 0); self.g.stages]; self.g.slots],
            xmarks: vec![Vec::new(); self.g.consumers],
            ..Man::default()
        });
    }

    fn flight(w: &mut World, epoch: u8) -> Option<&mut Man> {
        w.co().flights.iter_mut().find(|f| f.epoch == epoch)
    }

    /// An upstream puts the barrier into its channels.
    pub(super) fn put_barrier(&self, w: &mut World, u: usize) {
        let epoch = w.ups[u].barred + 1;
        w.ups[u].barred = epoch;
        let pos = w.ups[u].pos;
        if let Some(f) = Self::flight(w, epoch) {
            f.pos[u] = pos;
        }
        for k in w.live() {
            w.channels[0][u][k].put(Msg::Barrier(epoch));
        }
    }

    /// A stage may have every barrier: its part of the manifest, and the barrier goes on.
    pub(super) fn align_stage(&self, w: &mut World, k: usize, s: usize) {
        if w.senders(s).iter().any(|f| w.slots[k].stages[s].barred >> f & 1 == 0) {
            return;
        }
        let slot = w.slot(k);
        let st = &mut slot.stages[s];
        let epoch = st.epoch;
        let mut errors = Vec::new();
        errors.extend(st.consumer.barrier().err());
        errors.extend(slot.targets.values_mut().filter_map(|t| t.stage_barrier(s as u32).err()));
        let parts: Vec<(usize, u8)> = st
            .vals
            .iter()
            .enumerate()
            .filter(|(_, v)| v.own == Own::Active && v.written == epoch)
            .map(|(key, v)| (key, v.v))
            .collect();
        let marks = (st.wm.clone(), st.sent);
        (st.epoch, st.barred) = (epoch + 1, 0);
        let last = s + 1 == self.g.stages;
        if last {
            slot.targets.clear();
            slot.sources.clear();
        }
        for e in errors {
            w.fail(&e.to_string());
        }
        if let Some(f) = Self::flight(w, epoch) {
            for (key, v) in parts {
                f.vals[s][key] = Some(v);
            }
            f.marks[k][s] = marks;
            f.got |= u8::from(last) << k;
        }
        for to in w.receivers(s + 1, &self.g) {
            w.channels[s + 1][k][to].put(Msg::Barrier(epoch));
        }
        if last {
            w.co().turns.aligned(epoch.into(), SlotId(k as u16));
        }
    }

    /// A consumer may have every barrier.
    pub(super) fn align_consumer(&self, w: &mut World, x: usize) {
        if w.live().iter().any(|k| w.xs[x].barred >> k & 1 == 0) {
            return;
        }
        let st = w.x(x);
        let epoch = st.epoch;
        let error = st.consumer.barrier().err();
        (st.epoch, st.barred) = (epoch + 1, 0);
        let (seen, wm) = (st.vals.map(|v| v.v), st.wm.clone());
        if let Some(e) = error {
            w.fail(&e.to_string());
        }
        let (consumers, slots) = (self.g.consumers, self.g.slots);
        if let Some(f) = Self::flight(w, epoch) {
            for key in (0..KEYS).filter(|key| key % consumers == x) {
                f.seen[key] = seen[key];
            }
            f.xmarks[x] = wm;
            f.got |= 1 << (slots + x);
        }
        w.co().turns.aligned(epoch.into(), SlotId(CONSUMER + x as u16));
    }

    /// True if the oldest epoch has all its parts.
    pub(super) fn publishable(&self, w: &World) -> bool {
        let want = w.live().into_iter().chain((0..self.g.consumers).map(|x| self.g.slots + x)).fold(0, |n, i| n | 1 << i);
        w.co.flights.first().is_some_and(|f| f.got & want == want)
    }

    /// The oldest epoch is published.
    pub(super) fn publish(&self, w: &mut World) {
        let co = w.co();
        let mut p = co.flights.remove(0);
        for (new, old) in p.vals.iter_mut().flatten().zip(co.man.vals.iter().flatten()) {
            *new = new.or(*old);
        }
        if !self.rules.table_at_barrier {
            (p.owners, p.version) = (co.owners, co.turns.table().version as u8);
        }
        co.published.push(p.version);
        co.turns.published(p.version.into());
        co.man = p.clone();
        let (records, bits) = (self.prefix(&p), Self::timer(0) | Self::timer(1));
        for key in 0..self.g.home.len() {
            for s in 0..self.g.stages {
                let from = if s == 0 { key } else { self.g.rekey.iter().position(|k| usize::from(*k) == key).unwrap_or(key) };
                if p.vals[s][key].unwrap_or(0) & !bits != records[from] {
                    w.fail("I2: a manifest is not the effect of its source prefix");
                }
            }
            if p.vals[self.g.stages - 1][key].unwrap_or(0) != p.seen[key] {
                w.fail("I2: a manifest's sink segment is not its state");
            }
        }
        if !self.g.late_published {
            for k in w.live() {
                self.hear(w, k);
            }
        }
    }

    /// The records before a manifest's positions, by key.
    fn prefix(&self, p: &Man) -> [u8; KEYS] {
        let mut want = [0; KEYS];
        for (script, pos) in self.g.scripts.iter().zip(&p.pos) {
            for item in &script[..usize::from(*pos)] {
                if let Item::R(r) = item {
                    want[usize::from(self.g.records[usize::from(*r)].0)] |= 1 << r;
                }
            }
        }
        want
    }

    /// A slot hears of the next publication: undo images and frozen copies go.
    pub(super) fn hear(&self, w: &mut World, k: usize) {
        let heard = w.slots[k].heard + 1;
        let Some(version) = w.co.published.get(usize::from(heard) - 1).copied() else { return };
        let slot = w.slot(k);
        slot.heard = heard;
        for val in slot.stages.iter_mut().flat_map(|st| st.vals.iter_mut()) {
            val.undo.iter_mut().take(usize::from(heard) + 1).for_each(|u| *u = NO);
        }
        let old = slot.frozen.published(version.into());
        Self::drop_copies(w, k, &old);
    }

    /// A slot is lost, or somebody else was: everybody returns to the last manifest.
    pub(super) fn recover(&self, w: &mut World, dead: Option<usize>) {
        w.crashes += 1;
        if let Some(d) = dead {
            w.slot(d).dead = true;
        }
        let man = w.co.man.clone();
        let live = w.live();
        let heir = live[0] as u8;
        let place = |o: u8| if live.contains(&usize::from(o)) { o } else { heir };
        let owners = man.owners.map(place);
        w.channels = channels(&self.g);
        let fenced = (1u8 << man.version) - 1;
        for (u, up) in w.ups.iter_mut().enumerate() {
            *up = Up { pos: man.pos[u], fenced, barred: man.epoch, route: owners };
        }
        for k in 0..self.g.slots {
            self.recover_slot(w, k, &man, &owners);
        }
        for x in 0..self.g.consumers {
            let mut vals = [Val::default(); KEYS];
            for (val, seen) in vals.iter_mut().zip(man.seen) {
                val.v = seen;
            }
            *w.x(x) = self.stage(man.xmarks[x].clone(), man.epoch, vals, 0);
        }
        let co = w.co();
        co.turns = turns(&self.g, &owners, man.version, self.set);
        co.owners = owners;
        co.finals.clear();
        co.flights.clear();
        co.injected = man.epoch;
        co.man.owners = owners;
    }

    fn stage(&self, wm: Vec<u8>, epoch: u8, vals: [Val; KEYS], sent: u8) -> Stage {
        Stage { wm, barred: 0, epoch: epoch + 1, vals, sent, consumer: Consumer::new(self.set), aside: Vec::new() }
    }

    fn recover_slot(&self, w: &mut World, k: usize, man: &Man, owners: &[u8; KEYS]) {
        let old = Arc::clone(&w.slots[k]);
        let mut slot = blank_slot(self.set);
        slot.dead = old.dead;
        slot.route = *owners;
        slot.fenced = (1 << man.version) - 1;
        slot.heard = man.epoch;
        slot.frozen = self.no_copies();
        for s in 0..self.g.stages {
            let mut vals = [Val::default(); KEYS];
            for (key, val) in vals.iter_mut().enumerate().filter(|(key, _)| !old.dead && usize::from(owners[*key]) == k) {
                let stored = man.vals[s][key].unwrap_or(0);
                let before = old.stages[s].vals[key];
                *val = Val { own: Own::Active, v: stored, ..Val::default() };
                if usize::from(man.owners[key]) == k {
                    if before.own == Own::None {
                        w.fail("I2: a surviving owner has no state to go back to");
                    } else if before.back_to(man.epoch) != stored {
                        w.fail("I2: a survivor's state does not go back to the manifest");
                    }
                }
            }
            let (wm, sent) = man.marks[k][s].clone();
            let width = if s == 0 { self.g.scripts.len() } else { self.g.slots };
            let wm = if wm.is_empty() { vec![0; width] } else { wm };
            slot.stages.push(self.stage(wm, man.epoch, vals, sent));
        }
        *w.slot(k) = slot;
    }
}
