//! One slot, driven by hand: what comes in on its channels is said item by item.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Waker;
use std::time::Duration;

use super::*;
use crate::container::Rows;
use crate::env::{Discovered, Segment, Sink, SinkHandle, SinkWriter, Source, SplitId, SplitReader};
use crate::error::Kind;
use crate::frame::{Frame, Item};
use crate::graph::{NodeId, Path, Role};
use crate::key::{Key, KeyGroup, KeySpace};
use crate::operator::process::Keyed;
use crate::protocol::cut::CutPlan;
use crate::state::ShipFinal;
use crate::stream::{Job, TypedSink, TypedSource};
use crate::time::Time;

mod clock;
mod retained;

const SPACE: KeySpace = KeySpace { seed: 0, bits: 8 };

/// A source without splits.
#[derive(Debug)]
struct Nothing;

impl TypedSource for Nothing {
    type Row = u32;
}

impl Source for Nothing {
    fn discover(&self) -> Result<Discovered> {
        Ok(Discovered::default())
    }
    fn open(&self, _split: &SplitId, _position: &[u8]) -> Result<Box<dyn SplitReader>> {
        Err(Error::new(Kind::Invalid, "there is no split"))
    }
    fn bounded(&self) -> bool {
        true
    }
}

/// Adds up what is written.
#[derive(Clone, Debug, Default)]
struct Notes(Arc<AtomicU32>);

impl TypedSink for Notes {
    type Row = u32;
}

impl Sink for Notes {
    fn open(&self, _slot: u16, _term: u64) -> Result<Box<dyn SinkWriter>> {
        Ok(Box::new(self.clone()))
    }
    fn commit(&self, _handles: &[SinkHandle]) -> Result<()> {
        Ok(())
    }
}

impl SinkWriter for Notes {
    fn write(&mut self, batch: Batch, _segment: Segment) -> Result<()> {
        let rows = Rows::<u32>::downcast(batch).map_err(|_| Error::new(Kind::Broken, "other rows"))?;
        self.0.fetch_add(rows.rows.iter().sum(), Ordering::Relaxed);
        Ok(())
    }
    fn seal(&mut self, _epoch: u64) -> Result<()> {
        Ok(())
    }
    fn sealed(&mut self, _epoch: u64, _waker: &Waker) -> Result<Option<Vec<(u64, Vec<u8>)>>> {
        Ok(Some(Vec::new()))
    }
    fn backlog(&self, _waker: &Waker) -> usize {
        0
    }
}

#[derive(Debug, Default)]
struct Said {
    sent: Vec<(SlotId, Event)>,
    reports: Vec<Report>,
}

impl Outbox for Said {
    fn send(&mut self, to: SlotId, event: Event) {
        self.sent.push((to, event));
    }
    fn report(&mut self, report: Report) {
        self.reports.push(report);
    }
}

/// A slot with one keyed stage (each row sets a timer at its time, which emits the key), what it said, and what its sink got.
struct Hand {
    slot: Slot,
    said: Said,
    notes: Notes,
    edge: u32,
    stage: usize,
}

impl Hand {
    fn new(id: u16, members: &[u16]) -> Self {
        let (job, notes) = (Job::new(), Notes::default());
        let row = |r: u32, cx: &mut Keyed<'_, u32, u32, u32>| {
            *cx.state = r;
            let time = cx.time;
            cx.set_timer(time);
        };
        let timer = |cx: &mut Keyed<'_, u32, u32, u32>| {
            let key = *cx.key;
            cx.emit(key);
        };
        let rows = job.source("nothing", Nothing).event_time(|_| Time(0), Duration::ZERO);
        let (told, _) = rows.key_by(|r| *r).process(row, timer);
        told.sink("notes", notes.clone());
        let graph = Arc::new(job.build().unwrap());
        let edge = graph.edges().iter().position(|e| e.path == Path::Exchange).unwrap();
        let stage = graph.edges()[edge].to.0;
        assert!(matches!(graph.nodes()[stage].role, Role::Operator { keyed: true, .. }));
        let config = SlotConfig {
            id: SlotId(id),
            term: 1,
            graph,
            assignment: Assignment::even(SPACE, 1),
            members: members.iter().map(|m| SlotId(*m)).collect(),
            epoch: 1,
            window: 100,
            segment: 1,
            joins_at: None,
            waker: Waker::noop().clone(),
            tuning: Tuning::default(),
        };
        let mut slot = Slot::new(config).unwrap();
        slot.start(&[]).unwrap();
        Self { slot, said: Said::default(), notes, edge: edge as u32, stage }
    }

    fn rest(&mut self) {
        while self.slot.run(0, &mut self.said) == Status::Busy {}
        let failed = self.said.reports.iter().find(|r| matches!(r, Report::Failed(_)));
        assert!(failed.is_none(), "{failed:?}");
    }

    fn hear(&mut self, event: Event) {
        self.slot.handle(event, 0, &mut self.said);
        self.rest();
    }

    fn from(&mut self, slot: u16, item: Item) {
        self.hear(Event::Frame(Frame { edge: self.edge, from: SlotId(slot), item }));
    }

    fn tell(&mut self, command: Command) {
        self.hear(Event::Command(command));
    }

    /// The slot's own source has nothing to read, and has heard so.
    fn nothing_to_read(&mut self) {
        self.tell(Command::Splits(NodeIndex(0), Vec::new()));
    }

    fn watermark(&mut self) -> i64 {
        self.slot.stats()[self.stage].watermark.0
    }

    fn row(key: u32, time: i64) -> Item {
        let rows = Rows { rows: vec![(key, key)], hashes: vec![Key::hash(&key, SPACE)], times: vec![Time(time)] };
        Item::Data(Box::new(rows), None)
    }
}

