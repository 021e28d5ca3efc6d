//! `CREATE TABLE`: physical and computed columns, one watermark, one primary key, options with their positions.
//!
//! The option names are not judged here: the connector knows them, and it gets their positions with them.

use std::collections::BTreeMap;

use arrow::datatypes::DataType;
use sqlparser::ast::Expr;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::Token;
use watershed_runtime::error::Result;

use super::split::is_word;
use super::types::{NESTED, to_arrow};
use crate::position::{Position, from_parser, invalid};

/// A table as it is written.
#[derive(Clone, Debug)]
pub(crate) struct TableText {
    pub(crate) name: String,
    pub(crate) at: Position,
    pub(crate) if_not_exists: bool,
    pub(crate) columns: Vec<ColumnText>,
    pub(crate) watermark: Option<WatermarkText>,
    pub(crate) primary_key: Vec<(String, Position)>,
    pub(crate) options: BTreeMap<String, (String, Position)>,
}

/// A column as it is written.
#[derive(Clone, Debug)]
pub(crate) struct ColumnText {
    pub(crate) name: String,
    pub(crate) at: Position,
    pub(crate) kind: ColumnKindText,
}

/// The kind of a column.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "a handful of columns, once a job")]
pub(crate) enum ColumnKindText {
    /// Stored: a type, and whether it may be NULL.
    Physical(DataType, bool),
    /// `name AS expression`.
    Computed(Expr),
}

/// `WATERMARK FOR column AS expression`.
#[derive(Clone, Debug)]
pub(crate) struct WatermarkText {
    pub(crate) column: String,
    pub(crate) at: Position,
    pub(crate) expr: Expr,
}

/// The parser of one statement, with the helpers that our grammar needs.
pub(super) struct Cursor<'a> {
    pub(super) parser: Parser<'a>,
    /// The start of the statement: the position of last resort.
    pub(super) at: Position,
}

impl Cursor<'_> {
    /// The position of the next token.
    pub(super) fn here(&self) -> Position {
        Position::of_span(self.parser.peek_token_ref().span).unwrap_or(self.at)
    }

    /// Takes the words if they come next.
    pub(super) fn words(&mut self, words: &[&str]) -> bool {
        let all = words.iter().enumerate().all(|(i, w)| is_word(&self.parser.peek_nth_token_ref(i).token, w));
        if all {
            words.iter().for_each(|_| self.parser.advance_token());
        }
        all
    }

    /// True if a word comes next.
    pub(super) fn at_word(&self, word: &str) -> bool {
        is_word(&self.parser.peek_token_ref().token, word)
    }

    pub(super) fn expect(&mut self, token: &Token) -> Result<()> {
        let at = self.here();
        self.parser.expect_token(token).map(|_| ()).map_err(|e| from_parser(&e, at))
    }

    pub(super) fn takes(&mut self, token: &Token) -> bool {
        self.parser.consume_token(token)
    }

    /// A name: a word or a back-ticked one, never a string.
    pub(super) fn name(&mut self, what: &str) -> Result<(String, Position)> {
        let at = self.here();
        match self.parser.next_token().token {
            Token::Word(w) => Ok((w.value, at)),
            other => {
                Err(invalid(at, format!("expected {what}, found {other}"), "names with special characters stand in back-ticks"))
            }
        }
    }

    /// A table name. Catalogs and databases are parts of Flink's session, not of a job.
    pub(super) fn object(&mut self, what: &str) -> Result<(String, Position)> {
        let (name, at) = self.name(what)?;
        if self.takes(&Token::Period) {
            return Err(invalid(
                at,
                "a name with a catalog or a database",
                "a job has one name space: write the table's name alone",
            ));
        }
        Ok((name, at))
    }

    pub(super) fn string(&mut self, what: &str) -> Result<(String, Position)> {
        let at = self.here();
        match self.parser.next_token().token {
            Token::SingleQuotedString(s) => Ok((s, at)),
            other => Err(invalid(at, format!("expected {what} in single quotes, found {other}"), "write 'like this'")),
        }
    }

    pub(super) fn expr(&mut self) -> Result<Expr> {
        let at = self.here();
        self.parser.parse_expr().map_err(|e| from_parser(&e, at))
    }

    /// The statement must end here.
    pub(super) fn end(&mut self) -> Result<()> {
        let (at, token) = (self.here(), self.parser.peek_token().token);
        match token {
            Token::EOF => Ok(()),
            other => {
                Err(invalid(at, format!("unexpected {other} after the end of the statement"), "end a statement with a semicolon"))
            }
        }
    }

    /// `IF NOT EXISTS`.
    pub(super) fn if_not_exists(&mut self) -> bool {
        self.words(&["IF", "NOT", "EXISTS"])
    }

    /// A `COMMENT 'text'`, which is not kept.
    pub(super) fn comment(&mut self) -> Result<()> {
        if self.words(&["COMMENT"]) {
            self.string("a comment")?;
        }
        Ok(())
    }

    /// `(a, b, c)`.
    pub(super) fn names(&mut self) -> Result<Vec<(String, Position)>> {
        self.expect(&Token::LParen)?;
        let mut names = vec![self.name("a column name")?];
        while self.takes(&Token::Comma) {
            names.push(self.name("a column name")?);
        }
        self.expect(&Token::RParen)?;
        Ok(names)
    }
}

