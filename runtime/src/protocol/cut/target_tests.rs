//! T: (phase, event) → (phase, effects).

use std::sync::Arc;

use super::TargetEffect as E;
use super::TargetPhase as P;
use super::*;
use crate::key::{GroupSet, KeySpace, SlotId};

fn cut() -> TargetCut {
    let groups = Arc::new(GroupSet::new(KeySpace::default()));
    let plan = CutPlan { batch: 1, version: 4, groups, source: SlotId(0), target: SlotId(1) };
    TargetCut::new(Arc::new(plan), RuleSet::ALL)
}

fn f(t: i64) -> Frontiers {
    [(3, Time(t))].into_iter().collect()
}

#[test]
fn fence_first_gates_and_holds_until_the_timers_have_fired() {
    let mut t = cut();
    assert_eq!(t.fence(), [E::DropFrozen, E::StartHold]);
    assert_eq!(t.fence(), []);
    assert!(t.gates() && !t.active() && t.tag_at(3).is_none());
    assert_eq!(t.final_(f(10)).unwrap(), [E::Apply]);
    assert!(t.gates() && t.active() && t.tag_at(3).is_some());
    assert_eq!(t.batch_watermark(3, Time(50)), Time(10));
    assert_eq!(t.gate_empty(|_| Time(50)), [E::FireTimers]);
    assert_eq!(t.batch_watermark(3, Time(60)), Time(50));
    assert!(t.gates());
    t.timers_fired();
    assert_eq!(t.gate_empty(|_| Time(50)), [E::ReleaseHold, E::ReportActive]);
    assert_eq!((t.phase(), t.gates()), (P::Active, false));
    assert_eq!(t.batch_watermark(3, Time(60)), Time(60));
}

#[test]
fn final_first_opens_gate_and_hold_only_while_it_is_worked_off() {
    let mut t = cut();
    assert_eq!(t.final_(f(10)).unwrap(), [E::DropFrozen, E::StartHold, E::Apply]);
    assert_eq!(t.fence(), []);
    assert_eq!(t.gate_empty(|_| Time(7)), [E::ReleaseHold, E::ReportActive], "S has fired up to F");
    assert_eq!(t.fence(), [], "a late fence gates nothing");
    assert_eq!(t.phase(), P::Active);
}

#[test]
fn a_watermark_that_rises_while_timers_fire_is_fired_up_to_before_the_release() {
    let mut t = cut();
    let _ = t.fence();
    let _ = t.final_(f(10)).unwrap();
    let _ = t.gate_empty(|_| Time(20));
    assert_eq!(t.batch_watermark(3, Time(30)), Time(20), "not as of the firing: rows above 20 may be in the gate");
    t.timers_fired();
    assert_eq!((t.phase(), t.batch_watermark(3, Time(30))), (P::Draining, Time(20)));
    assert_eq!(t.gate_empty(|_| Time(30)), [E::FireTimers]);
    assert_eq!(t.batch_watermark(3, Time(40)), Time(30));
    t.timers_fired();
    assert_eq!(t.gate_empty(|_| Time(30)), [E::ReleaseHold, E::ReportActive]);
}

#[test]
fn tags_end_at_the_next_barrier_and_a_barrier_in_a_cut_is_a_defect() {
    let mut t = cut();
    assert!(t.barrier().is_err());
    let _ = t.final_(f(1)).unwrap();
    assert!(t.barrier().is_err());
    let _ = t.gate_empty(|_| Time(1));
    let tag = Some(Tag { version: 4, batch: 1, source: SlotId(0) });
    assert_eq!((t.tag_at(3), t.tag_at(4)), (tag, tag));
    t.stage_barrier(3).unwrap();
    assert_eq!((t.tag_at(3), t.tag_at(4)), (None, tag), "each stage at its own barrier");
    t.barrier().unwrap();
    assert_eq!((t.tag_at(3), t.tag_at(4)), (None, None));
}

#[test]
fn a_second_final_is_a_defect_and_events_out_of_phase_do_nothing() {
    let mut t = cut();
    assert_eq!(t.gate_empty(|_| Time(0)), []);
    t.timers_fired();
    assert_eq!(t.phase(), P::Waiting);
    let _ = t.final_(f(1)).unwrap();
    assert!(t.final_(f(1)).is_err());
}
