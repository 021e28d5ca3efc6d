//! Plan: the seed's choices before the first step: the job, its input, the sizes of everything, the faults and the wishes to come.

use std::sync::Arc;

use watershed_runtime::slot::Tuning;

use super::ending::{Ending, endings};
use super::rng::Rng;
use crate::jobs::input::Input;
use crate::jobs::{Env, JobKind};

/// The moment of a fault or wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// The moment at which so many rows have been read, in all processes together.
    Rows(u64),
    /// At some step while this goes on, or when so many rows have been read.
    During(Stage, u64),
}

/// A stage of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// A process reads the log or claims its term.
    Starting,
    /// Some batch warms up.
    Warming,
    /// A cut is open and its Final has not been sent.
    Fenced,
    /// A Final has been sent and its target is not active.
    Final,
    /// A cut is over and no manifest carries it.
    Cut,
    /// New slots exist that take no part yet.
    Joining,
    /// A slot takes no part any more and is not released.
    Leaving,
    /// A barrier is aligning.
    Aligning,
    /// A state file is being written.
    Uploading,
    /// A manifest is being put.
    Publishing,
    /// Output is being committed.
    Committing,
}

impl Stage {
    /// All stages.
    pub const ALL: [Self; 11] = [
        Self::Starting,
        Self::Warming,
        Self::Fenced,
        Self::Final,
        Self::Cut,
        Self::Joining,
        Self::Leaving,
        Self::Aligning,
        Self::Uploading,
        Self::Publishing,
        Self::Committing,
    ];
}

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The whole job dies; another process starts.
    Crash,
    /// Another process starts while the old one goes on for so many steps.
    Zombie(u32),
    /// The store answers nothing for so many steps.
    StoreDown(u32),
    /// For so many steps the store is slow, fails, loses answers and answers late.
    StoreLies(u32),
    /// Nothing passes between two slots (by number) for so many steps.
    Stall(u8, u8, u32),
    /// The clock jumps, in microseconds, perhaps back.
    Clock(i64),
}

/// Everything a seed decides.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// The job.
    pub kind: JobKind,
    /// The input and parameters of the job.
    pub env: Env,
    /// Slots of each process in turn.
    pub slots: Vec<u16>,
    /// Sizes in a slot.
    pub tuning: Tuning,
    /// Rows that may be under way on each channel.
    pub window: u32,
    /// Wishes for other numbers of slots.
    pub wishes: Vec<(Trigger, u16)>,
    /// Faults.
    pub faults: Vec<(Trigger, Fault)>,
    /// The endings, and their moments.
    pub endings: Vec<(Trigger, Ending)>,
    /// Rows from one barrier to the next.
    pub epoch_rows: u64,
    /// Epochs that may be injected and not published.
    pub in_flight: usize,
    /// Groups a batch, batches that warm up at once, cuts open at once.
    pub sizes: (usize, usize, usize),
    /// Out of 16 reads, so many say `Pending`.
    pub pending: usize,
    /// So many discoveries do not know yet whether there are more splits.
    pub patience: u64,
    /// Of so many turns of a discovery one comes to an answer, where a job runs in many processes.
    pub listing: usize,
    /// Events handed over in a row from one queue, at most.
    pub burst: usize,
    /// True if state and credits travel in queues of their own, besides rows.
    pub apart: bool,
    /// The slot that the scheduler favours or neglects, and by how much.
    pub bias: (u16, usize),
}

/// The most slots of a run.
pub const MAX_SLOTS: u16 = 5;

