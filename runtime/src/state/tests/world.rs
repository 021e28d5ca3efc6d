//! Two slots' tables under random writes, barriers, deltas in slices, publications, undos and moves.
//!
//! The model keeps the whole content at each barrier. Held all the time: the tables together hold exactly the model's content (I2),
//! each in its own groups only (I1); the deltas up to barrier e, applied in order, are the content at e (I5), and each group's part of a
//! delta comes from its owner at that barrier; after an undo everything is as it was, owners included. Held at the end: nothing leaks
//! (I13).

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::{SPACE, Wide, decode, hash};
use crate::key::{GroupSet, KeyGroup};
use crate::state::{EncodedRun, StateDesc, Table, Windowed};

type Content = BTreeMap<(i64, u64), String>;
/// Groups the second slot owns; all others are the first one's.
type Owners = BTreeSet<u16>;

#[derive(Clone, Debug)]
enum Op {
    Append(u64, i64, u8),
    Insert(u64, i64, u8),
    Remove(u64, i64),
    Barrier,
    Encode(usize, usize),
    Publish,
    Sweep(usize),
    Undo(u64),
    Start(u8),
    Slice(usize),
    Cut,
    Cancel,
}

fn op() -> impl Strategy<Value = Op> {
    let (key, start) = (0..24u64, 0..3i64);
    prop_oneof![
        8 => (key.clone(), start.clone(), any::<u8>()).prop_map(|(k, s, v)| Op::Append(k, s, v)),
        3 => (key.clone(), start.clone(), any::<u8>()).prop_map(|(k, s, v)| Op::Insert(k, s, v)),
        5 => (key, start).prop_map(|(k, s)| Op::Remove(k, s)),
        2 => Just(Op::Barrier),
        3 => (0..2usize, 1..200usize).prop_map(|(t, n)| Op::Encode(t, n)),
        1 => Just(Op::Publish),
        1 => (1..20usize).prop_map(Op::Sweep),
        1 => (0..4u64).prop_map(Op::Undo),
        1 => any::<u8>().prop_map(Op::Start),
        3 => (1..300usize).prop_map(Op::Slice),
        1 => Just(Op::Cut),
        1 => Just(Op::Cancel),
    ]
}

#[derive(Debug)]
struct Moving {
    from: usize,
    groups: GroupSet,
}

#[derive(Debug)]
struct World {
    tables: [Wide; 2],
    now: Content,
    owners: Owners,
    /// Content and owners at the end of each epoch still of interest.
    barriers: BTreeMap<u64, (Content, Owners)>,
    /// The delta of an epoch so far, and whether it is complete, per slot.
    deltas: BTreeMap<u64, [(EncodedRun, bool); 2]>,
    /// The entries that the published files hold.
    durable: Content,
    epoch: u64,
    published: u64,
    moving: Option<Moving>,
    /// Groups cut since the last publication, with the epoch of the cut.
    cuts: BTreeMap<u16, u64>,
    batch: u64,
}

impl World {
    fn new() -> Self {
        let table = || Table::new(StateDesc::of::<Windowed<u64>, String>("wide"), SPACE);
        let mut tables = [table(), table()];
        tables[0].activate(&GroupSet::all(SPACE));
        tables.iter_mut().for_each(|t| t.begin_epoch(1).unwrap());
        let barriers = BTreeMap::from([(0, (Content::new(), Owners::new()))]);
        Self {
            tables,
            now: Content::new(),
            owners: Owners::new(),
            barriers,
            deltas: BTreeMap::new(),
            durable: Content::new(),
            epoch: 1,
            published: 0,
            moving: None,
            cuts: BTreeMap::new(),
            batch: 0,
        }
    }

    fn owner(&self, key: u64) -> usize {
        usize::from(self.owners.contains(&SPACE.group(hash(key)).0))
    }

    fn apply(&mut self, op: &Op) {
        match *op {
            Op::Append(key, start, v) => {
                let t = self.owner(key);
                let name = Windowed { start, key };
                let push = |s: &mut String| s.push_str(&v.to_string());
                self.tables[t].update(hash(key), start as u64, |k| *k == name, || (name, String::new()), push).unwrap();
                push(self.now.entry((start, key)).or_default());
            }
            Op::Insert(key, start, v) => {
                let t = self.owner(key);
                let old = self.tables[t].insert(hash(key), Windowed { start, key }, v.to_string()).unwrap();
                assert_eq!(old, self.now.insert((start, key), v.to_string()));
            }
            Op::Remove(key, start) => {
                let t = self.owner(key);
                let old = self.tables[t].remove(hash(key), start as u64, |k| *k == Windowed { start, key }).unwrap();
                assert_eq!(old, self.now.remove(&(start, key)));
            }
            Op::Barrier => self.barrier(),
            Op::Encode(t, budget) => self.encode(t, budget),
            Op::Publish => self.publish(),
            Op::Sweep(n) => self.tables.iter_mut().for_each(|t| _ = t.sweep(n)),
            Op::Undo(back) => self.undo(self.published.max((self.epoch - 1).saturating_sub(back))),
            Op::Start(seed) => self.start(seed),
            Op::Slice(budget) => self.slice(budget),
            Op::Cut => self.cut(),
            Op::Cancel => self.cancel(),
        }
    }

