//! The coordinator's step from inputs to effects.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::effects::{Effect, Input, NewSlot};
use super::parts::part_of;
use super::splits::Splits;
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeIndex};
use crate::key::{Assignment, SlotId};
use crate::messages::{Barrier, Command, EpochPart, Report, SplitMove};
use crate::protocol::epoch::{EpochEffect, Epochs, Inject, Pace};
use crate::protocol::log::{LogEffect, LogWriter};
use crate::protocol::manifest::Manifest;
use crate::protocol::merge::Part;
use crate::protocol::rescale::{Rescale, RescaleEffect, Sizes};
use crate::protocol::restart::Start;
use crate::protocol::rules::RuleSet;
use crate::protocol::turns::Turns;
use crate::time::Time;

/// The coordinator.
#[derive(Debug)]
pub struct Coordinator {
    pub(super) graph: Arc<Graph>,
    pub(super) uid: String,
    pub(super) log: LogWriter,
    /// The term under which its slots were begun.
    pub(super) run: u64,
    pub(super) epochs: Epochs,
    pub(super) rescale: Rescale,
    pub(super) turns: Turns,
    pub(super) splits: Splits,
    pub(super) members: BTreeSet<SlotId>,
    /// Slots whose threads exist or are about to.
    pub(super) started: BTreeSet<SlotId>,
    /// The members after each barrier that has not aligned everywhere.
    pub(super) joining: BTreeMap<u64, BTreeSet<SlotId>>,
    /// Parts of epochs that are complete in some slots only.
    pub(super) parts: BTreeMap<u64, BTreeMap<SlotId, Part>>,
    pub(super) expected: BTreeMap<u64, BTreeSet<SlotId>>,
    pub(super) ended: BTreeSet<NodeIndex>,
    /// Sources whose splits have been assigned_splits once.
    pub(super) assigned_splits: BTreeSet<NodeIndex>,
    /// Sources that nobody has looked through since this coordinator began, and that may have more splits than the manifest knows.
    pub(super) undiscovered: BTreeSet<NodeIndex>,
    /// Slots that hold event time until they hear which splits of a source are theirs, where others have heard it from a coordinator
    /// before.
    pub(super) awaiting_splits: BTreeMap<NodeIndex, BTreeSet<SlotId>>,
    /// Manifests put so far: part of each entry's unique name.
    pub(super) puts: u64,
    /// The row that a source could not read.
    pub(super) poison: Option<Error>,
    /// A drain is wished, or under way.
    pub(super) draining: bool,
    pub(super) stopped: bool,
    pub(super) rules: RuleSet,
}

impl Coordinator {
    /// A coordinator that holds its term and has made the slots of `start`. Call [`Coordinator::begin`] once they exist.
    #[must_use]
    #[allow(clippy::too_many_arguments, reason = "each is a fact of its own about the start; two callers")]
    pub fn new(graph: Arc<Graph>, log: LogWriter, start: &Start, uid: &str, pace: Pace, now: u64, rules: RuleSet) -> Self {
        let members: BTreeSet<SlotId> = start.manifest.members.iter().copied().collect();
        let splits = Splits::new(&graph, &start.manifest, rules);
        let next_batch = start.table.version + 1;
        Self {
            uid: uid.to_owned(),
            run: log.term(),
            epochs: Epochs::new(pace, log.term(), start.manifest.clone(), now, rules),
            rescale: Rescale::new(Sizes::default(), members.clone(), next_batch),
            turns: Turns::new(start.table.clone(), rules),
            splits,
            started: members.clone(),
            members,
            joining: BTreeMap::new(),
            parts: BTreeMap::new(),
            expected: BTreeMap::new(),
            ended: BTreeSet::new(),
            assigned_splits: BTreeSet::new(),
            awaiting_splits: BTreeMap::new(),
            undiscovered: BTreeSet::new(),
            puts: 0,
            poison: None,
            draining: false,
            stopped: false,
            graph,
            log,
            rules,
        }
    }

    /// With other sizes of a rescale. Before [`Coordinator::begin`].
    #[must_use]
    pub fn sized(mut self, sizes: Sizes) -> Self {
        self.rescale.resize(sizes);
        self
    }

    /// The first effects: owed commits, and splits for the slots.
    pub fn begin(&mut self) -> Result<Vec<Effect>> {
        let mut out = Vec::new();
        let owed = self.epochs.start();
        self.epoch_effects(owed, &mut out)?;
        // A split that the manifest does not know would come to slots that have gone ahead with the others (I6).
        let undiscovered = self.graph.sources().filter(|(_, n, _)| !self.splits.all_known(n.id.0)).map(|(i, ..)| i);
        self.undiscovered = undiscovered.filter(|_| self.rules.discovery_first()).collect();
        self.give_splits(&mut out);
        Ok(out)
    }

