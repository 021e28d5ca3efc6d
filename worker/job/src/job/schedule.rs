//! Calendar times in cron's five fields: minute, hour, day of month, month, day of week.
//!
//! Judged here and not where it is first used, since a schedule that never comes due would be noticed after months, by its absence.

use std::fmt;

use crate::near;
use crate::problem::Why;

/// The fields: name, least, most, and the words for values from the least on.
const FIELDS: [(&str, u32, u32, &[&str]); 5] = [
    ("minute", 0, 59, &[]),
    ("hour", 0, 23, &[]),
    ("day of month", 1, 31, &[]),
    ("month", 1, 12, &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]),
    ("day of week", 0, 7, &["sun", "mon", "tue", "wed", "thu", "fri", "sat"]),
];

const MACROS: [&str; 7] = ["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"];

/// A legal schedule, as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule(String);

impl Schedule {
    /// Judges a schedule.
    pub fn new(text: &str) -> Result<Self, Why> {
        let text = text.trim();
        if text.starts_with('@') {
            return match MACROS.contains(&text) {
                true => Ok(Self(text.to_owned())),
                false => Err(Why::new("not a schedule").advise(match near::nearest(text, MACROS) {
                    Some(name) => format!("did you mean `{name}`?"),
                    None => format!("the words known are {}", MACROS.join(", ")),
                })),
            };
        }
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        if fields.len() != FIELDS.len() {
            return Err(Why::new(format!("a schedule has five fields, this one has {}", fields.len()))
                .advise("minute, hour, day of month, month, day of week, such as `0 3 * * *`"));
        }
        for (field, (name, least, most, words)) in fields.iter().zip(FIELDS) {
            for part in field.split(',') {
                if !legal(part, least, most, words) {
                    let shown: String = part.chars().take(40).collect();
                    return Err(Why::new(format!("`{shown}` is not a {name}"))
                        .advise(format!("use `*`, `*/n`, a number from {least} to {most}, a range `a-b` or a list of those")));
                }
            }
        }
        Ok(Self(fields.join(" ")))
    }

    /// The schedule.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `*`, `a`, `a-b`, each with an optional `/step`.
fn legal(part: &str, least: u32, most: u32, words: &[&str]) -> bool {
    let value = |text: &str| -> Option<u32> {
        let at = words.iter().position(|w| text.eq_ignore_ascii_case(w)).and_then(|i| u32::try_from(i).ok());
        let digits = || (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok()).flatten();
        at.map(|i| i + least).or_else(digits).filter(|n| (least..=most).contains(n))
    };
    let (range, step) = part.split_once('/').map_or((part, None), |(range, step)| (range, Some(step)));
    let step_is_legal =
        step.is_none_or(|s| s.bytes().all(|b| b.is_ascii_digit()) && s.parse::<u32>().is_ok_and(|n| n >= 1 && n <= most.max(1)));
    let range_is_legal = range == "*"
        || match range.split_once('-') {
            Some((from, to)) => matches!((value(from), value(to)), (Some(from), Some(to)) if from <= to),
            None => value(range).is_some(),
        };
    step_is_legal && range_is_legal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_fields_within_their_ranges() {
        for good in ["0 3 * * *", "*/15 0-6,22 1 jan-jun mon-fri", " 5  4 31 12 7 ", "@hourly", "0-30/5 * * * *"] {
            assert!(Schedule::new(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "* * * *",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "* * * 13 *",
            "* * * * 8",
            "5-1 * * * *",
            "*/0 * * * *",
            "@hourlz",
            "a * * * *",
            "1- * * * *",
            "+1 * * * *",
        ] {
            assert!(Schedule::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_month_or_day_may_be_a_word() {
        assert!(Schedule::new("0 0 1 DEC sat").is_ok());
        assert!(Schedule::new("0 0 dec 1 *").is_err());
    }
}
