//! Fault plan: the seed's choices for the processes of a job, besides the job itself: their number, the targets, the faults.

use watershed_cluster::Patience;

use super::plan::{Fault as JobFault, MAX_SLOTS, Plan, Stage, Trigger};
use super::rng::Rng;

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The coordinator's process dies; another is started.
    Manager,
    /// Another coordinator is started while the old one goes on; where it shares its worker's fate, for so many steps.
    Rival(u64),
    /// A worker dies; it is started again after so many steps.
    Worker(usize, u64),
    /// Coordinator and worker die together.
    Both(usize, u64),
    /// Everything dies.
    All,
    /// A worker is told to end; another of its name is started so many steps after it has.
    Leave(usize, u64),
    /// A worker and its coordinator hear nothing of each other for so many steps; where it is silent, the connection seems to stand.
    Cut(usize, u64, bool),
    /// A process that was replaced registers again.
    Ghost(usize),
    /// Nothing passes from one slot to another for so many steps.
    Stall(usize, usize, u64),
    /// The store answers nothing for so many steps.
    StoreDown(u64),
    /// The store is slow, fails, loses answers and answers late for so many steps.
    StoreLies(u64),
    /// The clock of a worker jumps, or that of the coordinator, ahead or back.
    Clock(Option<usize>, i64),
    /// A user wants a snapshot under a name.
    Snapshot,
}

/// The processes of a job.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    /// One process: its coordinator and its one worker share their fate, and slots are counted.
    pub(super) shared: bool,
    /// Slots a worker has.
    pub(super) each: usize,
    /// Workers wanted at the beginning.
    pub(super) workers: u32,
    /// Workers (or slots) wanted later, and when.
    pub(super) wishes: Vec<(Trigger, u32)>,
    /// Faults, and when.
    pub(super) faults: Vec<(Trigger, Fault)>,
    /// A manager's waits and time-outs.
    pub(super) patience: Patience,
    /// A worker's memory for state; 0 if unlimited.
    pub(super) memory: u64,
}

/// Microseconds of a manager's time that a step takes, about.
const STEP: usize = 400;

impl Setting {
    /// One process, as the job's own plan has it.
    pub(super) fn one(plan: &Plan) -> Self {
        let mut rng = Rng::new(plan.seed.rotate_left(31) ^ 0x0e1e_c7ed);
        let snapshot = named(plan.total(), &mut rng);
        let faults = plan.faults.iter().map(|(t, f)| (*t, of_one_process(*f))).chain(snapshot).collect();
        let wishes = plan.wishes.iter().map(|(t, n)| (*t, u32::from(*n))).collect();
        let patience = patience(plan, &mut rng);
        let (shared, each) = (true, usize::from(MAX_SLOTS));
        Self { shared, each, workers: 1, wishes, faults, patience, memory: 0 }
    }

    /// Many processes.
    pub(super) fn many(plan: &Plan) -> Self {
        let (seed, total) = (plan.seed, plan.total());
        let mut rng = Rng::new(seed.rotate_left(29) ^ 0x00c1_0573);
        let each = rng.range(1, 2);
        let workers = usize::from(MAX_SLOTS) / each;
        let wish = |rng: &mut Rng| rng.range(1, workers) as u32;
        let at = |rng: &mut Rng| Trigger::Rows(rng.below((total * 9 / 10) as usize) as u64);
        let wishes = (0..rng.range(1, 4)).map(|_| (at(&mut rng), wish(&mut rng))).collect();
        let mut faults: Vec<(Trigger, Fault)> = (0..rng.range(1, 6)).map(|_| fault(total, workers, &mut rng)).collect();
        let wanted = rng.range(1, workers) as u32;
        let patience = patience(plan, &mut rng);
        if plan.listing > 1 {
            // The manager that has dealt the splits dies when some slots have heard which are theirs, and all processes before they are all
            // known again.
            faults.push((Trigger::Rows(rng.below(40) as u64), Fault::Manager));
            faults.push((Trigger::Rows(total / 8 + rng.below(total as usize / 8) as u64), Fault::All));
        }
        faults.extend(named(total, &mut rng));
        let memory = if rng.chance(1, 8) { rng.range(500, 30_000) as u64 } else { 0 };
        Self { shared: false, each, workers: wanted, wishes, faults, patience, memory }
    }

    /// The most workers that there may be.
    pub(super) fn most(&self) -> usize {
        if self.shared { 0 } else { usize::from(MAX_SLOTS) / self.each }
    }
}

fn of_one_process(fault: JobFault) -> Fault {
    match fault {
        JobFault::Crash => Fault::All,
        JobFault::Zombie(n) => Fault::Rival(u64::from(n)),
        JobFault::StoreDown(n) => Fault::StoreDown(u64::from(n)),
        JobFault::StoreLies(n) => Fault::StoreLies(u64::from(n)),
        JobFault::Stall(to, from, n) => Fault::Stall(usize::from(from), usize::from(to), u64::from(n)),
        JobFault::Clock(by) => Fault::Clock(None, by),
    }
}

fn named(total: u64, rng: &mut Rng) -> Option<(Trigger, Fault)> {
    rng.chance(1, 4).then(|| (Trigger::Rows(rng.below(total as usize) as u64), Fault::Snapshot))
}

fn patience(plan: &Plan, rng: &mut Rng) -> Patience {
    let steps = |rng: &mut Rng, low, high| (rng.range(low, high) * STEP) as i64;
    let gone = steps(rng, 50, 800);
    Patience {
        gone,
        silent: gone * 3,
        away: gone * 2,
        gather: steps(rng, 50, 1500),
        gather_first: steps(rng, 500, 5000),
        rest: steps(rng, 50, 600),
        failing: if rng.chance(1, 4) { steps(rng, 500, 2000) } else { 60_000_000 },
        look: steps(rng, 50, 500),
        collect: (plan.epoch_rows * 1000) as i64 / rng.range(1, 3) as i64,
        leave: steps(rng, 400, 4000),
    }
}

fn fault(total: u64, workers: usize, rng: &mut Rng) -> (Trigger, Fault) {
    let rows = rng.below((total + total / 6).max(1) as usize) as u64;
    let trigger = match rng.below(5) {
        0 => Trigger::Rows(rows),
        _ => Trigger::During(rng.pick(&Stage::ALL).copied().unwrap_or(Stage::Cut), rows),
    };
    let (long, worker) = (rng.range(20, 800) as u64, rng.below(workers));
    let fault = match rng.below(28) {
        0..=6 => Fault::Manager,
        7 | 8 => Fault::Rival(u64::MAX),
        9..=11 => Fault::Worker(worker, long * 2),
        12 => Fault::Both(worker, long * 2),
        13 => Fault::All,
        14 | 15 => Fault::Cut(worker, long * 3, rng.chance(1, 2)),
        16 => Fault::Stall(rng.below(usize::from(MAX_SLOTS)), rng.below(usize::from(MAX_SLOTS)), long * 2),
        17 => Fault::StoreDown(long),
        18 => Fault::StoreLies(long * 4),
        19..=23 => Fault::Leave(worker, long * 2),
        24 => Fault::Ghost(worker),
        _ => Fault::Clock(rng.chance(1, 3).then_some(worker), rng.next() as i64 % 1_000_000_000),
    };
    (trigger, fault)
}
