//! How an office comes to coordinate: it gathers workers, reads the log, claims a term, and takes the slots over that run, or begins a new run.

use std::collections::BTreeSet;
use std::sync::Arc;

use watershed_runtime::coordinator::{Coordinator, Effect, Input, Run, WorkerJournal};
use watershed_runtime::error::{Kind, Result};
use watershed_runtime::key::{Assignment, SlotId};
use watershed_runtime::protocol::epoch::Pace;
use watershed_runtime::protocol::log::{LogEffect, LogReader, LogWriter, Put, Tail};
use watershed_runtime::protocol::rescale::Sizes;
use watershed_runtime::protocol::restart::{Job, Start, start};
use watershed_runtime::slot::Command;

use super::super::cover::Cover;
use super::super::process::Ground;
use super::super::start::SPACE;
use super::super::store::Bytes;
use super::band::Band;
use super::office::{Life, Office};
use super::ops::Ask;
use super::worker::{Bands, What, Worker};

/// A term that was claimed, and what a coordinator is made of.
struct Claimed<'a> {
    log: &'a LogWriter,
    start: Start,
    uid: String,
    pace: Pace,
    now: u64,
}

impl Office {
    /// Those who are there are enough: the log is read.
    pub(super) fn gathered(&mut self) {
        self.life = Life::Reading(None);
        self.ops.push(Ask::Hint);
    }

    /// The hint has been read, or there is none.
    pub(super) fn begin_reading(&mut self, hint: Option<Bytes>) {
        let hint = hint.and_then(|b| String::from_utf8_lossy(&b).parse().ok());
        let (reader, effect) = LogReader::new(hint);
        self.life = Life::Reading(Some(reader));
        self.ask_log(effect);
    }

    /// A put of the log was answered.
    pub(super) fn put_answered(&mut self, put: Put, workers: &mut [Worker], bands: &mut Bands, ground: &mut Ground) {
        match &mut self.life {
            Life::Claiming(claim) => {
                let effect = claim.0.put(put);
                self.claim_goes_on(effect, workers, bands, ground);
            }
            Life::Running(_) => self.tell(Input::LogPut(put), workers, ground),
            Life::Gathering(_) | Life::Reading(_) | Life::Finishing | Life::Over | Life::Fenced => {}
        }
    }

    /// A get of the log was answered.
    pub(super) fn got(&mut self, bytes: Option<Bytes>, workers: &mut [Worker], bands: &mut Bands, ground: &mut Ground) {
        let bytes = bytes.as_ref().map(|b| b.as_slice());
        match &mut self.life {
            Life::Reading(Some(reader)) => match reader.got(bytes) {
                Ok(Ok(tail)) => {
                    let mut writer = LogWriter::new(&tail, ground.rules);
                    let effect = writer.claim(&format!("term-{}-{}", self.number, ground.rng.next()));
                    self.life = Life::Claiming(Box::new((writer, tail)));
                    self.claim_goes_on(effect.map(Some), workers, bands, ground);
                }
                Ok(Err(effect)) => self.ask_log(effect),
                Err(e) => ground.broken(|| format!("the log cannot be read: {e}")),
            },
            Life::Claiming(claim) => {
                let effect = claim.0.got(bytes);
                self.claim_goes_on(effect, workers, bands, ground);
            }
            Life::Running(_) => self.tell(Input::LogGot(bytes.map(<[u8]>::to_vec)), workers, ground),
            Life::Gathering(_) | Life::Reading(None) | Life::Finishing | Life::Over | Life::Fenced => {}
        }
    }

    fn claim_goes_on(
        &mut self,
        effect: Result<Option<LogEffect>>,
        workers: &mut [Worker],
        bands: &mut Bands,
        ground: &mut Ground,
    ) {
        match effect {
            Ok(Some(LogEffect::Published { .. })) => {
                if let Life::Claiming(claim) = std::mem::replace(&mut self.life, Life::Over) {
                    let (writer, tail) = *claim;
                    if let Err(e) = self.take_over(&writer, &tail, workers, bands, ground) {
                        ground.broken(|| format!("the job does not start: {e}"));
                    }
                }
            }
            Ok(Some(effect)) => self.ask_log(effect),
            Ok(None) => {}
            // Somebody was faster: from the beginning.
            Err(e) if e.kind() == Kind::Fenced => self.gathered(),
            Err(e) => ground.broken(|| format!("a term cannot be claimed: {e}")),
        }
    }

