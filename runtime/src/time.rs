//! Event time and watermarks.
//!
//! Time is `i64` microseconds since the Unix epoch. A watermark `w` is a promise: no later row on that channel has an event
//! time at or below `w` (I6). So a row with `time <= w` is late, and a window `[s, e)` may close once `w >= e - 1`.

use serde::{Deserialize, Serialize};

/// Event time in microseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct Time(pub i64);

impl Time {
    /// Before every row: the watermark of a channel that has promised nothing.
    pub const MIN: Self = Self(i64::MIN);
    /// After every row: the watermark of an input that has ended.
    pub const MAX: Self = Self(i64::MAX);

    /// From milliseconds, saturating at the ends.
    #[must_use]
    pub fn from_millis(ms: i64) -> Self {
        Self(ms.saturating_mul(1000))
    }

    /// This time moved back by `micros`, saturating at the ends; the ends themselves stay.
    #[must_use]
    pub fn minus(self, micros: i64) -> Self {
        if self == Self::MIN || self == Self::MAX { self } else { Self(self.0.saturating_sub(micros)) }
    }
}
