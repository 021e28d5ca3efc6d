//! Rules of the tables that are worth their own sentence.

use super::{SPACE, bump, counts, hash, read, remove};
use crate::error::Kind;
use crate::key::{GroupSet, KeyGroup};
use crate::state::{EncodedRun, Plain, ShipFinal, StateDesc, Table};

fn delta(t: &mut Table<Plain<u64>, u64>, epoch: u64) -> EncodedRun {
    let mut run = EncodedRun::default();
    assert!(t.encode_dirty(epoch, usize::MAX, &mut run).unwrap());
    run
}

/// I1: a missing entry means "default" only in a group this slot has active.
#[test]
fn access_to_a_group_that_is_not_active_is_an_error() {
    let mut t: Table<Plain<u64>, u64> = Table::new(StateDesc::of::<u64, u64>("counts"), SPACE);
    let h = hash(7);
    t.activate(&GroupSet::of(SPACE, [KeyGroup(SPACE.group(h).0 ^ 1)]));
    let made = || -> (Plain<u64>, u64) { unreachable!("no default may be made") };
    let errors = [
        t.get(h, 0, |_| true).unwrap_err(),
        t.update(h, 0, |_| true, made, |_| ()).unwrap_err(),
        t.modify(h, 0, |_| true, |_| ()).unwrap_err(),
        t.insert(h, Plain(7), 1).unwrap_err(),
        t.remove(h, 0, |_| true).unwrap_err(),
        t.group(SPACE.group(h)).err().unwrap(),
        t.ship_start(1, &GroupSet::all(SPACE)).unwrap_err(),
    ];
    for e in &errors {
        assert_eq!(e.kind(), Kind::Broken);
        assert!(e.to_string().starts_with("state `counts`: I1: key group"), "{e}");
    }
}

/// A windowed count does this with each of its entries.
#[test]
fn an_entry_made_and_removed_in_one_epoch_leaves_no_trace() {
    let mut t = counts();
    t.begin_epoch(1).unwrap();
    (0..5000).for_each(|k| bump(&mut t, k));
    assert_eq!((0..5000).filter_map(|k| remove(&mut t, k)).sum::<u64>(), 5000);
    t.begin_epoch(2).unwrap();
    assert!(delta(&mut t, 1).is_empty());
    assert_eq!((t.slab.len(), t.undo_bytes()), (0, 0));
}

/// I5: what the running epoch overwrites is encoded first.
#[test]
fn a_delta_holds_the_values_as_of_its_barrier() {
    let mut t = counts();
    t.begin_epoch(1).unwrap();
    (0..10).for_each(|k| bump(&mut t, k));
    t.begin_epoch(2).unwrap();
    (0..5).for_each(|k| bump(&mut t, k));
    remove(&mut t, 9);
    let run = delta(&mut t, 1);
    let mut copy = Table::<Plain<u64>, u64>::new(StateDesc::of::<u64, u64>("copy"), SPACE);
    copy.absorb(&run.framed()).unwrap();
    copy.activate(&GroupSet::all(SPACE));
    assert_eq!((run.len(), (0..10).map(|k| read(&copy, k)).sum::<Option<u64>>()), (10, Some(10)));
}

/// I13: images are counted until they are freed, and freed in steps.
#[test]
fn undo_images_are_counted_until_they_are_swept() {
    let mut t = counts();
    t.begin_epoch(1).unwrap();
    (0..4000).for_each(|k| bump(&mut t, k));
    t.begin_epoch(2).unwrap();
    delta(&mut t, 1);
    let full = t.undo_bytes();
    assert!(full >= 4000 * 24, "{full}");
    t.publish(1).unwrap();
    assert_eq!(t.undo_bytes(), full);
    assert!(!t.sweep(10));
    assert!(t.undo_bytes() < full);
    while !t.sweep(10) {}
    assert_eq!(t.undo_bytes(), 0);
}

#[test]
fn an_epoch_cannot_be_published_before_its_delta_is_complete() {
    let mut t = counts();
    t.begin_epoch(1).unwrap();
    bump(&mut t, 1);
    assert!(t.publish(1).unwrap_err().to_string().contains("I5"));
    t.begin_epoch(2).unwrap();
    assert!(t.publish(1).unwrap_err().to_string().contains("I5"));
    delta(&mut t, 1);
    t.publish(1).unwrap();
    assert!(t.undo_to(0).unwrap_err().to_string().contains("I2"));
}

/// I2: a warm-up that lost something on the way is found out before anything becomes active.
#[test]
fn a_move_that_lost_an_entry_is_refused() {
    let (mut s, mut t) = (counts(), Table::<Plain<u64>, u64>::new(StateDesc::of::<u64, u64>("counts"), SPACE));
    (0..100).for_each(|k| bump(&mut s, k));
    let groups = GroupSet::all(SPACE);
    s.ship_start(1, &groups).unwrap();
    s.ship_slice(1, 100, &mut Vec::new()).unwrap();
    let last = s.ship_final(1).unwrap();
    let e = t.absorb_final(&last, &groups).unwrap_err();
    assert!(e.to_string().contains("I2: a move brought"), "{e}");
    assert!(t.active().is_empty());
    assert!(t.absorb_final(&ShipFinal { items: vec![9; 5], ..last }, &groups).is_err());
}