impl Plan {
    /// The plan of a seed; `only` names the job.
    #[must_use]
    pub fn new(seed: u64, only: Option<JobKind>) -> Self {
        let mut rng = Rng::new(seed);
        // Jobs of two keyed stages come more often: most of what can go wrong goes wrong between them.
        let drawn = match rng.below(JobKind::ALL.len() + 4) {
            n if n < JobKind::ALL.len() => rng.pick(&JobKind::ALL).copied().unwrap_or(JobKind::Chain),
            n if n % 2 == 0 => JobKind::Chain,
            _ => JobKind::Cascade,
        };
        let kind = only.unwrap_or(drawn);
        let env = env(kind, &mut rng);
        let total: u64 = env.inputs.iter().map(|i| (i.splits * i.rows) as u64).sum();
        let tight = seed.is_multiple_of(2);
        let frame = if tight { rng.range(1, 4) } else { [3, 16, 64, 256].get(rng.below(4)).copied().unwrap_or(64) };
        let tuning = Tuning {
            steps: rng.range(1, 24),
            read_rows: if tight { rng.range(1, 24) } else { rng.range(8, 96) },
            frame_rows: frame,
            frame_bytes: 1 << 20,
            worth_shipping: rng.range(1, frame),
            call_rows: if rng.chance(1, 3) { 1000 } else { rng.range(1, 12) },
            encode_bytes: if rng.chance(1, 3) { 1 << 16 } else { rng.range(1, 2000) },
            encode_every: rng.range(1, 8),
            warm_bytes: if rng.chance(1, 3) { 1 << 16 } else { rng.range(1, 1500) },
            warm_every: rng.range(1, 8),
            moves_yield: if rng.chance(1, 2) { usize::MAX } else { rng.range(1, 4) },
            drift_micros: if rng.chance(1, 2) { 60_000_000 } else { 20_000 },
            undo_bytes: if total.is_multiple_of(5) { 4000 } else { 256 << 20 },
            // A split that is not open holds event time, and a gated row would wait for it for ever.
            open_splits: if rng.chance(1, 3) && kind != JobKind::Late { rng.range(1, 2) } else { 256 },
        };
        let slots = (0..16).map(|_| rng.range(1, usize::from(MAX_SLOTS) - 1) as u16).collect();
        let window = if tight { frame } else { frame * rng.range(1, 6) } as u32;
        Self {
            wishes: wishes(total, &mut rng),
            faults: faults(total, &mut rng),
            endings: endings(seed, |rng| trigger(total, rng)),
            listing: if seed.is_multiple_of(16) { 150 } else { 1 },
            epoch_rows: total / rng.range(12, 20) as u64,
            in_flight: rng.range(1, 4),
            sizes: (rng.range(8, 100), rng.range(1, 6), rng.range(1, 5)),
            pending: rng.below(6),
            patience: if rng.chance(1, 2) { 0 } else { rng.below(600) as u64 },
            burst: if rng.chance(1, 2) { 1 } else { rng.range(2, 32) },
            apart: rng.chance(1, 2),
            bias: (rng.below(6) as u16, rng.range(1, 12)),
            seed,
            kind,
            env,
            slots,
            tuning,
            window,
        }
    }

    /// Rows of all inputs together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.env.inputs.iter().map(|i| (i.splits * i.rows) as u64).sum()
    }

    /// True if a channel has room for one frame only.
    #[must_use]
    pub fn one_frame(&self) -> bool {
        self.window as usize == self.tuning.frame_rows
    }
}

fn env(kind: JobKind, rng: &mut Rng) -> Env {
    let step = 1000;
    // A multiple of six, so that a window is a few panes long, whatever it slides by.
    let window = step * 6 * rng.range(2, 7) as i64;
    let slide = if rng.chance(1, 2) { window } else { window / rng.range(2, 3) as i64 };
    let keys = [8, 40, 40, 150].get(rng.below(4)).copied().unwrap_or(40);
    let disorder = step * rng.range(1, 12) as i64;
    let inputs = kind.inputs();
    let total = rng.range(2000, 2600);
    let one = |_| {
        let splits = rng.range(2, 6);
        let rows = total.div_ceil(inputs * splits);
        let late = (kind == JobKind::Late).then(|| (rng.range(9, 30), window));
        Arc::new(Input { seed: rng.next(), splits, rows, keys, step, disorder, read: None, late })
    };
    Env { inputs: (0..inputs).map(one).collect(), window, slide, fold: [3, 7, 16].get(rng.below(3)).copied().unwrap_or(7) }
}

fn trigger(total: u64, rng: &mut Rng) -> Trigger {
    // Beyond the end too: the last epoch, and what follows it, are worth a fault.
    let rows = (total + total / 6).max(1) as usize;
    let at = rng.below(rows) as u64;
    match rng.below(4) {
        0 => Trigger::Rows(at),
        _ => Trigger::During(rng.pick(&Stage::ALL).copied().unwrap_or(Stage::Cut), at),
    }
}

fn wishes(total: u64, rng: &mut Rng) -> Vec<(Trigger, u16)> {
    let n = rng.range(1, 4);
    let one = |_| (Trigger::Rows(rng.below((total * 9 / 10) as usize) as u64), rng.range(1, usize::from(MAX_SLOTS)) as u16);
    let mut all: Vec<(Trigger, u16)> = (0..n).map(one).collect();
    if rng.chance(1, 3) {
        all.push((Trigger::During(Stage::Warming, total), rng.range(1, usize::from(MAX_SLOTS)) as u16));
    }
    all
}

fn faults(total: u64, rng: &mut Rng) -> Vec<(Trigger, Fault)> {
    let n = rng.below(6);
    let one = |_| {
        let long = rng.range(20, 600) as u32;
        let fault = match rng.below(12) {
            0..=4 => Fault::Crash,
            5 => Fault::Zombie(rng.range(50, 4000) as u32),
            6 => Fault::StoreDown(long),
            7 | 8 => Fault::StoreLies(long * 4),
            9 | 10 => Fault::Stall(rng.below(5) as u8, rng.below(6) as u8, long * 2),
            _ => Fault::Clock(rng.next() as i64 % 1_000_000_000),
        };
        (trigger(total, rng), fault)
    };
    (0..n).map(one).collect()
}
