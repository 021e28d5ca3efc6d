//! The manifest log: how one coordinator at a time writes, and how anybody finds the end.
//!
//! Slots are numbered from 0 and written by create-only puts, so each has one winner (I10). Writing: a coordinator first claims a
//! term with an entry of its own; from then on its predecessor's next put fails. After "already exists" or an error that leaves it open
//! whether the put happened, the slot is read back: same uid, it is ours; another's, step down; nothing, put the *same* bytes at
//! the *same* slot again. A writer never goes on to the following slot: that is how a deposed one would publish behind its successor.
//!
//! Reading: no listing. `LATEST` is a hint and may be old, lost or wrong. Every [`MILESTONE`]th entry is kept for ever, and
//! collection removes entries only between two milestones that both lie behind the oldest entry kept. So from milestone to milestone
//! as long as they exist, and then slot by slot, finds the end whatever was collected: n / 256 + 256 reads at worst, two with a good hint.
//! (Probing slot by slot from an old hint would stop at the first collected slot and fork the log there.)

use super::entry::{Body, Entry, MILESTONE, name};
use super::manifest::{FORMAT, Manifest};
use super::rules::RuleSet;
use crate::error::{Error, Kind, Result};

/// An effect that the store is to carry out for the log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub enum LogEffect {
    /// Create-only put; answer [`LogWriter::put`].
    Create {
        /// The object.
        name: String,
        /// The object's content.
        bytes: Vec<u8>,
    },
    /// Read; answer [`LogWriter::got`] or [`LogReader::got`].
    Get {
        /// The object.
        name: String,
    },
    /// The entry is in the log, at this slot; `LATEST` may say so.
    Published {
        /// The slot.
        seq: u64,
    },
}

/// The outcome of a create-only put.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Put {
    /// The object is there now, and it is ours.
    Created,
    /// Something was there already (perhaps an earlier try of ours).
    Exists,
    /// The outcome is not known: a time-out, a lost answer.
    Ambiguous,
}

/// The end of the log as read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tail {
    /// The first free slot.
    pub next: u64,
    /// The highest term claimed.
    pub term: u64,
    /// The slot of the last manifest, and the manifest.
    pub last: Option<(u64, Manifest)>,
}

/// Finds the end of the log.
#[derive(Clone, Debug)]
pub struct LogReader {
    asked: u64,
    step: Step,
    tail: Option<Entry>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Hint,
    Milestone,
    Slot,
    Manifest,
}

impl LogReader {
    /// Starts at the hint, or at the beginning.
    pub fn new(hint: Option<u64>) -> (Self, LogEffect) {
        let asked = hint.unwrap_or(0);
        let step = if asked == 0 { Step::Milestone } else { Step::Hint };
        (Self { asked, step, tail: None }, LogEffect::Get { name: name(asked) })
    }

    /// The object's bytes, or that there is none. `Ok(Err(effect))`: go on; `Ok(Ok(tail))`: that is all.
    pub fn got(&mut self, bytes: Option<&[u8]>) -> Result<std::result::Result<Tail, LogEffect>> {
        let entry = bytes.map(|b| Entry::decode(self.asked, b)).transpose()?;
        let next = match (self.step, entry) {
            (Step::Manifest, Some(entry)) => return self.finish(Some(entry)).map(Ok),
            (Step::Manifest, None) => return self.finish(None).map(Ok),
            // A useless hint: from the beginning.
            (Step::Hint, None) => (Step::Milestone, 0),
            (Step::Hint | Step::Milestone, Some(entry)) => {
                let after = (entry.seq / MILESTONE + 1) * MILESTONE;
                self.tail = Some(entry);
                (Step::Milestone, after)
            }
            (Step::Slot, Some(entry)) => {
                let after = entry.seq + 1;
                self.tail = Some(entry);
                (Step::Slot, after)
            }
            (Step::Milestone, None) => match &self.tail {
                None => return Ok(Ok(Tail::default())),
                Some(entry) => (Step::Slot, entry.seq + 1),
            },
            (Step::Slot, None) => match self.tail.as_ref().map(|e| (e.manifest_at(), e.seq)) {
                Some((Some(at), seq)) if at != seq => (Step::Manifest, at),
                Some(_) | None => return self.finish(None).map(Ok),
            },
        };
        (self.step, self.asked) = next;
        Ok(Err(LogEffect::Get { name: name(self.asked) }))
    }

    fn finish(&mut self, manifest: Option<Entry>) -> Result<Tail> {
        let Some(tail) = self.tail.take() else { return Ok(Tail::default()) };
        let (next, term) = (tail.seq + 1, tail.term);
        let lost = tail.manifest_at();
        let holder = manifest.unwrap_or(tail);
        match (holder.body, lost) {
            (Body::Epoch { manifest }, _) => Ok(Tail { next, term, last: Some((holder.seq, *manifest)) }),
            (Body::Term, None) => Ok(Tail { next, term, last: None }),
            (Body::Term, Some(at)) => Err(Error::new(Kind::Corrupt, "the last manifest is gone, though nothing may delete it")
                .at(name(at))
                .advise("restore the object from a copy, or start the job from a named snapshot")),
        }
    }
}

