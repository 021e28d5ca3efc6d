//! A successor and its predecessor's journals: (log, journals) → effects, or a refusal.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::super::effects::{Effect, Input, NewSlot};
use super::super::journal::{Run, WorkerJournal};
use super::*;
use crate::env::{Discovered, Source, SplitId, SplitReader};
use crate::error::{Error, Kind};
use crate::graph::Role;
use crate::key::{Assignment, KeyGroup, KeySpace, SlotId};
use crate::messages::{Barrier, EpochPart, Report, SplitMove, SplitState};
use crate::protocol::log::{LogEffect, Put, Tail};
use crate::protocol::manifest::SplitEntry;
use crate::time::Time;

const SPACE: KeySpace = KeySpace { seed: 0, bits: 8 };

/// A run of slots without a graph: words are all there is to it.
struct Job {
    graph: Arc<Graph>,
    start: Start,
    coordinator: Coordinator,
    journal: WorkerJournal,
}

fn writer(term: u64) -> LogWriter {
    let mut log = LogWriter::new(&Tail { next: term, term: term - 1, last: None }, RuleSet::ALL);
    let _create = log.claim("t").unwrap();
    let _published = log.put(Put::Created).unwrap();
    log
}

fn job(slots: u16) -> Job {
    job_of(slots, Arc::default())
}

fn job_of(slots: u16, graph: Arc<Graph>) -> Job {
    let members: Vec<SlotId> = (0..slots).map(SlotId).collect();
    let table = Assignment::even(SPACE, slots);
    let manifest = Manifest::origin(1, Vec::new(), &table, members.clone());
    let start = Start {
        took_part: vec![],
        manifest,
        table: table.clone(),
        commit: vec![],
        empty: vec![],
        dropped: vec![],
        finished: false,
    };
    let pace = Pace { interval_micros: 10, max_in_flight: 3 };
    let mut coordinator = Coordinator::new(graph.clone(), writer(1), &start, "a", pace, 0, RuleSet::ALL);
    let _first = coordinator.begin().unwrap();
    let mut journal = WorkerJournal::new(Run { term: 1, epoch: 0 }, (0..8).map(SlotId).collect());
    members.iter().for_each(|s| journal.begun(*s, &table, &members));
    Job { graph, start, coordinator, journal }
}

impl Job {
    /// Steps the coordinator; those of `hear` hear what it says.
    fn step(&mut self, input: Input, now: u64, hear: &[u16]) {
        for effect in self.coordinator.step(input, now) {
            if let Effect::Start(new) = &effect
                && hear.contains(&new.id.0)
            {
                self.journal.joined(new);
            }
            if let Effect::Send(slot, command) = &effect
                && hear.contains(&slot.0)
            {
                self.journal.note_command(&self.graph, *slot, command);
            }
        }
    }

    /// A slot says something, and the coordinator hears it.
    fn said(&mut self, slot: u16, report: fn() -> Report, hear: &[u16]) {
        self.journal.note_report(SlotId(slot), &report());
        self.step(Input::Slot(SlotId(slot), report()), 0, hear);
    }

    fn adopt(&self) -> Result<(Coordinator, Vec<Effect>)> {
        let pace = Pace { interval_micros: 10, max_in_flight: 3 };
        Coordinator::adopt(
            self.graph.clone(),
            writer(2),
            &self.start,
            std::slice::from_ref(&self.journal),
            "b",
            pace,
            20,
            RuleSet::ALL,
        )
    }
}

fn sealed() -> Report {
    Report::Sealed(1, Box::new(EpochPart { changed: true, ..EpochPart::default() }))
}

fn barriers(effects: &[Effect]) -> Vec<(u16, u64)> {
    let barrier = |e: &Effect| if let Effect::Send(s, Command::Barrier(b)) = e { Some((s.0, b.epoch)) } else { None };
    effects.iter().filter_map(barrier).collect()
}

#[test]
fn a_barrier_that_one_slot_has_heard_is_repeated_to_the_other_and_its_epoch_completed() {
    let mut j = job(2);
    j.step(Input::Tick, 10, &[0]);
    j.said(0, || Report::Aligned(1), &[]);
    j.said(0, sealed, &[]);
    let (mut c, effects) = j.adopt().unwrap();
    assert_eq!(barriers(&effects), [(1, 1)]);
    assert_eq!((c.term(), c.run(), c.floor()), (2, 1, (1, 1)));
    assert!(c.waiting()[0].contains("slot 1"), "{:?}", c.waiting());
    assert!(c.step(Input::Slot(SlotId(1), Report::Aligned(1)), 20).is_empty());
    let effects = c.step(Input::Slot(SlotId(1), sealed()), 20);
    assert!(matches!(effects[..], [Effect::Log(LogEffect::Create { .. })]), "{effects:?}");
    let effects = c.step(Input::LogPut(Put::Created), 20);
    assert!(effects.iter().any(|e| matches!(e, Effect::Published(m) if m.epoch == 1 && m.injected_term == 1)));
}

