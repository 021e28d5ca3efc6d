//! Events of a job on standard error: a sentence each for people, or one JSON object a line for machines.
//!
//! Few on purpose: what happens every second belongs into metrics. The log knows whether a live line is on the screen and takes it away
//! before it writes, so that the two never mix.

use std::io::{IsTerminal, Write, stderr};
use std::sync::{Mutex, PoisonError};

use serde_json::{Map, Value, json};
use watershed_runtime::error::{Error, explain};

use super::rfc3339;
use crate::clock::now;

/// The format of events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Sentences.
    #[default]
    Text,
    /// JSON objects, one a line.
    Json,
}

/// The log that events go to.
#[derive(Debug)]
pub(crate) struct Log {
    format: Format,
    job: String,
    live: bool,
    /// A live line is on the screen.
    shown: Mutex<bool>,
}

impl Log {
    pub(crate) fn new(format: Format, job: &str) -> Self {
        let live = format == Format::Text && stderr().is_terminal();
        Self { format, job: job.to_owned(), live, shown: Mutex::new(false) }
    }

    /// True if there is a terminal for a live line.
    pub(crate) fn live(&self) -> bool {
        self.live
    }

    /// Something happened: the sentence for people, the fields for machines.
    pub(crate) fn event(&self, name: &str, sentence: &str, fields: Value) {
        match self.format {
            Format::Text => self.write(&format!("{}: {sentence}", self.job)),
            Format::Json => self.object(name, fields),
        }
    }

    /// The end of a job that failed.
    pub(crate) fn failed(&self, error: &Error) {
        match self.format {
            Format::Text => self.write(&explain(error)),
            Format::Json => {
                let causes = std::iter::successors(std::error::Error::source(error), |e| e.source()).map(ToString::to_string);
                let causes: Vec<String> = causes.collect();
                let fields = json!({
                    "kind": error.category(), "message": error.to_string(), "causes": causes, "help": error.advice(),
                });
                self.object("failed", fields);
            }
        }
    }

    fn object(&self, name: &str, fields: Value) {
        let mut object = Map::new();
        object.insert("time".into(), rfc3339(now()).into());
        object.insert("event".into(), name.into());
        object.insert("job".into(), self.job.as_str().into());
        if let Value::Object(fields) = fields {
            object.extend(fields);
        }
        self.write(&Value::Object(object).to_string());
    }

    fn write(&self, text: &str) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let erase = if std::mem::take(&mut *shown) { "\r\x1b[2K" } else { "" };
        // There is no place left to report that standard error is closed.
        let _closed = stderr().lock().write_all(format!("{erase}{text}\n").as_bytes());
    }

    /// Shows or renews the live line. What is too long is cut by the terminal, which is told not to wrap.
    pub(crate) fn line(&self, text: &str) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        *shown = true;
        let mut out = stderr().lock();
        let _closed = out.write_all(format!("\r\x1b[2K\x1b[?7l{}: {text}\x1b[?7h", self.job).as_bytes());
        let _closed = out.flush();
    }

    /// Takes the live line away.
    pub(crate) fn clear(&self) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::take(&mut *shown) {
            let _closed = stderr().lock().write_all(b"\r\x1b[2K");
        }
    }
}