fn plan(source: u16, target: u16) -> Arc<CutPlan> {
    let groups = Arc::new(GroupSet::all(SPACE));
    Arc::new(CutPlan { batch: 1, version: 1, groups, source: SlotId(source), target: SlotId(target) })
}

#[test]
fn a_stage_that_goes_quiet_has_come_to_the_highest_promise_in_whatever_order_it_heard() {
    for [first, second] in [[(1, 50), (2, 100)], [(2, 100), (1, 50)]] {
        let mut h = Hand::new(0, &[0, 1, 2]);
        h.nothing_to_read();
        h.from(1, Hand::row(7, 80));
        for (slot, time) in [first, second] {
            h.from(slot, Item::Watermark(Time(time)));
        }
        h.from(first.0, Item::Idle);
        h.from(second.0, Item::Idle);
        assert_eq!(h.watermark(), 100);
        assert_eq!(h.notes.0.load(Ordering::Relaxed), 7, "its timers have fired");
    }
}

#[test]
fn final_says_what_the_channels_came_to_though_a_quiet_one_was_fenced_before_this_slot_heard_it() {
    let mut h = Hand::new(0, &[0, 1]);
    h.nothing_to_read();
    h.from(1, Hand::row(7, 105));
    h.from(1, Item::Watermark(Time(100)));
    // The slot's own channel is idle, and is fenced here.
    h.tell(Command::Cut(plan(0, 1)));
    h.from(1, Item::Watermark(Time(110)));
    h.from(1, Item::Fence(plan(0, 1)));
    let finals = h.said.sent.iter().find_map(|(_, e)| {
        let Event::Bulk(Bulk::Final { watermarks, .. }) = e else { return None };
        Some(watermarks.clone())
    });
    assert_eq!(finals.unwrap(), [(h.stage as u32, Time(110))]);
    assert_eq!(h.notes.0.load(Ordering::Relaxed), 7, "and all of it has fired here");
}

#[test]
fn a_newcomer_stands_where_the_groups_it_got_have_come_to() {
    let mut h = Hand::new(1, &[0, 1, 2]);
    // Slot 2 is as new as this one, and neither has said anything yet.
    h.from(0, Item::Watermark(Time(70)));
    let newcomer = plan(0, 1);
    h.slot
        .nodes
        .each_table(|_, t| {
            t.discard(&newcomer.groups);
            Ok(())
        })
        .unwrap();
    h.tell(Command::Cut(newcomer.clone()));
    for slot in [0, 2] {
        h.from(slot, Item::Fence(newcomer.clone()));
    }
    assert_eq!(h.watermark(), Time::MIN.0);
    let mut tables = Vec::new();
    h.slot
        .nodes
        .each_table(|id, _| {
            tables.push((id, ShipFinal::default()));
            Ok(())
        })
        .unwrap();
    let watermarks = vec![(h.stage as u32, Time(70))];
    h.hear(Event::Bulk(Bulk::Final { plan: newcomer, watermarks, tables, segment: 1, table: 1 }));
    assert_eq!(h.watermark(), 70);
    assert!(h.said.reports.iter().any(|r| matches!(r, Report::Active(1))));
}

/// A newcomer's first batch comes in; its source knew this version of the table.
fn final_of(h: &mut Hand, plan: &Arc<CutPlan>, table: u64) {
    let (mut tables, watermarks) = (Vec::new(), vec![(h.stage as u32, Time(70))]);
    h.slot
        .nodes
        .each_table(|id, t| {
            t.discard(&plan.groups);
            tables.push((id, ShipFinal::default()));
            Ok(())
        })
        .unwrap();
    h.hear(Event::Bulk(Bulk::Final { plan: plan.clone(), watermarks, tables, segment: 1, table }));
}

/// A later cut of half the groups, which says nothing of this slot's.
fn elsewhere() -> Arc<CutPlan> {
    let groups = Arc::new(GroupSet::of(SPACE, (0..128).map(KeyGroup)));
    Arc::new(CutPlan { batch: 2, version: 2, groups, source: SlotId(2), target: SlotId(3) })
}

