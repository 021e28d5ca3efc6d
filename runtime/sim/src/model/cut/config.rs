//! The configuration of a world of the cut model.

/// An item that an upstream sends.
#[derive(Clone, Copy, Debug)]
pub enum Item {
    /// The record with this number.
    R(u8),
    /// A watermark.
    W(u8),
}
use Item::{R, W};

/// A cut that the coordinator may make.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    /// The keys that move; each key is a key group.
    pub keys: &'static [u8],
    /// From this slot …
    pub from: u8,
    /// … to this one.
    pub to: u8,
}

/// A world to explore.
#[derive(Clone, Debug)]
pub struct Config {
    /// For reports.
    pub name: &'static str,
    /// Keyed stages in a row: 1 or 2.
    pub stages: usize,
    /// Slots, each with all stages.
    pub slots: usize,
    /// Consumers after the last stage; a key's rows go to consumer key % consumers.
    pub consumers: usize,
    /// Records: (key at stage 0, event time). At most six.
    pub records: &'static [(u8, u8)],
    /// The key at stage 1 of the rows of each key at stage 0.
    pub rekey: &'static [u8],
    /// The first owner of each key.
    pub home: &'static [u8],
    /// The items of each upstream.
    pub scripts: &'static [&'static [Item]],
    /// Stages with a timer.
    pub timers: [bool; 2],
    /// The cuts, made in this order.
    pub cuts: &'static [Cut],
    /// The most cuts that may be open at once.
    pub open: usize,
    /// Barriers.
    pub epochs: u8,
    /// Epochs injected and not yet published.
    pub flights: usize,
    /// Crashes.
    pub crashes: u8,
    /// Slots hear of a publication at some later time of their own.
    pub late_published: bool,
}

const THERE: &[Cut] = &[Cut { keys: &[0], from: 0, to: 1 }];
const BACK: &[Cut] = &[Cut { keys: &[0], from: 0, to: 1 }, Cut { keys: &[0], from: 1, to: 0 }];
const TWO: &[Cut] = &[Cut { keys: &[0], from: 0, to: 1 }, Cut { keys: &[1], from: 0, to: 1 }];
const APART: &[Cut] = &[Cut { keys: &[0], from: 0, to: 1 }, Cut { keys: &[1], from: 0, to: 2 }];

/// One key that moves, no barrier, no crash. The others say what they add.
pub const BASE: Config = Config {
    name: "base",
    stages: 1,
    slots: 2,
    consumers: 1,
    records: &[(0, 5), (0, 15), (0, 7)],
    rekey: &[0, 1],
    home: &[0, 1],
    scripts: &[&[R(0), W(10), R(1)], &[R(2), W(10)]],
    timers: [true, false],
    cuts: THERE,
    open: 1,
    epochs: 0,
    flights: 1,
    crashes: 0,
    late_published: false,
};

/// Small worlds: every one is explored whole in every test run.
pub const SMALL: &[Config] = &[
    BASE,
    Config {
        name: "one stays at T",
        records: &[(0, 5), (0, 15), (1, 8)],
        scripts: &[&[R(0), W(10)], &[R(2), W(10), R(1)]],
        ..BASE
    },
    Config { name: "watermarks in two steps", records: &[(0, 2), (0, 5)], scripts: &[&[R(0), W(3), R(1), W(10)]], ..BASE },
    Config {
        name: "a barrier and a crash",
        records: &[(0, 5), (0, 15)],
        scripts: &[&[R(0), W(10), R(1)]],
        epochs: 1,
        crashes: 1,
        ..BASE
    },
    Config {
        name: "two consumers",
        records: &[(0, 5), (0, 15), (1, 8)],
        scripts: &[&[R(0), W(10)], &[R(2), W(10), R(1)]],
        home: &[0, 0],
        cuts: &[Cut { keys: &[0, 1], from: 0, to: 1 }],
        consumers: 2,
        ..BASE
    },
    Config {
        name: "two batches at once",
        records: &[(0, 5), (1, 15)],
        scripts: &[&[R(0), W(10), R(1), W(20)]],
        home: &[0, 0],
        cuts: TWO,
        open: 2,
        ..BASE
    },
    Config {
        name: "two targets",
        slots: 3,
        records: &[(0, 5), (1, 15)],
        scripts: &[&[R(0), W(10), R(1), W(20)]],
        home: &[0, 0],
        cuts: APART,
        open: 2,
        timers: [false, false],
        ..BASE
    },
    Config {
        name: "two targets, the second fenced first",
        slots: 3,
        records: &[(1, 15), (0, 25)],
        scripts: &[&[R(0), W(20), R(1)]],
        home: &[0, 0],
        cuts: APART,
        open: 2,
        timers: [false, false],
        ..BASE
    },
    Config {
        name: "two stages",
        stages: 2,
        records: &[(0, 5), (0, 15)],
        scripts: &[&[R(0), W(10), R(1)]],
        timers: [true, true],
        ..BASE
    },
    Config {
        name: "two stages, no time",
        stages: 2,
        records: &[(0, 5), (0, 6), (0, 7), (0, 8)],
        scripts: &[&[R(0), R(1), R(2), R(3)]],
        timers: [false, false],
        ..BASE
    },
    Config {
        name: "two stages and a barrier",
        stages: 2,
        records: &[(0, 5), (0, 15)],
        scripts: &[&[R(0), R(1)]],
        timers: [false, false],
        epochs: 1,
        ..BASE
    },
    Config {
        name: "there and back",
        records: &[(0, 5), (0, 15)],
        scripts: &[&[R(0), R(1)]],
        timers: [false, false],
        cuts: BACK,
        epochs: 2,
        crashes: 1,
        late_published: true,
        ..BASE
    },
];

