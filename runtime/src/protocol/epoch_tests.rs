//! The coordinator's epochs: (what slots report, what the log says) → effects.

use std::sync::Arc;

use super::*;
use crate::env::SinkHandle;
use crate::graph::NodeId;
use crate::key::{Assignment, GroupSet, KeyGroup, KeySpace};
use crate::protocol::manifest::{Groups, SplitEntry, Table};
use crate::time::Time;
use EpochEffect as E;

const SPACE: KeySpace = KeySpace { seed: 0, bits: 8 };
const A: SlotId = SlotId(0);
const B: SlotId = SlotId(1);

struct World {
    epochs: Epochs,
    turns: Turns,
    now: u64,
}

fn world(slots: &[SlotId]) -> World {
    let table = Assignment::even(SPACE, slots.len() as u16);
    let origin = Manifest::origin(1, vec![], &table, slots.to_vec());
    let pace = Pace { interval_micros: 10, max_in_flight: 2 };
    World { epochs: Epochs::new(pace, 1, origin, 0, RuleSet::ALL), turns: Turns::new(table, RuleSet::ALL), now: 0 }
}

fn part(handle: Option<u64>) -> Part {
    let handles = handle.iter().map(|v| SinkHandle { sink: 9, version: *v, data: vec![] }).collect();
    Part { handles, changed: true, ..Part::default() }
}

impl World {
    fn tick(&mut self) -> Option<Inject> {
        self.now += 10;
        match self.epochs.tick(self.now, &mut self.turns).unwrap() {
            Some(E::Inject(i)) => Some(i),
            None => None,
            Some(other) => panic!("{other:?}"),
        }
    }

    fn align(&mut self, epoch: u64, slots: &[SlotId]) {
        for s in slots {
            self.epochs.aligned(epoch, *s, &mut self.turns);
        }
    }

    fn upload(&mut self, epoch: u64, slot: SlotId, part: Part) -> Vec<EpochEffect> {
        self.epochs.uploaded(epoch, slot, part, &mut self.turns).unwrap()
    }
}

fn publishes(effects: &[EpochEffect]) -> Vec<u64> {
    effects.iter().filter_map(|e| if let E::Publish(m) = e { Some(m.epoch) } else { None }).collect()
}

#[test]
fn an_epoch_goes_from_barrier_to_commit() {
    let mut w = world(&[A, B]);
    assert_eq!(w.tick().unwrap().members, [A, B]);
    assert_eq!(w.epochs.waiting().unwrap(), "epoch 1 waits for slot 0, 1 to align");
    w.align(1, &[A]);
    assert!(w.tick().is_none(), "still aligning");
    w.align(1, &[B]);
    assert_eq!(w.upload(1, B, part(Some(4))), []);
    assert_eq!(w.epochs.waiting().unwrap(), "epoch 1 waits for the upload of slot 0");
    let effects = w.upload(1, A, part(Some(3)));
    assert_eq!(publishes(&effects), [1]);
    let effects = w.epochs.published(5, &mut w.turns).unwrap();
    let [E::Published { epoch: 1, version: 0 }, E::Commit { through: 1, handles }] = effects.as_slice() else {
        panic!("{effects:?}")
    };
    assert_eq!(handles.iter().map(|h| h.handle.version).collect::<Vec<_>>(), [3, 4], "I3: in version order");
    assert_eq!(w.epochs.committed(), []);
    assert_eq!((w.epochs.last().committed_through[&9], w.epochs.last().handles.len()), (1, 0));
}

#[test]
fn epochs_publish_in_order_and_few_are_in_flight() {
    let mut w = world(&[A]);
    for e in 1..=2 {
        assert_eq!(w.tick().unwrap().epoch, e);
        w.align(e, &[A]);
    }
    assert!(w.tick().is_none(), "two are in flight");
    assert_eq!(w.upload(2, A, part(Some(0))), []);
    assert_eq!(publishes(&w.upload(1, A, part(Some(0)))), [1]);
    let effects = w.epochs.published(1, &mut w.turns).unwrap();
    assert_eq!(publishes(&effects), [2]);
    let E::Publish(second) = effects.last().unwrap() else { panic!() };
    assert_eq!(second.handles.iter().map(|h| h.epoch).collect::<Vec<_>>(), [1, 2], "the first is not committed yet");
    assert_eq!(w.epochs.committed(), [], "nothing to commit before the second is published");
    let effects = w.epochs.published(2, &mut w.turns).unwrap();
    assert!(matches!(&effects[1], E::Commit { through: 2, handles } if handles.len() == 1), "{effects:?}");
}