/// I11: a cut whose frozen state is gone cannot be undone, and says so.
#[test]
fn a_dropped_cut_cannot_be_undone() {
    let mut s = counts();
    bump(&mut s, 1);
    s.begin_epoch(1).unwrap();
    s.ship_start(1, &GroupSet::all(SPACE)).unwrap();
    s.ship_final(1).unwrap();
    s.freeze(1, 5).unwrap();
    assert!(s.get(hash(1), 0, |_| true).is_err());
    s.undo_to(0).unwrap();
    assert_eq!(read(&s, 1), Some(1));
    bump(&mut s, 1);
    s.ship_start(2, &GroupSet::all(SPACE)).unwrap();
    s.freeze(2, 6).unwrap();
    s.drop_frozen(6);
    assert!(s.undo_to(0).unwrap_err().to_string().contains("I11"));
    while !s.sweep(100) {}
    assert_eq!(s.slab.len(), 0);
    s.begin_epoch(2).unwrap();
    assert!(delta(&mut s, 1).is_empty());
}

#[test]
fn an_expired_entry_is_absent_and_made_anew() {
    let mut t = Table::<Plain<u64>, u64>::new(StateDesc::of::<u64, u64>("ttl").expiring(1_000_000), SPACE);
    t.activate(&GroupSet::all(SPACE));
    t.set_now(5_000_000);
    t.begin_epoch(1).unwrap();
    bump(&mut t, 1);
    bump(&mut t, 2);
    t.set_now(5_600_000);
    bump(&mut t, 1);
    t.begin_epoch(2).unwrap();
    t.set_now(6_100_000);
    assert_eq!((read(&t, 1), read(&t, 2)), (Some(2), None));
    assert_eq!(t.modify(hash(2), 0, |k| k.0 == 2, |n| *n).unwrap(), None);
    bump(&mut t, 2);
    assert_eq!(read(&t, 2), Some(1));
    t.set_now(8_000_000);
    assert_eq!((t.expire(usize::MAX).unwrap(), t.len()), (2, 0));
    t.undo_to(1).unwrap();
    assert_eq!(t.len(), 2);
}

/// Expiry keeps its clock over a restore.
#[test]
fn an_entry_does_not_become_younger_by_being_stored() {
    let table = || Table::<Plain<u64>, u64>::new(StateDesc::of::<u64, u64>("ttl").expiring(1_000_000), SPACE);
    let (mut a, mut b) = (table(), table());
    a.activate(&GroupSet::all(SPACE));
    a.set_now(5_000_000);
    a.begin_epoch(1).unwrap();
    bump(&mut a, 1);
    a.begin_epoch(2).unwrap();
    a.set_now(5_900_000);
    b.set_now(5_900_000);
    b.absorb(&delta(&mut a, 1).framed()).unwrap();
    b.activate(&GroupSet::all(SPACE));
    assert_eq!(read(&b, 1), Some(1));
    b.set_now(6_010_000);
    assert_eq!(read(&b, 1), None);
}

#[test]
fn the_count_of_epochs_starts_again_without_confusion() {
    let mut t = counts();
    t.begin_epoch(1).unwrap();
    (0..10).for_each(|k| bump(&mut t, k));
    t.begin_epoch(2).unwrap();
    delta(&mut t, 1);
    t.epochs.last_stamp = super::super::slab::SHIPPED - 2;
    (0..5).for_each(|k| bump(&mut t, k));
    t.begin_epoch(3).unwrap();
    assert!(t.epochs.current.stamp < 10);
    remove(&mut t, 0);
    assert_eq!(delta(&mut t, 2).len(), 5);
    t.undo_to(1).unwrap();
    assert_eq!((0..10).map(|k| read(&t, k)).sum::<Option<u64>>(), Some(10));
}

/// I13: the tombstone's own epoch was published, and swept, while the key lived again; then that life is undone.
#[test]
fn an_undone_revival_leaves_no_tombstone_behind() {
    let mut t = counts();
    t.begin_epoch(1).unwrap();
    bump(&mut t, 1);
    t.begin_epoch(2).unwrap();
    remove(&mut t, 1);
    t.begin_epoch(3).unwrap();
    bump(&mut t, 1);
    assert_eq!((delta(&mut t, 1).len(), delta(&mut t, 2).len()), (1, 1));
    t.publish(2).unwrap();
    while !t.sweep(100) {}
    t.undo_to(2).unwrap();
    assert_eq!(t.slab.len(), 0);
}

/// I5: a tombstone is freed by the publication of its own epoch, not of an older one the key also died in.
#[test]
fn a_key_that_died_twice_keeps_its_second_tombstone() {
    let mut t = counts();
    for epoch in 1..5 {
        t.begin_epoch(epoch).unwrap();
        if epoch % 2 == 1 { bump(&mut t, 1) } else { assert!(remove(&mut t, 1).is_some()) }
    }
    (1..4).for_each(|e| assert_eq!(delta(&mut t, e).len(), 1));
    t.publish(2).unwrap();
    while !t.sweep(100) {}
    t.begin_epoch(5).unwrap();
    assert_eq!(delta(&mut t, 4).len(), 1);
}