/// Worlds for mutants that no small world shows.
pub const MEDIUM: &[Config] = &[
    Config {
        name: "a barrier and a crash, two upstreams",
        records: &[(0, 5), (0, 15)],
        scripts: &[&[R(0), W(10)], &[W(10), R(1)]],
        epochs: 1,
        crashes: 1,
        ..BASE
    },
    Config {
        name: "two epochs in flight, a crash",
        records: &[(0, 5), (0, 15)],
        scripts: &[&[R(0), R(1)]],
        timers: [false, false],
        epochs: 2,
        flights: 2,
        crashes: 1,
        ..BASE
    },
];

/// Big worlds: minutes each; `watershed-model` explores them.
pub const BIG: &[Config] = &[
    Config {
        name: "two batches at once, two upstreams",
        records: &[(0, 5), (1, 15), (1, 7)],
        scripts: &[&[R(0), W(10), R(1)], &[R(2), W(10)]],
        home: &[0, 0],
        cuts: TWO,
        open: 2,
        ..BASE
    },
    Config {
        name: "A: three move, one stays at T, barrier, crash",
        records: &[(0, 5), (0, 15), (0, 7), (1, 8)],
        scripts: &[&[R(0), W(10), R(1)], &[R(2), R(3), W(10)]],
        epochs: 1,
        crashes: 1,
        ..BASE
    },
    Config {
        name: "B: two move, one stays at T, two barriers, crash",
        records: &[(0, 5), (0, 15), (1, 8)],
        scripts: &[&[R(0), W(10)], &[R(2), W(10), R(1)]],
        epochs: 2,
        flights: 2,
        crashes: 1,
        ..BASE
    },
    Config {
        name: "C: three move, one stays at S, barrier, crash",
        records: &[(0, 5), (0, 15), (0, 7), (1, 12)],
        scripts: &[&[R(0), W(10), R(3)], &[R(2), W(10), R(1)]],
        home: &[0, 0],
        epochs: 1,
        crashes: 1,
        ..BASE
    },
    Config {
        name: "D: there and back, two barriers, crash, late Published",
        records: &[(0, 5), (0, 15)],
        scripts: &[&[R(0), W(10)], &[W(10), R(1)]],
        cuts: BACK,
        epochs: 2,
        flights: 2,
        crashes: 1,
        late_published: true,
        ..BASE
    },
    Config {
        name: "E: two batches at once, barrier, crash, two consumers",
        records: &[(0, 5), (1, 15), (0, 7), (1, 8)],
        scripts: &[&[R(0), W(10), R(1)], &[R(2), R(3), W(10)]],
        home: &[0, 0],
        cuts: TWO,
        open: 2,
        consumers: 2,
        epochs: 1,
        ..BASE
    },
    Config {
        name: "F: two targets at once",
        slots: 3,
        records: &[(0, 5), (1, 15), (1, 7)],
        scripts: &[&[R(0), W(10), R(1)], &[R(2), W(10)]],
        home: &[0, 0],
        cuts: APART,
        open: 2,
        ..BASE
    },
    Config {
        name: "G: two stages with timers, barrier, crash",
        stages: 2,
        records: &[(0, 5), (0, 15)],
        scripts: &[&[R(0), W(10), R(1)]],
        timers: [true, true],
        epochs: 1,
        crashes: 1,
        ..BASE
    },
    Config {
        name: "H: two stages, two upstreams, two consumers",
        stages: 2,
        records: &[(0, 5), (0, 15), (1, 7)],
        scripts: &[&[R(0), W(10)], &[R(2), W(10), R(1)]],
        timers: [true, true],
        consumers: 2,
        ..BASE
    },
];
