//! Sizes of a slot's pieces of work: those of frames, reads, calls and slices.
//!
//! The defaults are measured. A simulator makes them tiny, so that a short run passes every border between two pieces of work.

use crate::operator::CALL_ROWS;

/// Sizes of one slot's pieces of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// Steps a call of [`super::Slot::run`] takes before it looks at the world again.
    pub steps: usize,
    /// Rows asked of a split at once.
    pub read_rows: usize,
    /// Rows in a full frame.
    pub frame_rows: usize,
    /// Bytes in a full frame.
    pub frame_bytes: usize,
    /// A watermark takes the rows before it along when there are at least this many.
    pub worth_shipping: usize,
    /// About how many rows an operator emits in one call.
    pub call_rows: usize,
    /// Bytes of an epoch encoded at once: about half a millisecond.
    pub encode_bytes: usize,
    /// While an epoch is being encoded, every so many steps go to it.
    pub encode_every: usize,
    /// Bytes of a warm-up encoded at once.
    pub warm_bytes: usize,
    /// While a warm-up is under way, every so many steps go to it.
    pub warm_every: usize,
    /// While a gate drains or a Final waits, every so many steps other work goes first.
    pub moves_yield: usize,
    /// The most microseconds of event time by which a split may be read ahead of the one furthest behind.
    pub drift_micros: i64,
    /// Bytes of undo images, of epochs not published, beyond which sources rest until some are (I13).
    pub undo_bytes: usize,
    /// The number of splits that are open at once; the others hold the watermark.
    pub open_splits: usize,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            steps: 4,
            read_rows: 4096,
            frame_rows: 4096,
            frame_bytes: 256 << 10,
            worth_shipping: 512,
            call_rows: CALL_ROWS,
            encode_bytes: 64 << 10,
            encode_every: 4,
            warm_bytes: 64 << 10,
            warm_every: 4,
            moves_yield: usize::MAX,
            drift_micros: 20_000_000,
            undo_bytes: 256 << 20,
            open_splits: 256,
        }
    }
}
