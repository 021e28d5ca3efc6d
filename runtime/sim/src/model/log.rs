//! The manifest log with two coordinators that take each other for dead, over a store that loses requests, loses answers, and
//! lets a put land long after everybody gave up on it.
//!
//! Laws of the log as stored: every manifest is written under the term claimed last before it, terms only rise, each manifest's
//! parent is the manifest before it (I10: no fork). And in each coordinator: what it takes for published is its own entry (I7).

use std::collections::BTreeMap;

use stateright::{Model, Property};
use watershed_runtime::key::{Assignment, KeySpace, SlotId};
use watershed_runtime::protocol::entry::{Body, Entry, name};
use watershed_runtime::protocol::log::{LogEffect, LogReader, LogWriter, Put, Tail};
use watershed_runtime::protocol::manifest::Manifest;
use watershed_runtime::protocol::rules::{RuleSet, Rules};

use super::run::Checked;

/// Two coordinators and a store.
#[derive(Clone, Debug)]
pub struct LogModel {
    set: RuleSet,
    /// Starts of each coordinator.
    pub starts: u8,
    /// Manifests that each publishes a start.
    pub manifests: u8,
    /// Puts that go wrong.
    pub faults: u8,
}

impl LogModel {
    /// This many starts a coordinator, manifests a start and faults, under these rules.
    #[must_use]
    pub fn new(starts: u8, manifests: u8, faults: u8, rules: Rules) -> Self {
        Self { set: RuleSet::new(rules), starts, manifests, faults }
    }
}

/// A coordinator.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Coordinator {
    starts: u8,
    manifests: u8,
    writer: Option<LogWriter>,
    effect: Option<LogEffect>,
    /// The uid of the entry being put.
    uid: String,
    /// Entries that it takes for published: slot and uid.
    believed: Vec<(u64, String)>,
}

/// The world.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct World {
    store: BTreeMap<String, Vec<u8>>,
    /// Puts that nobody waits for any more, and that may still land.
    late: Vec<(String, Vec<u8>)>,
    all: [Coordinator; 2],
    faults: u8,
    broken: Option<String>,
}

/// The outcome of a put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// As it should.
    Fine,
    /// The put happens, its answer is lost.
    NoAnswer,
    /// The put does not happen.
    Lost,
    /// The put happens later, or never.
    Late,
}

/// A step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A coordinator (starts again and) reads the log.
    Start(usize),
    /// A coordinator claims its term, or publishes its next manifest.
    Write(usize),
    /// The store takes its put.
    Store(usize, Fate),
    /// The store answers its read.
    Read(usize),
    /// A late put lands.
    Land,
}

/// The end of the log.
pub(super) fn tail(store: &BTreeMap<String, Vec<u8>>) -> Tail {
    let (mut reader, mut effect) = LogReader::new(None);
    while let LogEffect::Get { name } = &effect {
        match reader.got(store.get(name).map(Vec::as_slice)) {
            Ok(Ok(tail)) => return tail,
            Ok(Err(next)) => effect = next,
            Err(_) => break,
        }
    }
    Tail::default()
}

fn manifest() -> Manifest {
    Manifest::origin(0, Vec::new(), &Assignment::even(KeySpace { seed: 0, bits: 8 }, 1), vec![SlotId(0)])
}

impl LogModel {
    fn write(&self, w: &mut World, c: usize) {
        let me = &mut w.all[c];
        let Some(writer) = &mut me.writer else { return };
        me.uid = format!("{c}-{}-{}", me.starts, me.manifests);
        let effect = if writer.claimed() {
            me.manifests += 1;
            me.uid.push('m');
            writer.publish(&me.uid, manifest())
        } else {
            writer.claim(&me.uid)
        };
        match effect {
            Ok(effect) => me.effect = Some(effect),
            Err(_) => (me.writer, me.effect) = (None, None),
        }
    }

    fn answer(w: &mut World, c: usize, put: Option<Put>, read: Option<Option<Vec<u8>>>) {
        let me = &mut w.all[c];
        let Some(writer) = &mut me.writer else { return };
        let next = match (put, read) {
            (Some(put), _) => writer.put(put),
            (None, Some(bytes)) => writer.got(bytes.as_deref()),
            (None, None) => Ok(None),
        };
        match next {
            Ok(Some(LogEffect::Published { seq })) => {
                me.effect = None;
                me.believed.push((seq, me.uid.clone()));
            }
            Ok(effect) => me.effect = effect,
            // Fenced: it stops.
            Err(_) => (me.writer, me.effect) = (None, None),
        }
    }

