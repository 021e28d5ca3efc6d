//! Flink's lexical rules as a sqlparser dialect: back-ticks quote, case is kept, `TABLE name` is an argument of a table function.

use sqlparser::ast::{Expr, Ident};
use sqlparser::dialect::Dialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

/// The dialect.
#[derive(Debug)]
pub(crate) struct Flink;

impl Dialect for Flink {
    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        ch == '`'
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        ch.is_alphabetic() || ch == '_' || ch == '$'
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        ch.is_alphanumeric() || ch == '_' || ch == '$'
    }

    fn supports_filter_during_aggregation(&self) -> bool {
        true
    }

    fn supports_group_by_expr(&self) -> bool {
        true
    }

    /// `IS [NOT] DISTINCT FROM` binds like every comparison; the parser's own would take all that follows, an AND with it.
    fn parse_infix(&self, parser: &mut Parser<'_>, expr: &Expr, precedence: u8) -> Option<Result<Expr, ParserError>> {
        let [is, second, third] = parser.peek_tokens_ref::<3>().map(|t| t.token.clone());
        let word = |t: &Token, k: Keyword| matches!(t, Token::Word(w) if w.keyword == k && w.quote_style.is_none());
        let not = word(&second, Keyword::NOT);
        if !word(&is, Keyword::IS) || !word(if not { &third } else { &second }, Keyword::DISTINCT) {
            return None;
        }
        for _ in 0..if not { 3 } else { 2 } {
            parser.advance_token();
        }
        let right = parser.expect_keyword(Keyword::FROM).and_then(|_| parser.parse_subexpr(precedence));
        Some(right.map(|right| {
            let (left, right) = (Box::new(expr.clone()), Box::new(right));
            if not { Expr::IsNotDistinctFrom(left, right) } else { Expr::IsDistinctFrom(left, right) }
        }))
    }

    /// `TABLE t` and `TABLE t PARTITION BY k` inside a table function's arguments. Everything else is left to the parser.
    fn parse_prefix(&self, parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
        let [first, second] = parser.peek_tokens_ref::<2>().map(|t| t.token.clone());
        let is_table = matches!(&first, Token::Word(w) if w.keyword == Keyword::TABLE && w.quote_style.is_none());
        if !is_table || !matches!(second, Token::Word(_)) {
            return None;
        }
        let keyword = parser.next_token();
        Some(parser.parse_object_name(false).map(|name| {
            let parts: Vec<Ident> = name.0.iter().filter_map(|p| p.as_ident().cloned()).collect();
            let value = Box::new(Expr::CompoundIdentifier(parts));
            Expr::Prefixed { prefix: Ident::with_span(keyword.span, "TABLE"), value }
        }))
    }
}
