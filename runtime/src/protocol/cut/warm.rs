//! The debt of a warm-up, so that base + stream + Final is everything (I2).
//!
//! T loads its groups from the manifest of epoch b, the base; S streams what was written since. "Since" is b, not the last
//! barrier: an epoch that has aligned and is not yet published is neither in the base nor dirty any more. S can name those writes
//! as long as it keeps the undo images of b+1, which it drops when b+1 is published. So the base must be no older than what S has
//! dropped; otherwise T takes a newer one. Once the stream has begun, later publications change nothing.

use crate::protocol::rules::RuleSet;

/// The answer of S to a target that has pinned a base.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WarmStart {
    /// S streams every entry written in this epoch or later, and keeps doing so until Final.
    Stream {
        /// The first epoch that the base lacks.
        from_epoch: u64,
    },
    /// S no longer knows what was written right after the base: load the manifest of this epoch or a newer one.
    NewerBase {
        /// The oldest base that will do.
        at_least: u64,
    },
}

/// T has pinned the manifest of epoch `base`; S still has the names of everything written in `known_from` and later (the epoch
/// after the last one it heard was published), and is writing epoch `current`.
#[must_use]
pub fn warm_start(base: u64, known_from: u64, current: u64, rules: RuleSet) -> WarmStart {
    if !rules.final_covers() {
        return WarmStart::Stream { from_epoch: current };
    }
    if base + 1 < known_from {
        return WarmStart::NewerBase { at_least: known_from - 1 };
    }
    WarmStart::Stream { from_epoch: base + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_starts_right_behind_the_base() {
        let check = |base, known_from, want| assert_eq!(warm_start(base, known_from, 9, RuleSet::ALL), want);
        check(6, 7, WarmStart::Stream { from_epoch: 7 });
        check(8, 7, WarmStart::Stream { from_epoch: 9 });
        check(5, 7, WarmStart::NewerBase { at_least: 6 });
    }
}
