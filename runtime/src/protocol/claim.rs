//! From the storage to a term: the end of the log is found, and the next term is claimed. Two machines without I/O: what they ask of the
//! store is answered in any time, and who drives them decides what happens between the two.
//!
//! A coordinator reads ([`LogScan`]), compares what it has found with its job, and claims ([`Claim`]). Another one may publish between
//! the two: then the claim is lost, and it reads again. The newcomer wins in the end, since its term lies above (I10).

use super::entry::LATEST;
use super::log::{LogEffect, LogReader, LogWriter, Put, Tail};
use super::rules::RuleSet;
use crate::error::{Error, Kind, Result};

/// The next read of a scan: the bytes of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read(pub String);

/// The progress of a scan.
#[derive(Debug)]
pub enum Scanned {
    /// The scan reads on.
    More(Read),
    /// The end of the log.
    End(Box<Tail>),
}

/// Finds the end of the log: first the hint, then entry by entry.
#[derive(Clone, Debug, Default)]
pub struct LogScan(Option<LogReader>);

impl LogScan {
    /// A scan, and its first read.
    #[must_use]
    pub fn new() -> (Self, Read) {
        (Self(None), Read(LATEST.to_owned()))
    }

    /// Takes the answer to the last read: the object's bytes, or that there is none.
    ///
    /// # Errors
    /// `Corrupt` if an entry cannot be read, or if the last manifest is gone.
    pub fn got(&mut self, bytes: Option<&[u8]>) -> Result<Scanned> {
        let next = match &mut self.0 {
            None => {
                let hint = bytes.and_then(|b| std::str::from_utf8(b).ok()).and_then(|t| t.trim().parse().ok());
                let (reader, first) = LogReader::new(hint);
                self.0 = Some(reader);
                first
            }
            Some(reader) => match reader.got(bytes)? {
                Ok(tail) => return Ok(Scanned::End(Box::new(tail))),
                Err(next) => next,
            },
        };
        match next {
            LogEffect::Get { name } => Ok(Scanned::More(Read(name))),
            LogEffect::Create { .. } | LogEffect::Published { .. } => Err(Error::broken("I10", "a log reader wanted to write")),
        }
    }

    /// Scans with a store that answers at once.
    ///
    /// # Errors
    /// Those of the store, and of [`LogScan::got`].
    pub fn read(mut get: impl FnMut(&str) -> Result<Option<Vec<u8>>>) -> Result<Tail> {
        let (mut scan, Read(mut name)) = Self::new();
        loop {
            match scan.got(get(&name)?.as_deref())? {
                Scanned::More(Read(next)) => name = next,
                Scanned::End(tail) => return Ok(*tail),
            }
        }
    }
}

/// The progress of a claim.
#[derive(Debug)]
pub enum Claimed {
    /// The store is asked this.
    More(LogEffect),
    /// The term is ours.
    Ours(Box<LogWriter>),
    /// Another process has written to the log since it was read: read it again.
    Lost(Error),
}

/// Claims the term after the highest one of a log that was read to its end.
#[derive(Clone, Debug)]
pub struct Claim(LogWriter);

impl Claim {
    /// A claim in the name of `uid`, which no other process uses.
    ///
    /// # Errors
    /// `Broken` if the entry cannot be written.
    pub fn new(tail: &Tail, uid: &str, rules: RuleSet) -> Result<(Self, Claimed)> {
        let mut writer = LogWriter::new(tail, rules);
        if writer.claimed() {
            // A mutant begins without a term of its own.
            return Ok((Self(writer.clone()), Claimed::Ours(Box::new(writer))));
        }
        let first = writer.claim(uid)?;
        let mut claim = Self(writer);
        let step = claim.step(Some(first));
        Ok((claim, step))
    }

    /// The term that is claimed.
    #[must_use]
    pub fn term(&self) -> u64 {
        self.0.term()
    }

    /// Takes the answer to a put.
    ///
    /// # Errors
    /// `Corrupt` if the log cannot be read.
    pub fn put(&mut self, put: Put) -> Result<Claimed> {
        let effect = self.0.put(put);
        self.after(effect)
    }

    /// Takes the answer to a get.
    ///
    /// # Errors
    /// `Corrupt` if the log cannot be read.
    pub fn got(&mut self, bytes: Option<&[u8]>) -> Result<Claimed> {
        let effect = self.0.got(bytes);
        self.after(effect)
    }

    fn after(&mut self, effect: Result<Option<LogEffect>>) -> Result<Claimed> {
        match effect {
            Ok(effect) => Ok(self.step(effect)),
            Err(e) if e.kind() == Kind::Fenced => Ok(Claimed::Lost(e)),
            Err(e) => Err(e),
        }
    }

    fn step(&mut self, effect: Option<LogEffect>) -> Claimed {
        match effect {
            Some(effect @ (LogEffect::Create { .. } | LogEffect::Get { .. })) => Claimed::More(effect),
            Some(LogEffect::Published { .. }) | None => Claimed::Ours(Box::new(self.0.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::entry::name;

    #[test]
    fn a_claim_that_another_process_was_faster_with_is_lost_and_the_log_read_again() {
        let tail = LogScan::read(|_| Ok(None)).unwrap();
        let (mut slow, asked) = Claim::new(&tail, "slow", RuleSet::ALL).unwrap();
        assert!(matches!(asked, Claimed::More(LogEffect::Create { .. })));
        let (mut fast, asked) = Claim::new(&tail, "fast", RuleSet::ALL).unwrap();
        let Claimed::More(LogEffect::Create { bytes, .. }) = asked else { panic!("a put") };
        assert!(matches!(fast.put(Put::Created).unwrap(), Claimed::Ours(log) if log.term() == 1));
        assert!(matches!(slow.put(Put::Exists).unwrap(), Claimed::More(LogEffect::Get { .. })));
        assert!(matches!(slow.got(Some(&bytes)).unwrap(), Claimed::Lost(_)));
        let again = LogScan::read(|n| Ok((n == name(0)).then(|| bytes.clone()))).unwrap();
        assert_eq!(Claim::new(&again, "slow", RuleSet::ALL).unwrap().0.term(), 2);
    }

    #[test]
    fn a_useless_hint_costs_reads_and_nothing_else() {
        let (_, Claimed::More(LogEffect::Create { bytes, .. })) = Claim::new(&Tail::default(), "a", RuleSet::ALL).unwrap() else {
            panic!("a put")
        };
        for hint in [None, Some("0"), Some("7000"), Some("not a number")] {
            let get = |n: &str| match n {
                LATEST => Ok(hint.map(|h| h.as_bytes().to_vec())),
                n => Ok((n == name(0)).then(|| bytes.clone())),
            };
            assert_eq!(LogScan::read(get).unwrap().term, 1, "{hint:?}");
        }
    }
}
