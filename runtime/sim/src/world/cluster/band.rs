//! The slots of one run, wherever they are, and what is under way between them. What one run sends no other hears.

use std::collections::BTreeSet;
use std::sync::Arc;

use watershed_runtime::coordinator::NewSlot;
use watershed_runtime::error::{Error, Result};
use watershed_runtime::graph::Graph;
use watershed_runtime::key::{Assignment, SlotId};
use watershed_runtime::protocol::manifest::Manifest;
use watershed_runtime::slot::{Command, Event, Kept, Report, Slot};

use super::super::cover::Cover;
use super::super::laws::{copies_kept, look_at_host, one_owner};
use super::super::net::{COORDINATOR, Mouth, Net, Queue};
use super::super::plan::MAX_SLOTS;
use super::super::process::{Ground, Host, said, shown};
use super::super::source::Readers;
use super::super::start::{Seat, make, restore};

/// What is going on among the slots, for triggers.
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
pub(super) struct Band {
    /// The term under which it was begun.
    pub(super) term: u64,
    pub(super) graph: Arc<Graph>,
    pub(super) readers: Arc<Readers>,
    pub(super) hosts: Vec<Option<Host>>,
    pub(super) net: Net,
    pub(super) marks: Marks,
}

impl Band {
    /// Nobody is there yet.
    pub(super) fn new(term: u64, ground: &Ground) -> Result<Self> {
        let plan = &ground.plan;
        let readers = Arc::new(Readers::new(plan.seed ^ term << 32, plan.pending, plan.patience));
        let graph = Arc::new(plan.kind.graph(&plan.env, &readers, &ground.sinks)?);
        let hosts = (0..MAX_SLOTS).map(|_| None).collect();
        Ok(Self { term, graph, readers, hosts, net: Net::new(plan.apart), marks: Marks::default() })
    }

    /// Whether anybody is there.
    pub(super) fn empty(&self) -> bool {
        self.hosts.iter().all(Option::is_none)
    }

    /// A slot is made as a manifest has it; one that was there in the run before goes back in memory.
    pub(super) fn begin(
        &mut self,
        id: SlotId,
        kept: Option<Kept>,
        manifest: &Manifest,
        table: &Assignment,
        ground: &mut Ground,
    ) -> Result<()> {
        let segment = manifest.handles.iter().map(|h| h.handle.version).max().unwrap_or(0).max(table.version) + 1;
        let (members, epoch) = (&manifest.members, manifest.epoch + 1);
        let mut host = make(self.term, &self.graph, Seat { id, table, members, epoch, segment, joins_at: None }, ground)?;
        let mut groups = table.groups_of(id);
        if let Some(kept) = kept {
            let inherited = host.slot.inherit(kept, manifest);
            ground.seen.see(if inherited.is_empty() { Cover::NotInherited } else { Cover::Inherited });
            groups.subtract(&inherited);
        }
        restore(&mut host.slot, manifest, &groups, ground)?;
        host.slot.start_from(manifest)?;
        self.put(id, host)
    }

    /// A slot is made that joins.
    pub(super) fn join(&mut self, new: NewSlot, ground: &mut Ground) -> Result<()> {
        let NewSlot { id, epoch, members, table, joins_at } = new;
        ground.seen.see(Cover::ScaleOut);
        let seat = Seat { id, table: &table, members: &members, epoch, segment: 1, joins_at: Some(joins_at) };
        let mut host = make(self.term, &self.graph, seat, ground)?;
        host.slot.start(&[])?;
        self.put(id, host)
    }

    fn put(&mut self, id: SlotId, host: Host) -> Result<()> {
        match self.hosts.get_mut(usize::from(id.0)) {
            Some(place @ None) => {
                *place = Some(host);
                Ok(())
            }
            Some(Some(_)) | None => Err(Error::broken("I8", format!("slot {} is made, but is there already", id.0))),
        }
    }

    /// A slot is gone, and what was under way to and from it.
    pub(super) fn lose(&mut self, id: SlotId, ground: &mut Ground) -> Option<Slot> {
        if let Some(host) = self.hosts.get_mut(usize::from(id.0)).and_then(Option::as_mut) {
            look_at_host(host, ground);
        }
        let host = self.hosts.get_mut(usize::from(id.0)).and_then(Option::take);
        self.net.forget(id);
        while self.net.take_report(usize::from(id.0)).is_some() {}
        self.marks.aligning.retain(|(_, s)| *s != id);
        host.map(|h| h.slot)
    }

