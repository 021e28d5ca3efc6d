//! The task manager: a worker's process as a pure machine.
//!
//! A task manager obeys the newest manager it has heard, keeps a journal of its slots for the next one, and has their entries written to
//! state files before it passes a report on. Its laws:
//!
//! - A message of a session that is over is not obeyed, nor one of an older manager than it has heard: a message that comes after the
//!   journal was given away would be known to none (I4, I9). The same holds for messages of another run.
//! - A report is noted and said in one step: a manager that is given the journal hears everything that is not in it.
//! - A part of an epoch is said when its entries are durable (I5). Parts may overtake each other.
//! - The first message of a session is the journal. What slots have said before was said to a manager that is gone, and is in it.
//! - A worker that was told to end says so in each session, and goes on until it is released. It goes at once where waiting would lead
//!   nowhere: it has no part in a run, or it has had no session for so long that a new manager would have come
//!   ([`Patience::leave`](crate::Patience::leave)).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use watershed_runtime::coordinator::{NewSlot, WorkerJournal};
use watershed_runtime::error::{Error, Result};
use watershed_runtime::graph::Graph;
use watershed_runtime::key::SlotId;
use watershed_runtime::protocol::manifest::StateFile;
use watershed_runtime::protocol::rules::RuleSet;
use watershed_runtime::slot::{Command, EpochPart, Report};
use watershed_runtime::state::EncodedRun;

use crate::messages::{Begin, Envelope, Member, ToCoordinator, ToWorker};

/// An input of the task manager.
#[derive(Debug)]
pub enum WorkerEvent {
    /// A session has begun.
    Session {
        /// The newest term that its manager knows.
        term: u64,
        /// The session's number: no other session of this worker has the same.
        session: u64,
    },
    /// A manager has said something in the session with this number.
    Message(u64, Envelope, ToWorker),
    /// A slot of this run has said something.
    Report(u64, SlotId, Report),
    /// The answer to [`WorkerAction::Upload`]: the file is durable, or cannot be written.
    Uploaded {
        /// The run.
        run: u64,
        /// The slot.
        slot: SlotId,
        /// The epoch.
        epoch: u64,
        /// The file, or the error of its upload.
        file: Result<StateFile>,
    },
    /// The worker was told to end.
    Leave,
    /// The worker has had no session for so many microseconds.
    Away(i64),
}

/// An effect for the executor; effects are carried out in the order given.
#[derive(Debug)]
#[must_use]
pub enum WorkerAction {
    /// Tell the manager, if there is a session.
    Send(Envelope, ToCoordinator),
    /// A run begins: the slots of the last one end, keeping what they have; ways to the others are made; and these slots are made as the
    /// manifest has them.
    Begin(Box<Begin>, Vec<SlotId>),
    /// For a slot of this process.
    Command(SlotId, Command),
    /// Make a slot that joins the run of this term.
    Start(u64, NewSlot),
    /// End a slot.
    Release(SlotId),
    /// The workers that are there now.
    Members(Vec<Member>),
    /// Write these entries as one state file; answer [`WorkerEvent::Uploaded`].
    Upload {
        /// The run.
        run: u64,
        /// The slot.
        slot: SlotId,
        /// The epoch.
        epoch: u64,
        /// The entries, by table.
        runs: Vec<(u64, EncodedRun)>,
    },
    /// Tell the people who watch, in a sentence.
    Tell(String),
    /// The worker ends.
    End(WorkerEnd),
}

/// The way in which a worker ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkerEnd {
    /// With the job, for a reason if it has failed.
    Job(Option<String>),
    /// With its own part in it.
    Left,
}

/// A worker's process.
#[derive(Debug)]
pub struct TaskManager {
    graph: Arc<Graph>,
    number: u32,
    /// The journal of the present run, for the next manager.
    journal: Option<WorkerJournal>,
    /// The highest term that it has heard.
    term: u64,
    /// The session that stands.
    session: u64,
    leaving: bool,
    /// Parts of epochs whose entries are being written.
    uploads: BTreeMap<(SlotId, u64), EpochPart>,
    patience: i64,
    rules: RuleSet,
}

impl TaskManager {
    /// A worker with a number. `patience`: how long one that leaves waits for a manager that is away.
    #[must_use]
    pub fn new(graph: Arc<Graph>, number: u32, patience: i64, rules: RuleSet) -> Self {
        Self { graph, number, journal: None, term: 0, session: 0, leaving: false, uploads: BTreeMap::new(), patience, rules }
    }

    /// The highest term that it has heard: it goes to no older manager.
    #[must_use]
    pub fn term(&self) -> u64 {
        self.term
    }

