//! The table and the summary.

use std::io::Write;
use std::path::Path;

use serde_json::{Value, json};

use super::run::Failure;

/// The limit of a measured number.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bar {
    AtLeast(f64),
    AtMost(f64),
}

/// One line of the table.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) case: String,
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
    pub(crate) bar: Bar,
    pub(crate) note: String,
    pub(crate) detail: Value,
}

impl Line {
    pub(crate) fn new(case: impl Into<String>, value: f64, unit: &'static str, bar: Bar) -> Self {
        Self { case: case.into(), value, unit, bar, note: String::new(), detail: Value::Null }
    }

    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    pub(crate) fn detail(mut self, detail: Value) -> Self {
        self.detail = detail;
        self
    }

    fn met(&self) -> bool {
        match self.bar {
            Bar::AtLeast(bar) => self.value >= bar,
            Bar::AtMost(bar) => self.value <= bar,
        }
    }

    fn bar(&self) -> String {
        match self.bar {
            Bar::AtLeast(bar) => format!(">= {bar}"),
            Bar::AtMost(bar) => format!("<= {bar}"),
        }
    }
}

/// All lines, told as they come.
#[derive(Debug, Default)]
pub(crate) struct Report {
    lines: Vec<Line>,
    failures: Vec<(String, String)>,
}

fn tell(text: &str) -> Result<(), Failure> {
    Ok(writeln!(std::io::stdout(), "{text}")?)
}

impl Report {
    pub(crate) fn head(&self) -> Result<(), Failure> {
        tell(&format!("{:<36} {:>10} {:<6} {:>10}  {:<6}  note", "case", "measured", "", "bar", ""))
    }

    /// A case is over.
    pub(crate) fn add(&mut self, case: &str, outcome: Result<Vec<Line>, Failure>) -> Result<(), Failure> {
        let lines = match outcome {
            Ok(lines) => lines,
            Err(e) => {
                self.failures.push((case.to_owned(), e.to_string()));
                return tell(&format!("{case:<36} FAILED: {e}"));
            }
        };
        for line in lines {
            let (verdict, bar) = (if line.met() { "met" } else { "MISSED" }, line.bar());
            tell(&format!("{:<36} {:>10.3} {:<6} {bar:>10}  {verdict:<6}  {}", line.case, line.value, line.unit, line.note))?;
            self.lines.push(line);
        }
        Ok(())
    }

    /// Writes the summary; true if nothing failed. A missed bar is no failure: the table says so.
    pub(crate) fn finish(&self, file: &Path, setting: &Value) -> Result<bool, Failure> {
        let line = |l: &Line| json!({"case": l.case, "value": l.value, "unit": l.unit, "bar": l.bar(), "met": l.met(), "note": l.note, "detail": l.detail});
        let lines: Vec<Value> = self.lines.iter().map(line).collect();
        let failures: Vec<Value> = self.failures.iter().map(|(case, why)| json!({"case": case, "why": why})).collect();
        let summary = json!({"setting": setting, "cases": lines, "failures": failures});
        std::fs::write(file, serde_json::to_vec_pretty(&summary)?)?;
        let met = self.lines.iter().filter(|l| l.met()).count();
        tell(&format!("{met} of {} bars met, {} failed; {}", self.lines.len(), failures.len(), file.display()))?;
        Ok(failures.is_empty())
    }
}
