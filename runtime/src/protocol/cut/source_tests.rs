//! S: (fences so far, watermarks) → (complete?, batch watermark, output bound).

use std::sync::Arc;

use super::*;
use crate::key::{GroupSet, KeySpace, SlotId};

fn plan() -> Arc<CutPlan> {
    let groups = Arc::new(GroupSet::new(KeySpace::default()));
    Arc::new(CutPlan { batch: 1, version: 1, groups, source: SlotId(0), target: SlotId(1) })
}

fn ch(edge: u32, from: u16) -> ChannelId {
    ChannelId { edge, from: SlotId(from) }
}

fn cut(channels: &[(ChannelId, u32)]) -> SourceCut {
    SourceCut::new(plan(), channels, RuleSet::ALL)
}

/// Watermarks of the channels from slots 0 and 1.
fn at(w0: i64, w1: i64) -> impl Fn(ChannelId) -> Time {
    move |c| Time(if c.from.0 == 0 { w0 } else { w1 })
}

#[test]
fn a_fenced_channel_stands_still_for_the_batch() {
    let mut s = cut(&[(ch(7, 0), 3), (ch(7, 1), 3)]);
    assert_eq!(s.batch_watermark(3, at(5, 9)), Time(5));
    assert_eq!(s.fence(ch(7, 0), at(5, 9)).unwrap(), None);
    assert_eq!(s.batch_watermark(3, at(20, 9)), Time(5));
    assert_eq!(s.output_bound(3, Time(9), at(20, 9)), Time(5));
    assert!(s.active());
    assert_eq!(s.waiting().unwrap(), "batch 1 waits at its source for the fence of slot 1 on edge 7");
}

#[test]
fn the_last_fence_completes_with_the_minimum_of_the_fenced_values() {
    let mut s = cut(&[(ch(7, 0), 3), (ch(7, 1), 3)]);
    assert_eq!(s.fence(ch(7, 1), at(5, 9)).unwrap(), None);
    let done = s.fence(ch(7, 0), at(12, 30)).unwrap().unwrap();
    assert_eq!(done.frontiers.get(3), Time(9));
    assert!(!s.active());
    assert_eq!(s.output_bound(3, Time(12), at(12, 30)), Time(9));
    s.put_drained();
    assert_eq!(s.output_bound(3, Time(12), at(12, 30)), Time(12));
    assert_eq!(s.waiting(), None);
}

#[test]
fn one_final_waits_for_every_stage() {
    let mut s = cut(&[(ch(7, 0), 3), (ch(8, 0), 4), (ch(8, 1), 4)]);
    assert_eq!(s.fence(ch(7, 0), at(5, 9)).unwrap(), None);
    assert_eq!(s.fence(ch(8, 1), at(6, 9)).unwrap(), None);
    let done = s.fence(ch(8, 0), at(7, 9)).unwrap().unwrap();
    assert_eq!((done.frontiers.get(3), done.frontiers.get(4)), (Time(5), Time(7)));
}

#[test]
fn a_fence_that_nobody_can_have_sent_is_a_defect() {
    let mut s = cut(&[(ch(7, 0), 3), (ch(7, 1), 3)]);
    assert_eq!(s.fence(ch(9, 0), at(0, 0)).unwrap_err().kind(), crate::error::Kind::Broken);
    assert_eq!(s.fence(ch(7, 0), at(0, 0)).unwrap(), None);
    assert!(s.fence(ch(7, 0), at(0, 0)).is_err());
}

/// Promises of the channels from slots 0 and 1; `None`: said nothing but that it is idle, at 1.
fn said(w0: Option<i64>, w1: Option<i64>) -> impl Fn(ChannelId) -> ChannelWatermark {
    move |c| match if c.from.0 == 0 { w0 } else { w1 } {
        Some(w) => ChannelWatermark::from(Time(w)),
        None => ChannelWatermark { idle: true, ..ChannelWatermark::from(Time(1)) },
    }
}

#[test]
fn a_channel_that_was_quiet_at_its_fence_holds_the_batch_back_no_more_than_its_target() {
    let mut s = cut(&[(ch(7, 0), 3), (ch(7, 1), 3)]);
    s.reached(3, Time(5));
    assert_eq!(s.fence(ch(7, 0), said(None, Some(5))).unwrap(), None);
    assert_eq!(s.batch_watermark(3, said(None, Some(8))), Time(8));
    let done = s.fence(ch(7, 1), said(Some(3), Some(9))).unwrap().unwrap();
    assert_eq!(done.frontiers.get(3), Time(9));
}

#[test]
fn what_was_once_over_for_a_batch_stays_so() {
    let mut s = cut(&[(ch(7, 0), 3), (ch(7, 1), 3)]);
    assert_eq!(s.fence(ch(7, 0), said(None, Some(5))).unwrap(), None);
    s.observe(3, said(Some(2), Some(6)));
    let max = Time::MAX.0;
    let done = s.fence(ch(7, 1), said(Some(max), Some(max))).unwrap().unwrap();
    assert_eq!(done.frontiers.get(3), Time(6), "who was idle at its fence has not said that all is over");
}

#[test]
fn quiet_channels_alone_come_to_the_highest_promise_but_never_to_the_end() {
    let p = |w: i64, idle| (7, ChannelWatermark { idle, ..ChannelWatermark::from(Time(w)) });
    let over = |edge, before: i64| (edge, ChannelWatermark { before: Time(before), ..ChannelWatermark::from(Time::MAX) });
    let max = Time::MAX.0;
    type Said = (u32, ChannelWatermark);
    let cases: [(&[Said], Option<i64>); 9] = [
        (&[p(4, false), p(7, false)], Some(4)),
        (&[p(4, true), p(7, false)], Some(7)),
        (&[p(4, true), p(7, true)], Some(7)),
        (&[p(4, true), p(max, false)], Some(4)),
        (&[p(4, true), over(7, 9)], Some(9)),
        (&[p(4, true), over(8, 9)], Some(9)),
        (&[p(4, false), over(7, 9)], Some(4)),
        (&[p(max, false), p(max, false)], Some(max)),
        (&[], None),
    ];
    for (all, want) in cases {
        assert_eq!(ChannelWatermark::together(all.iter().copied()), want.map(Time), "{all:?}");
    }
}

#[test]
fn in_whatever_order_channels_go_quiet_and_end_they_come_to_the_same() {
    // The promise of a target that hears the first go idle early: the source has fired as far when the second has ended.
    let idle = ChannelWatermark { idle: true, ..ChannelWatermark::from(Time(4)) };
    let target = ChannelWatermark::together([(7, idle), (7, ChannelWatermark::from(Time(9)))].into_iter());
    let over = ChannelWatermark { before: Time(9), ..ChannelWatermark::from(Time::MAX) };
    let mut s = cut(&[(ch(7, 0), 3), (ch(7, 1), 3)]);
    s.observe(3, |c| if c.from.0 == 0 { ChannelWatermark::from(Time(4)) } else { over });
    let now = |c: ChannelId| if c.from.0 == 0 { idle } else { over };
    assert_eq!(s.fence(ch(7, 0), now).unwrap(), None);
    let done = s.fence(ch(7, 1), now).unwrap().unwrap();
    assert_eq!(Some(done.frontiers.get(3)), target, "I6: the target would fire the rest below its own promise");
}