    /// The last published manifest.
    #[must_use]
    pub fn last(&self) -> &Manifest {
        self.epochs.last()
    }

    /// The slots that take part.
    #[must_use]
    pub fn members(&self) -> &BTreeSet<SlotId> {
        &self.members
    }

    /// True if a slot of these takes part, is about to, or has a part in what is not published or not committed (I8).
    #[must_use]
    pub fn needs(&self, which: impl Fn(SlotId) -> bool) -> bool {
        let (needed, joiner) = (self.epochs.needed(), self.rules.joiner_is_needed());
        let joining = self.rescale.asked().filter(|_| joiner);
        self.members.iter().chain(&self.started).chain(&needed).chain(joining).any(|s| which(*s))
    }

    /// These cannot be made any more, until they are wanted again: nobody needed them when they went.
    pub fn gone(&mut self, which: impl Fn(SlotId) -> bool) {
        self.rescale.gone(which);
    }

    /// The table as the coordinator has cut it.
    #[must_use]
    pub fn table(&self) -> &Arc<Assignment> {
        self.turns.table()
    }

    /// The term.
    #[must_use]
    pub fn term(&self) -> u64 {
        self.log.term()
    }

    /// The term under which its slots were begun: the one in the names of all they write, and of slots that join them.
    #[must_use]
    pub fn run(&self) -> u64 {
        self.run
    }

    /// True if the newest wish is met and durable.
    #[must_use]
    pub fn settled(&self) -> bool {
        self.rescale.idle()
    }

    /// The lowest (term, epoch) of a file that an unpublished epoch may still name.
    #[must_use]
    pub fn floor(&self) -> (u64, u64) {
        self.epochs.floor()
    }

    /// The time at which the next barrier is due.
    #[must_use]
    pub fn next_due(&self) -> u64 {
        self.epochs.due()
    }

    /// True if every split of every source has been read to its end and all that came of it is in the last manifest.
    #[must_use]
    pub fn finished(&self) -> bool {
        let last = self.epochs.last();
        last.finished() && self.graph.sources().all(|(_, n, _)| last.sources.contains_key(&n.id.0))
    }

    /// True if a drain is wished, or under way.
    #[must_use]
    pub fn draining(&self) -> bool {
        self.draining
    }

    /// True if the job's last barrier has gone out: what is wished now is too late.
    #[must_use]
    pub fn closing(&self) -> bool {
        self.epochs.closing()
    }

    /// For whom the job waits, besides for rows.
    #[must_use]
    pub fn waiting(&self) -> Vec<String> {
        self.epochs.waiting().into_iter().chain(self.rescale.waiting(&self.turns)).collect()
    }

    /// Only mutants listen: a batch's source has sent its Final.
    #[cfg(feature = "mutants")]
    pub fn final_sent(&mut self, batch: u64) {
        self.turns.final_sent(batch);
    }

    /// Takes an input at a time.
    pub fn step(&mut self, input: Input, now: u64) -> Vec<Effect> {
        let mut out = Vec::new();
        if self.stopped {
            return out;
        }
        let done = self.take(input, &mut out).and_then(|()| self.drive(now, &mut out));
        if let Err(e) = done {
            self.stopped = true;
            out.push(Effect::Failed(e));
        }
        out
    }

    fn take(&mut self, input: Input, out: &mut Vec<Effect>) -> Result<()> {
        match input {
            Input::Tick => Ok(()),
            Input::Slot(slot, report) => self.slot_said(slot, report, out),
            Input::LogPut(put) => {
                let effect = self.log.put(put)?;
                self.log_effect(effect, out)
            }
            Input::LogGot(bytes) => {
                let effect = self.log.got(bytes.as_deref())?;
                self.log_effect(effect, out)
            }
            Input::Discovered(node, found) => {
                let entry = self.splits.discovered(&self.graph, node, &found);
                self.epochs.discovered(self.graph.id(node).0, entry);
                self.undiscovered.remove(&node);
                self.tell_rest(node, out);
                self.give_splits(out);
                Ok(())
            }
            Input::Committed => {
                let effects = self.epochs.committed();
                self.epoch_effects(effects, out)
            }
            Input::Want(wanted) => {
                for slot in &wanted {
                    self.rescale.registered(*slot);
                }
                let effects = self.rescale.want(wanted);
                self.rescale_effects(effects, out);
                Ok(())
            }
            Input::Stop => {
                self.draining &= !self.epochs.stop();
                Ok(())
            }
            Input::Drain => {
                // A bad row stops the job: the next start meets it again, and it is not to be drained away.
                if self.poison.is_none() && !self.closing() {
                    self.draining = true;
                    // A job that has ended needs no barrier once more.
                    let over = self.splits.over();
                    let open = self.graph.sources().filter(|(i, ..)| !over.contains(i));
                    self.epochs.drain(open.map(|(_, n, _)| n.id).collect());
                }
                Ok(())
            }
            Input::Merged(file, replaces) => {
                self.epochs.merged(file, replaces);
                Ok(())
            }
        }
    }

