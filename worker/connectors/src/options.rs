//! Options of a table, as a user writes them: text keys, text values, each with its place in the manifest or the SQL text.
//!
//! A connector asks for what it knows through a [`Reader`]; the names it asked for are the names that exist, so that
//! [`Reader::finish`] can say for every other key which right one is nearest. Nothing is ignored silently: an option that has
//! no effect is a mistake the user should hear of before the job runs, not after.

use std::time::Duration;

use watershed_runtime::error::{Error, Kind};

use crate::units;

/// One option.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    key: String,
    value: String,
    place: Option<String>,
}

/// The options of one table, in the order in which they were written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    entries: Vec<Entry>,
}

impl Options {
    /// No options.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an option without a place: for programs and tests.
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.entries.push(Entry { key: key.into(), value: value.into(), place: None });
        self
    }

    /// Adds an option; `place` says where it stands ("line 4, column 3"). The same key twice is an error.
    pub fn set(&mut self, key: impl Into<String>, value: impl Into<String>, place: Option<String>) -> Result<(), Error> {
        let entry = Entry { key: key.into(), value: value.into(), place };
        if let Some(first) = self.entries.iter().find(|e| e.key == entry.key) {
            let first = first.place.as_deref().map(|p| format!(" (the first is at {p})")).unwrap_or_default();
            return Err(placed(&entry, format!("option '{}' is set twice{first}", entry.key)).advise("remove one of the two"));
        }
        self.entries.push(entry);
        Ok(())
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.entries.iter().find(|e| e.key == key).map(|e| e.value.as_str())
    }

    /// A reader for the table `owner` (a name for messages), which is defined at `place`.
    #[must_use]
    pub fn reader<'a>(&'a self, owner: &'a str, place: Option<&'a str>) -> Reader<'a> {
        Reader { options: self, owner, place, asked: Vec::new() }
    }
}

fn placed(entry: &Entry, what: String) -> Error {
    let error = Error::new(Kind::Invalid, what);
    match &entry.place {
        Some(place) => error.at(place.clone()),
        None => error,
    }
}

/// Takes typed values out of [`Options`] and remembers which names exist.
#[derive(Debug)]
pub struct Reader<'a> {
    options: &'a Options,
    owner: &'a str,
    place: Option<&'a str>,
    asked: Vec<String>,
}

