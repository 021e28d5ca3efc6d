//! The report: faults that were done, their consequences, and the longest silences of the output.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::cast::End;
use crate::ledger::Ledger;

#[derive(Debug, Default)]
struct Kind {
    times: u32,
    silence: Duration,
    /// From the end of the fault until the job was well.
    well: Duration,
}

/// Grows as the campaign goes on.
#[derive(Debug)]
pub(crate) struct Report {
    began: Instant,
    seed: u64,
    kinds: BTreeMap<String, Kind>,
    ends: BTreeMap<String, u32>,
    breaches: Vec<String>,
}

impl Report {
    pub(crate) fn new(seed: u64) -> Self {
        Self { began: Instant::now(), seed, kinds: BTreeMap::new(), ends: BTreeMap::new(), breaches: Vec::new() }
    }

    /// A line, with the time.
    pub(crate) fn say(&self, what: &str) {
        let _closed = writeln!(std::io::stdout(), "{:7.1} s  {what}", self.began.elapsed().as_secs_f64());
    }

    /// A fault is over: the longest silence, how long the job took to be well again, and how long the fault lasted.
    pub(crate) fn note(&mut self, name: &str, silence: Duration, well: Duration, lasted: Duration) {
        self.say(&format!(
            "  silent for {:.2} s, well {:.2} s after {:.2} s of it",
            silence.as_secs_f64(),
            well.as_secs_f64(),
            lasted.as_secs_f64()
        ));
        let kind = self.kinds.entry(name.to_owned()).or_default();
        kind.times += 1;
        kind.silence = kind.silence.max(silence);
        kind.well = kind.well.max(well);
    }

    /// Processes that have ended by themselves.
    pub(crate) fn ends(&mut self, ends: &mut Vec<End>) {
        for End { who, how, said, breach } in ends.drain(..) {
            let role = who.trim_end_matches(|c: char| c.is_ascii_digit() || c == '-');
            *self.ends.entry(format!("{role}, {how}")).or_default() += 1;
            self.say(&format!("  {who} ended with {how}: {said}"));
            if breach {
                self.breaches.push(format!("{who} ended with {how}: {said}"));
            }
        }
    }

    /// Something else that must not be.
    pub(crate) fn breach(&mut self, what: String) {
        self.breaches.push(what);
    }

    /// True if there was no breach.
    pub(crate) fn clean(&self, ledger: &Ledger) -> bool {
        self.breaches.is_empty() && ledger.broken == 0
    }

    /// The table at the end.
    pub(crate) fn table(&self, ledger: &Ledger) -> String {
        let mut text = format!("\n{:<58} {:>5} {:>16} {:>14}\n", "FAULT", "TIMES", "LONGEST SILENCE", "LONGEST CURE");
        for (name, Kind { times, silence, well }) in &self.kinds {
            let (silence, well) = (silence.as_secs_f64(), well.as_secs_f64());
            let _infallible = writeln!(text, "{name:<58} {times:>5} {silence:>14.2} s {well:>12.2} s");
        }
        for (what, times) in &self.ends {
            let _infallible = writeln!(text, "ended by itself: {what}: {times} times");
        }
        let _infallible = writeln!(
            text,
            "{} counted rows and {} windows of {} keys checked in {:.0} s, seed {}",
            ledger.counted,
            ledger.windowed,
            ledger.keys(),
            self.began.elapsed().as_secs_f64(),
            self.seed
        );
        for breach in self.breaches.iter().chain(&ledger.breaches) {
            let _infallible = writeln!(text, "BREACH {breach}");
        }
        let more = ledger.broken - ledger.breaches.len() as u64;
        if more > 0 {
            let _infallible = writeln!(text, "BREACH and {more} more");
        }
        text
    }

    /// The same for programs.
    pub(crate) fn write(&self, ledger: &Ledger, to: &Path) -> std::io::Result<()> {
        let kinds = self.kinds.iter().map(|(name, k)| {
            json!({ "fault": name, "times": k.times, "longest_silence_seconds": k.silence.as_secs_f64(), "longest_cure_seconds": k.well.as_secs_f64() })
        });
        let all = json!({
            "seed": self.seed, "seconds": self.began.elapsed().as_secs_f64(), "rows": ledger.counted, "windows": ledger.windowed,
            "faults": kinds.collect::<Vec<_>>(), "ends": self.ends, "breaches": self.breaches.iter().chain(&ledger.breaches).collect::<Vec<_>>(),
        });
        std::fs::write(to, format!("{all:#}\n"))
    }
}
