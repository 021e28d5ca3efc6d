//! Operations of a changelog.

/// The operation of a row in a changelog.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Op {
    /// `+I`: a new row.
    #[default]
    Insert = 0,
    /// `-U`: the row as it was, before the `+U` that follows.
    UpdateBefore = 1,
    /// `+U`: the row as it is now.
    UpdateAfter = 2,
    /// `-D`: the row is gone.
    Delete = 3,
}

impl Op {
    /// The row's sign in a sum: 1, or -1 for one that is taken back.
    #[inline]
    #[must_use]
    pub fn sign(self) -> i64 {
        match self {
            Self::Insert | Self::UpdateAfter => 1,
            Self::UpdateBefore | Self::Delete => -1,
        }
    }

    /// `+I`, `-U`, `+U` or `-D`.
    #[must_use]
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Insert => "+I",
            Self::UpdateBefore => "-U",
            Self::UpdateAfter => "+U",
            Self::Delete => "-D",
        }
    }
}