#[test]
fn a_barrier_that_nobody_has_heard_never_was() {
    let mut j = job(2);
    j.step(Input::Tick, 10, &[]);
    let (mut c, effects) = j.adopt().unwrap();
    assert!(effects.is_empty(), "{effects:?}");
    assert_eq!(barriers(&c.step(Input::Tick, 40)), [(0, 1), (1, 1)]);
}

#[test]
fn parts_that_were_said_make_the_manifest_at_once() {
    let mut j = job(1);
    j.step(Input::Tick, 10, &[0]);
    j.said(0, || Report::Aligned(1), &[]);
    j.said(0, sealed, &[]);
    let (_, effects) = j.adopt().unwrap();
    assert!(matches!(effects[..], [Effect::Log(LogEffect::Create { .. })]), "{effects:?}");
}

#[test]
fn slots_hear_of_a_manifest_that_was_put_and_not_announced() {
    let mut j = job(1);
    j.step(Input::Tick, 10, &[0]);
    j.said(0, || Report::Aligned(1), &[]);
    j.said(0, sealed, &[]);
    (j.start.manifest.epoch, j.start.manifest.injected_term) = (1, 1);
    let (c, effects) = j.adopt().unwrap();
    assert!(matches!(effects[..], [Effect::Send(SlotId(0), Command::Published { epoch: 1, version: 0 })]), "{effects:?}");
    assert_eq!(c.last().epoch, 1);
    // A worker without a slot is there as well: a new run would begin with its slot, but nobody asks for one.
    j.start.took_part = vec![SlotId(0)];
    j.start.manifest.members = vec![SlotId(0), SlotId(1)];
    let (c, _) = j.adopt().unwrap();
    assert_eq!(*c.members(), BTreeSet::from([SlotId(0)]));
}

#[test]
fn an_open_cut_goes_on_and_what_it_moved_is_not_cut_again_before_a_manifest() {
    let mut j = job(1);
    let want: BTreeSet<SlotId> = [SlotId(0), SlotId(1)].into();
    j.step(Input::Want(want.clone()), 1, &[0, 1]);
    j.said(0, || Report::Aligned(1), &[0, 1]);
    j.said(0, || Report::Warmed(1), &[0]);
    let (mut c, effects) = j.adopt().unwrap();
    let again = |e: &&Effect| matches!(e, Effect::Send(SlotId(1), Command::Cut(p)) if p.batch == 1 && p.version == 1);
    assert_eq!(effects.iter().filter(again).count(), 1, "{effects:?}");
    assert!(c.waiting().iter().any(|w| w.contains("batch 1 waits for slot 1")), "{:?}", c.waiting());
    assert_eq!(c.table().slot(KeyGroup(255)), SlotId(1));
    assert!(barriers(&c.step(Input::Tick, 90)).is_empty(), "no barrier while a cut is open");
    assert_eq!(barriers(&c.step(Input::Slot(SlotId(1), Report::Active(1)), 90)).len(), 2);
}

#[test]
fn a_slot_that_was_to_join_and_was_never_made_is_made() {
    let mut j = job(1);
    j.step(Input::Want([SlotId(0), SlotId(1)].into()), 1, &[0]);
    let (_, effects) = j.adopt().unwrap();
    assert!(effects.iter().any(|e| matches!(e, Effect::Start(n) if n.id == SlotId(1) && n.epoch == 2)), "{effects:?}");
}

#[test]
fn what_is_left_of_a_slot_that_joins_again_is_released_before_its_successor_is_made() {
    let mut j = job(1);
    let (members, table) = (vec![SlotId(0)], j.coordinator.table().clone());
    // The slot has left at an earlier barrier, and the word that releases it was lost with the coordinator.
    let joins_at = Arc::new(Barrier { epoch: 0, members: Some(members.clone()), moves: vec![], ends: vec![], last: false });
    j.journal.joined(&NewSlot { id: SlotId(1), epoch: 1, members, table, joins_at });
    j.step(Input::want(2), 1, &[0]);
    let (_, effects) = j.adopt().unwrap();
    let at = |is: fn(&Effect) -> bool| effects.iter().position(is);
    let released = at(|e| matches!(e, Effect::Release(SlotId(1))));
    let made = at(|e| matches!(e, Effect::Start(n) if n.id == SlotId(1)));
    assert!(released.is_some() && released < made, "{effects:?}");
}

