//! The trace of a run, step by step: always as one number, on request as text. The same seed must give the same number.

use super::rng::mix;

/// The record of a run.
#[derive(Debug, Default)]
pub struct Trace {
    hash: u64,
    steps: u64,
    lines: Option<Vec<String>>,
}

impl Trace {
    /// A record; with text, if wanted.
    #[must_use]
    pub fn new(text: bool) -> Self {
        Self { hash: 0, steps: 0, lines: text.then(Vec::new) }
    }

    /// Notes a step: what kind, and with whom.
    #[inline]
    pub fn note(&mut self, kind: u8, a: u64, b: u64, text: impl FnOnce() -> String) {
        self.steps += 1;
        self.hash = mix(self.hash ^ mix(u64::from(kind) << 56 ^ a << 28 ^ b));
        if let Some(lines) = &mut self.lines {
            lines.push(format!("{:6} {}", self.steps, text()));
        }
    }

    /// True if the trace keeps text.
    #[must_use]
    pub fn speaks(&self) -> bool {
        self.lines.is_some()
    }

    /// The number.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// The number of steps.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The text.
    #[must_use]
    pub fn into_lines(self) -> Vec<String> {
        self.lines.unwrap_or_default()
    }
}