    fn store(w: &mut World, c: usize, fate: Fate) {
        let Some(LogEffect::Create { name, bytes }) = w.all[c].effect.clone() else { return };
        w.faults += u8::from(fate != Fate::Fine);
        let put = match fate {
            Fate::Fine if w.store.contains_key(&name) => Put::Exists,
            Fate::Fine => Put::Created,
            Fate::NoAnswer | Fate::Lost | Fate::Late => Put::Ambiguous,
        };
        match fate {
            Fate::Fine | Fate::NoAnswer => {
                w.store.entry(name).or_insert(bytes);
            }
            Fate::Late => w.late.push((name, bytes)),
            Fate::Lost => {}
        }
        Self::answer(w, c, Some(put), None);
    }

    /// The log as stored.
    fn entries(w: &World) -> Vec<Entry> {
        let decode = |(seq, bytes): (usize, &Vec<u8>)| Entry::decode(seq as u64, bytes).ok();
        let names = (0..w.store.len()).map_while(|seq| w.store.get(&name(seq as u64)));
        names.enumerate().filter_map(decode).collect()
    }

    fn check(w: &World) -> Option<String> {
        let log = Self::entries(w);
        if log.len() != w.store.len() {
            return Some("I10: the log has a hole".into());
        }
        let (mut term, mut last) = (0, None);
        for e in &log {
            match &e.body {
                Body::Term if e.term <= term => return Some("I10: a term is claimed twice".into()),
                Body::Term => term = e.term,
                Body::Epoch { .. } if e.term != term => return Some("I10: a manifest under a term that is over".into()),
                Body::Epoch { manifest } if manifest.parent != last => return Some("I10: the log forks".into()),
                Body::Epoch { .. } => last = Some(e.seq),
            }
        }
        let mine = |(seq, uid): &(u64, String)| log.get(*seq as usize).is_some_and(|e| e.uid == *uid);
        let wrong = w.all.iter().flat_map(|c| &c.believed).any(|b| !mine(b));
        wrong.then(|| "I7: a coordinator takes for published what is not".into())
    }
}

impl Model for LogModel {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        vec![World::default()]
    }

    fn actions(&self, w: &World, actions: &mut Vec<Step>) {
        if w.broken.is_some() {
            return;
        }
        for (c, me) in w.all.iter().enumerate() {
            if me.starts < self.starts {
                actions.push(Step::Start(c));
            }
            match &me.effect {
                Some(LogEffect::Create { .. }) => {
                    actions.push(Step::Store(c, Fate::Fine));
                    if w.faults < self.faults {
                        actions.extend([Fate::NoAnswer, Fate::Lost, Fate::Late].map(|f| Step::Store(c, f)));
                    }
                }
                Some(LogEffect::Get { .. }) => actions.push(Step::Read(c)),
                Some(LogEffect::Published { .. }) | None => {
                    if me.writer.as_ref().is_some_and(|x| !x.claimed() || me.manifests < self.manifests) {
                        actions.push(Step::Write(c));
                    }
                }
            }
        }
        if !w.late.is_empty() {
            actions.push(Step::Land);
        }
    }

    fn next_state(&self, w: &World, step: Step) -> Option<World> {
        let mut next = w.clone();
        match step {
            Step::Start(c) => {
                let writer = LogWriter::new(&tail(&w.store), self.set);
                let me = &mut next.all[c];
                if let Some(LogEffect::Create { name, bytes }) = me.effect.take() {
                    next.late.push((name, bytes));
                }
                *me = Coordinator {
                    starts: me.starts + 1,
                    writer: Some(writer),
                    believed: me.believed.clone(),
                    ..Coordinator::default()
                };
            }
            Step::Write(c) => self.write(&mut next, c),
            Step::Store(c, fate) => Self::store(&mut next, c, fate),
            Step::Read(c) => {
                let Some(LogEffect::Get { name }) = &w.all[c].effect else { return None };
                Self::answer(&mut next, c, None, Some(w.store.get(name).cloned()));
            }
            Step::Land => {
                let (name, bytes) = next.late.remove(0);
                next.store.entry(name).or_insert(bytes);
            }
        }
        next.broken = Self::check(&next);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![Property::always("every law holds", |_: &Self, w: &World| w.broken.is_none())]
    }
}

impl Checked for LogModel {
    fn broken(&self, w: &World) -> Option<String> {
        w.broken.clone()
    }
}
