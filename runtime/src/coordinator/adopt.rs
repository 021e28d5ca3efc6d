//! A coordinator that takes running slots over and completes what it finds open: epochs that are not published, cuts, barriers and
//! slots on their way, splits between two readers. No slot stops for it, no channel between slots is touched.
//!
//! | found | done |
//! |---|---|
//! | a barrier, a cut or a publication that some slots have heard | it is repeated to the others, in the order of all words |
//! | a barrier that nobody has heard | it never was; the next one has its number |
//! | parts of an epoch | they are taken as they are; when the last one comes, the manifest is put under the new term |
//! | a manifest in the log that no slot has heard of | its output is committed again, and slots hear of it |
//! | an open cut | it ends when its target says so, as always |
//! | a warm-up without a cut | it is dropped, and planned again |
//! | a slot that was to join and was never made | it is made, once its predecessor is released; a new run if no journal knows its barrier |
//! | a slot that has left | it is released when nothing needs it |
//! | a split that its old reader has handed over | its next reader gets it |
//! | slots that have not heard which splits are theirs | they hold event time until sources are looked through, and get unread splits |
//! | a barrier at which sources end, heard by somebody | the drain goes on: the rest hear it, then that the sources are over |
//! | a wish for other slots, a wish to stop or to drain whose barrier nobody has heard | lost: whoever wished says it again |
//!
//! The entries of the log carry the new term, and that alone decides who writes it (I10). The names of files and staged output keep the
//! term of the run ([`Run`](super::Run)): slots go on writing as they did, and whoever looks at a name's (term, epoch) finds the order of
//! epochs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::effects::Effect;
use super::journal::{SlotJournal, WorkerJournal};
use super::machine::Coordinator;
use super::run_journal::RunJournal;
use super::splits::{Given, Splits};
use crate::error::Result;
use crate::graph::{Graph, NodeIndex};
use crate::key::SlotId;
use crate::messages::Command;
use crate::protocol::epoch::{Epochs, Pace};
use crate::protocol::log::LogWriter;
use crate::protocol::manifest::{Manifest, SourceEntry};
use crate::protocol::rescale::{Rescale, Sizes};
use crate::protocol::restart::Start;
use crate::protocol::rules::RuleSet;
use crate::protocol::turns::Turns;

impl Coordinator {
    /// A coordinator that holds its term and takes over the slots of `journals`, with the first effects. `start` is what a new run would
    /// begin from: the end of the log as of the claim. Tell it the newest wish next ([`super::Input::Want`]), and what sources are made
    /// of.
    ///
    /// # Errors
    /// If something needed is gone or contradicts itself. Then nothing has been said to anybody: begin a new run.
    #[allow(clippy::too_many_arguments, reason = "the same facts as for a start, and the journals")]
    pub fn adopt(
        graph: Arc<Graph>,
        log: LogWriter,
        start: &Start,
        journals: &[WorkerJournal],
        uid: &str,
        pace: Pace,
        now: u64,
        rules: RuleSet,
    ) -> Result<(Self, Vec<Effect>)> {
        // As the log has it: a new run would begin with other slots.
        let mut logged = start.manifest.clone();
        if !start.took_part.is_empty() {
            logged.members.clone_from(&start.took_part);
        }
        let mut run_journal = RunJournal::of(journals, &logged, rules)?;
        let mut last = logged.clone();
        last.epoch = run_journal.published;
        last.members = run_journal.carried.0.iter().copied().collect();
        let splits = Splits::new(&graph, &last, rules);
        let (turns, rescale) = (turns(&run_journal, rules), rescale(&run_journal));
        let mut epochs = Epochs::new(pace, run_journal.run.term, last, now, rules);
        epochs.resume_at(run_journal.now.epoch + 1);
        let mut joining = BTreeMap::new();
        let mut expected = BTreeMap::new();
        for flight in &run_journal.flights {
            if flight.aligned != flight.expect && flight.next_members != flight.expect {
                joining.insert(flight.epoch, flight.next_members.clone());
            }
            expected.insert(flight.epoch, flight.expect.clone());
            let mut flight = flight.clone();
            flight.parts.clear();
            epochs.adopt(flight);
        }
        let mut c = Self {
            uid: uid.to_owned(),
            run: run_journal.run.term,
            epochs,
            rescale,
            turns,
            splits,
            members: run_journal.current.clone(),
            started: run_journal.started(),
            joining,
            parts: BTreeMap::new(),
            expected,
            ended: BTreeSet::new(),
            assigned_splits: BTreeSet::new(),
            awaiting_splits: BTreeMap::new(),
            undiscovered: BTreeSet::new(),
            puts: 0,
            poison: None,
            draining: !run_journal.ends.is_empty(),
            stopped: false,
            graph,
            log,
            rules,
        };
        let again = std::mem::take(&mut run_journal.again);
        let effects = c.complete(&run_journal, again, &logged)?;
        Ok((c, effects))
    }

