//! An expression over the columns of a node, with a text of our own.
//!
//! The text is canonical: it is part of node ids, which are stored with snapshots, so it must not change when DataFusion prints something
//! differently. An expression that has no text here is refused, which is also the last net under what `text::refuse` lets through.

use std::collections::BTreeSet;

use arrow::datatypes::DataType;
use datafusion_common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion_common::{Column, DFSchema, Result, ScalarValue, plan_err};
use datafusion_expr::{Expr, ExprSchemable, Operator};

use crate::text::types::sql_name;

/// An expression.
#[derive(Clone, Debug)]
pub struct Scalar {
    /// Columns are named `#0`, `#1`, … after their index in the input.
    pub(crate) expr: Expr,
    /// The type of its value.
    pub data_type: DataType,
    /// True if the value may be NULL.
    pub nullable: bool,
}

/// The name of the column with this index.
pub(crate) fn column_name(index: usize) -> String {
    format!("#{index}")
}

fn index_of(column: &Column) -> Option<usize> {
    column.name.strip_prefix('#').and_then(|n| n.parse().ok())
}

impl Scalar {
    /// An expression of DataFusion's over a plan's schema.
    pub(crate) fn of(expr: &Expr, schema: &DFSchema) -> Result<Self> {
        let (data_type, nullable) = (expr.get_type(schema)?, expr.nullable(schema)?);
        let expr = expr.clone().transform_up(|e| match e {
            Expr::Column(c) => {
                let index = schema.index_of_column(&c)?;
                Ok(Transformed::yes(Expr::Column(Column::new_unqualified(column_name(index)))))
            }
            Expr::Alias(a) => Ok(Transformed::yes(*a.expr)),
            other => Ok(Transformed::no(other)),
        })?;
        let this = Self { expr: expr.data, data_type, nullable };
        render(&this.expr, &|i| column_name(i))?;
        Ok(this)
    }

    /// A column.
    pub(crate) fn column(index: usize, data_type: DataType, nullable: bool) -> Self {
        Self { expr: Expr::Column(Column::new_unqualified(column_name(index))), data_type, nullable }
    }

    /// The canonical text, with columns named by `name`.
    #[must_use]
    pub fn text(&self, name: &dyn Fn(usize) -> String) -> String {
        render(&self.expr, name).unwrap_or_else(|e| format!("<{e}>"))
    }

    /// If it is nothing but a column: which.
    #[must_use]
    pub fn as_column(&self) -> Option<usize> {
        if let Expr::Column(c) = &self.expr { index_of(c) } else { None }
    }

    /// True if a second evaluation costs nothing.
    pub(crate) fn is_cheap(&self) -> bool {
        matches!(self.expr, Expr::Column(_) | Expr::Literal(..))
    }

    /// Every column it reads, once for each use.
    pub(crate) fn uses(&self) -> Vec<usize> {
        let mut all = Vec::new();
        // The closure never fails, so neither does the walk.
        let _ = self.expr.apply(|e| {
            if let Expr::Column(c) = e {
                all.extend(index_of(c));
            }
            Ok(TreeNodeRecursion::Continue)
        });
        all
    }

    /// The columns it reads.
    pub(crate) fn columns(&self) -> BTreeSet<usize> {
        self.uses().into_iter().collect()
    }

    /// Puts an expression in the place of every column.
    pub(crate) fn substitute(&self, with: &dyn Fn(usize) -> Option<Expr>) -> Self {
        let expr = self.expr.clone().transform_up(|e| match &e {
            Expr::Column(c) => Ok(match index_of(c).and_then(with) {
                Some(new) => Transformed::yes(new),
                None => Transformed::no(e),
            }),
            _ => Ok(Transformed::no(e)),
        });
        match expr {
            Ok(t) => Self { expr: t.data, data_type: self.data_type.clone(), nullable: self.nullable },
            Err(_) => self.clone(),
        }
    }

    /// Renumbers columns.
    pub(crate) fn renumber(&self, to: &dyn Fn(usize) -> usize) -> Self {
        self.substitute(&|i| Some(Expr::Column(Column::new_unqualified(column_name(to(i))))))
    }
}

/// The text of an expression without columns.
pub(crate) fn text_of(e: &Expr) -> String {
    render(e, &column_name).unwrap_or_else(|_| e.to_string())
}