    fn slot_said(&mut self, slot: SlotId, report: Report, out: &mut Vec<Effect>) -> Result<()> {
        match report {
            Report::Aligned(epoch) => {
                if self.epochs.aligned(epoch, slot, &mut self.turns)
                    && let Some(members) = self.joining.remove(&epoch)
                {
                    self.members.clone_from(&members);
                    self.rescale.members(members);
                }
                Ok(())
            }
            Report::Handed(_, states) => {
                for s in states {
                    if let Some((to, node)) = self.splits.handed(&self.graph, &s) {
                        let (mut position, mut watermark) = (s.position, s.watermark);
                        if !self.rules.split_handed_over() {
                            let stored = self.epochs.last().sources.get(&s.node.0);
                            let stored = stored.and_then(|e| e.splits.iter().find(|o| o.split == s.split));
                            (position, watermark) =
                                stored.map(|o| (o.position.clone(), o.watermark)).unwrap_or((Vec::new(), Time::MIN));
                        }
                        out.push(Effect::Send(to, Command::Splits(node, vec![(s.split, position, watermark)])));
                    }
                }
                Ok(())
            }
            Report::Sealed(epoch, part) => self.sealed(epoch, slot, &part, out),
            Report::SplitFinished(node, split) => {
                self.splits.finished(node, &split);
                Ok(())
            }
            Report::Warmed(batch) => {
                self.rescale.warmed(batch);
                Ok(())
            }
            Report::Active(batch) => {
                self.rescale.active(batch, &mut self.turns);
                Ok(())
            }
            Report::Ended => {
                self.epochs.ended(slot);
                Ok(())
            }
            Report::Poisoned(e) => {
                // The rows before the bad one are committed, and the next start meets the row again.
                self.poison.get_or_insert(e);
                self.draining &= !self.epochs.stop();
                Ok(())
            }
            Report::Failed(e) => Err(e),
        }
    }

    /// A slot's part of an epoch. Its entries are in state files: the worker that has the slot has seen to that (I5).
    fn sealed(&mut self, epoch: u64, slot: SlotId, part: &EpochPart, out: &mut Vec<Effect>) -> Result<()> {
        if part.runs.iter().any(|(_, run)| !run.is_empty()) && self.rules.upload_before_publish() {
            return Err(Error::broken("I5", format!("slot {} reports epoch {epoch} before its entries are in a file", slot.0)));
        }
        self.part(epoch, slot, part_of(part), out)
    }

    /// The parts of an epoch, when every slot has reported its own, go into its manifest together.
    pub(super) fn part(&mut self, epoch: u64, slot: SlotId, part: Part, out: &mut Vec<Effect>) -> Result<()> {
        let parts = self.parts.entry(epoch).or_default();
        parts.insert(slot, part);
        if self.expected.get(&epoch).is_none_or(|e| !e.iter().all(|s| parts.contains_key(s))) {
            return Ok(());
        }
        self.expected.remove(&epoch);
        for (slot, part) in self.parts.remove(&epoch).unwrap_or_default() {
            let effects = self.epochs.uploaded(epoch, slot, part, &mut self.turns)?;
            self.epoch_effects(effects, out)?;
        }
        Ok(())
    }

    /// Everything that can be done now.
    fn drive(&mut self, now: u64, out: &mut Vec<Effect>) -> Result<()> {
        for node in self.splits.over() {
            if self.ended.insert(node) {
                // To slots that are about to join as well: nobody would tell them later.
                out.extend(self.started.iter().map(|s| Effect::Send(*s, Command::EndOfSource(node))));
            }
        }
        // A slot that does not know yet which splits of a source are its own holds event time for those that nobody reads: without it
        // they would be late when they are found (I6).
        let stay = !self.awaiting_splits.is_empty() && self.rules.awaiting_slots_stay();
        let effects = self.rescale.step(&mut self.turns, &self.epochs.needed(), stay)?;
        self.rescale_effects(effects, out);
        if let Some(effect) = self.epochs.tick(now, &mut self.turns)? {
            self.epoch_effects(vec![effect], out)?;
        }
        Ok(())
    }

