//! The job manager: the coordinator's process as a pure machine.
//!
//! ```text
//!             enough workers          end of the log            ours
//!  Gathering ───────────────► Reading ──────────────► Claiming ───────► Running ──► Ended
//!     ▲  ▲                      │ ▲        another was faster │            │
//!     │  └── no worker left, ───┘ └───────────────────────────┘            │ a worker is lost, storage is away
//!     │      too little memory                                             ▼
//!     └──────────────────────────────────────────────────────────────── Resting
//! ```
//!
//! A *run* begins with each claimed term: a manifest to begin from, and the slots of the workers that are there. Losing a worker ends a run, and the
//! next begins with the survivors at once. The slots that an earlier manager has left running are taken over as they are (`adopting`); where that
//! cannot be, a new run begins (`beginning`), which is always right. Both claim the next term first, so an older manager can write nothing
//! any more (I10).
//!
//! | file | what |
//! |---|---|
//! | `gathering` | waiting for workers, and looking for newer terms meanwhile |
//! | `claiming` | reading the log to its end, and claiming the next term |
//! | `adopting`, `beginning` | from a claimed term to a run |
//! | `running` | the run: effects of its coordinator become actions; files are merged, sources looked through again |
//! | `leaving` | workers that were told to end |
//! | `resting` | what happens when something that a run needs is away |
//! | `requests` | what a user asks: scale, stop, drain, snapshot |

mod adopting;
mod beginning;
mod claiming;
mod gathering;
mod interface;
mod leaving;
mod requests;
mod resting;
mod running;

use std::collections::BTreeMap;
use std::sync::Arc;

use watershed_runtime::coordinator::{Coordinator, Input, WorkerJournal};
use watershed_runtime::error::{Error, Kind, Result};
use watershed_runtime::graph::{Graph, NodeShape};
use watershed_runtime::key::KeySpace;
use watershed_runtime::protocol::epoch::Pace;
use watershed_runtime::protocol::rescale::Sizes;
use watershed_runtime::protocol::rules::RuleSet;

use crate::membership::{Admission, Membership, Refusal, Registration, Target};
use crate::messages::{Envelope, ToCoordinator, ToWorker};
use crate::patience::Patience;
use crate::savepoints::Savepoints;
use crate::{dataflow, difference};

use claiming::{Claiming, Reading};
use gathering::{Gathering, NewerTerm};
pub use interface::{Action, Event, Io, IoReply, Outcome, Reply, Request, Restored};
use resting::Retry;
pub use running::Running;

/// What a manager is told before it begins.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The job's name.
    pub job: String,
    /// Its graph.
    pub graph: Arc<Graph>,
    /// The key space of its storage.
    pub keys: KeySpace,
    /// Stored states (`node.state`) that may be given up.
    pub may_drop: Vec<String>,
    /// Any stored state that the job no longer has may be given up.
    pub drop_unmatched: bool,
    /// How epochs follow each other.
    pub pace: Pace,
    /// How many key groups move at once.
    pub sizes: Sizes,
    /// How many slots it begins with.
    pub target: Target,
    /// How long each wait is.
    pub patience: Patience,
    /// A name that no other process has: part of what it writes.
    pub uid: String,
    /// The rules that hold.
    pub rules: RuleSet,
}

/// Where the job is.
#[derive(Debug)]
pub(crate) enum Phase {
    /// It waits for workers.
    Gathering(Gathering),
    /// The log is read to its end.
    Reading(Reading),
    /// The next term is claimed.
    Claiming(Box<Claiming>),
    /// A run is under way.
    Running(Box<Running>),
    /// The job had finished before; what its last manifest owes is committed.
    Committing(Outcome),
    /// Something that a run needs is away: nothing is tried before this time.
    Resting(i64),
    /// The job is over, or this manager's part in it.
    Ended,
}