    /// Everything that is open goes on.
    fn complete(&mut self, run_journal: &RunJournal<'_>, again: Vec<(SlotId, Command)>, last: &Manifest) -> Result<Vec<Effect>> {
        let mut out = Vec::new();
        let owed = self.epochs.start();
        self.epoch_effects(owed, &mut out)?;
        out.extend(run_journal.remains.iter().copied().map(Effect::Release));
        out.extend(run_journal.starts.iter().cloned().map(Effect::Start));
        self.repeat(run_journal, last.table.version, &mut out);
        self.say_again(run_journal, again, &mut out);
        self.deal_again(run_journal, &mut out);
        for flight in &run_journal.flights {
            for (slot, part) in &flight.parts {
                self.part(flight.epoch, *slot, part.clone(), &mut out)?;
            }
        }
        for (slot, journal) in &run_journal.journals {
            if journal.ended {
                self.epochs.ended(*slot);
            }
            if let Some(trouble) = &journal.poisoned {
                self.poison.get_or_insert_with(|| trouble.into());
                self.draining &= !self.epochs.stop();
            }
        }
        if last.last && run_journal.flights.is_empty() && last.epoch == run_journal.published {
            let over = self.epochs.was_last();
            self.epoch_effects(over, &mut out)?;
        }
        Ok(out)
    }

    /// Words that some slots have heard, to the others; splits that change their reader come between the same barriers as they would have.
    fn say_again(&mut self, run_journal: &RunJournal<'_>, again: Vec<(SlotId, Command)>, out: &mut Vec<Effect>) {
        let mut handed = self.splits.adopt(&self.graph, run_journal, self.rules);
        let splits = |(_, (slot, node, splits)): (u64, Given)| Effect::Send(slot, Command::Splits(node, splits));
        for (slot, command) in again {
            if let Command::Barrier(barrier) = &command {
                out.extend(handed.extract_if(.., |(e, (to, ..))| *to == slot && *e < barrier.epoch).map(splits));
            }
            out.push(Effect::Send(slot, command));
        }
        out.extend(handed.into_iter().map(splits));
    }

    /// Words on publications and warm-ups that only some slots have heard.
    fn repeat(&mut self, run_journal: &RunJournal<'_>, version: u64, out: &mut Vec<Effect>) {
        let epoch = run_journal.published;
        let old = run_journal.journals.iter().filter(|(s, d)| d.published < epoch && run_journal.current.contains(s));
        out.extend(old.map(|(s, _)| Effect::Send(*s, Command::Published { epoch, version })));
        let cut: BTreeSet<u64> = run_journal.cuts.iter().map(|(c, _)| c.batch).collect();
        let dropped = |d: &SlotJournal| d.warming.iter().chain(&d.forgotten).copied().collect::<Vec<u64>>();
        let dropped: BTreeSet<u64> =
            run_journal.journals.values().copied().flat_map(dropped).filter(|b| !cut.contains(b)).collect();
        for (slot, journal) in &run_journal.journals {
            let unheard = dropped.iter().filter(|b| !journal.forgotten.contains(b) && self.rules.adopter_forgets());
            out.extend(unheard.map(|b| Effect::Send(*slot, Command::Forget(*b))));
        }
    }

