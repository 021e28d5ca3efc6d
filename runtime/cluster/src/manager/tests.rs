//! A manager and its workers, with slots that only answer barriers and a storage that is a map.

mod snapshots;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use watershed_runtime::key::SlotId;
use watershed_runtime::protocol::entry::LATEST;
use watershed_runtime::protocol::log::Put;
use watershed_runtime::protocol::maintenance::Chore;
use watershed_runtime::protocol::named::object_of;
use watershed_runtime::slot::{Command, EpochPart, Report};

use std::sync::Arc;

use watershed_runtime::error::{Error, Kind, Result};
use watershed_runtime::key::KeySpace;
use watershed_runtime::protocol::epoch::Pace;
use watershed_runtime::protocol::rescale::Sizes;
use watershed_runtime::protocol::rules::RuleSet;

use super::*;
use crate::membership::{Refusal, Registration, Target};
use crate::messages::{Envelope, ToCoordinator};
use crate::patience::Patience;
use crate::task_manager::{TaskManager, WorkerAction, WorkerEvent};

const SECOND: i64 = 1_000_000;
const EPOCH: i64 = 100_000;

type Objects = Rc<RefCell<BTreeMap<String, Vec<u8>>>>;

struct World {
    manager: JobManager,
    events: VecDeque<Event>,
    workers: BTreeMap<u32, TaskManager>,
    objects: Objects,
    /// The number of the newest session.
    sessions: u64,
    now: i64,
    /// The storage does not answer.
    away: bool,
    /// Requests to the storage that wait.
    held: Option<Vec<(u64, Io)>>,
    /// Objects of snapshots that wait to be written.
    names: Option<Vec<(u64, Io)>>,
    /// Slots say nothing.
    mute: bool,
    /// Actions beside messages and storage.
    wanted: Vec<Action>,
}

fn settings(uid: &str, target: Target) -> Settings {
    Settings {
        job: "job".into(),
        graph: Arc::default(),
        keys: KeySpace { seed: 0, bits: 8 },
        may_drop: Vec::new(),
        drop_unmatched: false,
        pace: Pace { interval_micros: EPOCH as u64, max_in_flight: 3 },
        sizes: Sizes::default(),
        target,
        patience: Patience::default(),
        uid: uid.into(),
        rules: RuleSet::ALL,
    }
}

impl World {
    fn new(uid: &str, workers: u32, objects: &Objects) -> Self {
        Self::with(uid, workers, objects, None)
    }

    fn with(uid: &str, workers: u32, objects: &Objects, held: Option<Vec<(u64, Io)>>) -> Self {
        let (manager, first) = JobManager::new(settings(uid, Target::Workers(workers)), 0).unwrap();
        let mut world = Self {
            manager,
            events: VecDeque::new(),
            workers: BTreeMap::new(),
            objects: objects.clone(),
            sessions: 0,
            now: 0,
            away: false,
            held,
            names: None,
            mute: false,
            wanted: Vec::new(),
        };
        first.into_iter().for_each(|a| world.carry_out(a));
        world.settle();
        world
    }

    /// A manager with a worker, and a run that has published something.
    fn running(objects: &Objects) -> Self {
        let mut world = Self::new("a", 1, objects);
        world.register(0, "i");
        world.pass(3 * EPOCH);
        assert!(world.manager.coordinator().unwrap().last().epoch > 0);
        world
    }

    fn happens(&mut self, event: Event) {
        self.events.push_back(event);
        self.settle();
    }

    fn settle(&mut self) {
        while let Some(event) = self.events.pop_front() {
            for action in self.manager.step(event, self.now) {
                self.carry_out(action);
            }
        }
    }

    /// Time passes, tick by tick; workers with a session give signs of life.
    fn pass(&mut self, micros: i64) {
        for _ in 0..micros / (EPOCH / 4) {
            self.now += EPOCH / 4;
            let alive: Vec<u32> = self.workers.keys().copied().collect();
            alive.into_iter().for_each(|w| self.happens(Event::Heartbeat(w)));
            self.happens(Event::Tick);
        }
    }

    fn register(&mut self, number: u32, incarnation: &str) {
        let registration = Registration {
            job: "job".into(),
            name: format!("w-{number}"),
            incarnation: incarnation.into(),
            slots: 1,
            fingerprint: crate::fingerprint(&[]),
            ..Registration::default()
        };
        self.happens(Event::Register(u64::from(number), registration));
    }

