//! Snapshots with names: a barrier each, one meaning a name, an answer to each user.

use super::*;

fn snapshot(name: &str) -> Request {
    Request::Snapshot { name: name.into(), wait: true }
}

#[test]
fn a_snapshot_gets_its_name_with_the_next_barrier_and_a_name_means_one_snapshot() {
    let objects = Objects::default();
    let mut world = World::running(&objects);
    world.request(1, snapshot("before"));
    assert!(world.reply(1).is_none(), "it waits for the barrier");
    world.pass(SECOND);
    let Some(Reply::Snapshot(epoch)) = world.reply(1) else { panic!("a snapshot") };
    assert!(epoch > 0 && objects.borrow().contains_key("snapshot/before.json"));
    world.request(2, snapshot("before"));
    world.pass(SECOND);
    assert!(world.refused(2).contains(&crate::name_taken("before")));
    world.request(3, snapshot("No/Name"));
    assert!(world.refused(3).contains("small letters"));
    world.request(4, Request::Snapshot { name: "later".into(), wait: false });
    assert!(matches!(world.reply(4), Some(Reply::Snapshot(_))), "nobody waits");
    world.pass(SECOND);
    assert!(objects.borrow().contains_key("snapshot/later.json"));
}

#[test]
fn a_snapshot_is_refused_where_no_run_can_take_it_and_given_up_with_its_user() {
    let objects = Objects::default();
    let mut waits = World::new("a", 1, &objects);
    waits.request(1, snapshot("early"));
    assert!(waits.refused(1).contains("does not run yet"));
    let mut world = World::running(&objects);
    world.mute = true;
    world.request(2, snapshot("gone"));
    world.happens(Event::Abandoned(2));
    world.request(3, snapshot("late"));
    world.happens(Event::Disconnected(0));
    world.request(4, Request::Stop);
    world.pass(2 * SECOND);
    assert!(world.refused(3).contains("over before the snapshot was taken"));
    assert!(world.reply(2).is_none());
    assert!(objects.borrow().keys().all(|n| !n.starts_with("snapshot/")));
}

#[test]
fn a_snapshot_whose_object_is_being_written_is_answered_after_the_end_too() {
    let mut world = World::running(&Objects::default());
    world.names = Some(Vec::new());
    world.request(1, snapshot("last"));
    world.pass(SECOND);
    world.request(2, Request::Stop);
    world.pass(SECOND);
    assert!(world.manager.ended() && world.reply(1).is_none());
    world.held = world.names.take();
    world.answer();
    assert!(matches!(world.reply(1), Some(Reply::Snapshot(_))));
}