    pub(super) fn epoch_effects(&mut self, effects: Vec<EpochEffect>, out: &mut Vec<Effect>) -> Result<()> {
        for effect in effects {
            match effect {
                EpochEffect::Inject(inject) => self.inject(inject, out),
                EpochEffect::Publish(manifest) => {
                    self.puts += 1;
                    let uid = format!("{}-{}", self.uid, self.puts);
                    out.push(Effect::Log(self.log.publish(&uid, *manifest)?));
                }
                EpochEffect::Published { epoch, version } => {
                    out.extend(self.members.iter().map(|s| Effect::Send(*s, Command::Published { epoch, version })));
                }
                EpochEffect::Commit { handles, .. } => out.push(Effect::Commit(handles)),
                EpochEffect::Done { .. } => out.push(self.poison.take().map_or(Effect::Done, Effect::Failed)),
            }
        }
        Ok(())
    }

    fn log_effect(&mut self, effect: Option<LogEffect>, out: &mut Vec<Effect>) -> Result<()> {
        let Some(effect) = effect else { return Ok(()) };
        if let LogEffect::Published { seq } = effect {
            let effects = self.epochs.published(seq, &mut self.turns)?;
            out.push(Effect::Published(Box::new(self.epochs.last().clone())));
            out.push(Effect::Log(LogEffect::Published { seq }));
            return self.epoch_effects(effects, out);
        }
        out.push(Effect::Log(effect));
        Ok(())
    }

    fn rescale_effects(&mut self, effects: Vec<RescaleEffect>, out: &mut Vec<Effect>) {
        for effect in effects {
            match effect {
                RescaleEffect::Members(members) => self.epochs.change_members(members),
                RescaleEffect::Warm(plan) => out.push(Effect::Send(plan.source, Command::Warm(plan))),
                RescaleEffect::Forget(batch) => {
                    out.extend(self.members.iter().map(|s| Effect::Send(*s, Command::Forget(batch))));
                }
                RescaleEffect::Cut(plan) => {
                    out.extend(self.members.iter().map(|s| Effect::Send(*s, Command::Cut(plan.clone()))));
                }
                RescaleEffect::Release(slots) => {
                    for slot in slots {
                        self.started.remove(&slot);
                        out.push(Effect::Release(slot));
                    }
                }
            }
        }
    }

    /// A barrier, with what changes at it: members, and the readers of splits.
    fn inject(&mut self, inject: Inject, out: &mut Vec<Effect>) {
        let Inject { epoch, members, next_members, ends, last } = inject;
        // Before splits are assigned_splits: one that ends here moves nowhere.
        self.splits.end(&ends);
        self.undiscovered.retain(|n| !ends.contains(&self.graph.id(*n)));
        let moves: Vec<SplitMove> = match &next_members {
            Some(next) => self.splits.deal(&self.graph, &next.iter().copied().collect()),
            None => Vec::new(),
        };
        let barrier = Arc::new(Barrier { epoch, members: next_members.clone(), moves, ends, last });
        if let Some(next) = next_members {
            for id in next.iter().filter(|s| !members.contains(s)) {
                self.started.insert(*id);
                let table = self.turns.table().clone();
                let new = NewSlot { id: *id, epoch: epoch + 1, members: next.clone(), table, joins_at: barrier.clone() };
                out.push(Effect::Start(new));
                out.extend(self.assigned_splits.iter().map(|node| Effect::Send(*id, Command::Splits(*node, Vec::new()))));
                out.extend(self.ended.iter().map(|node| Effect::Send(*id, Command::EndOfSource(*node))));
            }
            self.joining.insert(epoch, next.into_iter().collect());
        }
        self.expected.insert(epoch, members.iter().copied().collect());
        out.extend(members.into_iter().map(|s| Effect::Send(s, Command::Barrier(barrier.clone()))));
        // Splits that nobody reads need no barrier.
        self.give_splits(out);
    }

    /// Splits that nobody reads go to the slots with the fewest.
    pub(super) fn give_splits(&mut self, out: &mut Vec<Effect>) {
        // Not to a slot that is about to leave: it would read them when nobody listens any more.
        let stays = |m: &&SlotId| self.joining.values().all(|next| next.contains(m));
        let readers: BTreeSet<SlotId> = self.members.iter().filter(stays).copied().collect();
        let held: Vec<u64> = self.awaiting_splits.keys().chain(&self.undiscovered).map(|node| self.graph.id(*node).0).collect();
        let mut given = self.splits.give(&self.graph, &readers, |id| !held.contains(&id));
        // The first time, a slot that gets none hears of it too: until it has heard, its watermark stands (I6).
        for node in self.splits.known() {
            if !self.undiscovered.contains(&node) && self.assigned_splits.insert(node) {
                let without = self.started.iter().filter(|m| !given.iter().any(|(s, n, _)| s == *m && *n == node));
                let none: Vec<_> = without.map(|m| (*m, node, Vec::new())).collect();
                given.extend(none);
            }
        }
        for (slot, node, splits) in given {
            out.push(Effect::Send(slot, Command::Splits(node, splits)));
        }
    }
}
