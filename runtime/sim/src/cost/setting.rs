//! Settings of a run (the rescale, the prices) and its results.

pub(super) const MILLI: i64 = 1_000_000;
pub(super) const SECOND: i64 = 1000 * MILLI;

/// The rescale, and the price of each piece of work.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Slots before and after.
    pub slots: (u16, u16),
    /// Bytes of state, all slots together.
    pub state: f64,
    /// Entries that stand for them.
    pub entries: u64,
    /// Rows a second that one slot sustains.
    pub rate: f64,
    /// The share of that which arrives before the rescale.
    pub load: f64,
    /// From one slot to another.
    pub latency: i64,
    /// Bytes a second: what one slot sends, encodes, takes in, and reads from or writes to the store.
    pub network: f64,
    /// Encoding state.
    pub encode: f64,
    /// Taking state in.
    pub absorb: f64,
    /// The object store, for each slot.
    pub store: f64,
    /// An answer of the object store.
    pub answer: i64,
    /// From barrier to barrier.
    pub epoch: i64,
    /// Time watched before and after.
    pub around: i64,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            slots: (4, 8),
            state: 10e9,
            entries: 1 << 18,
            rate: 200_000.0,
            load: 0.5,
            latency: MILLI / 5,
            network: 1.25e9,
            encode: 1e9,
            absorb: 0.5e9,
            store: 0.5e9,
            answer: 30 * MILLI,
            epoch: SECOND,
            around: 3 * SECOND,
        }
    }
}

/// Latencies of rows in nanoseconds, by when they arrived and whose they are.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// Before it began.
    pub before: Vec<i64>,
    /// While it went on: rows of keys that move.
    pub moved: Vec<i64>,
    /// And of keys that stay.
    pub stayed: Vec<i64>,
    /// After it.
    pub after: Vec<i64>,
    /// The duration of the rescale.
    pub took: i64,
    /// The longest time in which no row came out, before and while it went on.
    pub silence: (i64, i64),
}