    /// A command is handed to a slot.
    pub(super) fn command(&mut self, slot: SlotId, command: Command, ground: &mut Ground) {
        match &command {
            Command::Warm(plan) => {
                self.marks.warming.insert(plan.batch);
            }
            Command::Forget(batch) => {
                self.marks.warming.remove(batch);
                ground.seen.see(Cover::Forgotten);
            }
            Command::Cut(plan) => {
                self.marks.warming.remove(&plan.batch);
                // Others may hear of it when it is over.
                if plan.target == slot {
                    self.marks.open.insert(plan.batch);
                }
                if self.marks.open.len() > 1 {
                    ground.seen.see(Cover::CutOverlap);
                }
                ground.seen.see(Cover::CutMade);
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
    pub(super) fn heard(&mut self, slot: SlotId, report: &Report, ground: &mut Ground) {
        match report {
            Report::Warmed(batch) => {
                self.marks.warming.remove(batch);
            }
            Report::Active(batch) => {
                self.marks.open.remove(batch);
                one_owner(&mut self.hosts, ground);
            }
            Report::Aligned(epoch) => {
                self.marks.aligning.remove(&(*epoch, slot));
            }
            Report::Handed(..) => ground.seen.see(Cover::SplitMoved),
            Report::Sealed(..) | Report::SplitFinished(..) | Report::Ended | Report::Failed(_) | Report::Poisoned(_) => {}
        }
    }

    /// Lets a slot run.
    pub(super) fn run_slot(&mut self, at: usize, ground: &mut Ground) {
        let Some(Some(host)) = self.hosts.get_mut(at) else { return };
        let status = host.run(at, &mut self.net, ground);
        if !self.net.cuts.is_empty() {
            self.copies_kept(ground);
        }
        ground.trace.note(1, self.term, at as u64, || format!("r{} slot {at} runs: {status:?}", self.term));
        self.check_net(ground);
    }

    fn copies_kept(&mut self, ground: &mut Ground) {
        let carried = ground.carried.get(&self.term).copied().unwrap_or(0);
        copies_kept(&mut self.net, &mut self.hosts, carried, ground);
    }

    fn check_net(&mut self, ground: &mut Ground) {
        if let Some(b) = self.net.breach.take() {
            ground.broken(|| b);
        }
    }

    /// Whether the `n`th queue has somebody to hear it now.
    pub(super) fn hears(&self, n: usize) -> bool {
        match self.net.nth(n) {
            Some((_, Queue::Events { to, .. })) => self.hosts.get(to).is_some_and(Option::is_some) || self.net.late_credit(n),
            Some((_, Queue::Reports(_))) => true,
            None => false,
        }
    }

    /// Hands over up to `burst` events of the `n`th queue. A report goes to its worker.
    pub(super) fn deliver(&mut self, n: usize, burst: usize, ground: &mut Ground) -> Option<(SlotId, Report)> {
        let (at, queue) = self.net.nth(n)?;
        let (to, from) = match queue {
            Queue::Reports(slot) => {
                let report = self.net.take_report(slot)?;
                ground.trace.note(2, self.term, slot as u64, || format!("r{} slot {slot} says {}", self.term, said(&report)));
                return Some((SlotId(slot as u16), report));
            }
            Queue::Events { from, to } => (to, from),
        };
        for _ in 0..burst {
            let Some(event) = self.net.take(at) else { break };
            let who = if from == COORDINATOR { "coordinator".into() } else { from.to_string() };
            ground.trace.note(3, (at as u64) << 8 | self.term, 0, || format!("r{} {who} -> {to}: {}", self.term, shown(&event)));
            let owner = matches!(event, Event::Bulk(_));
            // Credits for who has left come late; everything else waits for who is about to be made.
            let Some(Some(host)) = self.hosts.get_mut(to) else { break };
            let mut mouth = Mouth { net: &mut self.net, me: SlotId(to as u16) };
            host.slot.handle(event, ground.time_of(to), &mut mouth);
            host.busy = true;
            if owner {
                one_owner(&mut self.hosts, ground);
            }
            if owner || from == COORDINATOR {
                self.copies_kept(ground);
            }
        }
        self.check_net(ground);
        None
    }

    /// Everybody who waits is woken, one or all; whether there was anybody.
    pub(super) fn stir(&mut self, all: bool, ground: &mut Ground) -> bool {
        let mut any = ground.sinks.wake();
        while self.readers.waiting() > 0 {
            self.readers.wake_one(&mut ground.rng);
            any = true;
            if !all {
                break;
            }
        }
        any
    }

    /// For whom its slots wait.
    pub(super) fn waits(&self) -> Vec<String> {
        let of = |(i, h): (usize, &Option<Host>)| {
            let all = h.as_ref().map(|h| h.slot.waiting()).unwrap_or_default();
            all.into_iter().map(|w| format!("run {} slot {i}: {w}", self.term)).collect::<Vec<_>>()
        };
        self.hosts.iter().enumerate().flat_map(of).collect()
    }
}
