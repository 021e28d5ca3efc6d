//! The slots of one run, wherever they are, and what is under way between them. What one run sends no other hears.

use std::collections::BTreeSet;
use std::sync::Arc;

use watershed_runtime::coordinator::{Coordinator, NewSlot};
use watershed_runtime::error::{Error, Result};
use watershed_runtime::graph::{Graph, Role};
use watershed_runtime::key::{Assignment, SlotId};
use watershed_runtime::protocol::manifest::Manifest;
use watershed_runtime::slot::{Command, Event, Report, RetainedState, Slot};
use watershed_runtime::time::Time;

use super::cover::Cover;
use super::env::SimEnv;
use super::laws::{copies_kept, look_at_slot, one_owner};
use super::net::{COORDINATOR, Net, Queue, SlotOutbox};
use super::plan::MAX_SLOTS;
use super::slot::{SimSlot, said, shown};
use super::source::Readers;

/// Protocol steps under way among the slots, for triggers.
#[derive(Debug, Default)]
pub(super) struct Marks {
    pub(super) warming: BTreeSet<u64>,
    pub(super) open: BTreeSet<u64>,
    pub(super) aligning: BTreeSet<(u64, SlotId)>,
    /// Some slot has heard the barrier of a drain.
    pub(super) draining: bool,
}

/// The slots of one run.
#[derive(Debug)]
pub(super) struct ClusterRun {
    /// The term under which it was begun.
    pub(super) term: u64,
    pub(super) graph: Arc<Graph>,
    pub(super) readers: Arc<Readers>,
    pub(super) slots: Vec<Option<SimSlot>>,
    pub(super) net: Net,
    pub(super) marks: Marks,
}

impl ClusterRun {
    /// A run without a slot yet.
    pub(super) fn new(term: u64, env: &SimEnv) -> Result<Self> {
        let (graph, readers) = env.graph(term)?;
        let slots = (0..MAX_SLOTS).map(|_| None).collect();
        Ok(Self { term, graph, readers, slots, net: Net::new(env.plan.apart), marks: Marks::default() })
    }

    /// True if no slot is there.
    pub(super) fn empty(&self) -> bool {
        self.slots.iter().all(Option::is_none)
    }

    /// A slot is made as a manifest has it; one that was there in the run before goes back in memory.
    pub(super) fn begin(
        &mut self,
        id: SlotId,
        kept: Option<RetainedState>,
        manifest: &Manifest,
        table: &Assignment,
        env: &mut SimEnv,
    ) -> Result<()> {
        let slot = SimSlot::restored(self.term, &self.graph, id, kept, (manifest, table), env)?;
        self.put(id, slot)
    }

    /// A slot is made that joins.
    pub(super) fn join(&mut self, new: NewSlot, env: &mut SimEnv) -> Result<()> {
        env.seen.see(Cover::ScaleOut);
        // Late rows wait until event time has passed at the new slot too.
        self.readers.passed(Time::MIN);
        let id = new.id;
        let slot = SimSlot::joining(self.term, &self.graph, new, env)?;
        self.put(id, slot)
    }

    fn put(&mut self, id: SlotId, slot: SimSlot) -> Result<()> {
        match self.slots.get_mut(usize::from(id.0)) {
            Some(place @ None) => {
                *place = Some(slot);
                Ok(())
            }
            Some(Some(_)) | None => Err(Error::broken("I8", format!("slot {} is made, but is there already", id.0))),
        }
    }

    /// A slot is gone, and what was under way to and from it.
    pub(super) fn lose(&mut self, id: SlotId, env: &mut SimEnv) -> Option<Slot> {
        if let Some(host) = self.slots.get_mut(usize::from(id.0)).and_then(Option::as_mut) {
            look_at_slot(host, env);
        }
        let host = self.slots.get_mut(usize::from(id.0)).and_then(Option::take);
        self.net.forget(id);
        while self.net.take_report(usize::from(id.0)).is_some() {}
        self.marks.aligning.retain(|(_, s)| *s != id);
        host.map(|h| h.slot)
    }

    /// A command is handed to a slot.
    pub(super) fn command(&mut self, slot: SlotId, command: Command, env: &mut SimEnv) {
        match &command {
            Command::Warm(plan) => {
                self.marks.warming.insert(plan.batch);
            }
            Command::Forget(batch) => {
                self.marks.warming.remove(batch);
                env.seen.see(Cover::Forgotten);
            }
            Command::Cut(plan) => {
                self.marks.warming.remove(&plan.batch);
                // Others may hear of it when it is over.
                if plan.target == slot {
                    self.marks.open.insert(plan.batch);
                }
                if self.marks.open.len() > 1 {
                    env.seen.see(Cover::CutOverlap);
                }
                env.seen.see(Cover::CutMade);
            }
            Command::Barrier(b) => {
                self.marks.aligning.insert((b.epoch, slot));
                self.marks.draining |= !b.ends.is_empty();
            }
            Command::Splits(..) | Command::EndOfSource(_) | Command::Published { .. } => {}
        }
        self.net.send(COORDINATOR, slot, Event::Command(command));
    }

