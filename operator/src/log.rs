//! The operator's log: one JSON object a line, on standard error. Few lines: changes, requests, errors.

use std::io::Write;

use k8s_openapi::jiff::Timestamp;
use serde_json::{Map, Value};

/// The severity of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// An event that is worth knowing.
    Info,
    /// A state that is not as it should be.
    Warning,
    /// An operation that failed.
    Error,
}

/// The log of the process.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Log;

impl Log {
    /// Writes an event with its fields.
    pub(crate) fn event(self, level: Level, event: &str, fields: &[(&str, &str)]) {
        // A closed standard error cannot be reported anywhere.
        let _closed = writeln!(std::io::stderr(), "{}", line(&Timestamp::now().to_string(), level, event, fields));
    }
}

fn line(time: &str, level: Level, event: &str, fields: &[(&str, &str)]) -> String {
    let level = match level {
        Level::Info => "info",
        Level::Warning => "warning",
        Level::Error => "error",
    };
    let mut all = Map::new();
    for (name, value) in [("time", time), ("level", level), ("event", event)].iter().chain(fields) {
        all.insert((*name).to_owned(), Value::String((*value).to_owned()));
    }
    Value::Object(all).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_object_whatever_its_fields_hold() {
        let logged = line("t", Level::Warning, "changed", &[("message", "a \"b\"\nc")]);
        assert_eq!(logged, r#"{"event":"changed","level":"warning","message":"a \"b\"\nc","time":"t"}"#);
    }
}