/// What is wished for the job, whatever phase it is in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wishes {
    pub(crate) target: Target,
    /// The job is being stopped. If its run ends before that is done, the last manifest is the snapshot: there is nothing to begin again for.
    pub(crate) stopping: bool,
    /// The job is to be drained: each run that begins is told, until one has done it.
    pub(crate) draining: bool,
}

/// The numbers of a manager's runs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Runs {
    /// The newest term in the log that it knows.
    pub(crate) term: u64,
    /// Whether the log had a manifest when this manager began.
    pub(crate) ran_before: bool,
    /// Runs it has begun or taken over.
    pub(crate) begun: u64,
    /// Workers that were lost while they took part.
    pub(crate) lost: u64,
    /// Why the last run ended, or why none begins.
    pub(crate) recovering: Option<String>,
    /// What the newest run has found in the storage.
    pub(crate) restored: Restored,
}

/// The coordinator's process.
#[derive(Debug)]
pub struct JobManager {
    pub(crate) settings: Settings,
    shape: Vec<NodeShape>,
    pub(crate) members: Membership,
    pub(crate) wishes: Wishes,
    pub(crate) runs: Runs,
    /// What workers remember of the run that an earlier manager has left, until this one has begun a run.
    journals: BTreeMap<u32, Option<WorkerJournal>>,
    pub(crate) savepoints: Savepoints,
    newer: NewerTerm,
    retry: Retry,
    pub(crate) phase: Phase,
    /// Tells the answers of one scan or run from those of another.
    io: u64,
    /// When it began.
    began: i64,
    /// When it was stepped last.
    stepped: i64,
    /// Workers that registered before the log had been looked at.
    early: Vec<(u64, Registration)>,
}

impl JobManager {
    /// A manager that knows nothing yet, and its first actions.
    ///
    /// # Errors
    /// `Invalid` if the graph has no stable shape.
    pub fn new(settings: Settings, now: i64) -> Result<(Self, Vec<Action>)> {
        let shape = settings.graph.shape()?.nodes;
        let members = Membership::new(settings.keys.groups(), settings.patience, settings.rules);
        let wishes = Wishes { target: settings.target, stopping: false, draining: false };
        let mut manager = Self {
            settings,
            shape,
            members,
            wishes,
            runs: Runs::default(),
            journals: BTreeMap::new(),
            savepoints: Savepoints::default(),
            newer: NewerTerm::default(),
            retry: Retry::default(),
            phase: Phase::Gathering(Gathering),
            io: 0,
            began: now,
            stepped: now,
            early: Vec::new(),
        };
        let mut out = Vec::new();
        manager.look_for_newer_term(now, &mut out);
        Ok((manager, out))
    }

    /// Takes an event at a time.
    pub fn step(&mut self, event: Event, now: i64) -> Vec<Action> {
        let mut out = Vec::new();
        if self.ended() {
            self.too_late(event, &mut out);
            return out;
        }
        if now - std::mem::replace(&mut self.stepped, now) > self.settings.patience.away && self.settings.rules.excuses_silence()
        {
            self.members.reset_silence(now);
        }
        let done = self.take(event, now, &mut out).and_then(|()| self.advance(now, &mut out));
        if let Err(e) = done {
            self.failed(e, now, &mut out);
        }
        out
    }

    /// Whether the job is over, or this manager's part in it.
    #[must_use]
    pub fn ended(&self) -> bool {
        matches!(self.phase, Phase::Ended)
    }

    /// The run under way.
    #[must_use]
    pub fn running(&self) -> Option<&Running> {
        if let Phase::Running(running) = &self.phase { Some(running) } else { None }
    }

    /// Its coordinator.
    #[must_use]
    pub fn coordinator(&self) -> Option<&Coordinator> {
        self.running().map(|r| &r.coordinator)
    }

    /// The newest term that it knows of.
    #[must_use]
    pub fn term(&self) -> u64 {
        self.runs.term
    }

    /// What the newest run has found in the storage; `None` before there was one.
    #[must_use]
    pub fn restored(&self) -> Option<&Restored> {
        (self.runs.begun > 0 || matches!(self.phase, Phase::Committing(_))).then_some(&self.runs.restored)
    }