    /// The term of the run that it is in; 0 if it is in none.
    #[must_use]
    pub fn run(&self) -> u64 {
        self.journal.as_ref().map_or(0, |j| j.run.term)
    }

    /// The journal of the present run.
    #[must_use]
    pub fn journal(&self) -> Option<&WorkerJournal> {
        self.journal.as_ref()
    }

    /// True once the worker was told to end.
    #[must_use]
    pub fn leaving(&self) -> bool {
        self.leaving
    }

    /// Takes an event.
    pub fn step(&mut self, event: WorkerEvent) -> Vec<WorkerAction> {
        let mut out = Vec::new();
        match event {
            WorkerEvent::Session { term, session } => self.introduce(term, session, &mut out),
            WorkerEvent::Message(session, env, message) => self.hear(session, env, message, &mut out),
            WorkerEvent::Report(run, slot, report) => self.report(run, slot, report, &mut out),
            WorkerEvent::Uploaded { run, slot, epoch, file } => self.uploaded(run, slot, epoch, file, &mut out),
            WorkerEvent::Leave => self.leave(&mut out),
            WorkerEvent::Away(time) => {
                if self.leaving && time > self.patience {
                    out.push(WorkerAction::Tell(
                        "ends now: its coordinator is away, and nobody can take over what it has".into(),
                    ));
                    out.push(WorkerAction::End(WorkerEnd::Left));
                }
            }
        }
        out
    }

    fn envelope(&self) -> Envelope {
        Envelope { term: self.term, run: self.run() }
    }

    fn send(&self, message: ToCoordinator, out: &mut Vec<WorkerAction>) {
        out.push(WorkerAction::Send(self.envelope(), message));
    }

    /// The first messages of a session.
    fn introduce(&mut self, term: u64, session: u64, out: &mut Vec<WorkerAction>) {
        (self.term, self.session) = (self.term.max(term), session);
        self.send(ToCoordinator::Journal(self.journal.clone().map(Box::new)), out);
        if self.leaving {
            self.send(ToCoordinator::Leaving, out);
        }
    }

    fn hear(&mut self, session: u64, env: Envelope, message: ToWorker, out: &mut Vec<WorkerAction>) {
        if (session != self.session || env.term < self.term) && self.rules.obeys_newest() {
            return;
        }
        self.term = self.term.max(env.term);
        match message {
            ToWorker::Begin(begin) => self.begin(begin, out),
            ToWorker::End(why) => out.push(WorkerAction::End(WorkerEnd::Job(why))),
            ToWorker::Released(why) => {
                out.push(WorkerAction::Tell(format!("has left: {why}")));
                out.push(WorkerAction::End(WorkerEnd::Left));
            }
            message @ (ToWorker::Command(..) | ToWorker::Start(_) | ToWorker::Release(_) | ToWorker::Members(_)) => {
                self.obey(env.run, message, out);
            }
        }
    }

    /// Carries a message of a run out. A message of any other run than the present one is ignored.
    fn obey(&mut self, run: u64, message: ToWorker, out: &mut Vec<WorkerAction>) {
        let graph = self.graph.clone();
        let Some(journal) = self.journal.as_mut().filter(|j| j.run.term == run) else { return };
        match message {
            ToWorker::Command(slot, command) => {
                // One that nobody has heard never was, and another may have its number.
                if journal.slots.contains_key(&slot) {
                    journal.note_command(&graph, slot, &command);
                    out.push(WorkerAction::Command(slot, command));
                }
            }
            ToWorker::Start(new) => {
                journal.joined(&new);
                out.push(WorkerAction::Start(run, new));
            }
            ToWorker::Release(slot) => {
                journal.released(slot);
                self.uploads.retain(|(s, _), _| *s != slot);
                out.push(WorkerAction::Release(slot));
            }
            ToWorker::Members(members) => out.push(WorkerAction::Members(members)),
            ToWorker::Begin(_) | ToWorker::End(_) | ToWorker::Released(_) => {}
        }
    }

    /// A run begins: of the last one only what its slots keep stays, and this worker's slots are made as the manifest has them.
    fn begin(&mut self, begin: Box<Begin>, out: &mut Vec<WorkerAction>) {
        let room: BTreeSet<SlotId> =
            begin.members.iter().filter(|m| m.worker == self.number).flat_map(|m| m.slots.iter().copied()).collect();
        let mine: Vec<SlotId> = begin.manifest.members.iter().copied().filter(|s| room.contains(s)).collect();
        let mut journal = WorkerJournal::new(begin.run, room);
        mine.iter().for_each(|slot| journal.begun(*slot, &begin.table, &begin.manifest.members));
        self.journal = Some(journal);
        self.uploads.clear();
        out.push(WorkerAction::Begin(begin, mine));
    }

