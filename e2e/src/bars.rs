//! What was measured, beside what must be reached. A bar that is missed is printed and counted; it fails the suite only on request, since
//! a machine that is busy with something else is no defect.

use std::fmt::Write;
use std::time::Duration;

/// Measurements of a run.
#[derive(Debug, Default)]
pub(crate) struct Bars {
    lines: Vec<Bar>,
}

#[derive(Debug)]
struct Bar {
    what: String,
    measured: String,
    bar: Option<(String, bool)>,
}

impl Bars {
    /// A time that may not be longer than a bar.
    pub(crate) fn time(&mut self, what: &str, measured: Duration, bar: Duration) -> String {
        let shown = |d: Duration| format!("{:.2} s", d.as_secs_f64());
        self.add(what, shown(measured), Some((format!("≤ {}", shown(bar)), measured <= bar)))
    }

    /// A number that may not be larger than a bar.
    pub(crate) fn number(&mut self, what: &str, measured: f64, bar: f64, unit: &str) -> String {
        self.add(what, format!("{measured:.1} {unit}"), Some((format!("≤ {bar} {unit}"), measured <= bar)))
    }

    /// Something worth knowing that has no bar.
    pub(crate) fn note(&mut self, what: &str, measured: String) -> String {
        self.add(what, measured, None)
    }

    fn add(&mut self, what: &str, measured: String, bar: Option<(String, bool)>) -> String {
        self.lines.push(Bar { what: what.to_owned(), measured, bar });
        self.lines.last().map(line).unwrap_or_default()
    }

    /// The table, and how many bars were missed.
    #[must_use]
    pub(crate) fn table(&self) -> (String, usize) {
        let text = self.lines.iter().fold(String::new(), |mut text, bar| {
            let _never_fails = writeln!(text, "  {}", line(bar));
            text
        });
        (text, self.lines.iter().filter(|b| b.bar.as_ref().is_some_and(|(_, met)| !met)).count())
    }
}

fn line(Bar { what, measured, bar }: &Bar) -> String {
    match bar {
        Some((bar, true)) => format!("{what}: {measured} ({bar}: met)"),
        Some((bar, false)) => format!("{what}: {measured} ({bar}: MISSED)"),
        None => format!("{what}: {measured}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missed_bar_is_counted() {
        let mut bars = Bars::default();
        assert!(bars.time("a", Duration::from_secs(1), Duration::from_secs(1)).contains("met"));
        assert!(bars.number("b", 2.0, 1.0, "MB").contains("MISSED"));
        bars.note("c", "d".into());
        assert_eq!((bars.table().1, bars.table().0.lines().count()), (1, 3));
    }
}