    /// When the next barrier is due, by the clock that it is stepped with.
    #[must_use]
    pub fn next_due(&self) -> Option<i64> {
        self.coordinator().map(|c| i64::try_from(c.next_due()).unwrap_or(i64::MAX))
    }

    fn take(&mut self, event: Event, now: i64, out: &mut Vec<Action>) -> Result<()> {
        match event {
            Event::Tick => self.input(Input::Tick, now, out),
            Event::Register(ticket, registration) => {
                self.register(ticket, registration, now, out);
                Ok(())
            }
            Event::Connected(worker) => {
                self.members.connected(worker, true, now);
                self.welcome(worker, out);
                Ok(())
            }
            Event::Disconnected(worker) => {
                self.members.connected(worker, false, now);
                Ok(())
            }
            Event::Heartbeat(worker) => {
                self.members.heard(worker, now);
                Ok(())
            }
            Event::Message(worker, envelope, message) => {
                self.members.heard(worker, now);
                self.hear(worker, envelope, message, now, out)
            }
            Event::Io(id, reply) => self.answered(id, reply, now, out),
            Event::Request(id, request) => self.request(id, request, now, out),
            Event::Abandoned(id) => {
                self.savepoints.abandoned(id);
                Ok(())
            }
        }
    }

    /// A worker has said something in its session.
    fn hear(&mut self, worker: u32, env: Envelope, message: ToCoordinator, now: i64, out: &mut Vec<Action>) -> Result<()> {
        match message {
            ToCoordinator::Report(slot, report) => {
                if self.running().is_some_and(|r| r.run.term == env.run) {
                    return self.input(Input::Slot(slot, report), now, out);
                }
                // It came after the journal and is not in it: the manager that takes the slots over must know it.
                if self.runs.begun == 0
                    && self.settings.rules.reports_into_journal()
                    && let Some(Some(journal)) = self.journals.get_mut(&worker)
                    && journal.run.term == env.run
                {
                    journal.note_report(slot, &report);
                }
            }
            ToCoordinator::Journal(journal) => {
                // Later it comes from a worker that is a newcomer here.
                if self.runs.begun == 0 {
                    self.journals.insert(worker, journal.map(|j| *j));
                }
            }
            ToCoordinator::Leaving => {
                self.members.leaves(worker);
                out.push(Action::Tell(format!("worker {worker} leaves")));
            }
        }
        Ok(())
    }

    fn register(&mut self, ticket: u64, registration: Registration, now: i64, out: &mut Vec<Action>) {
        if !self.newer.looked() {
            // It must not be told an older term than it knows.
            self.early.push((ticket, registration));
            return;
        }
        if registration.job != self.settings.job {
            let why = format!("this is the coordinator of `{}`, not of `{}`", self.settings.job, registration.job);
            out.push(Action::Refuse(ticket, Refusal::Job, why));
            return;
        }
        let mine = dataflow::shape_text(&self.shape);
        if registration.fingerprint != dataflow::fingerprint(&self.shape) {
            out.push(Action::Refuse(ticket, Refusal::Fingerprint, difference(&mine, &registration.shape)));
            return;
        }
        let worker = match self.members.register(&registration, now) {
            Admission::Refused(reason, why) => return out.push(Action::Refuse(ticket, reason, why)),
            Admission::New(worker) => worker,
            Admission::Instead(worker) => {
                self.lose(worker, "a new process has taken its place", now, out);
                worker
            }
        };
        // A process of this name that is still in a session has been replaced; a journal that was brought in one is void with it.
        self.journals.remove(&worker);
        out.push(Action::EndSession(worker));
        out.push(Action::Admit { ticket, worker, term: self.runs.term });
    }

