//! The world of the cut model: what there is, and small questions about it.

use std::collections::BTreeMap;
use std::sync::Arc;

use watershed_runtime::key::{Assignment, KeyGroup, SlotId};
use watershed_runtime::protocol::cut::consumer::Consumer;
use watershed_runtime::protocol::cut::frozen::FrozenCopies;
use watershed_runtime::protocol::cut::hold::Holds;
use watershed_runtime::protocol::cut::source::SourceCut;
use watershed_runtime::protocol::cut::target::TargetCut;
use watershed_runtime::protocol::cut::{CutPlan, Frontiers, Tag};
use watershed_runtime::protocol::rules::RuleSet;
use watershed_runtime::protocol::turns::Turns;
use watershed_runtime::time::Time;

use super::Config;

/// The most keys of a world.
pub(super) const KEYS: usize = 2;
/// "No undo image": no mask has this bit alone above the records.
pub(super) const NO: u8 = 0xff;

/// A row on its way: the key at the receiving stage, the mask it carries, its event time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Row {
    pub(super) key: u8,
    pub(super) mask: u8,
    pub(super) ts: u8,
    pub(super) tag: Option<Tag>,
}

/// An item in a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Msg {
    Row(Row),
    Watermark(u8),
    Barrier(u8),
    /// The number of the cut.
    Fence(u8),
    Drained(u8),
}

/// A FIFO with credits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub(super) struct Channel {
    pub(super) items: Vec<Msg>,
    pub(super) used: u8,
}

impl Channel {
    pub(super) fn put(&mut self, m: Msg) {
        self.used += u8::from(matches!(m, Msg::Row(_)));
        self.items.push(m);
    }

    pub(super) fn full(&self) -> bool {
        self.used >= 1
    }
}

/// Ownership of a key, as one slot sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub(super) enum Own {
    #[default]
    None,
    Active,
    Frozen,
}

/// A key's state at one stage of one slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Val {
    pub(super) own: Own,
    pub(super) v: u8,
    /// The value before the first write of each epoch.
    pub(super) undo: [u8; 4],
    /// The last epoch in which it was written.
    pub(super) written: u8,
}

impl Default for Val {
    fn default() -> Self {
        Self { own: Own::None, v: 0, undo: [NO; 4], written: 0 }
    }
}

impl Val {
    pub(super) fn write(&mut self, epoch: u8, v: u8) {
        if self.undo[usize::from(epoch)] == NO {
            self.undo[usize::from(epoch)] = self.v;
        }
        self.v = v;
        self.written = epoch;
    }

    pub(super) fn back_to(&self, epoch: u8) -> u8 {
        self.undo.iter().skip(usize::from(epoch) + 1).copied().find(|u| *u != NO).unwrap_or(self.v)
    }
}

/// A row in a gate or set aside, with the channel that it came by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct RetainedState {
    pub(super) row: Row,
    pub(super) from: u8,
}

/// One stage of one slot, or a consumer after the last stage.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Stage {
    pub(super) wm: Vec<u8>,
    /// Channels that wait behind a barrier, a bit each.
    pub(super) barred: u8,
    pub(super) epoch: u8,
    pub(super) vals: [Val; KEYS],
    /// The watermark sent.
    pub(super) sent: u8,
    pub(super) consumer: Consumer,
    pub(super) aside: Vec<RetainedState>,
}

/// A slot.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Slot {
    pub(super) dead: bool,
    pub(super) stages: Vec<Stage>,
    pub(super) route: [u8; KEYS],
    pub(super) fenced: u8,
    pub(super) sources: BTreeMap<u8, SourceCut>,
    pub(super) targets: BTreeMap<u8, TargetCut>,
    /// Gated rows by (cut, stage).
    pub(super) gates: BTreeMap<(u8, u8), Vec<RetainedState>>,
    pub(super) holds: Holds,
    pub(super) frozen: FrozenCopies,
    /// The last publication heard of.
    pub(super) heard: u8,
}

/// An upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub(super) struct Up {
    pub(super) pos: u8,
    pub(super) fenced: u8,
    pub(super) barred: u8,
    pub(super) route: [u8; KEYS],
}

/// The content of a Final: a value and whether it is dirty, by stage and key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Final {
    pub(super) cut: u8,
    pub(super) frontiers: Frontiers,
    pub(super) vals: Vec<(u8, u8, u8, bool)>,
}