#[test]
fn a_batch_is_not_taken_up_before_this_slot_knows_every_cut_that_its_source_knew() {
    let mut h = Hand::new(1, &[0, 1, 2]);
    h.tell(Command::Cut(plan(0, 1)));
    final_of(&mut h, &plan(0, 1), 2);
    let active = |h: &Hand| h.said.reports.iter().any(|r| matches!(r, Report::Active(1)));
    assert!(!active(&h), "its rows would go to an owner that those before them have not gone to");
    h.tell(Command::Cut(elsewhere()));
    assert!(active(&h));
}

#[test]
fn final_says_by_which_table_rows_of_the_batch_were_sent() {
    let mut h = Hand::new(0, &[0, 1]);
    h.nothing_to_read();
    for cut in [plan(0, 1), elsewhere()] {
        h.tell(Command::Cut(cut));
    }
    h.from(1, Item::Fence(plan(0, 1)));
    let table =
        h.said.sent.iter().find_map(|(_, e)| if let Event::Bulk(Bulk::Final { table, .. }) = e { Some(*table) } else { None });
    assert_eq!(table, Some(2));
}

#[test]
fn a_stage_moves_on_when_those_that_held_it_back_have_left_at_a_barrier() {
    let mut h = Hand::new(0, &[0, 1]);
    h.from(1, Hand::row(7, 80));
    h.from(1, Item::Watermark(Time(50)));
    h.tell(Command::EndOfSource(NodeIndex(0)));
    assert_eq!(h.watermark(), 50);
    let barrier = Arc::new(Barrier { epoch: 1, members: Some(vec![SlotId(0)]), ..Barrier::default() });
    h.tell(Command::Barrier(barrier.clone()));
    h.from(1, Item::Barrier(barrier));
    assert_eq!(h.watermark(), Time::MAX.0, "its own channel is at the end, and no other is left");
    assert_eq!(h.notes.0.load(Ordering::Relaxed), 7);
    assert!(h.said.reports.iter().any(|r| matches!(r, Report::Ended)));
}

#[test]
fn what_is_not_a_moving_stage_may_go_quiet_during_a_cut() {
    let mut h = Hand::new(1, &[0, 1]);
    h.tell(Command::Cut(plan(0, 1)));
    h.nothing_to_read();
    let idle = |(to, e): &(SlotId, Event)| to.0 == 0 && matches!(e, Event::Frame(Frame { item: Item::Idle, .. }));
    assert!(h.said.sent.iter().any(idle), "else event time at newcomers stands still for as long as groups move");
}

#[test]
fn behind_the_barrier_that_ends_a_source_nothing_of_it_is_read_nor_what_is_given_later() {
    let mut source = source::SourceState::new(NodeId(1), Arc::new(Nothing), None, Tuning::default());
    source.add(vec![("read".into(), vec![7], Time::MIN)], 0);
    assert!(source.readable());
    source.close();
    let (all, _) = source.barrier(&Barrier { epoch: 1, ends: vec![NodeId(1)], ..Barrier::default() }, SlotId(1));
    assert_eq!(all.iter().map(|s| (s.position.clone(), s.finished)).collect::<Vec<_>>(), [(vec![7], true)]);
    source.add(vec![("late".into(), Vec::new(), Time::MIN)], 0);
    assert!(!source.readable());
    source.end();
    assert_eq!(source.watermark(0), Some(Time::MAX));
}

#[test]
fn a_split_that_a_barrier_brings_is_waited_for_whatever_else_is_given_meanwhile() {
    let mut source = source::SourceState::new(NodeId(1), Arc::new(Nothing), None, Tuning::default());
    let moved = SplitMove { node: NodeId(1), split: "moved".into(), from: SlotId(0), to: SlotId(1) };
    source.barrier(&Barrier { epoch: 1, moves: vec![moved], ..Barrier::default() }, SlotId(1));
    source.add(vec![("other".into(), Vec::new(), Time::MIN)], 0);
    assert_eq!(source.expecting, ["moved".into()]);
    source.add(vec![("moved".into(), Vec::new(), Time::MIN)], 0);
    assert!(source.expecting.is_empty());
}

#[test]
fn a_split_that_a_barrier_brings_says_nothing_of_those_that_nobody_reads() {
    let mut source = source::SourceState::new(NodeId(1), Arc::new(Nothing), None, Tuning::default());
    let moved = SplitMove { node: NodeId(1), split: "moved".into(), from: SlotId(0), to: SlotId(1) };
    source.barrier(&Barrier { epoch: 1, moves: vec![moved], ..Barrier::default() }, SlotId(1));
    source.add(vec![("moved".into(), Vec::new(), Time::MIN)], 0);
    assert!(!source.told, "I6: event time would pass those that it is to get");
    source.add(Vec::new(), 0);
    assert!(source.told);
}
