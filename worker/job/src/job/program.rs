//! The program of a job: SQL, or an image with a program of one's own.
//!
//! SQL remembers where each of its lines stood in the file, so that an error of the SQL planner is reported where the user's cursor
//! should go, not in coordinates of a string nobody sees.

use granit_parser::ScalarStyle;

use crate::problem::Position;
use crate::yaml::tree::{Node, Value};

/// The program of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Program {
    /// SQL, run by the stock worker.
    Sql {
        /// The text.
        text: SqlText,
        /// Another build of the stock worker than this version's.
        image: Option<String>,
        /// Further arguments of the worker.
        args: Vec<String>,
    },
    /// A program of one's own.
    Image {
        /// The image.
        image: String,
        /// The image's arguments.
        args: Vec<String>,
    },
}

/// SQL text that knows where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlText {
    pub(crate) text: String,
    pub(crate) origin: Origin,
}

/// The position in the file of a place of the SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The position in the file.
    pub position: Position,
    /// True if the position is the very place. Where the text was folded or escaped, the position is the beginning of the text.
    pub exact: bool,
}

/// Positions in the file of the lines of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The beginning of each line.
    Lines(Vec<Position>),
    /// The beginning of the first line; the others follow as lines of their own, from their first column.
    Whole(Position),
    /// Only the beginning is known.
    Start(Position),
}

impl SqlText {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The position in the file of a line and column of the text (from one, in characters).
    #[must_use]
    pub fn place(&self, line: u32, column: u32) -> Place {
        let (line, column) = (line.max(1), column.max(1));
        match &self.origin {
            Origin::Lines(lines) => match lines.get(line as usize - 1).or_else(|| lines.last()) {
                Some(start) => {
                    let position = Position { line: start.line, column: start.column.saturating_add(column - 1) };
                    Place { position, exact: line as usize <= lines.len() }
                }
                None => Place { position: Position::START, exact: false },
            },
            Origin::Whole(start) if line == 1 => {
                Place { position: Position { line: start.line, column: start.column.saturating_add(column - 1) }, exact: true }
            }
            Origin::Whole(start) => {
                Place { position: Position { line: start.line.saturating_add(line - 1), column }, exact: true }
            }
            Origin::Start(start) => Place { position: *start, exact: false },
        }
    }
}

impl Origin {
    /// Finds where the lines of a scalar stood: exact for a literal block (`|`) and for what stands in one line as it is.
    pub(crate) fn of(node: &Node, source: &str) -> Self {
        let Value::Scalar { text, style, .. } = &node.value else { return Self::Start(node.at) };
        match style {
            ScalarStyle::Literal => Self::literal(node.at, text, source),
            ScalarStyle::Plain => Self::inline(node, 0, text, source),
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Self::inline(node, 1, text, source),
            ScalarStyle::Folded => Self::Start(node.at),
        }
    }

    fn inline(node: &Node, quote: u32, text: &str, source: &str) -> Self {
        let as_it_is = source.get(node.offset + quote as usize..).is_some_and(|rest| rest.starts_with(text));
        if as_it_is && !text.contains(['\n', '\r']) {
            return Self::Lines(vec![Position { line: node.at.line, column: node.at.column.saturating_add(quote) }]);
        }
        Self::Start(node.at)
    }

    /// The lines of a literal block stand as they are, indented. The parser gives the place of the first line that is not empty.
    fn literal(at: Position, text: &str, source: &str) -> Self {
        let mut lines = Vec::new();
        let empty = text.lines().take_while(|line| line.is_empty()).count();
        let above = (at.line as usize).saturating_sub(empty + 1);
        for (i, (of_text, of_source)) in text.lines().zip(source.lines().skip(above)).enumerate() {
            let line = above + 1 + i;
            match of_source.strip_suffix(of_text) {
                Some(indent) => lines.push(Position::new(line, indent.chars().count() + 1)),
                None => return Self::Start(at),
            }
        }
        if lines.is_empty() { Self::Start(at) } else { Self::Lines(lines) }
    }
}