    /// A slot has said something.
    pub(super) fn heard(&mut self, slot: SlotId, report: &Report, env: &mut SimEnv) {
        match report {
            Report::Warmed(batch) => {
                self.marks.warming.remove(batch);
            }
            Report::Active(batch) => {
                self.marks.open.remove(batch);
                one_owner(&mut self.slots, env);
            }
            Report::Aligned(epoch) => {
                self.marks.aligning.remove(&(*epoch, slot));
            }
            Report::Handed(..) => env.seen.see(Cover::SplitMoved),
            Report::Sealed(..) | Report::SplitFinished(..) | Report::Ended | Report::Failed(_) | Report::Poisoned(_) => {}
        }
    }

    /// Lets a slot run.
    pub(super) fn run_slot(&mut self, at: usize, env: &mut SimEnv) {
        let Some(Some(host)) = self.slots.get_mut(at) else { return };
        let status = host.run(at, &mut self.net, env);
        if !self.net.cuts.is_empty() {
            self.copies_kept(env);
        }
        env.trace.note(1, self.term, at as u64, || format!("r{} slot {at} runs: {status:?}", self.term));
        self.check_net(env);
    }

    fn copies_kept(&mut self, env: &mut SimEnv) {
        let carried = env.carried.get(&self.term).copied().unwrap_or(0);
        copies_kept(&mut self.net, &mut self.slots, carried, env);
    }

    fn check_net(&mut self, env: &mut SimEnv) {
        if let Some(b) = self.net.breach.take() {
            env.broken(|| b);
        }
    }

    /// True if the `n`th queue has a receiver now.
    pub(super) fn hears(&self, n: usize) -> bool {
        match self.net.nth(n) {
            Some((_, Queue::Events { to, .. })) => self.slots.get(to).is_some_and(Option::is_some) || self.net.late_credit(n),
            Some((_, Queue::Reports(_))) => true,
            None => false,
        }
    }

    /// Hands over up to `burst` events of the `n`th queue. A report goes to its worker.
    pub(super) fn deliver(&mut self, n: usize, burst: usize, env: &mut SimEnv) -> Option<(SlotId, Report)> {
        let (at, queue) = self.net.nth(n)?;
        let (to, from) = match queue {
            Queue::Reports(slot) => {
                let report = self.net.take_report(slot)?;
                env.trace.note(2, self.term, slot as u64, || format!("r{} slot {slot} says {}", self.term, said(&report)));
                return Some((SlotId(slot as u16), report));
            }
            Queue::Events { from, to } => (to, from),
        };
        for _ in 0..burst {
            let Some(event) = self.net.take(at) else { break };
            let who = if from == COORDINATOR { "coordinator".into() } else { from.to_string() };
            env.trace.note(3, (at as u64) << 8 | self.term, 0, || format!("r{} {who} -> {to}: {}", self.term, shown(&event)));
            let owner = matches!(event, Event::Bulk(_));
            // Credits for who has left come late; everything else waits for who is about to be made.
            let Some(Some(host)) = self.slots.get_mut(to) else { break };
            let mut outbox = SlotOutbox { net: &mut self.net, me: SlotId(to as u16) };
            host.slot.handle(event, env.time_of(to), &mut outbox);
            host.busy = true;
            if owner {
                one_owner(&mut self.slots, env);
            }
            if owner || from == COORDINATOR {
                self.copies_kept(env);
            }
        }
        self.check_net(env);
        None
    }

    /// Wakes the slots that wait for durable output, and one or all of the waiting readers; true if one of them can go on.
    pub(super) fn stir(&mut self, all: bool, env: &mut SimEnv) -> bool {
        let mut any = env.sinks.wake();
        while self.readers.waiting() > 0 {
            self.readers.wake_one(&mut env.rng);
            any |= !self.readers.gated();
            if !all {
                break;
            }
        }
        any
    }

    /// A late row waits: has event time passed everywhere? Only a moment without a cut counts.
    pub(super) fn look_at_gate(&mut self, coordinator: &Coordinator, env: &mut SimEnv) {
        if !self.readers.gated() || !self.marks.open.is_empty() || !self.marks.aligning.is_empty() {
            return;
        }
        let graph = self.graph.clone();
        let mut floor = Time::MAX;
        let members = coordinator.members();
        for (_, slot) in self.slots.iter_mut().enumerate().filter(|(i, _)| members.iter().any(|m| usize::from(m.0) == *i)) {
            let Some(slot) = slot else { return };
            for (node, stats) in graph.nodes().iter().zip(slot.slot.stats()) {
                if matches!(node.role, Role::Operator { keyed: true, .. }) {
                    floor = floor.min(stats.watermark);
                }
            }
        }
        env.seen.see(Cover::Gate);
        env.trace.note(15, self.term, 0, || format!("r{} event time is {} everywhere", self.term, floor.0));
        self.readers.passed(floor);
    }

    /// For whom its slots wait.
    pub(super) fn waits(&self) -> Vec<String> {
        let of = |(i, h): (usize, &Option<SimSlot>)| {
            let all = h.as_ref().map(|h| h.slot.waiting()).unwrap_or_default();
            all.into_iter().map(|w| format!("run {} slot {i}: {w}", self.term)).collect::<Vec<_>>()
        };
        self.slots.iter().enumerate().flat_map(of).collect()
    }
}