    fn request(&mut self, id: u64, request: Request) {
        self.happens(Event::Request(id, request));
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Admit { worker, term, .. } => {
                let task = TaskManager::new(Arc::default(), worker, 10 * SECOND, RuleSet::ALL);
                self.workers.insert(worker, task);
                self.events.push_back(Event::Connected(worker));
                self.sessions += 1;
                self.worker(worker, WorkerEvent::Session { term, session: self.sessions });
                self.wanted.push(action);
            }
            Action::EndSession(worker) => {
                self.workers.remove(&worker);
            }
            Action::Send(worker, envelope, message) => {
                self.worker(worker, WorkerEvent::Message(self.sessions, envelope, message))
            }
            Action::Io(number, io @ Io::Name { .. }) if self.names.is_some() => {
                self.names.get_or_insert_default().push((number, io))
            }
            Action::Io(number, io) => match &mut self.held {
                Some(held) => held.push((number, io)),
                None => self.storage(number, io),
            },
            other @ (Action::Refuse(..) | Action::AbandonIo(_) | Action::Reply(..) | Action::Tell(_) | Action::End(_)) => {
                self.wanted.push(other);
            }
        }
    }

    fn worker(&mut self, worker: u32, event: WorkerEvent) {
        let Some(task) = self.workers.get_mut(&worker) else { return };
        for action in task.step(event) {
            if let WorkerAction::Send(envelope, message) = action {
                self.events.push_back(Event::Message(worker, envelope, message));
            } else if let WorkerAction::Command(slot, Command::Barrier(barrier)) = action
                && !self.mute
            {
                let part = EpochPart { changed: true, ..EpochPart::default() };
                let run = self.workers[&worker].run();
                for report in [Report::Aligned(barrier.epoch), Report::Sealed(barrier.epoch, Box::new(part))] {
                    self.worker(worker, WorkerEvent::Report(run, slot, report));
                }
            }
        }
    }

    fn storage(&mut self, number: u64, io: Io) {
        let unavailable = || Error::new(Kind::Unavailable, "the storage is away");
        let mut objects = self.objects.borrow_mut();
        let mut create = |name: String, bytes: Vec<u8>| match objects.contains_key(&name) {
            true => Put::Exists,
            false => objects.insert(name, bytes).map_or(Put::Created, |_| Put::Exists),
        };
        let reply = match io {
            Io::Hint(seq) => {
                objects.insert(LATEST.to_owned(), seq.to_string().into_bytes());
                return;
            }
            Io::Create { .. } if self.away => IoReply::Put(Put::Ambiguous),
            Io::Create { name, bytes } => IoReply::Put(create(name, bytes)),
            Io::Name { request, .. } if self.away => IoReply::Named(request, Err(unavailable())),
            Io::Name { request, snapshot } => {
                IoReply::Named(request, Ok(create(object_of(&snapshot.name).unwrap(), snapshot.encode().unwrap())))
            }
            _ if self.away => IoReply::Failed(unavailable()),
            Io::Get(name) => IoReply::Got(objects.get(&name).cloned()),
            Io::Commit(_) => IoReply::Committed,
            Io::Discover(_) => IoReply::Failed(Error::broken("test", "a job without sources looks through one")),
            Io::Chore(Chore::Merge(merge)) => IoReply::ChoreFailed(Some(merge.name)),
            Io::Chore(Chore::Collect(_)) => IoReply::Collected,
        };
        self.events.push_back(Event::Io(number, reply));
    }

    /// Requests that were held are answered now.
    fn answer(&mut self) {
        for (number, io) in self.held.take().unwrap_or_default() {
            self.storage(number, io);
        }
        self.settle();
    }

    fn reply(&mut self, id: u64) -> Option<Reply> {
        let at = self.wanted.iter().position(|a| matches!(a, Action::Reply(to, _) if *to == id))?;
        let Action::Reply(_, reply) = self.wanted.remove(at) else { return None };
        Some(reply)
    }

    fn refused(&mut self, id: u64) -> String {
        match self.reply(id) {
            Some(Reply::Refused(e)) => watershed_runtime::error::explain(&e),
            other => panic!("not refused: {other:?}"),
        }
    }

    fn admitted(&self) -> Vec<u64> {
        self.wanted.iter().filter_map(|a| if let Action::Admit { term, .. } = a { Some(*term) } else { None }).collect()
    }

    fn told(&self, what: &str) -> bool {
        self.wanted.iter().any(|a| matches!(a, Action::Tell(said) if said.contains(what)))
    }

    fn ended(&self) -> Option<&Result<Outcome>> {
        self.wanted.iter().find_map(|a| if let Action::End(outcome) = a { Some(outcome) } else { None })
    }
}