/// Writes the log under one term.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LogWriter {
    next: u64,
    term: u64,
    last_manifest: Option<u64>,
    claimed: bool,
    pending: Option<Pending>,
    fenced: bool,
    rules: RuleSet,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Pending {
    uid: String,
    bytes: Vec<u8>,
    manifest: bool,
}

impl LogWriter {
    /// A coordinator that has read the log and wants the term after the highest one.
    #[must_use]
    pub fn new(tail: &Tail, rules: RuleSet) -> Self {
        let last_manifest = tail.last.as_ref().map(|(seq, _)| *seq);
        Self {
            next: tail.next,
            term: tail.term + 1,
            last_manifest,
            claimed: !rules.term_first(),
            pending: None,
            fenced: false,
            rules,
        }
    }

    /// The term, ours once [`LogWriter::claimed`].
    #[must_use]
    pub fn term(&self) -> u64 {
        self.term
    }

    /// True if the term is ours.
    #[must_use]
    pub fn claimed(&self) -> bool {
        self.claimed && !self.fenced
    }

    /// The slot of the last manifest, the parent of the next.
    #[must_use]
    pub fn last_manifest(&self) -> Option<u64> {
        self.last_manifest
    }

    /// Claims the term.
    pub fn claim(&mut self, uid: &str) -> Result<LogEffect> {
        self.create(uid, Body::Term)
    }

    /// Puts a manifest at the next slot. One at a time.
    pub fn publish(&mut self, uid: &str, mut manifest: Manifest) -> Result<LogEffect> {
        if !self.claimed {
            return Err(Error::broken("I10", "a manifest was to be published before a term was claimed"));
        }
        manifest.parent = self.last_manifest;
        self.create(uid, Body::Epoch { manifest: Box::new(manifest) })
    }

    /// The outcome of the put.
    pub fn put(&mut self, put: Put) -> Result<Option<LogEffect>> {
        match put {
            Put::Created => Ok(Some(self.done())),
            Put::Exists | Put::Ambiguous if self.rules.read_back() => Ok(Some(LogEffect::Get { name: name(self.next) })),
            Put::Exists | Put::Ambiguous => Ok(Some(self.done())),
        }
    }

    /// The object that was read back: bytes, or that there is nothing.
    ///
    /// # Errors
    /// `Fenced` if the slot is somebody else's; this writer will write nothing any more.
    pub fn got(&mut self, bytes: Option<&[u8]>) -> Result<Option<LogEffect>> {
        let Some(pending) = &self.pending else { return Ok(None) };
        let Some(bytes) = bytes else {
            // The put did not happen, or has not yet: the same bytes at the same slot cannot hurt.
            return Ok(Some(LogEffect::Create { name: name(self.next), bytes: pending.bytes.clone() }));
        };
        let theirs = Entry::decode(self.next, bytes)?;
        if theirs.uid == pending.uid {
            return Ok(Some(self.done()));
        }
        if !self.rules.never_next_slot() {
            self.next += 1;
            let mut mine = Entry::decode(self.next - 1, &pending.bytes)?;
            mine.seq = self.next;
            let bytes = mine.encode()?;
            self.pending = Some(Pending { bytes: bytes.clone(), ..pending.clone() });
            return Ok(Some(LogEffect::Create { name: name(self.next), bytes }));
        }
        self.fenced = true;
        self.pending = None;
        Err(self.replaced(theirs.term))
    }

    fn replaced(&self, by: u64) -> Error {
        let what = if by > self.term {
            format!("a newer coordinator has taken over with term {by}; this one had term {}", self.term)
        } else {
            format!("another coordinator holds term {by}, which this one wanted")
        };
        Error::new(Kind::Fenced, what).at(name(self.next)).advise("this process stops by itself; nothing needs to be done")
    }

    fn create(&mut self, uid: &str, body: Body) -> Result<LogEffect> {
        if self.fenced {
            return Err(Error::new(Kind::Fenced, format!("term {} is over", self.term)));
        }
        if self.pending.is_some() {
            return Err(Error::broken("I10", "a second log entry was begun before the first was decided"));
        }
        let manifest = matches!(body, Body::Epoch { .. });
        let entry = Entry {
            format: FORMAT,
            written_by: env!("CARGO_PKG_VERSION").into(),
            seq: self.next,
            term: self.term,
            uid: uid.into(),
            last_manifest: self.last_manifest,
            body,
        };
        let bytes = entry.encode()?;
        self.pending = Some(Pending { uid: uid.into(), bytes: bytes.clone(), manifest });
        Ok(LogEffect::Create { name: name(self.next), bytes })
    }

    fn done(&mut self) -> LogEffect {
        let seq = self.next;
        if self.pending.take().is_some_and(|p| p.manifest) {
            self.last_manifest = Some(seq);
        }
        self.claimed = true;
        self.next = seq + 1;
        LogEffect::Published { seq }
    }
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