    /// The term is ours.
    fn take_over(
        &mut self,
        log: &LogWriter,
        tail: &Tail,
        workers: &mut [Worker],
        bands: &mut Bands,
        ground: &mut Ground,
    ) -> Result<()> {
        self.era = log.term();
        self.asked.clear();
        let each = ground.each;
        let slots_of = |w: &usize| (w * each..(w + 1) * each).map(|s| SlotId(s as u16));
        let slots: BTreeSet<SlotId> = self.crew.iter().filter(|(_, p)| p.gone.is_none()).flat_map(|(w, _)| slots_of(w)).collect();
        if slots.is_empty() {
            // Everybody has gone meanwhile.
            self.life = Life::Gathering(ground.trace.steps());
            return Ok(());
        }
        let graph = match bands.values().next_back() {
            Some(band) => band.graph.clone(),
            None => Band::new(0, ground)?.graph,
        };
        let mut fresh = Assignment::even(SPACE, slots.len() as u16);
        watershed_runtime::protocol::restart::replan(&mut fresh, &slots);
        fresh.version = 0;
        let job = Job { fingerprint: ground.plan.seed, graph: graph.shape()?.nodes, fresh, slots, may_drop: BTreeSet::new() };
        let begun = start(tail, &job)?;
        if let Some((_, stored)) = &tail.last {
            ground.seen.see(Cover::Restarted);
            if stored.members.len() > begun.manifest.members.len() {
                ground.seen.see(Cover::Survivors);
            }
            if stored.members != begun.manifest.members {
                ground.seen.see(Cover::RestartedOther);
            }
            if !begun.commit.is_empty() {
                ground.seen.see(Cover::Owed);
            }
        }
        if begun.finished {
            self.life = Life::Finishing;
            self.ops.push(Ask::Commit(begun.commit));
            return Ok(());
        }
        let uid = format!("{}-{}", self.number, ground.rng.next() & 0xffff);
        let pace = Pace { interval_micros: ground.plan.epoch_rows * 1000, max_in_flight: ground.plan.in_flight };
        let known = |id: &u64| begun.manifest.sources.get(id).is_some_and(|s| s.discovery_complete);
        let known: BTreeSet<u64> = graph.sources().map(|(_, n, _)| n.id.0).filter(known).collect();
        let claimed = Claimed { log, start: begun, uid, pace, now: self.now(ground) };
        let effects = match self.adopt(&claimed, bands, ground) {
            Some(effects) => effects,
            None => self.begin(&claimed, workers, bands, ground)?,
        };
        self.runs += 1;
        let Some(graph) = &self.graph else { return Ok(()) };
        let sources: Vec<_> = graph.sources().map(|(i, n, _)| (i, n.id.0)).collect();
        for (i, id) in sources {
            if !known.contains(&id) {
                self.ops.push(Ask::Discover(i));
            }
        }
        self.carry_out(effects, workers, ground);
        Ok(())
    }

    fn sized(c: Coordinator, ground: &Ground) -> Coordinator {
        let (max_batch, max_warming, max_open) = ground.plan.sizes;
        c.sized(Sizes { max_batch, max_warming, max_open })
    }

    /// Takes the slots over that run.
    fn adopt(&mut self, claimed: &Claimed<'_>, bands: &Bands, ground: &mut Ground) -> Option<Vec<Effect>> {
        let Claimed { log, start, uid, pace, now } = claimed;
        let there = self.crew.values().filter(|p| p.gone.is_none());
        let journals: Vec<WorkerJournal> = there.filter_map(|p| p.journal.clone()).collect();
        let run = journals.iter().map(|b| b.run).max_by_key(|r| r.term)?;
        let band = bands.get(&run.term)?;
        let adopted = Coordinator::adopt(band.graph.clone(), (*log).clone(), start, &journals, uid, *pace, *now, ground.rules);
        let (c, effects) = match adopted {
            Ok(taken) => taken,
            Err(e) => {
                let n = self.number;
                ground.trace.note(25, n, 0, || format!("c{n} cannot take the slots of run {} over: {e}", run.term));
                ground.seen.see(Cover::AdoptRefused);
                return None;
            }
        };
        self.run = run;
        self.graph = Some(band.graph.clone());
        for present in self.crew.values_mut() {
            present.told = present.gone.is_none() && present.journal.as_ref().is_some_and(|b| b.run == run);
            present.journal = None;
        }
        let (n, term) = (self.number, log.term());
        ground.trace.note(26, n, term, || format!("c{n} takes the slots of run {} over with term {term}", run.term));
        note(&c, &effects, band, ground);
        self.life = Life::Running(Box::new(Self::sized(c, ground)));
        Some(effects)
    }