#[test]
fn a_manager_that_waits_for_workers_learns_of_a_term_that_has_begun_elsewhere() {
    let objects = Objects::default();
    let mut waits = World::new("waits", 2, &objects);
    waits.register(0, "i");
    assert_eq!(waits.admitted(), [0], "no term has begun");
    for newest in [1, 2] {
        let mut other = World::new(&format!("other-{newest}"), 1, &objects);
        other.register(0, "j");
        assert_eq!(other.manager.term(), newest);
    }
    waits.pass(3 * SECOND);
    waits.register(1, "k");
    assert_eq!(waits.admitted()[1], 2, "workers that have heard of term 2 would never come");
}

#[test]
fn no_worker_is_told_a_term_before_the_log_was_looked_at() {
    let objects = Objects::default();
    World::running(&objects);
    let mut world = World::with("b", 1, &objects, Some(Vec::new()));
    world.register(0, "j");
    assert!(world.admitted().is_empty());
    world.answer();
    assert_eq!(world.admitted(), [1]);
}

#[test]
fn a_look_that_is_under_way_does_not_hold_up_the_reading_of_the_log() {
    let objects = Objects::default();
    let mut world = World::new("a", 1, &objects);
    world.held = Some(Vec::new());
    world.pass(3 * SECOND);
    let look = world.held.as_ref().unwrap().first().expect("a look").0;
    world.register(0, "i");
    assert!(world.wanted.iter().any(|a| matches!(a, Action::AbandonIo(io) if *io == look)), "{:?}", world.wanted);
    assert!(world.held.as_ref().unwrap().iter().any(|(io, _)| *io > look), "the log is read");
}

#[test]
fn a_worker_that_leaves_is_released_where_waiting_would_help_nobody() {
    let mut waits = World::new("a", 2, &Objects::default());
    waits.register(0, "i");
    waits.happens(Event::Message(0, Envelope::default(), ToCoordinator::Leaving));
    assert!(waits.told("worker 0 may go: no run has its slots"));
    let mut alone = World::running(&Objects::default());
    alone.happens(Event::Message(0, Envelope::default(), ToCoordinator::Leaving));
    assert!(alone.told("worker 0 may go: nobody is there to take over what it has"));
    assert!(alone.ended().is_none(), "the job waits for another worker");
}

#[test]
fn a_worker_that_is_needed_is_not_released_while_the_job_is_being_stopped() {
    let mut world = World::running(&Objects::default());
    world.mute = true;
    world.request(1, Request::Stop);
    world.happens(Event::Message(0, Envelope::default(), ToCoordinator::Leaving));
    world.pass(SECOND);
    assert!(!world.told("may go"), "the last snapshot needs its slots");
}

#[test]
fn a_storage_that_is_away_ends_the_run_and_the_next_begins_when_it_is_back() {
    let mut world = World::running(&Objects::default());
    world.away = true;
    world.pass(5 * SECOND);
    assert!(world.told("the run of term 1 is over: ") && world.ended().is_none(), "{:?}", world.wanted);
    let status = world.manager.status(world.now);
    assert!(status.waiting.iter().any(|w| w.contains("the storage is away")), "{status:?}");
    world.away = false;
    world.pass(3 * SECOND);
    assert_eq!((world.manager.running().unwrap().run.term, world.manager.status(world.now).runs), (2, 2));
}

#[test]
fn a_storage_that_stays_away_ends_the_process_and_so_does_one_that_never_worked() {
    let mut world = World::running(&Objects::default());
    world.away = true;
    world.pass(50 * SECOND);
    assert!(world.ended().is_none());
    world.pass(20 * SECOND);
    assert!(matches!(world.ended(), Some(Err(e)) if e.kind() == Kind::Unavailable), "{:?}", world.ended());
    let mut new = World::with("a", 1, &Objects::default(), Some(Vec::new()));
    new.away = true;
    new.answer();
    assert!(matches!(new.ended(), Some(Err(e)) if e.kind() == Kind::Unavailable), "{:?}", new.ended());
}

#[test]
fn a_stop_is_not_forgotten_when_a_worker_dies_before_it_is_done() {
    let mut world = World::running(&Objects::default());
    world.mute = true;
    world.request(1, Request::Stop);
    assert!(matches!(world.reply(1), Some(Reply::Stopping)));
    world.happens(Event::Disconnected(0));
    world.pass(2 * SECOND);
    assert!(matches!(world.ended(), Some(Ok(Outcome::Stopped))), "{:?}", world.ended());
}