#[test]
fn an_epoch_without_change_publishes_nothing_but_a_moved_table_does() {
    let mut w = world(&[A]);
    w.tick().unwrap();
    w.align(1, &[A]);
    assert_eq!(w.upload(1, A, Part::default()), [E::Published { epoch: 1, version: 0 }]);
    let groups = Arc::new(GroupSet::of(SPACE, [KeyGroup(0)]));
    w.turns.cut(1, groups, A, B).unwrap();
    assert!(w.tick().is_none(), "I9: a cut is open");
    let other = GroupSet::of(SPACE, [KeyGroup(1)]);
    assert_eq!(w.turns.cut_waits(&other).unwrap(), "a barrier is due, which goes first");
    w.turns.active(1);
    assert_eq!(w.tick().unwrap().epoch, 2);
    w.align(2, &[A]);
    assert_eq!(publishes(&w.upload(2, A, Part::default())), [2]);
}

#[test]
fn a_manifest_carries_the_table_as_of_its_barrier() {
    let mut w = world(&[A, B]);
    w.tick().unwrap();
    w.align(1, &[A, B]);
    let before: Table = (&**w.turns.table()).into();
    w.turns.cut(1, Arc::new(GroupSet::of(SPACE, [KeyGroup(0)])), A, B).unwrap();
    w.upload(1, A, part(None));
    let effects = w.upload(1, B, part(None));
    let [E::Publish(m)] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(m.table, before);
    w.epochs.published(1, &mut w.turns).unwrap();
    assert_eq!(w.turns.published_version(), 0, "the cut is not durable yet");
}

#[test]
fn members_change_at_a_barrier_that_the_old_ones_align() {
    let mut w = world(&[A]);
    w.epochs.change_members([A, B].into());
    let i = w.tick().unwrap();
    assert_eq!((i.members, i.next_members), (vec![A], Some(vec![A, B])));
    w.align(1, &[A]);
    assert_eq!(w.tick().unwrap().members, [A, B]);
}

#[test]
fn the_last_epoch_is_done_when_its_output_is_committed() {
    for bounded in [false, true] {
        let mut w = world(&[A, B]);
        if bounded {
            w.epochs.ended(A);
            assert!(!w.tick().unwrap().last);
            w.align(1, &[A, B]);
            w.upload(1, A, Part::default());
            w.upload(1, B, Part::default());
            w.epochs.ended(B);
        } else {
            w.epochs.stop();
        }
        let last = w.tick().unwrap();
        assert!(last.last && w.tick().is_none());
        w.align(last.epoch, &[A, B]);
        w.upload(last.epoch, A, part(Some(0)));
        w.upload(last.epoch, B, Part::default());
        let effects = w.epochs.published(1, &mut w.turns).unwrap();
        assert!(matches!(effects.as_slice(), [E::Published { .. }, E::Commit { .. }]), "{effects:?}");
        assert_eq!(w.epochs.committed(), [E::Done { epoch: last.epoch }]);
        assert!(w.epochs.last().last && w.tick().is_none());
    }
}

#[test]
fn a_drain_ends_every_split_at_its_barrier_and_the_job_when_all_have_seen_the_end() {
    let mut w = world(&[A]);
    let split = |name: &str| SplitEntry { split: name.into(), position: vec![], watermark: Time::MIN, finished: false };
    w.epochs.discovered(7, SourceEntry { splits: vec![split("unread"), split("read")], discovery_complete: false });
    w.epochs.drain(vec![NodeId(7), NodeId(8)]);
    let inject = w.tick().unwrap();
    assert_eq!((inject.ends, inject.last), (vec![NodeId(7), NodeId(8)], false));
    w.align(1, &[A]);
    let read = SplitEntry { position: vec![3], finished: true, ..split("read") };
    let part = Part { splits: vec![(7, read)], watermarks: vec![(7, Time(5))], ..Part::default() };
    assert_eq!(publishes(&w.upload(1, A, part)), [1], "nothing has changed but that all has ended");
    w.epochs.published(1, &mut w.turns).unwrap();
    let read = |w: &World| w.epochs.last().sources.values().all(|s| s.discovery_complete && s.splits.iter().all(|x| x.finished));
    assert!(read(&w) && w.epochs.last().sources.len() == 2 && !w.epochs.last().finished());
    assert_eq!(w.epochs.last().sources[&7].splits[1].position, [3]);
    w.epochs.ended(A);
    assert!(w.tick().unwrap().last);
    w.align(2, &[A]);
    w.upload(2, A, Part { watermarks: vec![(7, Time::MAX)], ..Part::default() });
    let _done = w.epochs.published(2, &mut w.turns).unwrap();
    assert!(read(&w) && w.epochs.last().finished());
}

#[test]
fn of_a_stop_and_a_drain_the_newest_counts_until_its_barrier_is_out() {
    let mut w = world(&[A]);
    w.epochs.drain(vec![NodeId(7)]);
    assert!(w.epochs.stop(), "the drain is given up");
    let inject = w.tick().unwrap();
    assert!(inject.last && inject.ends.is_empty() && w.epochs.closing());
    let mut w = world(&[A]);
    assert!(!w.epochs.stop());
    w.epochs.drain(vec![NodeId(7)]);
    let inject = w.tick().unwrap();
    assert!(!inject.last && inject.ends == [NodeId(7)]);
    assert!(!w.epochs.stop(), "it has begun");
}

