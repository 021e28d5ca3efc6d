//! Rewrites of the syntax tree that make Flink's forms plain: names for unnamed columns, and functions that are only another spelling.
//!
//! Each rewrite here has the same meaning in both spellings. Where Flink's function *means* something else than DataFusion's of that
//! name, it is a function of ours (see `functions`).

use std::ops::ControlFlow;

use sqlparser::ast::helpers::attached_token::AttachedToken;
use sqlparser::ast::{
    BinaryOperator, CaseWhen, CeilFloorKind, DateTimeField, Expr, ExtractSyntax, Function, FunctionArg, FunctionArgExpr,
    FunctionArgumentList, FunctionArguments, Ident, ObjectName, Query, Select, SelectItem, Value, VisitMut, VisitorMut,
};
use watershed_runtime::error::{Error, Result};

use super::ddl::{ColumnKindText, TableText};
use super::refuse;
use crate::position::{Position, invalid};

/// Rewrites a query in place.
pub(super) fn query(query: &mut Query) -> Result<()> {
    run(query)
}

/// Rewrites and checks the expressions of a table.
pub(super) fn table(table: &mut TableText) -> Result<()> {
    for column in &mut table.columns {
        if let ColumnKindText::Computed(e) = &mut column.kind {
            refuse::expr(e, column.at)?;
            run(e)?;
        }
    }
    if let Some(w) = &mut table.watermark {
        refuse::expr(&w.expr, w.at)?;
        run(&mut w.expr)?;
    }
    Ok(())
}

