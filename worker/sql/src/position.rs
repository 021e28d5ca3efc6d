//! Positions in the SQL text, and errors that have one.
//!
//! Every refusal of this crate names a line and a column. Positions come from the tokeniser; where DataFusion reports an error without
//! one, the smallest enclosing clause that we can blame is used instead, never nothing.

use std::fmt;

use sqlparser::ast::Spanned;
use sqlparser::tokenizer::{Location, Span};
use watershed_runtime::error::{Error, Kind};

/// A place in the text; both numbers count characters from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The line.
    pub line: u64,
    /// The column.
    pub column: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

impl From<Location> for Position {
    fn from(l: Location) -> Self {
        Self { line: l.line, column: l.column }
    }
}

impl Position {
    /// The start of a span; `None` for the empty span, which the parser uses for "unknown".
    pub(crate) fn of_span(span: Span) -> Option<Self> {
        (span.start.line > 0).then(|| span.start.into())
    }

    /// The start of a syntax node, or `fallback` where the parser did not keep it.
    pub(crate) fn of(node: &impl Spanned, fallback: Self) -> Self {
        Self::of_span(node.span()).unwrap_or(fallback)
    }
}

/// The error for a wrong text: what, where, and what to do.
pub(crate) fn invalid(at: Position, what: impl Into<String>, advice: impl Into<String>) -> Error {
    Error::new(Kind::Invalid, what).at(at.to_string()).advise(advice)
}

/// A sentence naming the nearest of the known names, or listing them when none is near.
pub(crate) fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    let lower = name.to_lowercase();
    let near = known
        .iter()
        .map(|k| (strsim::osa_distance(&lower, &k.to_lowercase()), *k))
        .filter(|(d, k)| *d <= 1 + k.chars().count() / 3)
        .min_by_key(|(d, _)| *d);
    match near {
        Some((_, k)) => format!("did you mean '{k}'?"),
        None if known.is_empty() => "nothing of that kind is defined".into(),
        None => format!("known here: {}", known.iter().take(20).copied().collect::<Vec<_>>().join(", ")),
    }
}

/// Turns the parser's error into ours: its message ends in its position.
pub(crate) fn from_parser(error: &sqlparser::parser::ParserError, fallback: Position) -> Error {
    use sqlparser::parser::ParserError;
    let text = match error {
        ParserError::TokenizerError(m) | ParserError::ParserError(m) => m.as_str(),
        ParserError::RecursionLimitExceeded => {
            return invalid(
                fallback,
                "the statement is nested too deeply",
                "split it: give inner queries a name with CREATE VIEW",
            );
        }
    };
    let (what, at) = cut_position(text);
    let what = what.trim_end_matches([',', ' ']).replacen("Expected: ", "expected ", 1).replacen("found: ", "found ", 1);
    let what = what.trim_start_matches("sql parser error: ").to_owned();
    invalid(at.unwrap_or(fallback), what, "the SQL is Flink's: see the reference for the statement's form")
}

/// Splits "… at Line: 1, Column: 5" into message and position.
fn cut_position(text: &str) -> (&str, Option<Position>) {
    let Some((what, rest)) = text.rsplit_once(" at Line: ") else { return (text, None) };
    let mut parts = rest.split(", Column: ");
    let line = parts.next().and_then(|n| n.trim().parse().ok());
    let column = parts.next().and_then(|n| n.trim().parse().ok());
    match (line, column) {
        (Some(line), Some(column)) => (what, Some(Position { line, column })),
        _ => (what, None),
    }
}
