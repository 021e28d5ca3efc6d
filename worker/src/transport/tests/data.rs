//! Links between two workers.

use super::super::*;
use super::support::*;

use watershed_runtime::frame::{Frame, Item};
use watershed_runtime::key::SlotId;
use watershed_runtime::slot::Event;
use watershed_runtime::time::Time;

#[test]
fn events_arrive_in_order_in_both_directions() {
    let runtime = runtime();
    let (a, b, _proxy) = pair(&runtime, [&Network::default(), &Network::default()]);
    let edge = graph().1;
    let (to_a, to_b) = (b.peers.outlet(0, era(1)).unwrap(), a.peers.outlet(1, era(1)).unwrap());
    for i in 0..500 {
        let _ = to_a.send(SlotId(0), rows(edge, 1, [i], 10));
        let _ = to_b.send(SlotId(1), rows(edge, 0, [i, i + 1], 10));
    }
    let _ = to_b.send(SlotId(1), Event::Credit { edge, from: SlotId(0), rows: 9, window: 7 });
    for i in 0..500 {
        let (at, to, event) = a.event();
        assert_eq!((at, to, keys(event)), (era(1), SlotId(0), vec![i]));
        assert_eq!(keys(b.event().2), [i, i + 1]);
    }
    let (.., last) = b.event();
    assert!(matches!(last, Event::Credit { edge: e, from: SlotId(0), rows: 9, window: 7 } if e == edge), "{last:?}");
}

#[test]
fn connections_that_drop_in_the_middle_of_a_stream_are_repaired() {
    let runtime = runtime();
    let (a, b, proxy) = pair(&runtime, [&Network::default(), &Network::default()]);
    let edge = graph().1;
    let (to_a, to_b) = (b.peers.outlet(0, era(1)).unwrap(), a.peers.outlet(1, era(1)).unwrap());
    for round in 0..4 {
        // 64 KiB a frame: half of what is sent goes through, and a part of one.
        proxy.cut_after(2_050_000);
        for i in round * 60..round * 60 + 60 {
            let _ = to_a.send(SlotId(0), rows(edge, 1, i * 64..i * 64 + 64, 1000));
            let _ = to_b.send(SlotId(1), rows(edge, 0, [i], 10));
        }
        for i in round * 60..round * 60 + 60 {
            assert_eq!(keys(a.event().2), (i * 64..i * 64 + 64).collect::<Vec<_>>());
            assert_eq!(keys(b.event().2), [i]);
        }
    }
    assert_eq!(proxy.cuts(), 4);
}

#[test]
fn who_is_waited_for_has_a_name_and_a_reason() {
    let runtime = runtime();
    let (a, b, proxy) = pair(&runtime, [&Network::default(), &Network::default()]);
    b.notice("connection", |n| matches!(n, Notice::Connected));
    proxy.shut(true);
    b.notice("disconnection", |n| matches!(n, Notice::Disconnected(_)));
    b.notice("failed attempt", |n| matches!(n, Notice::Unreachable(_)));
    let waiting = b.peers.waiting().join("\n");
    assert!(waiting.contains("for a connection with worker-0 (127.0.0.1:"), "{waiting}");
    let _ = b.peers.outlet(0, era(1)).unwrap().send(SlotId(0), rows(graph().1, 1, [7], 1));
    proxy.shut(false);
    assert_eq!(keys(a.event().2), [7]);
}

#[test]
fn an_era_that_is_over_is_refused_with_a_message_and_a_newer_one_goes_on() {
    let runtime = runtime();
    let (a, b, _proxy) = pair(&runtime, [&Network::default(), &Network::default()]);
    let edge = graph().1;
    a.peers.enter(era(2));
    let old = b.peers.outlet(0, era(1)).unwrap();
    let _ = old.send(SlotId(0), rows(edge, 1, [1], 1));
    let notice = b.notice("refusal", |n| matches!(n, Notice::Refused(..)));
    assert!(matches!(&notice, Notice::Refused(e, why) if *e == era(2) && why.contains("generation 2")), "{notice:?}");
    assert!(a.silent());
    b.peers.enter(era(2));
    let _ = old.send(SlotId(0), rows(edge, 1, [2], 1));
    let _ = b.peers.outlet(0, era(2)).unwrap().send(SlotId(0), rows(edge, 1, [3], 1));
    let (at, _, event) = a.event();
    assert_eq!((at, keys(event)), (era(2), vec![3]), "what the old outlet sends goes nowhere");
}

#[test]
fn what_comes_from_a_newer_era_waits_for_this_process_to_get_there() {
    let runtime = runtime();
    let (a, b, _proxy) = pair(&runtime, [&Network::default(), &Network::default()]);
    let edge = graph().1;
    b.peers.enter(era(2));
    let outlet = b.peers.outlet(0, era(2)).unwrap();
    (0..50).for_each(|i| drop(outlet.send(SlotId(0), rows(edge, 1, [i], 1))));
    a.notice("word of a newer era", |n| matches!(n, Notice::Behind(e) if *e == era(2)));
    assert!(a.silent());
    a.peers.enter(era(2));
    (0..50).for_each(|i| assert_eq!(keys(a.event().2), [i]));
}

#[test]
fn big_frames_do_not_keep_small_ones_of_the_other_lane_waiting() {
    let runtime = runtime();
    let (a, b, _proxy) = pair(&runtime, [&Network::default(), &Network::default()]);
    let edge = graph().1;
    let outlet = b.peers.outlet(0, era(1)).unwrap();
    let _ = outlet.send(SlotId(0), rows(edge, 1, [1], 16 << 20));
    let watermark = Event::Frame(Frame { edge, from: SlotId(1), item: Item::Watermark(Time(5)) });
    let _ = outlet.send(SlotId(0), watermark);
    let (.., event) = a.event();
    assert_eq!(keys(event), [1]);
    let (.., event) = a.event();
    assert!(matches!(event, Event::Frame(Frame { item: Item::Watermark(Time(5)), .. })), "{event:?}");
}

#[test]
fn a_new_process_under_an_old_number_gets_a_new_link() {
    let runtime = runtime();
    let (a, b, _proxy) = pair(&runtime, [&Network::default(), &Network::default()]);
    let edge = graph().1;
    let _ = b.peers.outlet(0, era(1)).unwrap().send(SlotId(0), rows(edge, 1, [1], 1));
    assert_eq!(keys(a.event().2), [1]);
    let other = Peer { incarnation: "another".into(), ..b.as_peer(b.listener.address()) };
    a.peers.set(vec![other]);
    let notice = b.notice("refusal of the old process", |n| matches!(n, Notice::Unreachable(_)));
    assert!(matches!(&notice, Notice::Unreachable(why) if why.contains("worker-1 is not known here")), "{notice:?}");
}
