//! The build of this program, as processes tell each other.

/// The build of this program.
pub(super) fn build() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}
