//! The law of the fast path, as a function over any bytes: it never accepts what `serde_json` rejects, nor reads it differently.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::de::Values;
use super::scan::Cursor;

#[derive(Debug, PartialEq, Deserialize)]
struct Row {
    #[serde(default)]
    a: Option<String>,
    #[serde(default)]
    b: i64,
    #[serde(default)]
    c: Option<Vec<u8>>,
    #[serde(default)]
    d: BTreeMap<String, bool>,
    #[serde(default)]
    e: Option<Kind>,
}

#[derive(Debug, PartialEq, Deserialize)]
enum Kind {
    A,
    B(i8),
}

fn fast<'a, T: Deserialize<'a>>(line: &'a str) -> Option<T> {
    let mut cursor = Cursor::new(line);
    let value = T::deserialize(Values::new(&mut cursor)).ok()?;
    cursor.end_line().ok()?;
    Some(value)
}

/// The same but for the last bit of a float: `serde_json` rounds those its own way.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) if a.is_f64() && b.is_f64() => match (a.as_f64(), b.as_f64()) {
            (Some(a), Some(b)) => a == b || ((a - b) / b).abs() < 1e-14,
            _ => false,
        },
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => a.len() == b.len() && a.iter().all(|(k, v)| b.get(k).is_some_and(|w| same(v, w))),
        (a, b) => a == b,
    }
}

/// Checks every line of `data`; the answer says which line breaks the law.
pub(crate) fn check(data: &[u8]) -> Result<(), String> {
    for line in data.split(|b| *b == b'\n') {
        let Ok(line) = std::str::from_utf8(line) else { continue };
        if let Some(ours) = fast::<Value>(line) {
            match serde_json::from_str::<Value>(line) {
                Ok(theirs) if same(&ours, &theirs) => {}
                theirs => return Err(format!("{line:?}: we read {ours}, serde_json {theirs:?}")),
            }
        }
        if let Some(ours) = fast::<Row>(line) {
            match serde_json::from_str::<Row>(line) {
                Ok(theirs) if theirs == ours => {}
                theirs => return Err(format!("{line:?}: we read {ours:?}, serde_json {theirs:?}")),
            }
        }
        if fast::<serde::de::IgnoredAny>(line).is_some() {
            serde_json::from_str::<serde::de::IgnoredAny>(line)
                .map_err(|e| format!("{line:?}: we skip it, serde_json says {e}"))?;
        }
        #[cfg(feature = "columnar")]
        super::columns::fuzz::check(line)?;
    }
    Ok(())
}