fn render(e: &Expr, name: &dyn Fn(usize) -> String) -> Result<String> {
    let one = |e: &Expr| render(e, name);
    let list = |es: &[Expr]| es.iter().map(one).collect::<Result<Vec<_>>>().map(|v| v.join(", "));
    Ok(match e {
        Expr::Alias(a) => one(&a.expr)?,
        Expr::Column(c) => index_of(c).map_or_else(|| c.name.clone(), name),
        Expr::Literal(v, _) => literal(v),
        Expr::BinaryExpr(b) => format!("({} {} {})", one(&b.left)?, operator(b.op)?, one(&b.right)?),
        Expr::Not(x) => format!("NOT {}", one(x)?),
        Expr::Negative(x) => format!("-({})", one(x)?),
        Expr::IsNull(x) => format!("{} IS NULL", one(x)?),
        Expr::IsNotNull(x) => format!("{} IS NOT NULL", one(x)?),
        Expr::IsTrue(x) => format!("{} IS TRUE", one(x)?),
        Expr::IsFalse(x) => format!("{} IS FALSE", one(x)?),
        Expr::IsUnknown(x) => format!("{} IS UNKNOWN", one(x)?),
        Expr::IsNotTrue(x) => format!("{} IS NOT TRUE", one(x)?),
        Expr::IsNotFalse(x) => format!("{} IS NOT FALSE", one(x)?),
        Expr::IsNotUnknown(x) => format!("{} IS NOT UNKNOWN", one(x)?),
        Expr::Between(b) => {
            let not = if b.negated { "NOT " } else { "" };
            format!("{} {not}BETWEEN {} AND {}", one(&b.expr)?, one(&b.low)?, one(&b.high)?)
        }
        Expr::Like(l) | Expr::SimilarTo(l) => {
            let word = if matches!(e, Expr::SimilarTo(_)) { "SIMILAR TO" } else { "LIKE" };
            let not = if l.negated { "NOT " } else { "" };
            let case = if l.case_insensitive { " IGNORING CASE" } else { "" };
            let escape = l.escape_char.map_or_else(String::new, |c| format!(" ESCAPE '{c}'"));
            format!("{} {not}{word} {}{escape}{case}", one(&l.expr)?, one(&l.pattern)?)
        }
        Expr::InList(i) => format!("{} {}IN ({})", one(&i.expr)?, if i.negated { "NOT " } else { "" }, list(&i.list)?),
        Expr::Cast(c) => format!("CAST({} AS {})", one(&c.expr)?, sql_name(c.field.data_type())),
        Expr::TryCast(c) => format!("TRY_CAST({} AS {})", one(&c.expr)?, sql_name(c.field.data_type())),
        Expr::ScalarFunction(f) => format!("{}({})", f.name().to_uppercase(), list(&f.args)?),
        Expr::Case(c) => {
            let mut out = String::from("CASE");
            if let Some(base) = &c.expr {
                out.push_str(&format!(" {}", one(base)?));
            }
            for (when, then) in &c.when_then_expr {
                out.push_str(&format!(" WHEN {} THEN {}", one(when)?, one(then)?));
            }
            if let Some(other) = &c.else_expr {
                out.push_str(&format!(" ELSE {}", one(other)?));
            }
            out.push_str(" END");
            out
        }
        other => return plan_err!("the expression {other} is not supported"),
    })
}

fn operator(op: Operator) -> Result<&'static str> {
    Ok(match op {
        Operator::Eq => "=",
        Operator::NotEq => "<>",
        Operator::Lt => "<",
        Operator::LtEq => "<=",
        Operator::Gt => ">",
        Operator::GtEq => ">=",
        Operator::Plus => "+",
        Operator::Minus => "-",
        Operator::Multiply => "*",
        Operator::Divide => "/",
        Operator::Modulo => "%",
        Operator::And => "AND",
        Operator::Or => "OR",
        Operator::StringConcat => "||",
        Operator::IsDistinctFrom => "IS DISTINCT FROM",
        Operator::IsNotDistinctFrom => "IS NOT DISTINCT FROM",
        Operator::RegexMatch => "REGEX",
        Operator::RegexNotMatch => "NOT REGEX",
        Operator::RegexIMatch => "REGEX IGNORING CASE",
        Operator::RegexNotIMatch => "NOT REGEX IGNORING CASE",
        Operator::LikeMatch => "LIKE",
        Operator::NotLikeMatch => "NOT LIKE",
        Operator::ILikeMatch => "ILIKE",
        Operator::NotILikeMatch => "NOT ILIKE",
        other => return plan_err!("the operator {other} is not supported"),
    })
}

fn literal(v: &ScalarValue) -> String {
    match v {
        ScalarValue::Utf8(Some(s)) => format!("'{}'", s.replace('\'', "''")),
        ScalarValue::Boolean(Some(b)) => b.to_string().to_uppercase(),
        v if v.is_null() => "NULL".into(),
        // The type is part of the text: 1 and CAST(1 AS BIGINT) are different expressions.
        ScalarValue::Int32(Some(n)) => n.to_string(),
        ScalarValue::IntervalMonthDayNano(Some(i)) => {
            format!("INTERVAL({} months, {} days, {} ns)", i.months, i.days, i.nanoseconds)
        }
        v => format!("{}:{}", sql_name(&v.data_type()), v),
    }
}
