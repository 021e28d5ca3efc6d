//! Every row of the job's three outputs is held against what it must be.
//!
//! | output | what is written | what is wrong |
//! |---|---|---|
//! | `rows` | each row as it was read | a row of a key that is not its next one: doubled, missing, or out of order |
//! | `totals` | changes of a running count by key | a change of what was not there; a count that goes back, or does not fit its rows |
//! | `windows` | counts by key and window | a window of a key that is not its next one, or another count than the window has rows |
//!
//! After a fault the checker goes on from what it saw, so that one fault is told once. It keeps the first hundred and counts the rest.

use std::collections::BTreeMap;

use serde_json::Value;

use super::expect::{Count, Expect};

/// The most faults that are kept.
const KEPT: usize = 100;

/// Which output a row is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Output {
    /// Rows as they were read.
    Rows,
    /// Changes of the running count.
    Totals,
    /// Counts of windows.
    Windows,
}

impl Output {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Rows, Self::Totals, Self::Windows];

    /// The directory it is in.
    #[must_use]
    pub(crate) fn folder(self) -> &'static str {
        match self {
            Self::Rows => "rows",
            Self::Totals => "totals",
            Self::Windows => "windows",
        }
    }
}

/// Where each key stands, and what was wrong.
#[derive(Debug)]
pub(crate) struct Checker {
    expect: Expect,
    /// How many rows of each key came.
    rows: BTreeMap<u64, u64>,
    /// What stands for each key, and the rows it ever counted.
    totals: BTreeMap<u64, (Option<Count>, u64)>,
    /// The next window of each key.
    windows: BTreeMap<u64, u64>,
    seen: BTreeMap<Output, u64>,
    faults: Vec<String>,
    more: u64,
}

impl Checker {
    /// Of a job that begins with nothing.
    #[must_use]
    pub(crate) fn new(expect: Expect) -> Self {
        Self {
            expect,
            rows: BTreeMap::new(),
            totals: BTreeMap::new(),
            windows: BTreeMap::new(),
            seen: BTreeMap::new(),
            faults: Vec::new(),
            more: 0,
        }
    }

    /// What was wrong.
    #[must_use]
    pub(crate) fn faults(&self) -> &[String] {
        &self.faults
    }

    /// How many faults there were beyond those kept.
    #[must_use]
    pub(crate) fn more_faults(&self) -> u64 {
        self.more
    }

    /// How many lines of an output were checked.
    #[must_use]
    pub(crate) fn seen(&self, output: Output) -> u64 {
        self.seen.get(&output).copied().unwrap_or(0)
    }

    /// Notes a fault.
    pub(crate) fn fault(&mut self, what: String) {
        if self.faults.len() < KEPT {
            self.faults.push(what);
        } else {
            self.more += 1;
        }
    }

    /// Checks the lines of a file.
    pub(crate) fn file(&mut self, output: Output, name: &str, text: &str) {
        for line in text.lines() {
            *self.seen.entry(output).or_default() += 1;
            let checked = serde_json::from_str::<Value>(line).map_err(|e| e.to_string()).and_then(|row| match output {
                Output::Rows => self.row(&row),
                Output::Totals => self.total(&row),
                Output::Windows => self.window(&row),
            });
            if let Err(what) = checked {
                self.fault(format!("{}/{name}: {what}: {line}", output.folder()));
            }
        }
    }

    fn row(&mut self, row: &Value) -> Result<(), String> {
        let (key, seq) = (self.key(row)?, number(row, "seq")?);
        let n = self.rows.entry(key).or_default();
        let wanted = self.expect.nth(key, *n + 1);
        *n = (seq / self.expect.keys()) + 1;
        match seq {
            _ if seq == wanted => Ok(()),
            _ if seq % self.expect.keys() != key => Err("the row is not of this key".to_owned()),
            _ if seq < wanted => Err(format!("doubled or out of order: the next row of the key is {wanted}")),
            _ => Err(format!("rows of the key from {wanted} on are missing before it")),
        }
    }

    fn total(&mut self, change: &Value) -> Result<(), String> {
        let part = |name: &str| change.get(name).filter(|v| !v.is_null());
        let (row, new) = match (part("before"), part("after")) {
            (Some(old), None) => (old, false),
            (None, Some(new)) => (new, true),
            _ => return Err("a change has either `before` or `after`".to_owned()),
        };
        let key = self.key(row)?;
        let count = Count { n: number(row, "n")?, low: None, top: number(row, "top")?, total: number(row, "total")? };
        let held = self.totals.entry(key).or_default();
        let (before, highest) = *held;
        *held = (new.then_some(count), highest.max(count.n));
        if !new {
            return match before {
                Some(b) if b == count => Ok(()),
                Some(b) => Err(format!("takes back what is not there: the key has {b:?}")),
                None => Err("takes back what is not there: the key has nothing".to_owned()),
            };
        }
        if let Some(b) = before {
            return Err(format!("a second count beside {b:?}"));
        }
        if count.n <= highest {
            return Err(format!("a count that goes back: it was {highest}"));
        }
        if self.expect.after(key, count.n) != count {
            return Err(format!("a wrong count: {} rows of the key would be {:?}", count.n, self.expect.after(key, count.n)));
        }
        Ok(())
    }

    fn window(&mut self, row: &Value) -> Result<(), String> {
        let key = self.key(row)?;
        let start = row.get("window_start").and_then(Value::as_str).and_then(seconds).ok_or("a window without its beginning")?;
        if start % self.expect.width != 0 {
            return Err("a window that begins at no multiple of its width".to_owned());
        }
        let window = start / self.expect.width;
        let count = Count {
            n: number(row, "n")?,
            low: Some(number(row, "low")?),
            top: number(row, "top")?,
            total: number(row, "total")?,
        };
        let next = self.windows.entry(key).or_default();
        let wanted = *next;
        *next = window + 1;
        if window != wanted {
            let what = if window < wanted { "doubled or out of order" } else { "windows are missing before it" };
            return Err(format!("{what}: the next window of the key is number {wanted}, this is number {window}"));
        }
        match self.expect.window(key, window) {
            Some(c) if c == count => Ok(()),
            other => Err(format!("a wrong window: it holds {other:?}")),
        }
    }

    fn key(&self, row: &Value) -> Result<u64, String> {
        let key = number(row, "k")?;
        if key < self.expect.keys() { Ok(key) } else { Err(format!("there is no key {key}")) }
    }
}

fn number(row: &Value, name: &str) -> Result<u64, String> {
    row.get(name).and_then(Value::as_u64).ok_or_else(|| format!("the field `{name}` is no number"))
}

/// Seconds since the first of the month in which the source begins, of a time as SQL writes it.
fn seconds(text: &str) -> Option<u64> {
    let (day, time) = text.split_once([' ', 'T'])?;
    let day: u64 = day.rsplit('-').next()?.parse().ok()?;
    let mut parts = time.split(':').map(|p| p.split('.').next().unwrap_or(p).parse::<u64>());
    let (h, m, s) = (parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?);
    Some((day.checked_sub(1)? * 24 + h) * 3600 + m * 60 + s)
}

#[cfg(test)]
#[path = "checker_tests.rs"]
mod tests;