impl<'a> Reader<'a> {
    fn entry(&mut self, key: &str) -> Option<&'a Entry> {
        self.asked.push(key.to_owned());
        self.options.entries.iter().find(|e| e.key == key)
    }

    /// Text, if set.
    pub fn text(&mut self, key: &str) -> Option<&'a str> {
        self.entry(key).map(|e| e.value.as_str())
    }

    /// Text that must be set.
    pub fn required(&mut self, key: &str) -> Result<&'a str, Error> {
        match self.text(key) {
            Some(value) if !value.is_empty() => Ok(value),
            _ => Err(self.missing(key)),
        }
    }

    /// A value in the form that `parse` reads; `allowed` says which values there are.
    pub fn parsed<T>(&mut self, key: &str, allowed: &str, parse: impl Fn(&str) -> Option<T>) -> Result<Option<T>, Error> {
        let Some(entry) = self.entry(key) else { return Ok(None) };
        match parse(entry.value.trim()) {
            Some(value) => Ok(Some(value)),
            None => Err(self
                .about(entry, format!("option '{key}' has the bad value '{}'", entry.value))
                .advise(format!("allowed: {allowed}"))),
        }
    }

    /// `true` or `false`.
    pub fn boolean(&mut self, key: &str) -> Result<Option<bool>, Error> {
        self.parsed(key, "'true' or 'false'", |v| match v.to_ascii_lowercase().as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        })
    }

    /// A whole number from `min` to `max`.
    pub fn integer(&mut self, key: &str, min: i64, max: i64) -> Result<Option<i64>, Error> {
        let allowed = match (min, max) {
            (min, i64::MAX) => format!("a whole number from {min} on"),
            (min, max) => format!("a whole number from {min} to {max}"),
        };
        self.parsed(key, &allowed, |v| v.parse().ok().filter(|n| (min..=max).contains(n)))
    }

    /// A duration like `10 s`, `500 ms`, `1 min`.
    pub fn duration(&mut self, key: &str) -> Result<Option<Duration>, Error> {
        self.parsed(key, "a duration like '10 s', '500 ms', '1 min', '2 h'", units::duration)
    }

    /// A size like `64 mb`.
    pub fn bytes(&mut self, key: &str) -> Result<Option<u64>, Error> {
        self.parsed(key, "a size like '64 mb', '512 kb', '1 gb', '4096'", units::bytes)
    }

    /// The value that stands beside one of some words.
    pub fn choice<T: Clone>(&mut self, key: &str, words: &[(&'static str, T)]) -> Result<Option<T>, Error> {
        let allowed = words.iter().map(|(w, _)| format!("'{w}'")).collect::<Vec<_>>().join(", ");
        self.parsed(key, &allowed, |v| words.iter().find(|(w, _)| w.eq_ignore_ascii_case(v)).map(|(_, value)| value.clone()))
    }

    /// The same of an option that must be set.
    pub fn required_choice<T: Clone>(&mut self, key: &str, words: &[(&'static str, T)]) -> Result<T, Error> {
        self.required(key)?;
        self.choice(key, words)?.ok_or_else(|| self.missing(key))
    }

    fn missing(&self, key: &str) -> Error {
        self.at_table(
            Error::new(Kind::Invalid, format!("option '{key}' is missing"))
                .advise(format!("add '{key}' = '…' to the options of {}", self.owner)),
        )
    }

    /// An error about a key that was asked for, at its place.
    #[must_use]
    pub fn refuse(&self, key: &str, what: impl Into<String>) -> Error {
        let what = what.into();
        match self.options.entries.iter().find(|e| e.key == key) {
            Some(entry) => self.about(entry, what),
            None => self.at_table(Error::new(Kind::Invalid, what)),
        }
    }

    fn about(&self, entry: &Entry, what: String) -> Error {
        let error = placed(entry, what);
        if entry.place.is_some() { error.at(self.owner) } else { self.at_table(error) }
    }

    /// An error about no option in particular, at the table.
    #[must_use]
    pub fn at_table(&self, error: Error) -> Error {
        let error = error.at(self.owner);
        match self.place {
            Some(place) => error.at(place),
            None => error,
        }
    }

    /// Refuses every key that was not asked for.
    pub fn finish(self) -> Result<(), Error> {
        let Some(stray) = self.options.entries.iter().find(|e| !self.asked.contains(&e.key)) else { return Ok(()) };
        let error = self.about(stray, format!("there is no option '{}'", stray.key));
        Err(match nearest(&stray.key, self.asked.iter().map(String::as_str)) {
            Some(near) => error.advise(format!("did you mean '{near}'?")),
            None => {
                let mut known = self.asked.clone();
                known.sort();
                known.dedup();
                error.advise(format!("options of this table: {}", known.join(", ")))
            }
        })
    }
}

/// The name nearest to `word`, if one is near enough to be what was meant.
#[must_use]
pub fn nearest<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_ascii_lowercase();
    let scored = names.into_iter().map(|n| (strsim::jaro_winkler(&word, &n.to_ascii_lowercase()), n));
    scored.filter(|(score, _)| *score >= 0.8).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, n)| n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_names_the_nearest_and_its_place() {
        let mut options = Options::new().with("path", "x");
        options.set("source.monitor-intervall", "1 s", Some("line 3, column 5".into())).unwrap();
        let mut r = options.reader("table t", None);
        assert_eq!(r.required("path").unwrap(), "x");
        assert_eq!(r.duration("source.monitor-interval").unwrap(), None);
        let e = r.finish().unwrap_err();
        assert_eq!(e.to_string(), "table t: line 3, column 5: there is no option 'source.monitor-intervall'");
        assert_eq!(e.advice(), Some("did you mean 'source.monitor-interval'?"));
    }

    #[test]
    fn a_bad_value_says_what_is_allowed() {
        let options = Options::new().with("n", "ten").with("b", "yes").with("d", "10 parsecs").with("c", "x");
        let mut r = options.reader("t", None);
        assert_eq!(r.integer("n", 1, 9).unwrap_err().advice(), Some("allowed: a whole number from 1 to 9"));
        assert!(r.boolean("b").is_err() && r.duration("d").is_err());
        assert_eq!(r.choice("c", &[("json", 1), ("csv", 2)]).unwrap_err().advice(), Some("allowed: 'json', 'csv'"));
    }

    #[test]
    fn a_missing_option_and_a_doubled_one_are_errors() {
        let mut options = Options::new();
        options.set("a", "1", Some("line 1".into())).unwrap();
        let e = options.set("a", "2", Some("line 2".into())).unwrap_err();
        assert_eq!(e.to_string(), "line 2: option 'a' is set twice (the first is at line 1)");
        assert_eq!(options.reader("t", None).required("path").unwrap_err().to_string(), "t: option 'path' is missing");
        let placed = options.reader("t", Some("line 7")).required_choice("path", &[("x", ())]).unwrap_err();
        assert_eq!(placed.to_string(), "line 7: t: option 'path' is missing");
    }
}
