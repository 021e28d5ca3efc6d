//! Events survive the way, and garbage is an error.

use std::sync::Arc;

use proptest::prelude::*;
use watershed_runtime::key::{GroupSet, KeyGroup, KeySpace};
use watershed_runtime::slot::Barrier;

use super::super::tests::graph;
use super::*;

fn plan() -> Arc<CutPlan> {
    let groups = GroupSet::of(KeySpace::default(), [KeyGroup(3), KeyGroup(4095)]);
    Arc::new(CutPlan { batch: 5, version: 6, groups: Arc::new(groups), source: SlotId(1), target: SlotId(2) })
}

/// An event is the same at the other end.
fn check(event: Event) {
    let (graph, _) = graph();
    let before = format!("{event:?}");
    let (channel, payload) = encode_event(&graph, SlotId(2), event).unwrap();
    assert_eq!((channel.from, channel.to), (1, 2));
    let bytes = payload.whole();
    let after = decode_event(&graph, channel, &bytes).unwrap();
    assert_eq!(format!("{after:?}"), before);
    for cut in 0..bytes.len() {
        let short = decode_event(&graph, channel, &bytes[..cut]).expect_err("a part is not the whole");
        assert!(short.to_string().contains("slot 1 to slot 2"), "{short}");
    }
    let long = [&bytes[..], b"x"].concat();
    assert!(decode_event(&graph, channel, &long).is_err());
}

fn frame(item: Item) -> Event {
    Event::Frame(Frame { edge: graph().1, from: SlotId(1), item })
}

#[test]
fn every_event_survives_the_way() {
    let rows = || {
        let rows = vec![(7u64, (7u64, "seven".to_owned()))];
        Box::new(watershed_runtime::container::Rows { rows, hashes: vec![9], times: vec![Time(3)] })
    };
    check(frame(Item::Data(rows(), None)));
    check(frame(Item::Data(rows(), Some(plan().tag()))));
    check(frame(Item::Watermark(Time::MIN)));
    check(frame(Item::Idle));
    check(frame(Item::Barrier(Arc::new(Barrier { epoch: 4, members: Some(vec![SlotId(1)]), last: true, ..Barrier::default() }))));
    check(frame(Item::Fence(plan())));
    check(frame(Item::Drained(plan())));
    check(Event::Credit { edge: graph().1, from: SlotId(1), rows: 4096, window: 16384 });
    check(Event::Bulk(Bulk::Warm { plan: plan(), tables: vec![(1, vec![1, 2]), (2, Vec::new()), (3, vec![3])] }));
    let last = ShipFinal { items: vec![1; 9], names: vec![2; 3], entries: 4, digest: 5 };
    let (watermarks, tables) = (vec![(0, Time(8))], vec![(1, last)]);
    check(Event::Bulk(Bulk::Final { plan: plan(), watermarks, tables, segment: 9, table: 3 }));
}

#[test]
fn a_warm_up_item_taken_in_survives_the_way() {
    let (graph, _) = graph();
    let (channel, payload) = encode_event(&graph, SlotId(1), Event::WarmupAck(77)).unwrap();
    assert!(matches!(decode_event(&graph, channel, &payload.whole()), Ok(Event::WarmupAck(77))));
}

#[test]
fn state_on_the_move_is_not_copied() {
    let state = vec![7u8; 1 << 16];
    let at = state.as_ptr();
    let bulk = Event::Bulk(Bulk::Warm { plan: plan(), tables: vec![(1, state)] });
    let (_, payload) = encode_event(&graph().0, SlotId(2), bulk).unwrap();
    assert!(payload.chunks().iter().any(|c| c.as_ptr() == at));
}

#[test]
fn a_command_has_another_way() {
    let command = Event::Command(watershed_runtime::slot::Command::Forget(1));
    assert!(encode_event(&graph().0, SlotId(2), command).is_err());
}

#[test]
fn rows_on_an_edge_without_an_exchange_are_refused() {
    let (graph, edge) = graph();
    let other = (0..graph.edges().len() as u32).find(|e| *e != edge).unwrap();
    let channel = Channel { edge: other, from: 1, to: 2 };
    assert!(decode_event(&graph, channel, &[DATA, 1, 0, 0, 0, 0, 0]).unwrap_err().to_string().contains("no exchange"));
}

proptest! {
    #[test]
    fn garbage_is_an_error_and_never_a_panic(kind in 0u8..12, bytes: Vec<u8>) {
        let (graph, edge) = graph();
        let garbage = [&[kind][..], &bytes].concat();
        let _any = decode_event(&graph, Channel { edge, from: 1, to: 2 }, &garbage);
    }
}