fn run(node: &mut impl VisitMut) -> Result<()> {
    match node.visit(&mut Prepare) {
        ControlFlow::Break(e) => Err(*e),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Prepare;

impl VisitorMut for Prepare {
    type Break = Box<Error>;

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<Self::Break> {
        name_columns(&mut select.projection);
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Self::Break> {
        match rewrite(expr) {
            Ok(Some(new)) => *expr = new,
            Ok(None) => {}
            Err(e) => return ControlFlow::Break(Box::new(e)),
        }
        ControlFlow::Continue(())
    }
}

/// Unnamed expressions get Flink's names `EXPR$0`, …; a plain column selected twice keeps its name only the first time.
fn name_columns(items: &mut [SelectItem]) {
    let mut seen: Vec<String> = Vec::new();
    for (i, item) in items.iter_mut().enumerate() {
        if let SelectItem::UnnamedExpr(e) = item {
            let plain = match e {
                Expr::Identifier(id) => Some(id.value.clone()),
                Expr::CompoundIdentifier(parts) => parts.last().map(|p| p.value.clone()),
                _ => None,
            };
            match plain {
                Some(name) if !seen.contains(&name) => {
                    seen.push(name.clone());
                    if matches!(e, Expr::CompoundIdentifier(_)) {
                        *item = SelectItem::ExprWithAlias { expr: e.clone(), alias: Ident::with_quote('`', name) };
                    }
                }
                _ => *item = SelectItem::ExprWithAlias { expr: e.clone(), alias: Ident::with_quote('`', format!("EXPR${i}")) },
            }
        }
    }
}

fn rewrite(expr: &Expr) -> Result<Option<Expr>> {
    match expr {
        Expr::Function(f) => function(expr, f),
        Expr::Floor { expr: inner, field: CeilFloorKind::DateTimeField(field) } if *field != DateTimeField::NoDateTime => {
            Ok(Some(call("date_trunc", vec![text(field.to_string().to_lowercase()), (**inner).clone()])))
        }
        Expr::Ceil { field: CeilFloorKind::DateTimeField(field), .. } if *field != DateTimeField::NoDateTime => {
            let at = Position::of(expr, Position::default());
            Err(invalid(at, "CEIL(… TO unit) is not supported yet", "write FLOOR(… TO unit) and add an interval"))
        }
        _ => Ok(None),
    }
}

fn function(expr: &Expr, f: &Function) -> Result<Option<Expr>> {
    let [part] = f.name.0.as_slice() else { return Ok(None) };
    let Some(name) = part.as_ident().filter(|i| i.quote_style.is_none()).map(|i| i.value.to_ascii_uppercase()) else {
        return Ok(None);
    };
    let FunctionArguments::List(list) = &f.args else { return Ok(None) };
    let args: Option<Vec<Expr>> = list
        .args
        .iter()
        .map(|a| match a {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(e)) => Some(e.clone()),
            _ => None,
        })
        .collect();
    let Some(args) = args else { return Ok(None) };
    let at = Position::of(expr, Position::default());
    Ok(match (name.as_str(), args.as_slice()) {
        ("IF", [c, a, b]) => Some(case(c.clone(), a.clone(), b.clone())),
        ("IFNULL", [a, b]) => Some(call("coalesce", vec![a.clone(), b.clone()])),
        ("MOD", [a, b]) => Some(Expr::Nested(Box::new(Expr::BinaryOp {
            left: Box::new(Expr::Nested(Box::new(a.clone()))),
            op: BinaryOperator::Modulo,
            right: Box::new(Expr::Nested(Box::new(b.clone()))),
        }))),
        ("TRUNCATE", _) => Some(call("trunc", args)),
        ("SIGN", [_]) => Some(call("signum", args)),
        ("LOCATE", [needle, hay]) => Some(call("strpos", vec![hay.clone(), needle.clone()])),
        ("REGEXP", [_, _]) => Some(call("regexp_like", args)),
        ("GREATEST" | "LEAST", [_, _, ..]) => null_if_any(f, &args),
        ("TIMESTAMPDIFF" | "TIMESTAMPADD", [unit, rest @ ..]) => Some(with_unit(&name, unit, rest, at)?),
        (_, [x]) => field_of(&name).map(|field| Expr::Extract { field, syntax: ExtractSyntax::From, expr: Box::new(x.clone()) }),
        _ => None,
    })
}

fn field_of(name: &str) -> Option<DateTimeField> {
    Some(match name {
        "YEAR" => DateTimeField::Year,
        "QUARTER" => DateTimeField::Quarter,
        "MONTH" => DateTimeField::Month,
        "WEEK" => DateTimeField::Week(None),
        "DAYOFYEAR" => DateTimeField::Doy,
        "DAYOFMONTH" => DateTimeField::Day,
        "HOUR" => DateTimeField::Hour,
        "MINUTE" => DateTimeField::Minute,
        "SECOND" => DateTimeField::Second,
        _ => return None,
    })
}

/// `TIMESTAMPDIFF(SECOND, a, b)`: the unit is a bare word, which becomes a string.
fn with_unit(name: &str, unit: &Expr, rest: &[Expr], at: Position) -> Result<Expr> {
    let Expr::Identifier(word) = unit else {
        return Err(invalid(at, format!("{name} begins with a unit"), "for example TIMESTAMPDIFF(SECOND, a, b)"));
    };
    let mut args = vec![text(word.value.to_uppercase())];
    args.extend(rest.iter().cloned());
    Ok(call(&name.to_lowercase(), args))
}

/// Flink's GREATEST and LEAST are NULL as soon as one argument is.
fn null_if_any(f: &Function, args: &[Expr]) -> Option<Expr> {
    let null = |e: &Expr| Expr::IsNull(Box::new(Expr::Nested(Box::new(e.clone()))));
    let any =
        args.iter().map(null).reduce(|a, b| Expr::BinaryOp { left: Box::new(a), op: BinaryOperator::Or, right: Box::new(b) })?;
    Some(case(any, Expr::Value(Value::Null.into()), Expr::Function(f.clone())))
}

fn case(condition: Expr, result: Expr, other: Expr) -> Expr {
    Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions: vec![CaseWhen { condition, result }],
        else_result: Some(Box::new(other)),
    }
}

fn text(s: impl Into<String>) -> Expr {
    Expr::Value(Value::SingleQuotedString(s.into()).into())
}

fn call(name: &str, args: Vec<Expr>) -> Expr {
    let args = args.into_iter().map(|e| FunctionArg::Unnamed(FunctionArgExpr::Expr(e))).collect();
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList { duplicate_treatment: None, args, clauses: Vec::new() }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}
