//! Cuts a text into statements by its tokens, and unwraps statement sets.
//!
//! `EXECUTE STATEMENT SET BEGIN … END;` and `BEGIN STATEMENT SET; … END;` only group: every INSERT of a job shares one dataflow
//! anyway, so the wrapper is dropped here and no later step needs to know of it.

use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};
use watershed_runtime::error::{Error, Result};

use super::dialect::Flink;
use crate::position::{Position, invalid};

/// More tokens than any text written by a person; it bounds the planner's work and its recursion.
const MAX_TOKENS: usize = 200_000;
/// Operators in one statement; a chain of them becomes a tree of that depth.
const MAX_OPERATORS: usize = 1_000;

/// One statement's tokens, without white space.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) tokens: Vec<TokenWithSpan>,
    pub(super) at: Position,
    /// Inside `EXPLAIN STATEMENT SET`.
    pub(super) explain: bool,
}

/// Cuts the text.
pub(super) fn split(sql: &str) -> Result<Vec<Piece>> {
    let tokens = Tokenizer::new(&Flink, sql).tokenize_with_location().map_err(|e| {
        invalid(
            e.location.into(),
            e.message.to_string(),
            "strings stand in single quotes, names with special characters in back-ticks",
        )
    })?;
    let tokens: Vec<TokenWithSpan> =
        tokens.into_iter().filter(|t| !matches!(t.token, Token::Whitespace(_) | Token::EOF)).collect();
    if tokens.len() > MAX_TOKENS {
        return Err(invalid(Position { line: 1, column: 1 }, "the text is too long", "split it into several jobs"));
    }
    let mut splitter = Splitter { set: None, pieces: Vec::new() };
    for statement in rewrite(tokens).split(|t| t.token == Token::SemiColon) {
        splitter.take(statement)?;
    }
    match splitter.set {
        Some((at, _)) => Err(invalid(at, "the statement set is not closed", "write END; after its last INSERT")),
        None => Ok(splitter.pieces),
    }
}

struct Splitter {
    /// The position of the open statement set, and whether it is only explained.
    set: Option<(Position, bool)>,
    pieces: Vec<Piece>,
}

impl Splitter {
    fn take(&mut self, mut tokens: &[TokenWithSpan]) -> Result<()> {
        let Some(first) = tokens.first() else { return Ok(()) };
        let at: Position = first.span.start.into();
        for (opening, explain) in [
            (&["EXECUTE", "STATEMENT", "SET", "BEGIN"][..], false),
            (&["EXPLAIN", "STATEMENT", "SET", "BEGIN"][..], true),
            (&["BEGIN", "STATEMENT", "SET"][..], false),
        ] {
            if starts_with(tokens, opening) {
                if self.set.is_some() {
                    return Err(invalid(at, "a statement set inside another", "close the first one with END;"));
                }
                self.set = Some((at, explain));
                tokens = tokens.get(opening.len()..).unwrap_or_default();
                break;
            }
        }
        if tokens.len() == 1 && starts_with(tokens, &["END"]) {
            return match self.set.take() {
                Some(_) => Ok(()),
                None => {
                    Err(invalid(at, "END without a statement set", "remove it, or open the set with EXECUTE STATEMENT SET BEGIN"))
                }
            };
        }
        let Some(first) = tokens.first() else { return Ok(()) };
        let at: Position = first.span.start.into();
        if self.set.is_some() && !starts_with(tokens, &["INSERT"]) {
            return Err(invalid(at, "only INSERT INTO may stand in a statement set", "move this statement before the set"));
        }
        check_operators(tokens, at)?;
        let explain = self.set.is_some_and(|s| s.1);
        self.pieces.push(Piece { tokens: tokens.to_vec(), at, explain });
        Ok(())
    }
}

fn check_operators(tokens: &[TokenWithSpan], at: Position) -> Result<(), Error> {
    let operators = tokens.iter().filter(|t| match &t.token {
        Token::Word(w) => matches!(w.value.to_ascii_uppercase().as_str(), "AND" | "OR" | "NOT" | "UNION" | "IS" | "WHEN"),
        Token::Plus
        | Token::Minus
        | Token::Mul
        | Token::Div
        | Token::Mod
        | Token::StringConcat
        | Token::DoubleColon
        | Token::LBracket => true,
        _ => false,
    });
    if operators.count() > MAX_OPERATORS {
        let advice = "use IN (…) for long lists of values, or split the query with CREATE VIEW";
        return Err(invalid(at, format!("more than {MAX_OPERATORS} operators in one statement"), advice));
    }
    Ok(())
}

/// True if the tokens begin with these unquoted words.
pub(super) fn starts_with(tokens: &[TokenWithSpan], words: &[&str]) -> bool {
    tokens.len() >= words.len() && tokens.iter().zip(words).all(|(t, w)| is_word(&t.token, w))
}

/// True if a token is this word, unquoted, in any case.
pub(super) fn is_word(token: &Token, word: &str) -> bool {
    matches!(token, Token::Word(w) if w.quote_style.is_none() && w.value.eq_ignore_ascii_case(word))
}

/// `TIMESTAMP(p) WITH LOCAL TIME ZONE` is written `TIMESTAMP_LTZ(p)`, which the parser can take.
fn rewrite(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut out: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    let mut i = 0;
    while let Some(t) = tokens.get(i) {
        let rest = tokens.get(i..).unwrap_or_default();
        if starts_with(rest, &["WITH", "LOCAL", "TIME", "ZONE"]) {
            let back = if matches!(out.last().map(|t| &t.token), Some(Token::RParen)) { 4 } else { 1 };
            let at = out.len().checked_sub(back);
            if let Some(word) = at.and_then(|at| out.get_mut(at))
                && is_word(&word.token, "TIMESTAMP")
            {
                word.token = Token::make_word("TIMESTAMP_LTZ", None);
                i += 4;
                continue;
            }
        }
        out.push(t.clone());
        i += 1;
    }
    out
}
