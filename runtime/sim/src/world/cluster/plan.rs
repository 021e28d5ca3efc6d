//! What a seed decides for a job in many processes, besides the job itself.

use super::super::plan::{MAX_SLOTS, Stage, Trigger};
use super::super::rng::Rng;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The coordinator dies; another is started.
    Office,
    /// Another coordinator is started while the old one goes on.
    Rival,
    /// A worker dies; it is started again after so many steps.
    Worker(usize, u64),
    /// Coordinator and worker die together.
    Both(usize, u64),
    /// Everything dies.
    All,
    /// A worker and whoever coordinates hear nothing of each other for so many steps.
    Cut(usize, u64),
    /// Nothing passes from one slot to another for so many steps.
    Stall(usize, usize, u64),
    /// The store answers nothing for so many steps.
    StoreDown(u64),
    /// The store is slow, fails, loses answers and answers late for so many steps.
    StoreLies(u64),
    /// The clock of a worker jumps, or that of the coordinator, ahead or back.
    Clock(Option<usize>, i64),
}

/// It.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// Slots a worker has.
    pub(super) each: usize,
    /// Slots at the beginning.
    pub(super) slots: usize,
    /// Workers wanted, and when.
    pub(super) wishes: Vec<(Trigger, u32)>,
    /// Faults, and when.
    pub(super) faults: Vec<(Trigger, Fault)>,
    /// For so many steps a coordinator waits for workers before it begins.
    pub(super) gather: u64,
    /// After so many steps without a word a worker is thought lost.
    pub(super) patience: u64,
}

impl Plan {
    pub(super) fn new(seed: u64, total: u64, slow: bool) -> Self {
        let mut rng = Rng::new(seed.rotate_left(29) ^ 0x00c1_0573);
        let each = rng.range(1, 2);
        let workers = usize::from(MAX_SLOTS) / each;
        let wish = |rng: &mut Rng| rng.range(1, workers) as u32;
        let at = |rng: &mut Rng| Trigger::Rows(rng.below((total * 9 / 10) as usize) as u64);
        let wishes = (0..rng.range(1, 4)).map(|_| (at(&mut rng), wish(&mut rng))).collect();
        let mut faults: Vec<(Trigger, Fault)> = (0..rng.range(1, 6)).map(|_| fault(total, workers, &mut rng)).collect();
        let (slots, gather) = (rng.range(1, workers) * each, rng.range(50, 1500) as u64);
        let patience = rng.range(50, 800) as u64;
        if slow {
            // Who has dealt the splits dies when some slots have heard which are theirs, and everybody before they are all known again.
            faults.push((Trigger::Rows(rng.below(40) as u64), Fault::Office));
            faults.push((Trigger::Rows(total / 8 + rng.below(total as usize / 8) as u64), Fault::All));
        }
        Self { each, slots, wishes, faults, gather, patience }
    }

    /// How many workers there may be.
    pub(super) fn workers(&self) -> usize {
        usize::from(MAX_SLOTS) / self.each
    }
}

fn fault(total: u64, workers: usize, rng: &mut Rng) -> (Trigger, Fault) {
    let rows = rng.below((total + total / 6).max(1) as usize) as u64;
    let trigger = match rng.below(5) {
        0 => Trigger::Rows(rows),
        _ => Trigger::During(rng.pick(&Stage::ALL).copied().unwrap_or(Stage::Cut), rows),
    };
    let (long, worker) = (rng.range(20, 800) as u64, rng.below(workers));
    let fault = match rng.below(22) {
        0..=6 => Fault::Office,
        7 | 8 => Fault::Rival,
        9..=11 => Fault::Worker(worker, long * 2),
        12 => Fault::Both(worker, long * 2),
        13 => Fault::All,
        14 | 15 => Fault::Cut(worker, long * 3),
        16 => Fault::Stall(rng.below(usize::from(MAX_SLOTS)), rng.below(usize::from(MAX_SLOTS)), long * 2),
        17 => Fault::StoreDown(long),
        18 => Fault::StoreLies(long * 4),
        _ => Fault::Clock(rng.chance(1, 3).then_some(worker), rng.next() as i64 % 1_000_000_000),
    };
    (trigger, fault)
}
