//! One statement: which it is, and its parts.

use sqlparser::ast::Query;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::Token;
use watershed_runtime::error::Result;

use super::ddl::{Cursor, TableText, create_table};
use super::split::{Piece, split};
use super::{prepare, refuse};
use crate::position::{Position, did_you_mean, from_parser, invalid};
use crate::text::Flink;

/// A statement of a job's text.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "a handful of statements, once a job")]
pub(crate) enum Statement {
    /// `CREATE TABLE`.
    Table(TableText),
    /// `CREATE VIEW`.
    View(ViewText),
    /// `INSERT INTO`, perhaps under EXPLAIN.
    Insert(InsertText),
    /// `SET 'execution.runtime-mode' = …`.
    Mode {
        /// Bounded sources only, final results only; `None` for a setting that changes nothing.
        batch: Option<bool>,
    },
}

/// A view as it is written.
#[derive(Debug)]
pub(crate) struct ViewText {
    pub(crate) name: String,
    pub(crate) at: Position,
    pub(crate) if_not_exists: bool,
    pub(crate) columns: Vec<(String, Position)>,
    pub(crate) query: Box<Query>,
}

/// An INSERT as it is written.
#[derive(Debug)]
pub(crate) struct InsertText {
    pub(crate) table: String,
    pub(crate) at: Position,
    pub(crate) columns: Vec<(String, Position)>,
    pub(crate) query: Box<Query>,
    /// The position of the query.
    pub(crate) at_query: Position,
    /// Only to be explained.
    pub(crate) explain: bool,
}

/// Parses a whole text.
pub(crate) fn parse(sql: &str) -> Result<Vec<Statement>> {
    split(sql)?.into_iter().map(statement).collect()
}

/// Statements of Flink's that have no meaning inside a job's text.
const ELSEWHERE: [(&str, &str); 14] = [
    ("USE", "a job has one name space"),
    ("SHOW", "use `watershed explain`"),
    ("DESCRIBE", "use `watershed explain`"),
    ("DESC", "use `watershed explain`"),
    ("DROP", "delete the CREATE statement instead"),
    ("ALTER", "change the CREATE statement instead"),
    ("RESET", "delete the SET statement instead"),
    ("ADD", "jars cannot be loaded"),
    ("LOAD", "modules cannot be loaded"),
    ("DELETE", "a job only adds to its sinks"),
    ("UPDATE", "a job only adds to its sinks"),
    ("TRUNCATE", "a job only adds to its sinks"),
    ("CALL", "procedures do not exist"),
    ("ANALYZE", "statistics are not used"),
];

fn statement(piece: Piece) -> Result<Statement> {
    let Piece { tokens, at, explain } = piece;
    let first = tokens.first().map(|t| t.token.to_string()).unwrap_or_default();
    let mut c = Cursor { parser: Parser::new(&Flink).with_tokens_with_locations(tokens), at };
    if c.words(&["CREATE"]) {
        return create(&mut c);
    }
    if c.words(&["SET"]) {
        return set(&mut c);
    }
    if c.at_word("INSERT") {
        return insert(&mut c, explain);
    }
    if c.words(&["EXPLAIN"]) {
        if !c.words(&["PLAN", "FOR"]) {
            while c.words(&["ESTIMATED_COST"])
                || c.words(&["CHANGELOG_MODE"])
                || c.words(&["JSON_EXECUTION_PLAN"])
                || c.takes(&Token::Comma)
            {}
        }
        return match c.at_word("INSERT") {
            true => insert(&mut c, true),
            false => Err(invalid(c.here(), "EXPLAIN takes an INSERT INTO here", "write EXPLAIN INSERT INTO sink SELECT …")),
        };
    }
    if c.at_word("SELECT") || c.at_word("WITH") || c.at_word("VALUES") {
        let advice = "a job needs somewhere to put its rows: INSERT INTO t SELECT …, where t may have 'connector' = 'print'";
        return Err(invalid(at, "a query without INSERT INTO", advice));
    }
    if let Some((word, why)) = ELSEWHERE.iter().find(|(w, _)| c.at_word(w)) {
        return Err(invalid(at, format!("{word} has no meaning in a job's text"), *why));
    }
    let known = ["CREATE TABLE", "CREATE VIEW", "INSERT INTO", "EXECUTE STATEMENT SET BEGIN", "SET", "EXPLAIN"];
    let advice = format!("a statement begins with one of {}", known.join(", "));
    Err(invalid(at, format!("{first} begins no statement"), advice))
}