    /// Begins a run with those who are there.
    fn begin(
        &mut self,
        claimed: &Claimed<'_>,
        workers: &mut [Worker],
        bands: &mut Bands,
        ground: &mut Ground,
    ) -> Result<Vec<Effect>> {
        let Claimed { log, start: begun, uid, pace, now } = claimed;
        self.run = Run { term: log.term(), epoch: begun.manifest.epoch };
        let band = Band::new(log.term(), ground)?;
        self.graph = Some(band.graph.clone());
        ground.trace.note(6, self.number, log.term(), || {
            format!("c{} begins run {} with {:?}", self.number, log.term(), begun.manifest.members)
        });
        let c = Coordinator::new(band.graph.clone(), (*log).clone(), begun, uid, *pace, *now, ground.rules);
        bands.insert(log.term(), band);
        let mut c = Self::sized(c, ground);
        let effects = c.begin()?;
        self.life = Life::Running(Box::new(c));
        let what = Arc::new((begun.manifest.clone(), begun.table.clone()));
        let there: Vec<usize> = self.crew.iter().filter(|(_, p)| p.gone.is_none()).map(|(w, _)| *w).collect();
        for present in self.crew.values_mut() {
            (present.journal, present.told) = (None, false);
        }
        for w in there {
            if let Some(p) = self.crew.get_mut(&w) {
                p.told = true;
            }
            self.say(w, What::Begin(what.clone()), workers);
        }
        Ok(effects)
    }
}

/// In the middle of what the slots were taken over, and what had to be said again.
fn note(c: &Coordinator, effects: &[Effect], band: &Band, ground: &mut Ground) {
    let again = ground.seen.has(Cover::Adopted) && ground.adopted.contains(&band.term);
    ground.adopted.insert(band.term);
    let alive = || band.hosts.iter().enumerate().filter(|(_, h)| h.is_some()).map(|(i, _)| SlotId(i as u16));
    let outside = alive().any(|s| !c.members().contains(&s));
    let marks = &band.marks;
    let sent = |b: &u64| band.net.finals.contains(b);
    let commands = || effects.iter().filter_map(|e| if let Effect::Send(_, command) = e { Some(command) } else { None });
    let all = [
        (true, Cover::Adopted),
        (again, Cover::AdoptedAgain),
        (!marks.warming.is_empty(), Cover::AdoptWarming),
        (marks.open.iter().any(|b| !sent(b)), Cover::AdoptFenced),
        (marks.open.iter().any(sent), Cover::AdoptFinal),
        (marks.open.is_empty() && c.table().version > c.last().table.version, Cover::AdoptCut),
        (!marks.aligning.is_empty() && outside, Cover::AdoptJoining),
        (marks.aligning.is_empty() && outside, Cover::AdoptLeaving),
        (!marks.aligning.is_empty(), Cover::AdoptAligning),
        (effects.iter().any(|e| matches!(e, Effect::Log(_))), Cover::AdoptParts),
        (commands().any(|k| matches!(k, Command::Published { .. })), Cover::AdoptUnheard),
        (effects.iter().any(|e| matches!(e, Effect::Commit(_))), Cover::AdoptOwed),
        (commands().any(|k| matches!(k, Command::Barrier(_) | Command::Cut(_))), Cover::Repeated),
        (marks.draining && !ground.finished, Cover::AdoptDraining),
        (effects.iter().any(|e| matches!(e, Effect::Start(_))), Cover::StartedAgain),
        (commands().any(|k| matches!(k, Command::Splits(_, s) if !s.is_empty())), Cover::HandedAgain),
    ];
    all.into_iter().filter(|(is, _)| *is).for_each(|(_, cover)| ground.seen.see(cover));
}