    fn barrier(&mut self) {
        self.barriers.insert(self.epoch, (self.now.clone(), self.owners.clone()));
        self.deltas.insert(self.epoch, Default::default());
        self.epoch += 1;
        self.tables.iter_mut().for_each(|t| t.begin_epoch(self.epoch).unwrap());
    }

    fn encode(&mut self, t: usize, budget: usize) {
        if let Some((epoch, parts)) = self.deltas.iter_mut().find(|(_, p)| !p[t].1) {
            let (run, done) = &mut parts[t];
            *done = self.tables[t].encode_dirty(*epoch, budget, run).unwrap();
        }
    }

    /// Publishes the oldest epoch whose deltas are complete, and holds the law of I5.
    fn publish(&mut self) {
        let epoch = self.published + 1;
        if !self.deltas.get(&epoch).is_some_and(|p| p.iter().all(|(_, done)| *done)) {
            return;
        }
        let (content, owners) = &self.barriers[&epoch];
        for (t, (run, _)) in self.deltas.remove(&epoch).unwrap().iter().enumerate() {
            for (group, _) in run.items() {
                assert_eq!(usize::from(owners.contains(&group.0)), t, "I5: group {} of epoch {epoch} has one owner", group.0);
            }
            for (key, value) in decode::<String>(&run.framed()) {
                match value {
                    Some(v) => self.durable.insert(key, v),
                    None => self.durable.remove(&key),
                };
            }
        }
        assert_eq!(&self.durable, content, "I5: the deltas up to epoch {epoch} are its content");
        self.tables.iter_mut().for_each(|t| t.publish(epoch).unwrap());
        self.barriers.remove(&self.published);
        self.published = epoch;
        self.cuts.retain(|_, at| *at > epoch);
    }

    fn undo(&mut self, to: u64) {
        self.cancel();
        self.tables.iter_mut().for_each(|t| t.undo_to(to).unwrap());
        (self.now, self.owners) = self.barriers[&to].clone();
        self.barriers.retain(|e, _| *e <= to);
        self.deltas.retain(|e, _| *e <= to);
        self.cuts.retain(|_, at| *at <= to);
        self.epoch = to + 1;
    }

    fn start(&mut self, seed: u8) {
        let from = usize::from(seed & 1);
        // Spread so that each seed takes about half of the groups; I11: none whose last cut is unpublished.
        let wanted = |g: &u16| (g.wrapping_mul(40_503) ^ u16::from(seed).wrapping_mul(977)) & 64 == 0;
        let of = |g: &u16| usize::from(self.owners.contains(g)) == from && !self.cuts.contains_key(g);
        let groups = GroupSet::of(SPACE, (0..256).filter(|g| wanted(g) && of(g)).map(KeyGroup));
        if self.moving.is_none() && !groups.is_empty() {
            self.batch += 1;
            self.tables[from].ship_start(self.batch, &groups).unwrap();
            self.moving = Some(Moving { from, groups });
        }
    }

    fn slice(&mut self, budget: usize) {
        if let Some(m) = &self.moving {
            let mut bytes = Vec::new();
            self.tables[m.from].ship_slice(self.batch, budget, &mut bytes).unwrap();
            self.tables[1 - m.from].absorb(&bytes).unwrap();
        }
    }

    fn cut(&mut self) {
        let Some(Moving { from, groups }) = self.moving.take() else { return };
        let last = self.tables[from].ship_final(self.batch).unwrap();
        self.tables[from].freeze(self.batch, self.batch).unwrap();
        self.tables[1 - from].absorb_final(&last, &groups).unwrap();
        for g in groups.iter() {
            let _ = if from == 0 { self.owners.insert(g.0) } else { self.owners.remove(&g.0) };
            self.cuts.insert(g.0, self.epoch);
        }
    }

    fn cancel(&mut self) {
        if let Some(m) = self.moving.take() {
            self.tables[m.from].ship_cancel(self.batch);
            self.tables[1 - m.from].discard(&m.groups);
        }
    }

    fn check(&self) {
        let of = |t: &Wide| t.iter().map(|(_, k, v, _)| ((k.start, k.key), v.clone())).collect::<Vec<_>>();
        let all: Vec<_> = self.tables.iter().flat_map(of).collect();
        assert_eq!(all.len(), self.now.len(), "I1: an entry is in one slot");
        assert_eq!(all.into_iter().collect::<Content>(), self.now, "I2");
    }

    fn finish(&mut self) {
        self.cancel();
        for _ in 0..2 {
            self.barrier();
            (0..2).for_each(|t| (0..self.deltas.len()).for_each(|_| self.encode(t, usize::MAX)));
            while self.published + 1 < self.epoch {
                self.publish();
            }
            for t in &mut self.tables {
                while !t.sweep(7) {}
            }
        }
        self.check();
        let entries: usize = self.tables.iter().map(|t| t.slab.len()).sum();
        assert_eq!(entries, self.now.len(), "I13: tombstones and frozen groups are freed");
        assert_eq!(self.tables.iter().map(|t| t.undo_bytes()).sum::<usize>(), 0, "I13: undo images are freed");
    }
}

proptest! {
    #[test]
    fn two_slots_are_one_map_with_a_past(ops in prop::collection::vec(op(), 1..250)) {
        let mut world = World::new();
        for op in &ops {
            world.apply(op);
            world.check();
        }
        world.finish();
    }
}
