//! The operator's log: one JSON object a line, on standard error. Few lines: what was changed, what was asked, what went wrong.

use std::io::Write;

use k8s_openapi::jiff::Timestamp;
use serde_json::{Map, Value};

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// Worth knowing.
    Info,
    /// Something is not as it should be.
    Warning,
    /// Something could not be done.
    Error,
}

/// Writes lines.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Log;

impl Log {
    /// Says something.
    pub(crate) fn say(self, level: Level, event: &str, fields: &[(&str, &str)]) {
        // Nobody can be told that standard error is closed.
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
    fn a_line_is_one_object_whatever_is_said() {
        let said = line("t", Level::Warning, "changed", &[("message", "a \"b\"\nc")]);
        assert_eq!(said, r#"{"event":"changed","level":"warning","message":"a \"b\"\nc","time":"t"}"#);
    }
}