    fn report(&mut self, run: u64, slot: SlotId, report: Report, out: &mut Vec<WorkerAction>) {
        if run != self.run() {
            return;
        }
        let Report::Sealed(epoch, mut part) = report else { return self.pass(slot, report, out) };
        let mut runs = std::mem::take(&mut part.runs);
        runs.retain(|(_, run)| !run.is_empty());
        if runs.is_empty() || !self.rules.upload_before_publish() {
            return self.pass(slot, Report::Sealed(epoch, part), out);
        }
        self.uploads.insert((slot, epoch), *part);
        out.push(WorkerAction::Upload { run, slot, epoch, runs });
    }

    fn uploaded(&mut self, run: u64, slot: SlotId, epoch: u64, file: Result<StateFile>, out: &mut Vec<WorkerAction>) {
        if run != self.run() {
            return;
        }
        let Some(mut part) = self.uploads.remove(&(slot, epoch)) else { return };
        let report = match file {
            Ok(file) => {
                part.files.push(file);
                Report::Sealed(epoch, Box::new(part))
            }
            Err(e) => Report::Failed(e),
        };
        self.pass(slot, report, out);
    }

    /// A report that cannot be said as it is: the job fails, rather than to wait for it for ever.
    pub fn unspeakable(&mut self, slot: SlotId, e: Error) -> Vec<WorkerAction> {
        let mut out = Vec::new();
        self.pass(slot, Report::Failed(e), &mut out);
        out
    }

    /// A report is noted and said.
    fn pass(&mut self, slot: SlotId, report: Report, out: &mut Vec<WorkerAction>) {
        if let Some(journal) = &mut self.journal {
            journal.note_report(slot, &report);
        }
        self.send(ToCoordinator::Report(slot, report), out);
    }

    fn leave(&mut self, out: &mut Vec<WorkerAction>) {
        if self.journal.is_none() {
            out.push(WorkerAction::Tell("ends at once: it takes part in nothing".into()));
            out.push(WorkerAction::End(WorkerEnd::Left));
            return;
        }
        self.leaving = true;
        out.push(WorkerAction::Tell("leaves: it ends when others have what it has; again to end at once".into()));
        self.send(ToCoordinator::Leaving, out);
    }
}

#[cfg(test)]
mod tests {
    use watershed_runtime::coordinator::Run;
    use watershed_runtime::error::Kind;
    use watershed_runtime::key::{Assignment, KeySpace};
    use watershed_runtime::protocol::manifest::{Groups, Manifest};

    use super::*;

    const RULES: RuleSet = RuleSet::ALL;

    fn begin(term: u64) -> ToWorker {
        let table = Assignment::even(KeySpace { seed: 0, bits: 8 }, 1);
        let manifest = Manifest::origin(0, Vec::new(), &table, vec![SlotId(0)]);
        let member = Member {
            worker: 0,
            name: "w-0".into(),
            incarnation: "i".into(),
            address: String::new(),
            slots: vec![SlotId(0), SlotId(1)],
        };
        ToWorker::Begin(Box::new(Begin { run: Run { term, epoch: 0 }, manifest, table, members: vec![member] }))
    }

    fn envelope(term: u64, run: u64) -> Envelope {
        Envelope { term, run }
    }

    fn message(session: u64, envelope: Envelope, message: ToWorker) -> WorkerEvent {
        WorkerEvent::Message(session, envelope, message)
    }

    /// A task manager in the run of term 3.
    fn at_work() -> TaskManager {
        let mut worker = TaskManager::new(Arc::default(), 0, 10, RULES);
        let actions = worker.step(message(0, envelope(3, 3), begin(3)));
        assert!(matches!(&actions[..], [WorkerAction::Begin(_, mine)] if *mine == [SlotId(0)]), "{actions:?}");
        worker
    }

    fn said(actions: &[WorkerAction]) -> Vec<String> {
        let said = |a: &WorkerAction| if let WorkerAction::Send(_, message) = a { Some(format!("{message:?}")) } else { None };
        actions.iter().filter_map(said).collect()
    }

    #[test]
    fn the_first_message_of_a_session_is_the_journal_and_that_it_leaves_the_second() {
        let mut worker = TaskManager::new(Arc::default(), 0, 10, RULES);
        assert_eq!(said(&worker.step(WorkerEvent::Session { term: 2, session: 2 })), ["Journal(None)"]);
        let mut worker = at_work();
        let _told = worker.step(WorkerEvent::Leave);
        let messages = said(&worker.step(WorkerEvent::Session { term: 4, session: 4 }));
        assert!(messages.len() == 2 && messages[0].starts_with("Journal(Some(") && messages[1] == "Leaving", "{messages:?}");
    }