/// Parses what follows `CREATE TABLE`.
pub(super) fn create_table(c: &mut Cursor<'_>) -> Result<TableText> {
    let if_not_exists = c.if_not_exists();
    let (name, at) = c.object("a table name")?;
    let mut table = TableText {
        name,
        at,
        if_not_exists,
        columns: Vec::new(),
        watermark: None,
        primary_key: Vec::new(),
        options: BTreeMap::new(),
    };
    if c.at_word("LIKE") || c.at_word("AS") {
        return Err(invalid(c.here(), "CREATE TABLE … LIKE and … AS are not supported", "write the columns out"));
    }
    c.expect(&Token::LParen)?;
    loop {
        element(c, &mut table)?;
        if !c.takes(&Token::Comma) {
            break;
        }
    }
    c.expect(&Token::RParen)?;
    c.comment()?;
    for clause in ["PARTITIONED", "DISTRIBUTED", "LIKE"] {
        if c.at_word(clause) {
            return Err(invalid(c.here(), format!("{clause} is not supported in CREATE TABLE"), "leave it out"));
        }
    }
    options(c, &mut table)?;
    c.end()?;
    Ok(table)
}

fn element(c: &mut Cursor<'_>, table: &mut TableText) -> Result<()> {
    let at = c.here();
    if c.words(&["WATERMARK", "FOR"]) {
        let (column, at_column) = c.name("a column name")?;
        if c.takes(&Token::Period) {
            return Err(invalid(at_column, "a watermark on a nested field", "make it a column: `ts AS row.field`"));
        }
        if !c.words(&["AS"]) {
            return Err(invalid(
                c.here(),
                "expected AS after the watermark's column",
                "WATERMARK FOR ts AS ts - INTERVAL '5' SECOND",
            ));
        }
        if table.watermark.is_some() {
            return Err(invalid(at, "a second watermark", "a table has at most one WATERMARK"));
        }
        table.watermark = Some(WatermarkText { column, at: at_column, expr: c.expr()? });
        return Ok(());
    }
    if c.words(&["CONSTRAINT"]) {
        c.name("a constraint name")?;
    }
    if c.words(&["PRIMARY", "KEY"]) {
        let names = c.names()?;
        return primary_key(c, table, at, names);
    }
    column(c, table)
}

fn primary_key(c: &mut Cursor<'_>, table: &mut TableText, at: Position, names: Vec<(String, Position)>) -> Result<()> {
    if !c.words(&["NOT", "ENFORCED"]) {
        return Err(invalid(
            c.here(),
            "a primary key that is enforced",
            "write PRIMARY KEY (…) NOT ENFORCED: nobody checks a stream for duplicates",
        ));
    }
    if !table.primary_key.is_empty() {
        return Err(invalid(at, "a second primary key", "name all its columns in one PRIMARY KEY (…)"));
    }
    table.primary_key = names;
    Ok(())
}

fn column(c: &mut Cursor<'_>, table: &mut TableText) -> Result<()> {
    let (name, at) = c.name("a column name")?;
    if let Some(first) = table.columns.iter().find(|k| k.name == name) {
        return Err(invalid(at, format!("column '{name}' is already defined at {}", first.at), "give it another name"));
    }
    if c.words(&["AS"]) {
        let expr = c.expr()?;
        c.comment()?;
        table.columns.push(ColumnText { name, at, kind: ColumnKindText::Computed(expr) });
        return Ok(());
    }
    let data_type = column_type(c)?;
    if c.at_word("METADATA") {
        let advice = "put the value into the row itself; for a file, it has no metadata but its name";
        return Err(invalid(c.here(), "METADATA columns are not supported yet", advice));
    }
    let mut nullable = true;
    let mut key = None;
    loop {
        let here = c.here();
        if c.words(&["NOT", "NULL"]) {
            nullable = false;
        } else if c.words(&["PRIMARY", "KEY"]) {
            primary_key(c, table, here, vec![(name.clone(), at)])?;
            key = Some(());
        } else if c.at_word("COMMENT") {
            c.comment()?;
        } else if !c.words(&["NULL"]) {
            break;
        }
    }
    nullable &= key.is_none();
    table.columns.push(ColumnText { name, at, kind: ColumnKindText::Physical(data_type, nullable) });
    Ok(())
}

fn column_type(c: &mut Cursor<'_>) -> Result<DataType> {
    let at = c.here();
    if let Some(word) = NESTED.iter().find(|w| c.at_word(w)) {
        let advice = "declare the fields you need as columns of their own";
        return Err(invalid(at, format!("the type {word} is not supported yet"), advice));
    }
    let sql = c.parser.parse_data_type().map_err(|e| from_parser(&e, at))?;
    let known = "types: STRING, INT, BIGINT, SMALLINT, TINYINT, DOUBLE, FLOAT, BOOLEAN, DECIMAL(p, s), DATE, TIMESTAMP(p), TIMESTAMP_LTZ(p), BYTES";
    to_arrow(&sql).map_err(|what| invalid(at, what, known))
}

fn options(c: &mut Cursor<'_>, table: &mut TableText) -> Result<()> {
    if !c.words(&["WITH"]) {
        let advice = "say where the data is: WITH ('connector' = 'filesystem', 'path' = '…', 'format' = 'json')";
        return Err(invalid(c.here(), format!("table '{}' has no WITH (…)", table.name), advice));
    }
    c.expect(&Token::LParen)?;
    loop {
        let (key, at) = c.string("an option name")?;
        c.expect(&Token::Eq)?;
        let (value, _) = c.string("an option value")?;
        if let Some((_, first)) = table.options.insert(key.clone(), (value, at)) {
            return Err(invalid(at, format!("the option '{key}' is already set at {first}"), "keep one of the two"));
        }
        if !c.takes(&Token::Comma) {
            break;
        }
    }
    c.expect(&Token::RParen)
}