/// A manifest; while it is being made, what is known of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub(super) struct Man {
    pub(super) epoch: u8,
    /// The parts that are there, as bits: slots, then consumers.
    pub(super) got: u8,
    pub(super) pos: Vec<u8>,
    pub(super) owners: [u8; KEYS],
    pub(super) version: u8,
    /// Values by stage; in a manifest on its way only what its parts say.
    pub(super) vals: [[Option<u8>; KEYS]; 2],
    pub(super) seen: [u8; KEYS],
    /// By slot and stage: watermarks in, watermark out.
    pub(super) marks: Vec<Vec<(Vec<u8>, u8)>>,
    pub(super) xmarks: Vec<Vec<u8>>,
}

/// The coordinator, the log and the state FIFO.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Coordinator {
    pub(super) turns: Turns,
    /// The owner of each key in the table.
    pub(super) owners: [u8; KEYS],
    pub(super) cuts: Vec<Option<Arc<CutPlan>>>,
    /// By cut: the first epoch that the target's base lacks, and the base.
    pub(super) bases: Vec<(u8, [[Option<u8>; KEYS]; 2])>,
    pub(super) finals: Vec<Final>,
    pub(super) injected: u8,
    pub(super) flights: Vec<Man>,
    pub(super) man: Man,
    /// Table versions of the published epochs.
    pub(super) published: Vec<u8>,
}

/// Everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    pub(super) ups: Vec<Up>,
    /// By edge, sender, receiver.
    pub(super) channels: Vec<Vec<Vec<Channel>>>,
    pub(super) slots: Vec<Arc<Slot>>,
    /// Consumers: a stage whose values are the masks last seen.
    pub(super) xs: Vec<Arc<Stage>>,
    pub(super) co: Arc<Coordinator>,
    pub(super) crashes: u8,
    pub(super) broken: Option<String>,
}

impl World {
    pub(super) fn slot(&mut self, k: usize) -> &mut Slot {
        Arc::make_mut(&mut self.slots[k])
    }

    pub(super) fn x(&mut self, x: usize) -> &mut Stage {
        Arc::make_mut(&mut self.xs[x])
    }

    pub(super) fn co(&mut self) -> &mut Coordinator {
        Arc::make_mut(&mut self.co)
    }

    pub(super) fn fail(&mut self, law: &str) {
        if self.broken.is_none() {
            self.broken = Some(law.into());
        }
    }

    pub(super) fn plan(&self, cut: u8) -> Arc<CutPlan> {
        self.co.cuts[usize::from(cut)].clone().expect("a cut that is spoken of has been made")
    }

    /// Senders to stage `s`: upstreams, or the slots that live.
    pub(super) fn senders(&self, s: usize) -> Vec<usize> {
        if s == 0 { (0..self.ups.len()).collect() } else { self.live() }
    }

    pub(super) fn live(&self) -> Vec<usize> {
        (0..self.slots.len()).filter(|k| !self.slots[*k].dead).collect()
    }

    /// Receivers on an edge.
    pub(super) fn receivers(&self, edge: usize, g: &Config) -> Vec<usize> {
        if edge == g.stages { (0..g.consumers).collect() } else { self.live() }
    }

    /// A stage's own watermark.
    pub(super) fn own(&self, k: usize, s: usize) -> u8 {
        let wm = &self.slots[k].stages[s].wm;
        self.senders(s).into_iter().map(|f| wm[f]).min().unwrap_or(0)
    }

    /// The cut, as seen at slot `k`, that moves `key` in or out.
    pub(super) fn moving(&self, k: usize, key: u8) -> (Option<&SourceCut>, Option<&TargetCut>) {
        let slot = &self.slots[k];
        let has = |p: &CutPlan| p.groups.contains(KeyGroup(key.into()));
        let newest = |v: u64| move |p: &CutPlan| p.version == v;
        let source = slot.sources.values().filter(|c| has(c.plan())).max_by_key(|c| c.plan().version);
        let target = slot.targets.values().filter(|c| has(c.plan())).max_by_key(|c| c.plan().version);
        match (source, target) {
            (Some(s), Some(t)) if newest(t.plan().version.max(s.plan().version))(s.plan()) => (Some(s), None),
            (Some(_), Some(t)) => (None, Some(t)),
            other => other,
        }
    }

