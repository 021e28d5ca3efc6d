//! Problems of a job's text: the place, the reason, the advice.
//!
//! A problem always names a place a person can put a cursor on. All the problems that can be seen at once are reported at once:
//! a manifest with three misspelt fields needs one run to learn of them, not three. What this module refuses to be is a chain of
//! causes: the reader wrote the text and needs the place, not our call stack.

use std::fmt;

/// A place in a text: both counted from one, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line, from one.
    pub line: u32,
    /// The column, from one, in characters.
    pub column: u32,
}

impl Position {
    /// The first character of a text.
    pub const START: Self = Self { line: 1, column: 1 };

    pub(crate) fn new(line: usize, column: usize) -> Self {
        Self { line: u32::try_from(line).unwrap_or(u32::MAX), column: u32::try_from(column).unwrap_or(u32::MAX) }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// One thing that is wrong, or worth a notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The place in the text.
    pub position: Position,
    /// The field path, such as `spec.snapshots.retention.maxCount`; empty where no field is concerned.
    pub path: String,
    /// The error: lower case, without a full stop.
    pub what: String,
    /// The remedy.
    pub advice: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.position)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.what)
    }
}

/// The reason for which a value is refused, before its place is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    /// The error: lower case, without a full stop.
    pub what: String,
    /// The remedy.
    pub advice: Option<String>,
}

impl Why {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), advice: None }
    }

    pub(crate) fn advise(self, advice: impl Into<String>) -> Self {
        Self { what: self.what, advice: Some(advice.into()) }
    }

    pub(crate) fn at(self, position: Position, path: impl Into<String>) -> Problem {
        Problem { position, path: path.into(), what: self.what, advice: self.advice }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

/// A text that is not a job: every problem found in it, in the order of the text, at least one.
#[derive(Clone, Debug, thiserror::Error)]
pub struct Refusal {
    file: String,
    problems: Vec<Problem>,
}

impl Refusal {
    pub(crate) fn new(file: &str, mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|p| p.position);
        Self { file: file.to_owned(), problems }
    }

    pub(crate) fn one(file: &str, problem: Problem) -> Self {
        Self::new(file, vec![problem])
    }

    /// The file as the caller named it.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Everything that is wrong, in the order of the text.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

/// One line a problem, `file:line:column: path: what`, each followed by its advice on a line of its own.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.problems.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            write!(f, "{}:{problem}", self.file)?;
            if let Some(advice) = &problem.advice {
                write!(f, "\n  help: {advice}")?;
            }
        }
        Ok(())
    }
}