fn create(c: &mut Cursor<'_>) -> Result<Statement> {
    c.words(&["TEMPORARY"]);
    if c.words(&["TABLE"]) {
        let mut table = create_table(c)?;
        prepare::table(&mut table)?;
        return Ok(Statement::Table(table));
    }
    if c.words(&["VIEW"]) {
        return view(c).map(Statement::View);
    }
    let at = c.here();
    let what = c.parser.next_token().token;
    Err(invalid(at, format!("CREATE {what} is not supported"), "CREATE TABLE and CREATE VIEW are"))
}

fn view(c: &mut Cursor<'_>) -> Result<ViewText> {
    let if_not_exists = c.if_not_exists();
    let (name, at) = c.object("a view name")?;
    let columns = if c.parser.peek_token_ref().token == Token::LParen { c.names()? } else { Vec::new() };
    c.comment()?;
    if !c.words(&["AS"]) {
        return Err(invalid(c.here(), "expected AS and a query", "CREATE VIEW v AS SELECT …"));
    }
    let query = query(c)?;
    c.end()?;
    Ok(ViewText { name, at, if_not_exists, columns, query })
}

fn query(c: &mut Cursor<'_>) -> Result<Box<Query>> {
    let at = c.here();
    let mut query = c.parser.parse_query().map_err(|e| from_parser(&e, at))?;
    refuse::query(&query, at)?;
    prepare::query(&mut query)?;
    Ok(query)
}

fn insert(c: &mut Cursor<'_>, explain: bool) -> Result<Statement> {
    let start = c.here();
    c.words(&["INSERT"]);
    if c.words(&["OVERWRITE"]) {
        return Err(invalid(
            start,
            "INSERT OVERWRITE is not supported",
            "write INSERT INTO, and give the sink an empty directory",
        ));
    }
    if !c.words(&["INTO"]) {
        return Err(invalid(c.here(), "expected INTO", "INSERT INTO sink SELECT …"));
    }
    let (table, at) = c.object("a table name")?;
    if c.at_word("PARTITION") {
        return Err(invalid(c.here(), "PARTITION is not supported in INSERT", "select the value as a column"));
    }
    let is_list =
        matches!(c.parser.peek_token_ref().token, Token::LParen) && !is_query_word(&c.parser.peek_nth_token_ref(1).token);
    let columns = if is_list { c.names()? } else { Vec::new() };
    let at_query = c.here();
    let query = query(c)?;
    c.end()?;
    Ok(Statement::Insert(InsertText { table, at, columns, query, at_query, explain }))
}

fn is_query_word(token: &Token) -> bool {
    ["SELECT", "WITH", "VALUES"].iter().any(|w| super::split::is_word(token, w)) || *token == Token::LParen
}

/// The settings a text may make.
const SETTINGS: [&str; 2] = ["execution.runtime-mode", "table.local-time-zone"];

fn set(c: &mut Cursor<'_>) -> Result<Statement> {
    let (key, at) = c.string("a setting's name")?;
    c.expect(&Token::Eq)?;
    let (value, at_value) = c.string("a setting's value")?;
    c.end()?;
    match (key.as_str(), value.to_ascii_lowercase().as_str()) {
        ("execution.runtime-mode", "streaming") => Ok(Statement::Mode { batch: Some(false) }),
        ("table.local-time-zone", "utc") => Ok(Statement::Mode { batch: None }),
        ("execution.runtime-mode", "batch") => Ok(Statement::Mode { batch: Some(true) }),
        ("execution.runtime-mode", other) => {
            let advice = did_you_mean(other, ["streaming", "batch"]);
            Err(invalid(at_value, format!("'{value}' is no runtime mode"), advice))
        }
        ("table.local-time-zone", _) => Err(invalid(
            at_value,
            format!("the time zone '{value}' is not supported"),
            "TIMESTAMP_LTZ is shown in UTC: write 'UTC'",
        )),
        _ => Err(invalid(at, format!("there is no setting '{key}' for a job's text"), did_you_mean(&key, SETTINGS))),
    }
}
