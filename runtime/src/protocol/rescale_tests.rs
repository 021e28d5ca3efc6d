//! A rescale: (wish, what slots and barriers report) → effects.

use super::*;
use crate::key::{Assignment, KeySpace};
use crate::protocol::rules::RuleSet;
use RescaleEffect as E;

const SPACE: KeySpace = KeySpace { seed: 0, bits: 8 };

fn slots(n: u16) -> BTreeSet<SlotId> {
    (0..n).map(SlotId).collect()
}

struct World {
    rescale: Rescale,
    turns: Turns,
    uncommitted: BTreeSet<SlotId>,
}

fn world(n: u16) -> World {
    let sizes = Sizes { max_batch: 64, max_warming: 2, max_open: 1 };
    World {
        rescale: Rescale::new(sizes, slots(n), 1),
        turns: Turns::new(Assignment::even(SPACE, n), RuleSet::ALL),
        uncommitted: BTreeSet::new(),
    }
}

impl World {
    fn step(&mut self) -> Vec<RescaleEffect> {
        self.rescale.step(&mut self.turns, &self.uncommitted, false).unwrap()
    }

    /// Runs warm-ups and cuts to their end; how many were cut.
    fn run(&mut self, mut effects: Vec<RescaleEffect>) -> (usize, Vec<RescaleEffect>) {
        let mut cuts = 0;
        for _ in 0..1000 {
            let mut other = Vec::new();
            for e in effects {
                match e {
                    E::Warm(p) => self.rescale.warmed(p.batch),
                    E::Cut(p) => {
                        cuts += 1;
                        self.rescale.active(p.batch, &mut self.turns);
                    }
                    E::Forget(_) => {}
                    E::Members(_) | E::Release(_) => other.push(e),
                }
            }
            effects = self.step();
            if !other.is_empty() || effects.is_empty() {
                other.extend(effects);
                return (cuts, other);
            }
        }
        panic!("no end: {:?}", self.rescale.waiting(&self.turns));
    }

    fn owned(&self, n: u16) -> usize {
        self.turns.table().groups_of(SlotId(n)).len()
    }
}

#[test]
fn out_joins_first_and_moves_then() {
    let mut w = world(2);
    assert!(w.rescale.idle() && w.step().is_empty());
    assert_eq!(w.rescale.want(slots(4)), []);
    assert_eq!(w.step(), []);
    assert_eq!(w.rescale.waiting(&w.turns).unwrap(), "the rescale waits for slot 2, 3 to register");
    w.rescale.registered(SlotId(2));
    w.rescale.registered(SlotId(3));
    assert_eq!(w.step(), [E::Members(slots(4))]);
    assert_eq!(w.step(), [], "nothing moves before the barrier");
    w.rescale.members(slots(4));
    let effects = w.step();
    assert!(matches!(effects.as_slice(), [E::Warm(_), E::Warm(_)]), "two at once: {effects:?}");
    let (cuts, rest) = w.run(effects);
    assert_eq!((cuts, rest, w.owned(0), w.owned(3)), (2, vec![], 64, 64));
    assert!(w.rescale.idle());
}

#[test]
fn a_cut_waits_for_its_turn() {
    let mut w = world(1);
    w.rescale.want(slots(2));
    w.rescale.registered(SlotId(1));
    let _ = w.step();
    w.rescale.members(slots(2));
    let _ = w.step();
    w.turns.inject(1, slots(2)).unwrap();
    w.rescale.warmed(1);
    w.rescale.warmed(2);
    assert_eq!(w.step(), [], "I9");
    w.turns.aligned(1, SlotId(0));
    w.turns.aligned(1, SlotId(1));
    let effects = w.step();
    assert!(matches!(effects.as_slice(), [E::Cut(p)] if p.version == 1), "one open at once: {effects:?}");
    assert_eq!(w.rescale.waiting(&w.turns).unwrap(), "batch 1 waits for slot 1 to report it active");
}

#[test]
fn in_leaves_only_when_settled_and_is_released_only_when_committed() {
    let mut w = world(3);
    w.rescale.want(slots(2));
    let effects = w.step();
    let (_, rest) = w.run(effects);
    assert_eq!((rest, w.owned(2)), (vec![], 0), "it stays until a manifest carries the table");
    w.turns.published(w.turns.table().version);
    assert_eq!(w.step(), [E::Members(slots(2))]);
    w.uncommitted = [SlotId(2)].into();
    w.rescale.members(slots(2));
    assert_eq!(w.step(), []);
    assert!(!w.rescale.idle());
    w.uncommitted.clear();
    assert_eq!(w.step(), [E::Release([SlotId(2)].into())]);
    assert!(w.rescale.idle());
}

#[test]
fn the_newest_wish_drops_warm_ups_and_keeps_cuts() {
    let mut w = world(2);
    w.rescale.want(slots(4));
    w.rescale.registered(SlotId(2));
    w.rescale.registered(SlotId(3));
    let _ = w.step();
    w.rescale.members(slots(4));
    let _ = w.step();
    w.rescale.warmed(1);
    let effects = w.step();
    assert!(matches!(effects.as_slice(), [E::Cut(_)]), "{effects:?}");
    assert_eq!(w.rescale.want(slots(2)), [E::Forget(2)]);
    w.rescale.warmed(2);
    w.rescale.active(1, &mut w.turns);
    assert_eq!(w.step(), [], "I11: what came back now would take the place of a copy that no manifest has made useless");
    assert_eq!(w.rescale.waiting(&w.turns).unwrap(), "the next batch waits for a manifest that carries table version 1");
    w.turns.published(1);
    let effects = w.step();
    let [E::Warm(back), ..] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(back.target, SlotId(0), "what has moved goes back");
    w.rescale.warmed(back.batch);
    assert!(matches!(w.step().as_slice(), [E::Cut(_)]));
}

#[test]
fn a_slot_that_went_before_it_took_part_is_waited_for() {
    let mut w = world(2);
    w.rescale.registered(SlotId(2));
    let _none = w.rescale.want(slots(3));
    w.rescale.gone(|s| s == SlotId(2));
    assert!(w.step().is_empty(), "nobody asks a barrier for a slot that cannot be made");
    assert_eq!(w.rescale.waiting(&w.turns).unwrap(), "the rescale waits for slot 2 to register");
    w.rescale.registered(SlotId(2));
    assert_eq!(w.step(), [E::Members(slots(3))]);
}