    #[test]
    fn a_manager_that_is_older_than_one_that_was_heard_is_not_obeyed() {
        let mut worker = at_work();
        let _journal = worker.step(WorkerEvent::Session { term: 5, session: 5 });
        assert!(worker.step(message(5, envelope(4, 3), ToWorker::End(None))).is_empty());
        assert!(worker.step(message(5, envelope(4, 4), begin(4))).is_empty());
        assert!(worker.step(message(5, envelope(4, 3), ToWorker::Release(SlotId(0)))).is_empty());
        let over = message(0, envelope(6, 3), ToWorker::Release(SlotId(0)));
        assert!(worker.step(over).is_empty(), "of a session that is over");
        let newest = worker.step(message(5, envelope(6, 3), ToWorker::Release(SlotId(0))));
        assert!(matches!(newest[..], [WorkerAction::Release(SlotId(0))]) && worker.term() == 6, "{newest:?}");
    }

    #[test]
    fn what_is_of_another_run_means_nothing() {
        let mut worker = at_work();
        assert!(worker.step(message(0, envelope(3, 2), ToWorker::Release(SlotId(0)))).is_empty());
        assert!(worker.step(WorkerEvent::Report(2, SlotId(0), Report::Ended)).is_empty());
        let never = ToWorker::Command(SlotId(1), Command::Published { epoch: 1, version: 0 });
        assert!(worker.step(message(0, envelope(3, 3), never)).is_empty(), "a slot that does not take part");
    }

    fn sealed(epoch: u64) -> WorkerEvent {
        let run: EncodedRun = serde_json::from_str("{\"chunks\":[],\"bytes\":1}").unwrap();
        let part = EpochPart { runs: vec![(7, run)], changed: true, ..EpochPart::default() };
        WorkerEvent::Report(3, SlotId(0), Report::Sealed(epoch, Box::new(part)))
    }

    #[test]
    fn a_part_of_an_epoch_is_said_when_its_entries_are_durable() {
        let mut worker = at_work();
        let actions = worker.step(sealed(1));
        assert!(matches!(&actions[..], [WorkerAction::Upload { run: 3, slot: SlotId(0), epoch: 1, .. }]), "{actions:?}");
        let file = StateFile {
            name: "state/delta/3-1-x".into(),
            bytes: 1,
            from_epoch: 1,
            to_epoch: 1,
            entries: 1,
            level: 0,
            groups: Groups::All,
        };
        let uploaded = |run, file| WorkerEvent::Uploaded { run, slot: SlotId(0), epoch: 1, file };
        assert!(worker.step(uploaded(2, Ok(file.clone()))).is_empty(), "a file of another run");
        let messages = said(&worker.step(uploaded(3, Ok(file.clone()))));
        assert!(messages.len() == 1 && messages[0].contains("state/delta/3-1-x"), "{messages:?}");
        assert!(worker.step(uploaded(3, Ok(file))).is_empty(), "it is said once");
        let _upload = worker.step(sealed(1));
        let failed = said(&worker.step(uploaded(3, Err(Error::new(Kind::Unavailable, "no room")))));
        assert!(failed[0].starts_with("Report(SlotId(0), Failed(") && failed[0].contains("no room"), "{failed:?}");
    }

    #[test]
    fn a_worker_that_leaves_waits_for_its_release_and_not_for_a_manager_that_stays_away() {
        let mut idle = TaskManager::new(Arc::default(), 0, 10, RULES);
        let left = |actions: Vec<WorkerAction>| actions.iter().any(|a| matches!(a, WorkerAction::End(WorkerEnd::Left)));
        assert!(left(idle.step(WorkerEvent::Leave)), "it takes part in nothing");
        let mut worker = at_work();
        assert!(!left(worker.step(WorkerEvent::Away(11))), "it was not told to end");
        assert!(!left(worker.step(WorkerEvent::Leave)) && !left(worker.step(WorkerEvent::Away(10))));
        assert!(left(worker.step(WorkerEvent::Away(11))));
        let mut worker = at_work();
        assert!(left(worker.step(message(0, envelope(3, 0), ToWorker::Released("others have what it had".into())))));
        let mut worker = at_work();
        let ends = worker.step(message(0, envelope(3, 3), ToWorker::End(Some("why".into()))));
        assert!(matches!(&ends[..], [WorkerAction::End(WorkerEnd::Job(Some(why)))] if why == "why"), "{ends:?}");
    }
}