#[test]
fn a_split_that_has_ended_stays_so_while_it_moves_to_somebody_who_has_not_come_to_its_end() {
    let mut w = world(&[A]);
    let split = |finished| SplitEntry { split: "s".into(), position: vec![3], watermark: Time(1), finished };
    for (epoch, finished) in [(1, true), (2, false)] {
        w.tick().unwrap();
        w.align(epoch, &[A]);
        w.upload(epoch, A, Part { splits: vec![(7, split(finished))], changed: true, ..Part::default() });
        w.epochs.published(epoch, &mut w.turns).unwrap();
        assert!(w.epochs.last().sources[&7].splits[0].finished, "epoch {epoch}");
    }
}

#[test]
fn what_is_discovered_while_a_manifest_is_put_is_in_the_next_one() {
    let mut w = world(&[A]);
    w.tick().unwrap();
    w.align(1, &[A]);
    assert_eq!(publishes(&w.upload(1, A, part(None))), [1]);
    w.epochs.discovered(7, SourceEntry { splits: Vec::new(), discovery_complete: true });
    w.epochs.published(1, &mut w.turns).unwrap();
    w.tick().unwrap();
    w.align(2, &[A]);
    assert_eq!(publishes(&w.upload(2, A, Part::default())), [2]);
    assert!(w.epochs.last().sources[&7].discovery_complete);
}

#[test]
fn what_is_merged_while_a_manifest_is_put_is_in_the_next_one() {
    let mut w = world(&[A]);
    let file = |name: &str| StateFile {
        name: name.into(),
        bytes: 1,
        from_epoch: 1,
        to_epoch: 1,
        entries: 1,
        level: 0,
        groups: Groups::All,
    };
    let mut origin = w.epochs.last().clone();
    origin.files = vec![file("a"), file("b")];
    w.epochs = Epochs::new(Pace { interval_micros: 10, max_in_flight: 2 }, 1, origin, 0, RuleSet::ALL);
    w.tick().unwrap();
    w.align(1, &[A]);
    assert_eq!(publishes(&w.upload(1, A, part(None))), [1]);
    w.epochs.merged(file("ab"), vec!["a".into(), "b".into()]);
    w.epochs.published(1, &mut w.turns).unwrap();
    assert_eq!(w.epochs.last().files.len(), 2, "what the log has is what is kept");
    w.tick().unwrap();
    w.align(2, &[A]);
    let effects = w.upload(2, A, Part::default());
    let put = effects.iter().find_map(|e| if let E::Publish(m) = e { Some(m) } else { None }).unwrap();
    assert_eq!(put.files.iter().map(|f| f.name.as_str()).collect::<Vec<_>>(), ["ab"]);
}

#[test]
fn handles_of_the_manifest_are_committed_again_at_the_start() {
    let mut w = world(&[A]);
    let mut origin = w.epochs.last().clone();
    origin.handles.push(HandleEntry { epoch: 0, slot: A, handle: SinkHandle { sink: 9, version: 0, data: vec![1] } });
    w.epochs = Epochs::new(Pace::default(), 2, origin, 0, RuleSet::ALL);
    assert!(matches!(w.epochs.start().as_slice(), [E::Commit { through: 0, handles }] if handles.len() == 1));
    assert_eq!(w.epochs.committed(), []);
    assert_eq!(w.epochs.start(), []);
}

#[test]
fn adopted_epochs_keep_the_floor_of_collection_at_their_own_term() {
    let mut w = world(&[A]);
    let table = Arc::clone(w.turns.table());
    w.epochs = Epochs::new(Pace::default(), 2, w.epochs.last().clone(), 0, RuleSet::ALL);
    assert_eq!(w.epochs.floor(), (2, 1));
    w.epochs.adopt(Flight::new(1, 1, table, [A].into(), [A].into(), false));
    assert_eq!(w.epochs.floor(), (1, 1));
    assert_eq!(publishes(&w.upload(1, A, part(None))), [1]);
}

#[test]
fn a_clock_that_goes_back_delays_a_barrier_by_one_interval() {
    let mut w = world(&[A]);
    w.now = 1_000_000;
    assert_eq!(w.tick().unwrap().epoch, 1);
    w.align(1, &[A]);
    assert_eq!(publishes(&w.upload(1, A, part(Some(0)))), [1]);
    w.now = 0;
    assert!(w.tick().is_none());
    assert_eq!(w.epochs.due(), 20, "and not when the clock is where it was");
    assert_eq!(w.tick().unwrap().epoch, 2);
}
