//! DataFusion's errors in our words, with the best position we can give.
//!
//! DataFusion's planner attaches spans to unknown and ambiguous names. Type errors have none: there the caller plans the clauses one by one
//! ([`Clause`]) and blames the first that fails alone.

use datafusion_common::{DataFusionError, Diagnostic, SchemaError};
use watershed_runtime::error::Error;

use crate::position::{Position, did_you_mean, invalid};

/// A part of a query that can be planned alone, to find out which one an error is about.
pub(crate) struct Clause {
    pub(crate) at: Position,
    pub(crate) query: Box<sqlparser::ast::Query>,
}

/// The error of ours for one of DataFusion's; the flag tells whether the position is exact.
pub(crate) fn translate(error: DataFusionError, fallback: Position) -> (Error, bool) {
    let mut at = None;
    let mut help = None;
    let mut error = error;
    loop {
        error = match error {
            DataFusionError::Diagnostic(d, inner) => {
                at = at.or_else(|| span_of(&d));
                help = help.or_else(|| d.helps.first().map(|h| h.message.clone()));
                *inner
            }
            DataFusionError::Context(_, inner) => *inner,
            DataFusionError::Collection(mut all) if !all.is_empty() => all.remove(0),
            other => break describe(other, at, help, fallback),
        }
    }
}

fn span_of(d: &Diagnostic) -> Option<Position> {
    d.span.filter(|s| s.start.line > 0).map(|s| Position { line: s.start.line, column: s.start.column })
}

fn describe(error: DataFusionError, at: Option<Position>, help: Option<String>, fallback: Position) -> (Error, bool) {
    let exact = at.is_some();
    let at = at.unwrap_or(fallback);
    match error {
        DataFusionError::External(e) => match e.downcast::<Error>() {
            Ok(ours) => (*ours, true),
            Err(e) => (invalid(at, clean(&e.to_string()), "change the query"), exact),
        },
        DataFusionError::SchemaError(schema, _) => (schema_error(*schema, at), exact),
        other => {
            let text = clean(&other.strip_backtrace());
            let (what, advice) = advise(text, help);
            (invalid(at, what, advice), exact)
        }
    }
}

fn schema_error(error: SchemaError, at: Position) -> Error {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => {
            let names: Vec<&str> = valid_fields.iter().map(|c| c.name.as_str()).collect();
            invalid(at, format!("there is no column '{}' here", field.name), did_you_mean(&field.name, names))
        }
        SchemaError::AmbiguousReference { field } => {
            invalid(at, format!("the column '{}' is ambiguous", field.name), "write table.column, and name tables with AS")
        }
        SchemaError::DuplicateQualifiedField { name, .. } | SchemaError::DuplicateUnqualifiedField { name } => {
            invalid(at, format!("two columns are named '{name}'"), "give one of them another name with AS")
        }
    }
}

/// Takes what DataFusion says to its own developers out of a message.
fn clean(text: &str) -> String {
    let mut text = text;
    for prefix in [
        "Error during planning: ",
        "This feature is not implemented: ",
        "type_coercion",
        "caused by",
        "Schema error: ",
        "Execution error: ",
        "Optimizer rule 'simplify_expressions' failed",
        "Arrow error: ",
        "Internal error: ",
        "External error: ",
        "\n",
    ] {
        while let Some(rest) = text.trim_start().strip_prefix(prefix) {
            text = rest;
        }
    }
    let text = text.split(".\nThis issue was likely caused by a bug").next().unwrap_or(text);
    let text = text.lines().filter(|l| !l.trim().is_empty()).map(str::trim).collect::<Vec<_>>().join(" ");
    let text = text.trim_end_matches('.').to_owned();
    let mut chars = text.chars();
    match (chars.next(), text.chars().nth(1)) {
        (Some(first), Some(second)) if second.is_lowercase() => first.to_lowercase().chain(chars).collect(),
        _ => text,
    }
}

/// The advice for messages that are common.
fn advise(what: String, help: Option<String>) -> (String, String) {
    if let Some((what, near)) = what.split_once("': ").filter(|(w, _)| w.starts_with("there is no table")) {
        return (format!("{what}'"), near.to_owned());
    }
    if let Some((what, near)) = what.split_once(" Did you mean ") {
        return (what.trim_end_matches('.').to_owned(), format!("did you mean {near}"));
    }
    if what.contains("must appear in the GROUP BY clause") || what.contains("must be part of GROUP BY") {
        let what = what.split(" To solve").next().unwrap_or(&what).to_owned();
        return (what, "add the column to GROUP BY, or wrap it in MIN(…) or MAX(…)".into());
    }
    if what.contains("coerce") || what.contains("Cannot infer common argument type") || what.contains("cannot infer common") {
        let what = what.split(" You might need").next().unwrap_or(&what).split(" Candidate functions").next().unwrap_or(&what);
        return (what.to_owned(), "bring both sides to one type with CAST(x AS type)".into());
    }
    (what, help.unwrap_or_else(|| "change the query".into()))
}