    /// The watermark that holds for a key at a stage of a slot.
    pub(super) fn key_watermark(&self, k: usize, s: usize, key: u8) -> u8 {
        let own = self.own(k, s);
        let wm = &self.slots[k].stages[s].wm;
        match self.moving(k, key) {
            (Some(c), _) => back(c.batch_watermark(s as u32, |ch| time(wm[sender(ch.from)]))),
            (None, Some(c)) => back(c.batch_watermark(s as u32, time(own))),
            (None, None) => own,
        }
    }
}

/// Upstreams and slots share the numbers of channels' ends.
pub(super) fn sender(id: SlotId) -> usize {
    usize::from(id.0)
}

pub(super) fn time(t: u8) -> Time {
    Time(i64::from(t))
}

pub(super) fn back(t: Time) -> u8 {
    u8::try_from(t.0.clamp(0, 255)).unwrap_or(0)
}

/// The start of a world.
pub(super) fn start(g: &Config, rules: RuleSet) -> World {
    let mut owners = [0; KEYS];
    owners.copy_from_slice(&g.home[..KEYS]);
    let stage = |s: usize| Stage {
        wm: vec![0; if s == 0 { g.scripts.len() } else { g.slots }],
        barred: 0,
        epoch: 1,
        vals: [Val::default(); KEYS],
        sent: 0,
        consumer: Consumer::new(rules),
        aside: Vec::new(),
    };
    let slots: Vec<Arc<Slot>> = (0..g.slots)
        .map(|k| {
            let mut slot = blank_slot(rules);
            slot.route = owners;
            slot.stages = (0..g.stages).map(stage).collect();
            for st in &mut slot.stages {
                for (key, v) in st.vals.iter_mut().enumerate() {
                    v.own = if usize::from(owners[key]) == k { Own::Active } else { Own::None };
                }
            }
            Arc::new(slot)
        })
        .collect();
    let man = Man {
        owners,
        pos: vec![0; g.scripts.len()],
        vals: [[Some(0); KEYS]; 2],
        marks: (0..g.slots).map(|_| (0..g.stages).map(|s| (stage(s).wm, 0)).collect()).collect(),
        xmarks: vec![vec![0; g.slots]; g.consumers],
        ..Man::default()
    };
    let co = Coordinator {
        turns: turns(g, &owners, 0, rules),
        owners,
        cuts: vec![None; g.cuts.len()],
        bases: vec![(0, [[None; KEYS]; 2]); g.cuts.len()],
        finals: Vec::new(),
        injected: 0,
        flights: Vec::new(),
        man,
        published: Vec::new(),
    };
    World {
        ups: vec![Up { route: owners, ..Up::default() }; g.scripts.len()],
        channels: channels(g),
        slots,
        xs: (0..g.consumers).map(|_| Arc::new(stage(1))).collect(),
        co: Arc::new(co),
        crashes: 0,
        broken: None,
    }
}

/// A slot with nothing in it.
pub(super) fn blank_slot(rules: RuleSet) -> Slot {
    Slot {
        dead: false,
        stages: Vec::new(),
        route: [0; KEYS],
        fenced: 0,
        sources: BTreeMap::new(),
        targets: BTreeMap::new(),
        gates: BTreeMap::new(),
        holds: Holds::new(rules),
        frozen: FrozenCopies::new(rules),
        heard: 0,
    }
}

/// Empty channels.
pub(super) fn channels(g: &Config) -> Vec<Vec<Vec<Channel>>> {
    let edge = |e: usize| {
        let (from, to) = (if e == 0 { g.scripts.len() } else { g.slots }, if e == g.stages { g.consumers } else { g.slots });
        vec![vec![Channel::default(); to]; from]
    };
    (0..=g.stages).map(edge).collect()
}

/// A coordinator's view with this table, published.
pub(super) fn turns(g: &Config, owners: &[u8; KEYS], version: u8, rules: RuleSet) -> Turns {
    let space = space();
    let mut table = vec![SlotId(g.slots as u16); space.groups()];
    for (slot, owner) in table.iter_mut().zip(owners) {
        *slot = SlotId((*owner).into());
    }
    Turns::new(Assignment::from_table(space, version.into(), table).expect("one slot a group"), rules)
}

/// The smallest key space.
pub(super) fn space() -> watershed_runtime::key::KeySpace {
    watershed_runtime::key::KeySpace { seed: 0, bits: 8 }
}