#[test]
fn a_slot_that_is_about_to_join_is_needed_though_it_is_wanted_no_more() {
    let mut j = job(1);
    j.step(Input::Tick, 10, &[0]);
    j.step(Input::Want([SlotId(0), SlotId(1)].into()), 11, &[0]);
    j.step(Input::Want([SlotId(0)].into()), 12, &[0]);
    assert!(j.coordinator.needs(|s| s == SlotId(1)) && !j.coordinator.settled(), "its barrier is still to come");
}

/// A source with two splits.
#[derive(Debug)]
struct Two;

impl Source for Two {
    fn discover(&self) -> Result<Discovered> {
        Ok(Discovered { splits: vec!["a".into(), "b".into()], complete: true })
    }

    fn open(&self, _: &SplitId, _: &[u8]) -> Result<Box<dyn SplitReader>> {
        Err(Error::new(Kind::Invalid, "nothing is read here"))
    }

    fn bounded(&self) -> bool {
        true
    }
}

/// The splits that a slot is told are its own.
fn splits(effects: &[Effect], slot: u16) -> Vec<Vec<String>> {
    let names = |e: &Effect| match e {
        Effect::Send(s, Command::Splits(_, all)) if s.0 == slot => Some(all.iter().map(|(id, ..)| id.0.to_string()).collect()),
        Effect::Send(..) | Effect::Start(_) | Effect::Release(_) | Effect::Log(_) => None,
        Effect::Commit(_) | Effect::Published(_) | Effect::Done | Effect::Failed(_) => None,
    };
    effects.iter().filter_map(names).collect()
}

#[test]
fn who_has_not_heard_which_splits_are_its_own_hears_nothing_until_the_source_was_looked_through_again() {
    let mut graph = Graph::default();
    let node = graph.add("two", Role::Source { source: Arc::new(Two), event_time: None }, &[]);
    let mut j = job_of(2, Arc::new(graph));
    j.step(Input::Discovered(node, Two.discover().unwrap()), 1, &[0]);
    let (mut c, effects) = j.adopt().unwrap();
    assert!(splits(&effects, 1).is_empty(), "that it has none would let event time pass those it is to get: {effects:?}");
    let effects = c.step(Input::Discovered(node, Two.discover().unwrap()), 20);
    assert_eq!((splits(&effects, 0), splits(&effects, 1)), (vec![], vec![vec!["b".to_owned()]]));
}

#[test]
fn who_got_a_split_by_a_barrier_has_not_heard_which_splits_are_its_own() {
    let mut graph = Graph::default();
    let node = graph.add("two", Role::Source { source: Arc::new(Two), event_time: None }, &[]);
    let id = graph.id(node);
    let mut j = job_of(2, Arc::new(graph));
    j.step(Input::Discovered(node, Two.discover().unwrap()), 1, &[0]);
    let moved = SplitMove { node: id, split: "a".into(), from: SlotId(0), to: SlotId(1) };
    let barrier = Arc::new(Barrier { epoch: 1, moves: vec![moved], ..Barrier::default() });
    for slot in [0, 1] {
        j.journal.note_command(&j.graph, SlotId(slot), &Command::Barrier(barrier.clone()));
    }
    let state = SplitState { node: id, split: "a".into(), position: vec![7], watermark: Time(5), finished: false };
    j.journal.note_report(SlotId(0), &Report::Handed(1, vec![state]));
    j.journal.note_command(&j.graph, SlotId(1), &Command::Splits(node, vec![("a".into(), vec![7], Time(5))]));
    let (mut c, effects) = j.adopt().unwrap();
    assert!(splits(&effects, 1).is_empty(), "{effects:?}");
    let effects = c.step(Input::Discovered(node, Two.discover().unwrap()), 20);
    assert_eq!(
        (splits(&effects, 0), splits(&effects, 1)),
        (vec![], vec![vec!["b".to_owned()]]),
        "I6: event time has passed elsewhere"
    );
}

