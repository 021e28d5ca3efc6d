//! How a run begins: the one that an earlier coordinator has left is taken over as it runs, or a new one goes back to the last manifest.
//!
//! Each worker's first word in a session is what it remembers of the run it is in. From these journals and the end of the log the coordinator
//! goes on where the last one stopped, and no slot stops. Where that cannot be (a slot is gone, words contradict each other) a new run begins,
//! which is always right. Both claim the next term first, so an older coordinator can write nothing any more (I10).

use std::collections::BTreeSet;

use watershed_runtime::coordinator::{Coordinator, Effect, Run, WorkerJournal};
use watershed_runtime::error::{Kind, Result};
use watershed_runtime::key::SlotId;
use watershed_runtime::protocol::rules::RuleSet;
use watershed_wire::frame::Era;

use super::coordinator::{Office, REST_MICROS, Running, outcome};
use super::orders::{Begin, Order};
use super::remote::Remote;
use super::room::{lacking, room};
use super::told::Told;
use crate::clock::{now, unique};
use crate::host::{Host, HostSender, clock, commit_handles};
use crate::local::{Outcome, WINDOW, pace};
use crate::takeover::{Descs, TakenOver};

/// How long a job that has run before waits for all of its workers before it begins with those that are there.
const GATHER_MICROS: i64 = 3_000_000;

impl Office {
    /// Takes the run over that an earlier coordinator has left, or begins one with those who are there, if they are enough.
    pub(super) fn begin_if_possible(&mut self) -> Result<Option<Outcome>> {
        if self.running.is_none() && self.stopping {
            return Ok(Some(Outcome::Stopped));
        }
        if self.running.is_some() || now() < self.rest || !self.gathered() {
            self.look_for_a_newer_term();
            return Ok(None);
        }
        if self.journals.values().any(Option::is_some) {
            let claimed = self.claim()?;
            // Only now, since a storage that is away may be there next time. The names stay: who has said what it remembers need not say it again.
            let journals: Vec<WorkerJournal> = self.journals.values_mut().filter_map(Option::take).collect();
            match self.adopt(&journals, claimed) {
                Err(e) if e.kind() == Kind::Unavailable => {
                    let why = watershed_runtime::error::explain(&e);
                    (self.job.tells)(&format!("the running slots cannot be taken over: {why}"));
                    self.recovering = Some(why);
                }
                other => return other,
            }
        }
        self.let_all_leavers_go()?;
        let crew = self.roster.present();
        if crew.is_empty() || !self.fits(crew.len())? {
            return Ok(None);
        }
        let (uid, TakenOver { start, log, restored: _, descs }) = self.claim()?;
        let graph = self.job.claim.graph.clone();
        if start.finished {
            self.aside("for the storage: the last output is committed", move || commit_handles(&graph, &start.commit))?;
            return Ok(Some(Outcome::AlreadyFinished));
        }
        let run = Run { term: log.term(), epoch: start.manifest.epoch };
        let remote = self.remote(run);
        for member in &crew {
            let begin = Begin {
                run,
                manifest: start.manifest.clone(),
                table: (&start.table).into(),
                storage: self.job.storage.clone(),
                window: WINDOW,
                crew: crew.clone(),
            };
            remote.order(member.worker, &Order::Begin(Box::new(begin)))?;
        }
        let mut coordinator = Coordinator::new(graph, log, &start, &uid, pace(self.job.epoch), clock(), RuleSet::ALL);
        let first = coordinator.begin()?;
        (self.job.tells)(&format!("a run begins at epoch {} with {} workers, term {}", run.epoch, crew.len(), run.term));
        self.host(run, descs, coordinator, first, crew.iter().map(|m| m.worker).collect())
    }

    /// Whether everybody is there for whom a beginning waits.
    fn gathered(&self) -> bool {
        // A job that is under way goes on with whoever is left.
        if self.runs > 0 {
            return !self.roster.present().is_empty();
        }
        let crew = self.roster.present();
        if crew.is_empty() || !crew.iter().all(|m| self.journals.contains_key(&m.worker)) {
            return false;
        }
        self.roster.slots_of(self.wanted).is_ok() || self.ran_before && now() - self.began > GATHER_MICROS
    }

