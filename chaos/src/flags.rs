//! Flags of the command line.

use std::path::PathBuf;
use std::time::Duration;

use crate::net::WORKERS;

/// Flags as typed, or their defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Flags {
    pub(crate) time: Duration,
    pub(crate) seed: u64,
    pub(crate) workers: u32,
    /// The longest time for which storage is away.
    pub(crate) outage: Duration,
    pub(crate) loopback: bool,
    /// Says what the seed would do, and does nothing.
    pub(crate) plan: bool,
    /// Only faults whose names have one of these words, separated by commas.
    pub(crate) only: Option<String>,
    /// Keeps everything here, failed or not.
    pub(crate) keep: Option<PathBuf>,
}

impl Flags {
    /// Reads the words of the command line.
    pub(crate) fn of(words: &[String]) -> Result<Self, String> {
        let chance = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_micros() as u64);
        let mut flags = Self {
            time: Duration::from_secs(120),
            seed: chance % 1_000_000,
            workers: 3,
            outage: Duration::from_secs(30),
            loopback: false,
            plan: false,
            only: None,
            keep: None,
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} wants a value"));
            let number = |text: &String| text.parse::<u64>().map_err(|_| format!("`{text}` is not a number"));
            match word.as_str() {
                "--minutes" => flags.time = Duration::from_secs(number(value()?)? * 60),
                "--seconds" => flags.time = Duration::from_secs(number(value()?)?),
                "--seed" => flags.seed = number(value()?)?,
                "--workers" => flags.workers = u32::try_from(number(value()?)?).unwrap_or(0),
                "--outage" => flags.outage = Duration::from_secs(number(value()?)?),
                "--loopback" => flags.loopback = true,
                "--plan" => flags.plan = true,
                "--only" => flags.only = Some(value()?.clone()),
                "--keep" => flags.keep = Some(value()?.into()),
                other => {
                    return Err(format!(
                        "`{other}` is not known: --minutes, --seconds, --seed, --workers, --outage, --loopback, --only, --plan, --keep"
                    ));
                }
            }
        }
        if !(1..=WORKERS).contains(&flags.workers) {
            return Err(format!("--workers is 1 to {WORKERS}"));
        }
        Ok(flags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_have_defaults_and_wrong_ones_are_refused() {
        let of = |text: &str| Flags::of(&text.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        let typed = of("--minutes 3 --seed 9 --loopback").unwrap();
        assert_eq!((typed.time.as_secs(), typed.seed, typed.loopback, typed.workers), (180, 9, true, 3));
        for bad in ["--workers 7", "--workers 0", "--seed", "--seed x", "--speed 3"] {
            assert!(of(bad).is_err(), "{bad}");
        }
    }
}