#[test]
fn a_slot_that_a_barrier_strikes_out_is_taken_over_while_that_barrier_aligns() {
    let mut j = job(2);
    let (table, members) = (Assignment::even(SPACE, 1), [SlotId(0), SlotId(1)]);
    (j.start.manifest.table, j.start.table) = ((&table).into(), table.clone());
    j.journal = WorkerJournal::new(Run { term: 1, epoch: 0 }, (0..8).map(SlotId).collect());
    members.iter().for_each(|s| j.journal.begun(*s, &table, &members));
    let barrier = Arc::new(Barrier { epoch: 1, members: Some(vec![SlotId(0)]), ..Barrier::default() });
    members.iter().for_each(|s| j.journal.note_command(&j.graph, *s, &Command::Barrier(barrier.clone())));
    let (c, _) = j.adopt().expect("both slots are there: no run ends for it");
    assert!(c.members().contains(&SlotId(1)), "it takes part until the barrier has aligned");
}

#[test]
fn a_slot_that_has_not_heard_which_splits_are_its_own_does_not_leave_before_its_source_is_looked_through() {
    let mut graph = Graph::default();
    let node = graph.add("two", Role::Source { source: Arc::new(Two), event_time: None }, &[]);
    let mut j = job_of(2, Arc::new(graph));
    // Slot 1 owns nothing: nothing else keeps it.
    let (table, members) = (Assignment::even(SPACE, 1), [SlotId(0), SlotId(1)]);
    (j.start.manifest.table, j.start.table) = ((&table).into(), table.clone());
    j.journal = WorkerJournal::new(Run { term: 1, epoch: 0 }, (0..8).map(SlotId).collect());
    members.iter().for_each(|s| j.journal.begun(*s, &table, &members));
    j.journal.note_command(&j.graph, SlotId(0), &Command::Splits(node, vec![("a".into(), Vec::new(), Time::MIN)]));
    let (mut c, _) = j.adopt().unwrap();
    let leaves = |effects: Vec<Effect>| {
        let leaves = |b: &Barrier| b.members.as_ref().is_some_and(|m| *m == [SlotId(0)]);
        effects.iter().any(|e| matches!(e, Effect::Send(_, Command::Barrier(b)) if leaves(b)))
    };
    let early = c.step(Input::Want([SlotId(0)].into()), 20).into_iter().chain(c.step(Input::Tick, 40)).collect();
    assert!(!leaves(early), "I6: its event time is all that holds back the splits that nobody has found yet");
    for slot in members {
        let _aligned = c.step(Input::Slot(slot, Report::Aligned(1)), 41);
    }
    let found = c.step(Input::Discovered(node, Two.discover().unwrap()), 42);
    assert!(leaves(found.into_iter().chain(c.step(Input::Tick, 60)).collect()), "it leaves at the next barrier");
}

#[test]
fn splits_that_the_manifest_knows_are_dealt_when_their_source_was_looked_through_for_others() {
    let mut graph = Graph::default();
    let node = graph.add("two", Role::Source { source: Arc::new(Two), event_time: None }, &[]);
    let mut j = job_of(2, Arc::new(graph));
    let first = SplitEntry { split: "a".into(), position: Vec::new(), watermark: Time::MIN, finished: false };
    let known = SourceEntry { splits: vec![first], discovery_complete: false };
    j.start.manifest.sources.insert(j.graph.id(node).0, known);
    let mut c = Coordinator::new(j.graph.clone(), writer(2), &j.start, "b", Pace::default(), 0, RuleSet::ALL);
    let effects = c.begin().unwrap();
    let told = |effects: &[Effect]| (0..2).flat_map(|s| splits(effects, s)).collect::<Vec<_>>();
    assert!(told(&effects).is_empty(), "I6: who has none of those known would let event time pass those not found: {effects:?}");
    let effects = c.step(Input::Discovered(node, Two.discover().unwrap()), 1);
    let mut all = told(&effects).concat();
    all.sort();
    assert_eq!(all, ["a", "b"]);
}

