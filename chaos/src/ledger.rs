//! The checker: every committed row against the one that was to come. Pure; rows come in, breaches go out.
//!
//! Rules, each with a breach of its own:
//! - **R1** no row twice, and no row that was never fed;
//! - **R2** the numbers of a key are there once each, without a gap once everything is out;
//! - **R3** rows of a key and of one input file have numbers in the order of the file;
//! - **R4** a window of a key is there once, with the rows and the sum that it must have;
//! - **R5** no window is missing below the last one that is awaited;
//! - **R6** no row is late.

use std::collections::HashMap;

use crate::job::{FILE_ROWS, KEYS, Numbered, Row, TICK_KEYS, Tick, Window};

/// Breaches kept in words; the rest is counted.
const KEPT: usize = 40;

/// Everything seen so far.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    files: Vec<String>,
    /// By id: the file it was in, from 1; 0 has not been seen.
    rows: Vec<u32>,
    /// By key and number less one: the id, from 1; 0 has not been seen.
    numbers: Vec<Vec<u64>>,
    windows: HashMap<(u64, u64), u32>,
    /// By second: how many keys have spoken.
    seconds: Vec<u64>,
    pub(crate) counted: u64,
    pub(crate) windowed: u64,
    pub(crate) breaches: Vec<String>,
    pub(crate) broken: u64,
}

fn at<T: Clone + Default>(things: &mut Vec<T>, i: usize) -> &mut T {
    if things.len() <= i {
        things.resize(i + 1, T::default());
    }
    things.get_mut(i).expect("the vector has just been made long enough")
}

