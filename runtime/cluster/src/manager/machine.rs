//! The machine: an event and the time go in, actions come out.

use std::collections::BTreeMap;

use watershed_runtime::coordinator::{Coordinator, Input, WorkerJournal};
use watershed_runtime::error::{Error, Kind, Result};
use watershed_runtime::graph::NodeShape;

use super::interface::{Action, Event, IoReply, Outcome, Reply, Restored};
use super::phase::{Gathering, NewerTerm, Phase, Retry, Running, Runs, Wishes};
use super::savepoints::Savepoints;
use super::settings::Settings;
use crate::membership::{Admission, Membership, Refusal, Registration};
use crate::messages::{Envelope, ToCoordinator, ToWorker};
use crate::{dataflow, difference};

/// The coordinator's process.
#[derive(Debug)]
pub struct JobManager {
    pub(crate) settings: Settings,
    pub(super) shape: Vec<NodeShape>,
    pub(crate) members: Membership,
    pub(crate) wishes: Wishes,
    pub(crate) runs: Runs,
    /// Journals of the workers, of the run that an earlier manager left, by worker; kept until this manager has begun a run.
    pub(super) journals: BTreeMap<u32, Option<WorkerJournal>>,
    pub(crate) savepoints: Savepoints,
    pub(super) newer: NewerTerm,
    pub(super) retry: Retry,
    pub(crate) phase: Phase,
    /// Tells the answers of one scan or run from those of another.
    pub(super) io: u64,
    /// The time at which this manager began.
    pub(super) began: i64,
    /// The time of the last step.
    pub(super) stepped: i64,
    /// Workers that registered before the log had been looked at.
    pub(super) early: Vec<(u64, Registration)>,
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

    /// True once the job is over, or this manager's part in it.
    #[must_use]
    pub fn ended(&self) -> bool {
        matches!(self.phase, Phase::Ended)
    }

    /// The run under way.
    #[must_use]
    pub fn running(&self) -> Option<&Running> {
        if let Phase::Running(running) = &self.phase { Some(running) } else { None }
    }

    /// The coordinator of the present run.
    #[must_use]
    pub fn coordinator(&self) -> Option<&Coordinator> {
        self.running().map(|r| &r.coordinator)
    }

    /// The newest term that it knows of.
    #[must_use]
    pub fn term(&self) -> u64 {
        self.runs.term
    }

    /// The stored states that the newest run found; `None` before the first run.
    #[must_use]
    pub fn restored(&self) -> Option<&Restored> {
        (self.runs.begun > 0 || matches!(self.phase, Phase::Committing(_))).then_some(&self.runs.restored)
    }

    /// The time at which the next barrier is due, by this manager's clock.
    #[must_use]
    pub fn next_due(&self) -> Option<i64> {
        self.coordinator().map(|c| i64::try_from(c.next_due()).unwrap_or(i64::MAX))
    }

    pub(super) fn take(&mut self, event: Event, now: i64, out: &mut Vec<Action>) -> Result<()> {
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
    pub(super) fn hear(
        &mut self,
        worker: u32,
        env: Envelope,
        message: ToCoordinator,
        now: i64,
        out: &mut Vec<Action>,
    ) -> Result<()> {
        match message {
            ToCoordinator::Report(slot, report) => {
                if self.running().is_some_and(|r| r.run.term == env.run) {
                    return self.input(Input::Slot(slot, report), now, out);
                }
                // This report came after the journal and is not in it: the manager that takes the slots over must know it.
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

    pub(super) fn register(&mut self, ticket: u64, registration: Registration, now: i64, out: &mut Vec<Action>) {
        if !self.newer.looked() {
            // A worker must not be told an older term than it knows.
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
    pub(super) fn advance(&mut self, now: i64, out: &mut Vec<Action>) -> Result<()> {
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
    pub(super) fn lose(&mut self, worker: u32, why: &str, now: i64, out: &mut Vec<Action>) {
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
    pub(super) fn end_run(&mut self, why: String, rest: Option<i64>, now: i64, out: &mut Vec<Action>) {
        if let Phase::Running(running) = &self.phase {
            out.push(Action::Tell(format!("the run of term {} is over: {why}", running.run.term)));
        }
        self.abandon(out);
        self.runs.recovering = Some(why);
        self.phase = rest.map_or(Phase::Gathering(Gathering), |rest| Phase::Resting(now + rest));
    }

    /// Nothing that is under way to the storage is waited for any more.
    pub(super) fn abandon(&mut self, out: &mut Vec<Action>) {
        out.push(Action::AbandonIo(self.io));
        self.io += 1;
    }

    /// The job is over, or this manager's part in it: workers hear of it.
    pub(super) fn end(&mut self, outcome: Result<Outcome>, out: &mut Vec<Action>) {
        let why = outcome.as_ref().err().map(|e| format!("the job has failed: {e}"));
        if why.is_some() {
            // Operations under way may go on failing for minutes: their answers are not awaited.
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

    pub(super) fn send(&self, worker: u32, message: ToWorker, out: &mut Vec<Action>) {
        let run = self.running().map_or(0, |r| r.run.term);
        out.push(Action::Send(worker, Envelope { term: self.runs.term, run }, message));
    }
}

/// The time of the coordinator's own clock.
pub(super) fn micros(now: i64) -> u64 {
    u64::try_from(now).unwrap_or(0)
}