    /// The reader of each split, and the slots that have heard of it.
    fn deal_again(&mut self, run_journal: &RunJournal<'_>, out: &mut Vec<Effect>) {
        // A slot that hears of a split behind the barrier at which its source ends reads nothing of it.
        if self.rules.successor_drains() {
            self.splits.end(&run_journal.ends);
        }
        for (node, entry) in self.splits.entries() {
            self.epochs.discovered(node, entry);
        }
        let nodes: Vec<(NodeIndex, u64)> = self.graph.sources().map(|(i, n, _)| (i, n.id.0)).collect();
        let without = |started: &BTreeSet<SlotId>, of: &dyn Fn(&SlotJournal) -> bool| -> BTreeSet<SlotId> {
            started.iter().filter(|s| !run_journal.journals.get(s).is_some_and(|d| of(d))).copied().collect()
        };
        for (node, id) in nodes {
            let assigned_splits = |d: &SlotJournal| d.dealt.iter().any(|n| n.0 == id);
            let over = |d: &SlotJournal| d.over.iter().any(|n| n.0 == id);
            let ends = run_journal.journals.values().any(|d| over(d));
            if ends {
                self.ended.insert(node);
                self.epochs.discovered(id, SourceEntry { splits: Vec::new(), discovery_complete: true });
                out.extend(without(&self.started, &over).into_iter().map(|s| Effect::Send(s, Command::EndOfSource(node))));
            }
            if run_journal.journals.values().any(|d| assigned_splits(d)) {
                self.assigned_splits.insert(node);
                self.splits.heard_of(id, ends);
                self.awaiting_splits.insert(node, without(&self.started, &assigned_splits));
                if self.splits.all_known(id) || !self.rules.unread_hold_time() {
                    self.tell_rest(node, out);
                }
            }
        }
        self.awaiting_splits.retain(|_, slots| !slots.is_empty());
        let assigned_splits = &self.assigned_splits;
        let undiscovered = self
            .graph
            .sources()
            .filter(|(i, n, _)| !self.splits.all_known(n.id.0) && !assigned_splits.contains(i))
            .map(|(i, ..)| i);
        self.undiscovered = undiscovered.filter(|_| self.rules.discovery_first()).collect();
        self.give_splits(out);
    }

    /// All splits of a source are known again: those that nobody reads go to slots that have not heard of any, if there are such. Until
    /// then these hold event time for them; to others they would come when it has passed (I6).
    pub(super) fn tell_rest(&mut self, node: NodeIndex, out: &mut Vec<Effect>) {
        let Some(awaiting_splits) = self.awaiting_splits.remove(&node) else { return };
        let stays = |s: &&SlotId| self.members.contains(s) && self.joining.values().all(|next| next.contains(s));
        let readers: BTreeSet<SlotId> =
            awaiting_splits.iter().filter(stays).filter(|_| self.rules.unread_hold_time()).copied().collect();
        let id = self.graph.id(node).0;
        let given = self.splits.give(&self.graph, &readers, |of| of == id);
        let none = awaiting_splits.iter().filter(|s| !given.iter().any(|(g, ..)| g == *s)).map(|s| (*s, node, Vec::new()));
        let none: Vec<_> = none.collect();
        out.extend(given.into_iter().chain(none).map(|(s, node, splits)| Effect::Send(s, Command::Splits(node, splits))));
    }
}

fn turns(run_journal: &RunJournal<'_>, rules: RuleSet) -> Turns {
    let aligning = run_journal.flights.last().filter(|f| f.aligned != f.expect && rules.adopts_alignment());
    let aligning = aligning.map(|f| (f.epoch, f.expect.difference(&f.aligned).copied().collect()));
    Turns::adopted(run_journal.now.table.clone(), run_journal.carried.1, aligning, &run_journal.cuts, rules)
}

fn rescale(run_journal: &RunJournal<'_>) -> Rescale {
    let batch =
        run_journal.journals.values().map(|d| d.batch.max(d.forgotten.iter().copied().max().unwrap_or(0))).max().unwrap_or(0);
    let next_batch = batch.max(run_journal.now.table.version) + 1;
    let open = run_journal.cuts.iter().filter(|(_, open)| *open).map(|(c, _)| &**c);
    let started = run_journal.started();
    let leaving = started.iter().filter(|s| !run_journal.current.contains(s) && !run_journal.now.members.contains(s)).copied();
    let (current, then) = (run_journal.current.clone(), run_journal.now.members.clone());
    Rescale::adopted(Sizes::default(), current, then, open, leaving.collect(), next_batch)
}

#[cfg(test)]
#[path = "adopt_tests.rs"]
mod tests;