fn index(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

impl Ledger {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A breach.
    pub(crate) fn breach(&mut self, what: String) {
        self.broken += 1;
        if self.breaches.len() < KEPT {
            self.breaches.push(what);
        }
    }

    /// The rows that follow are of this file.
    pub(crate) fn file(&mut self, name: &str) {
        self.files.push(name.to_owned());
    }

    fn here(&self) -> (u32, &str) {
        let name = self.files.last().map_or("", String::as_str);
        (u32::try_from(self.files.len()).unwrap_or(u32::MAX), name)
    }

    fn named(&self, file: u32) -> &str {
        self.files.get(file as usize - 1).map_or("?", String::as_str)
    }

    /// A counted row came out; `fed` have gone in.
    pub(crate) fn counted(&mut self, row: &Numbered, fed: u64) {
        let (file, name) = self.here();
        let name = name.to_owned();
        let Numbered { id, key, number } = *row;
        if id >= fed || (Row { id, key }) != Row::of(id) || number == 0 || number > fed {
            return self.breach(format!("R1 {name}: {row:?} was never fed"));
        }
        self.counted += 1;
        let before = std::mem::replace(at(&mut self.rows, index(id)), file);
        if before != 0 {
            return self.breach(format!("R1 {name}: {row:?} was in {} before", self.named(before)));
        }
        let numbers = at(&mut self.numbers, index(key));
        let before = std::mem::replace(at(numbers, index(number - 1)), id + 1);
        if before != 0 {
            self.breach(format!("R2 {name}: {row:?}: row {} has had this number before", before - 1));
        }
    }

    /// A window came out.
    pub(crate) fn window(&mut self, window: &Window) {
        let (file, name) = self.here();
        let name = name.to_owned();
        let Window { key, second, .. } = *window;
        let expected = Window::expected(key, second);
        if key >= TICK_KEYS || *window != expected {
            return self.breach(format!("R4 {name}: {window:?} is to be {expected:?}"));
        }
        self.windowed += 1;
        if let Some(before) = self.windows.insert((key, second), file) {
            return self.breach(format!("R4 {name}: {window:?} was in {} before", self.named(before)));
        }
        *at(&mut self.seconds, index(second)) += 1;
    }

    /// A late row came out.
    pub(crate) fn late(&mut self, tick: &Tick) {
        let name = self.here().1.to_owned();
        self.breach(format!("R6 {name}: {tick:?} came behind the end of its window"));
    }

    /// The last second of which a window has come out, from 1.
    pub(crate) fn last_second(&self) -> u64 {
        self.seconds.len() as u64
    }

    /// True if every window of the first seconds is there.
    pub(crate) fn windows_until(&self, seconds: u64) -> bool {
        self.seconds.iter().take(index(seconds)).filter(|n| **n == TICK_KEYS).count() as u64 == seconds
    }

    /// The first number of each key that is missing below one that is there: (key, number).
    pub(crate) fn holes(&self) -> Vec<(usize, usize)> {
        let hole = |(key, numbers): (usize, &Vec<u64>)| Some((key, numbers.iter().position(|id| *id == 0)? + 1));
        self.numbers.iter().enumerate().filter_map(hole).collect()
    }

    /// Everything that can be told only at the end.
    pub(crate) fn close(&mut self, fed: u64, seconds: u64) {
        let missing: Vec<u64> = (0..fed).filter(|id| self.rows.get(index(*id)).is_none_or(|f| *f == 0)).collect();
        if let Some(first) = missing.first() {
            self.breach(format!("R2 {} of {fed} rows never came out, row {first} the first of them", missing.len()));
        }
        for (key, number) in self.holes() {
            self.breach(format!("R2 key {key}: number {number} is missing"));
        }
        self.order();
        for second in 0..seconds {
            let keys = self.seconds.get(index(second)).copied().unwrap_or(0);
            if keys != TICK_KEYS {
                self.breach(format!("R5 second {second}: the windows of {} keys are missing", TICK_KEYS - keys.min(TICK_KEYS)));
            }
        }
    }

    fn order(&mut self) {
        let mut wrong = Vec::new();
        for (key, numbers) in self.numbers.iter().enumerate() {
            let mut last: HashMap<u64, u64> = HashMap::new();
            for id in numbers.iter().filter(|id| **id != 0).map(|id| id - 1) {
                if let Some(before) = last.insert(id / FILE_ROWS, id)
                    && before > id
                {
                    wrong.push(format!("R3 key {key}: row {id} was counted behind row {before} of the same file"));
                }
            }
        }
        wrong.into_iter().for_each(|w| self.breach(w));
    }

    /// Rows of keys, for the report.
    pub(crate) fn keys(&self) -> u64 {
        KEYS + TICK_KEYS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(ids: &[(u64, u64)]) -> Ledger {
        let mut ledger = Ledger::new();
        ledger.file("a");
        for (id, number) in ids {
            ledger.counted(&Numbered { id: *id, key: Row::of(*id).key, number: *number }, 10_000);
        }
        ledger
    }

    fn breaks(mut ledger: Ledger, fed: u64, rule: &str) {
        ledger.close(fed, 0);
        assert!(ledger.breaches.iter().any(|b| b.starts_with(rule)), "{rule}: {:?}", ledger.breaches);
    }

    #[test]
    fn a_clean_output_has_no_breach() {
        let mut ledger = of(&(0..KEYS * 3).map(|id| (id, id / KEYS + 1)).collect::<Vec<_>>());
        for key in 0..TICK_KEYS {
            ledger.window(&Window::expected(key, 0));
        }
        assert!(ledger.windows_until(1) && !ledger.windows_until(2));
        ledger.close(KEYS * 3, 1);
        assert_eq!(ledger.breaches, [""; 0]);
    }

    #[test]
    fn a_row_twice_or_from_nowhere_is_a_breach() {
        breaks(of(&[(0, 1), (0, 2)]), 1, "R1");
        breaks(of(&[(10_001, 1)]), 0, "R1");
    }

    #[test]
    fn a_missing_row_and_a_number_too_many_are_breaches() {
        breaks(of(&[(0, 1)]), 2, "R2");
        breaks(of(&[(0, 2)]), 1, "R2");
        breaks(of(&[(0, 1), (KEYS, 1)]), KEYS, "R2");
    }

    #[test]
    fn rows_of_a_key_that_overtake_each_other_are_a_breach_within_a_file_only() {
        breaks(of(&[(0, 2), (KEYS, 1)]), 1, "R3");
        let mut other = of(&[(0, 2), (KEYS * 5, 1)]);
        other.order();
        assert_eq!(other.breaches, [""; 0]);
    }

    #[test]
    fn wrong_doubled_and_missing_windows_and_late_rows_are_breaches() {
        let mut ledger = Ledger::new();
        ledger.file("a");
        ledger.window(&Window { rows: 1, ..Window::expected(0, 0) });
        assert!(ledger.breaches[0].starts_with("R4"));
        ledger.window(&Window::expected(0, 0));
        ledger.window(&Window::expected(0, 0));
        assert!(ledger.breaches[1].starts_with("R4"));
        ledger.close(0, 1);
        assert!(ledger.breaches[2].starts_with("R5"));
        ledger.late(&serde_json::from_str(r#"{"n":1}"#).unwrap());
        assert!(ledger.breaches[3].starts_with("R6"));
    }
}