    /// Goes on with the slots as they run. [`Kind::Unavailable`] if that cannot be: then nothing has been said to anybody.
    fn adopt(&mut self, journals: &[WorkerJournal], claimed: (String, TakenOver)) -> Result<Option<Outcome>> {
        let (uid, TakenOver { start, log, restored: _, descs }) = claimed;
        let graph = self.job.claim.graph.clone();
        let (coordinator, first) =
            Coordinator::adopt(graph, log, &start, journals, &uid, pace(self.job.epoch), clock(), RuleSet::ALL)?;
        let newest = journals.iter().map(|b| b.run).max_by_key(|r| r.term);
        let run = newest.unwrap_or_else(|| Run { term: coordinator.run(), epoch: 0 });
        let slots: BTreeSet<SlotId> = journals.iter().filter(|b| b.run == run).flat_map(|b| b.room.iter().copied()).collect();
        // Also one whose connection has just dropped: it has its slots, and must not begin anew.
        let told: BTreeSet<u32> =
            self.roster.all().filter(|m| m.slots.iter().all(|s| slots.contains(s))).map(|m| m.worker).collect();
        let (workers, term) = (told.len(), self.term);
        (self.job.tells)(&format!(
            "the run of term {} is taken over as it is, with {workers} workers, under term {term}",
            run.term
        ));
        let over = self.host(run, descs, coordinator, first, told)?;
        // The others are newcomers to it; who has been told hears nothing twice.
        for member in self.roster.present() {
            self.welcome(member.worker)?;
        }
        Ok(over)
    }

    /// The next term, with what there is to begin from.
    fn claim(&mut self) -> Result<(String, TakenOver)> {
        let slots: BTreeSet<SlotId> = self.roster.present().into_iter().flat_map(|m| m.slots).collect();
        let uid = unique();
        let (claim, store, keys, mine) = (self.job.claim.clone(), self.store.clone(), self.keys, uid.clone());
        let what = "for the storage: the end of the log is read and claimed";
        let taken = self.aside(what, move || claim.take_over(&store, keys, &slots, &mine))?;
        self.term = taken.log.term();
        Ok((uid, taken))
    }

    /// The slots of a run, in other processes. Its era does not change with the coordinator: what is between slots stays as it is.
    fn remote(&self, run: Run) -> Remote {
        let era = Era { term: run.term, generation: 1 };
        Remote { sessions: self.sessions.clone(), era, each: self.roster.each() }
    }

    fn host(
        &mut self,
        run: Run,
        descs: Descs,
        coordinator: Coordinator,
        first: Vec<Effect>,
        told: BTreeSet<u32>,
    ) -> Result<Option<Outcome>> {
        self.runs += 1;
        let mut coordinator = coordinator.sized(self.job.sizes);
        let (number, queue, remote) = (self.runs, self.told.clone(), self.remote(run));
        let era = remote.era;
        let sender = HostSender::new(move |event| queue.send(Told::Host(number, event)).is_ok());
        let graph = self.job.claim.graph.clone();
        let mut host = Host::new(graph, self.store.clone(), remote, sender, self.keys, descs)?;
        let over = host.go_on(&mut coordinator, first)?.then(|| outcome(&coordinator));
        // One that was heard of before is this process's from now on.
        self.draining |= coordinator.draining();
        self.running = Some(Running { number, run, era, host, coordinator, told, asked: None, began_rescale: None });
        self.recovering = None;
        // A run that goes back behind the barrier of a drain has forgotten it.
        if self.draining && over.is_none() { self.drain() } else { Ok(over) }
    }

    /// Whether those who are there have room for the job's state; if not, that is what it waits for.
    fn fits(&mut self, workers: usize) -> Result<bool> {
        let Some(room) = room(self.roster.budgets()) else { return Ok(true) };
        let store = self.store.clone();
        let last = self.aside("for the storage: the log is read", move || crate::restore::read_log(&store))?.last;
        // The oldest file has nearly all of it; the younger ones say again what has changed.
        let state = last.and_then(|(_, manifest)| manifest.files.iter().map(|f| f.bytes).max()).unwrap_or(0);
        let lacking = lacking(state, workers, Some(room));
        let fits = lacking.is_none();
        if let Some(why) = lacking {
            self.recovering = Some(why);
            // The storage is not asked at every turn.
            self.rest = now() + REST_MICROS;
        }
        Ok(fits)
    }
}
