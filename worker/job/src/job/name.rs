//! The name of a job: a DNS label, short enough that every object made from it still has a legal name.
//!
//! 63 characters are the limit of a label; a StatefulSet's pods, revisions and the coordinator append up to 18.

use std::fmt;

use crate::problem::Why;

/// The most characters of a name.
const MOST: usize = 45;

/// A job's name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobName(String);

impl JobName {
    /// Judges a name.
    pub fn new(name: &str) -> Result<Self, Why> {
        let suggestion = Self::suggest(name);
        let advise = |why: Why| match &suggestion {
            Some(Self(name)) => why.advise(format!("`{name}` would do")),
            None => why.advise("use lower-case letters, digits and `-`, beginning with a letter"),
        };
        if name.is_empty() {
            return Err(Why::new("a job needs a name").advise("add `metadata.name`"));
        }
        let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let legal = name.starts_with(|c: char| c.is_ascii_lowercase()) && !name.ends_with('-') && name.chars().all(inner);
        if legal && name.len() <= MOST {
            return Ok(Self(name.to_owned()));
        }
        let shown: String = name.chars().take(80).collect();
        Err(advise(match name.chars().count() {
            length if length > MOST => Why::new(format!("a name has at most {MOST} characters, this one has {length}")),
            _ => Why::new(format!("`{shown}` is not a name: lower-case letters, digits and `-`, beginning with a letter")),
        }))
    }

    /// The legal name nearest to any text: what a file's name becomes. None where no letter is in it.
    #[must_use]
    pub fn suggest(text: &str) -> Option<Self> {
        let mut name = String::new();
        for c in text.chars() {
            match c.to_ascii_lowercase() {
                c @ 'a'..='z' => name.push(c),
                c @ '0'..='9' if !name.is_empty() => name.push(c),
                '0'..='9' => {}
                _ if name.is_empty() || name.ends_with('-') => {}
                _ => name.push('-'),
            }
            if name.len() == MOST {
                break;
            }
        }
        let name = name.trim_end_matches('-');
        (!name.is_empty()).then(|| Self(name.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_is_a_short_dns_label() {
        for good in ["a", "word-count", "a--b", "j1", &"x".repeat(45)] {
            assert_eq!(JobName::new(good).unwrap().as_str(), good);
        }
        for bad in ["", "-a", "a-", "1a", "Word", "a_b", "a.b", "é", &"x".repeat(46)] {
            assert!(JobName::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_files_name_becomes_a_legal_one() {
        assert_eq!(JobName::suggest("Word Count_2").unwrap().as_str(), "word-count-2");
        assert_eq!(JobName::suggest("01-clicks").unwrap().as_str(), "clicks");
        assert_eq!(JobName::suggest("…"), None);
    }

    proptest! {
        #[test]
        fn what_is_suggested_is_legal(text in ".{0,80}") {
            if let Some(name) = JobName::suggest(&text) {
                prop_assert_eq!(JobName::new(name.as_str()), Ok(name));
            }
        }
    }
}