#[test]
fn a_drain_is_asked_for_again_of_a_run_that_has_forgotten_it() {
    let mut world = World::running(&Objects::default());
    world.mute = true;
    world.request(1, Request::Drain);
    assert!(matches!(world.reply(1), Some(Reply::Draining)));
    // The run is lost before the barrier at which sources end: no manifest knows of the drain.
    world.happens(Event::Disconnected(0));
    world.workers.clear();
    world.pass(SECOND);
    assert!(world.manager.running().is_none());
    world.register(0, "j");
    let coordinator = world.manager.coordinator().unwrap();
    assert!(coordinator.draining(), "{:?}", coordinator.last());
}

#[test]
fn a_stop_takes_a_last_snapshot_and_a_job_that_had_read_everything_is_finished_by_it() {
    let objects = Objects::default();
    let mut world = World::running(&objects);
    world.request(1, Request::Stop);
    world.pass(SECOND);
    assert!(matches!(world.ended(), Some(Ok(Outcome::Finished))), "{:?}", world.ended());
    let mut next = World::new("b", 1, &objects);
    next.register(0, "j");
    assert!(matches!(next.ended(), Some(Ok(Outcome::AlreadyFinished))), "{:?}", next.ended());
}

#[test]
fn a_worker_that_is_lost_costs_a_run_and_one_that_comes_back_begins_anew() {
    let mut world = World::running(&Objects::default());
    world.happens(Event::Disconnected(0));
    world.workers.clear();
    world.pass(SECOND);
    assert!(world.manager.running().is_none() && world.told("worker 0 was lost"));
    world.register(0, "i");
    assert_eq!(world.manager.status(world.now).lost, 1);
    assert_eq!(world.manager.running().unwrap().run.term, 2);
}

#[test]
fn running_slots_are_taken_over_as_they_are() {
    let objects = Objects::default();
    let mut first = World::running(&objects);
    let mut second = World::new("b", 1, &objects);
    // The worker goes to the next manager with its journal.
    let task = first.workers.remove(&0).unwrap();
    second.register(0, "i");
    second = World::new("c", 1, &objects);
    second.held = Some(Vec::new());
    second.register(0, "i");
    second.workers.insert(0, task);
    second.worker(0, WorkerEvent::Session { term: 1, session: second.sessions });
    second.settle();
    second.answer();
    assert!(second.told("is taken over as it is"), "{:?}", second.wanted);
    let (run, term) = (second.manager.running().unwrap().run.term, second.manager.term());
    assert!(run == 1 && term > run, "run {run} under term {term}");
}

#[test]
fn a_wish_for_no_worker_or_for_more_slots_than_key_groups_is_refused() {
    let mut world = World::running(&Objects::default());
    world.request(1, Request::Scale(0));
    assert!(world.refused(1).contains("at least one worker"));
    world.request(2, Request::Scale(257));
    assert!(world.refused(2).contains("256 key groups"));
    world.request(3, Request::Scale(2));
    assert!(matches!(world.reply(3), Some(Reply::Scaled(1))));
    let status = world.manager.status(world.now);
    assert!(status.waiting.iter().any(|w| w == "for worker 1 to register"), "{status:?}");
}

#[test]
fn a_worker_of_another_job_or_dataflow_is_refused_and_after_the_end_every_one_is() {
    let mut world = World::running(&Objects::default());
    let mine = Registration { job: "job".into(), name: "w-1".into(), slots: 1, ..Registration::default() };
    let reason =
        |world: &World| world.wanted.iter().rev().find_map(|a| if let Action::Refuse(_, why, _) = a { Some(*why) } else { None });
    world.happens(Event::Register(8, Registration { job: "other".into(), ..mine.clone() }));
    assert_eq!(reason(&world), Some(Refusal::Job));
    world.happens(Event::Register(9, mine.clone()));
    assert_eq!(reason(&world), Some(Refusal::Fingerprint));
    world.request(1, Request::Stop);
    world.pass(SECOND);
    world.happens(Event::Register(10, mine));
    assert_eq!(reason(&world), Some(Refusal::Over));
    world.request(2, Request::Drain);
    assert!(world.refused(2).contains("the job is over"));
}

#[test]
fn a_job_with_one_worker_has_as_many_slots_as_are_wanted() {
    let (manager, first) = JobManager::new(settings("a", Target::Slots(3)), 0).unwrap();
    let mut world = World::new("unused", 1, &Objects::default());
    world.manager = manager;
    first.into_iter().for_each(|a| world.carry_out(a));
    let registration = Registration {
        job: "job".into(),
        name: "local-0".into(),
        slots: 256,
        fingerprint: crate::fingerprint(&[]),
        ..Registration::default()
    };
    world.happens(Event::Register(1, registration));
    let members: BTreeSet<SlotId> = (0..3).map(SlotId).collect();
    assert_eq!(world.manager.coordinator().unwrap().members(), &members);
}