    /// Everything that can be done now.
    fn advance(&mut self, now: i64, out: &mut Vec<Action>) -> Result<()> {
        for (member, why) in self.members.lost(now) {
            out.push(Action::EndSession(member.worker));
            self.lose(member.worker, &why, now, out);
        }
        if let Phase::Resting(until) = self.phase
            && (now >= until || until - now > self.settings.patience.rest)
        {
            // A clock that was put back does not prolong a rest.
            self.phase = Phase::Gathering(Gathering);
        }
        match self.phase {
            Phase::Running(_) => self.look_after_run(now, out),
            Phase::Ended | Phase::Committing(_) => Ok(()),
            Phase::Gathering(_) | Phase::Reading(_) | Phase::Claiming(_) | Phase::Resting(_)
                if self.wishes.stopping && self.settings.rules.stop_is_kept() =>
            {
                // The last manifest is the snapshot.
                self.end(Ok(Outcome::Stopped), out);
                Ok(())
            }
            Phase::Gathering(_) => {
                self.gather(now, out);
                Ok(())
            }
            Phase::Reading(_) | Phase::Claiming(_) | Phase::Resting(_) => Ok(()),
        }
    }

    /// A worker is gone. A run in which it took part is over; one in which it had nothing goes on.
    fn lose(&mut self, worker: u32, why: &str, now: i64, out: &mut Vec<Action>) {
        self.journals.remove(&worker);
        let each = self.members.each();
        let Phase::Running(running) = &mut self.phase else { return };
        if running.lost(worker, each) {
            self.runs.lost += 1;
            let why = format!("worker {worker} was lost: {why}; the job goes on as soon as a worker is there");
            self.end_run(why, None, now, out);
        }
    }

    /// The run is over; the next begins as soon as it can, not before `rest` if there is one.
    fn end_run(&mut self, why: String, rest: Option<i64>, now: i64, out: &mut Vec<Action>) {
        if let Phase::Running(running) = &self.phase {
            out.push(Action::Tell(format!("the run of term {} is over: {why}", running.run.term)));
        }
        self.abandon(out);
        self.runs.recovering = Some(why);
        self.phase = rest.map_or(Phase::Gathering(Gathering), |rest| Phase::Resting(now + rest));
    }

    /// Nothing that is under way to the storage is waited for any more.
    fn abandon(&mut self, out: &mut Vec<Action>) {
        out.push(Action::AbandonIo(self.io));
        self.io += 1;
    }

    /// The job is over, or this manager's part in it: workers hear of it.
    fn end(&mut self, outcome: Result<Outcome>, out: &mut Vec<Action>) {
        let why = outcome.as_ref().err().map(|e| format!("the job has failed: {e}"));
        if why.is_some() {
            // What has failed may go on failing for minutes.
            self.abandon(out);
        }
        for member in self.members.present() {
            self.send(member.worker, ToWorker::End(why.clone()), out);
        }
        self.savepoints.over(out);
        self.phase = Phase::Ended;
        out.push(Action::End(outcome));
    }

    fn too_late(&mut self, event: Event, out: &mut Vec<Action>) {
        match event {
            // A snapshot may get its name after the end of the job that it is of.
            Event::Io(_, IoReply::Named(request, outcome)) => self.savepoints.named(request, outcome, out),
            Event::Register(ticket, _) => out.push(Action::Refuse(ticket, Refusal::Over, "the job is over".into())),
            Event::Request(id, _) => {
                out.push(Action::Reply(id, Reply::Refused(Error::new(Kind::Unavailable, "the job is over"))))
            }
            Event::Tick
            | Event::Connected(_)
            | Event::Disconnected(_)
            | Event::Heartbeat(_)
            | Event::Message(..)
            | Event::Io(..)
            | Event::Abandoned(_) => {}
        }
    }

    fn send(&self, worker: u32, message: ToWorker, out: &mut Vec<Action>) {
        let run = self.running().map_or(0, |r| r.run.term);
        out.push(Action::Send(worker, Envelope { term: self.runs.term, run }, message));
    }
}

/// The time of the coordinator's own clock.
pub(super) fn micros(now: i64) -> u64 {
    u64::try_from(now).unwrap_or(0)
}

#[cfg(test)]
mod tests;
