//! Windows as the planner and the plan have them: how long, where they start, and which columns they add to a row.

/// A tumbling window: `[start, start + size)`, with starts at `offset` modulo `size`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tumble {
    /// The length, in microseconds.
    pub size_micros: i64,
    /// The start of windows, in microseconds since the epoch modulo the size.
    pub offset_micros: i64,
}

/// One of the columns that a window adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WindowColumn {
    /// The first moment of the window.
    Start,
    /// The first moment after it.
    End,
    /// The last millisecond of the window: the event time of what comes out of it.
    Time,
}

impl WindowColumn {
    /// In the order in which they are added.
    pub const ALL: [Self; 3] = [Self::Start, Self::End, Self::Time];
}