#[test]
fn a_split_that_moves_twice_goes_by_way_of_the_slot_in_the_middle() {
    let mut graph = Graph::default();
    let node = graph.add("two", Role::Source { source: Arc::new(Two), event_time: None }, &[]);
    let id = graph.id(node);
    let mut j = job_of(1, Arc::new(graph));
    j.step(Input::Discovered(node, Two.discover().unwrap()), 1, &[0]);
    j.step(Input::want(2), 20, &[0, 1]);
    let state = SplitState { node: id, split: SplitId("b".into()), position: vec![5], watermark: Time(7), finished: false };
    let handed = || Report::Handed(1, vec![state.clone()]);
    // Slot 1 is to read it from there on, does not hear of it, and leaves.
    j.journal.note_report(SlotId(0), &handed());
    j.step(Input::Slot(SlotId(0), handed()), 21, &[]);
    j.said(0, || Report::Aligned(1), &[]);
    j.step(Input::want(1), 22, &[0]);
    j.step(Input::Tick, 40, &[0]);
    let (_, effects) = j.adopt().unwrap();
    let got = |e: &Effect| matches!(e, Effect::Send(SlotId(1), Command::Splits(_, s)) if s.iter().any(|s| s.1 == [5]));
    let moved = |e: &Effect| matches!(e, Effect::Send(SlotId(1), Command::Barrier(b)) if b.epoch == 2 && !b.moves.is_empty());
    let (got, moved) = (effects.iter().position(got), effects.iter().position(moved));
    assert!(got.is_some() && got < moved, "I2: first it gets it, then it hands it over: {effects:?}");
    assert!(splits(&effects, 0).is_empty(), "I2: only slot 1 can say where it stops: {effects:?}");
}

#[test]
fn a_split_that_ended_before_its_reader_heard_that_it_moves_is_not_begun_again() {
    let mut graph = Graph::default();
    let node = graph.add("two", Role::Source { source: Arc::new(Two), event_time: None }, &[]);
    let id = graph.id(node);
    let mut j = job_of(1, Arc::new(graph));
    j.step(Input::Discovered(node, Two.discover().unwrap()), 1, &[0]);
    // The coordinator dies before it hears that both have ended, and slot 0 before it hears that one moves.
    for split in ["a", "b"] {
        j.journal.note_report(SlotId(0), &Report::SplitFinished(id, SplitId(split.into())));
    }
    j.step(Input::want(2), 2, &[1]);
    j.step(Input::Tick, 20, &[1]);
    let (_, effects) = j.adopt().unwrap();
    assert!(!barriers(&effects).is_empty(), "slot 0 hears of the move, and hands the split over: {effects:?}");
    assert!(splits(&effects, 1).iter().all(Vec::is_empty), "I2: it would be read twice: {effects:?}");
}

#[test]
fn a_drain_that_one_slot_has_heard_is_completed_and_one_that_nobody_has_heard_is_lost() {
    let mut graph = Graph::default();
    let node = graph.add("two", Role::Source { source: Arc::new(Two), event_time: None }, &[]);
    for hear in [&[0][..], &[]] {
        let mut j = job_of(2, Arc::new(graph.clone()));
        j.step(Input::Discovered(node, Two.discover().unwrap()), 1, &[0, 1]);
        j.step(Input::Drain, 2, hear);
        let (mut c, effects) = j.adopt().unwrap();
        let effects: Vec<Effect> = effects.into_iter().chain(c.step(Input::Tick, 3)).collect();
        let over = effects.iter().filter(|e| matches!(e, Effect::Send(_, Command::EndOfSource(_)))).count();
        let heard = !hear.is_empty();
        assert_eq!((c.draining(), over), (heard, if heard { 2 } else { 0 }), "{effects:?}");
        assert_eq!(barriers(&effects), if heard { vec![(1, 1)] } else { vec![] });
        let found = Discovered { splits: vec!["late".into()], complete: false };
        let effects = c.step(Input::Discovered(node, found), 4);
        assert_eq!(splits(&effects, 0).len() + splits(&effects, 1).len(), usize::from(!heard), "{effects:?}");
    }
}

#[test]
fn who_is_gone_and_what_is_of_another_run_is_refused() {
    let mut j = job(2);
    j.journal.released(SlotId(1));
    assert_eq!(j.adopt().unwrap_err().to_string(), "slot 1 took part and is gone");
    let mut j = job(2);
    (j.start.manifest.epoch, j.start.manifest.injected_term) = (3, 2);
    assert!(j.adopt().unwrap_err().to_string().contains("is of the run of term 2, not of term 1"));
}

#[test]
fn a_journal_travels() {
    let mut j = job(1);
    j.step(Input::Want([SlotId(0), SlotId(1)].into()), 1, &[0, 1]);
    let text = serde_json::to_string(&j.journal).unwrap();
    let back: WorkerJournal = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_string(&back).unwrap(), text);
}
