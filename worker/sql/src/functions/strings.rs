//! Flink's string functions that mean something else than DataFusion's of the same name, or have none.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use arrow::datatypes::DataType::{self, Boolean, Int64, Utf8};
use datafusion_common::{Result, exec_err};
use datafusion_expr::ScalarUDF;
use regex::Regex;

use super::helper::{exactly, number, plain, rows, text};

pub(super) fn all() -> Vec<Arc<ScalarUDF>> {
    let returns_text = |_: &[DataType]| Ok(Utf8);
    vec![
        plain("concat", |got| Ok(vec![Utf8; got.len()]), returns_text, concat),
        plain("split_index", |got| exactly(got, &[Utf8, Utf8, Int64]), returns_text, split_index),
        plain("regexp_extract", regexp_extract_args, returns_text, regexp_extract),
        plain("regexp_replace", |got| exactly(got, &[Utf8, Utf8, Utf8]), returns_text, regexp_replace),
        plain("is_alpha", |got| exactly(got, &[Utf8]), |_| Ok(Boolean), is_alpha),
    ]
}

fn collect<'a>(rows: usize, value: impl FnMut(usize) -> Option<std::borrow::Cow<'a, str>>) -> ArrayRef {
    Arc::new((0..rows).map(value).collect::<StringArray>())
}

/// NULL as soon as one argument is (PostgreSQL's skips NULLs).
fn concat(columns: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    Ok(collect(rows(columns), |row| {
        let mut out = String::new();
        for c in columns {
            out.push_str(text(c, row)?);
        }
        Some(out.into())
    }))
}

/// The part with this index, counted from 0; NULL outside.
fn split_index(columns: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let [s, separator, index] = columns else { return exec_err!("SPLIT_INDEX takes three arguments") };
    Ok(collect(rows(columns), |row| {
        let (s, separator) = (text(s, row)?, text(separator, row)?);
        let index = usize::try_from(number(index, row)?).ok()?;
        // As in Flink, an empty text has no part at all.
        if s.is_empty() {
            return None;
        }
        if separator.is_empty() {
            return (index == 0).then_some(s.into());
        }
        s.split(separator).nth(index).map(Into::into)
    }))
}

fn regexp_extract_args(got: &[DataType]) -> Result<Vec<DataType>, String> {
    match got.len() {
        2 => exactly(got, &[Utf8, Utf8]),
        _ => exactly(got, &[Utf8, Utf8, Int64]),
    }
}

/// Keeps the last pattern compiled: it is nearly always a constant.
struct Pattern {
    text: String,
    regex: Option<Regex>,
}

impl Pattern {
    fn new() -> Self {
        Self { text: String::new(), regex: None }
    }

    fn get(&mut self, text: &str) -> Result<&Regex> {
        if self.regex.is_none() || self.text != text {
            match Regex::new(text) {
                Ok(r) => self.regex = Some(r),
                Err(e) => return exec_err!("'{text}' is no regular expression: {e}"),
            }
            text.clone_into(&mut self.text);
        }
        match &self.regex {
            Some(r) => Ok(r),
            None => exec_err!("no pattern"),
        }
    }
}

/// The group (0 is the whole match, the default) of the first match; NULL if there is none.
fn regexp_extract(columns: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let (Some(s), Some(pattern)) = (columns.first(), columns.get(1)) else {
        return exec_err!("REGEXP_EXTRACT takes two or three arguments");
    };
    let mut compiled = Pattern::new();
    let mut out = Vec::with_capacity(rows(columns));
    for row in 0..rows(columns) {
        let group = columns.get(2).map_or(Some(0), |g| number(g, row));
        let (Some(s), Some(p), Some(group)) = (text(s, row), text(pattern, row), group) else {
            out.push(None);
            continue;
        };
        let regex = compiled.get(p)?;
        let group = usize::try_from(group).unwrap_or(usize::MAX);
        out.push(regex.captures(s).and_then(|c| c.get(group)).map(|m| m.as_str().to_owned()));
    }
    Ok(Arc::new(out.into_iter().collect::<StringArray>()))
}

/// Every match is replaced (PostgreSQL's replaces the first).
fn regexp_replace(columns: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let [s, pattern, replacement] = columns else { return exec_err!("REGEXP_REPLACE takes three arguments") };
    let mut compiled = Pattern::new();
    let mut out = Vec::with_capacity(rows(columns));
    for row in 0..rows(columns) {
        let (Some(s), Some(p), Some(r)) = (text(s, row), text(pattern, row), text(replacement, row)) else {
            out.push(None);
            continue;
        };
        out.push(Some(compiled.get(p)?.replace_all(s, r).into_owned()));
    }
    Ok(Arc::new(out.into_iter().collect::<StringArray>()))
}

fn is_alpha(columns: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let [s] = columns else { return exec_err!("IS_ALPHA takes one argument") };
    let values =
        (0..rows(columns)).map(|row| Some(text(s, row).is_some_and(|s| !s.is_empty() && s.chars().all(char::is_alphabetic))));
    Ok(Arc::new(values.collect::<arrow::array::BooleanArray>()))
}
