//! One object of the manifest log: its name, its bytes, and what to say about bytes that this version cannot read.
//!
//! Every entry carries a `uid` of its own, drawn by whoever writes it: after an ambiguous put it tells "mine" from "somebody
//! else's". It also carries the slot of the last manifest before it, so that a reader at the tail is one step from the state.

use serde::{Deserialize, Serialize};

use super::manifest::{FORMAT, Manifest};
use crate::error::{Error, Kind, Result};

/// The hint: an object that holds a recent sequence number as text. Losing it costs time, never correctness.
pub const LATEST: &str = "LATEST";

/// Every so many slots an entry is kept for ever, see [`super::log`].
pub const MILESTONE: u64 = 256;

/// The name of a log slot under the job's root.
#[must_use]
pub fn name(seq: u64) -> String {
    format!("manifest/{seq:020}.json")
}

/// A log entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct Entry {
    /// The format of the whole object.
    pub format: u32,
    /// The version of Watershed that wrote it.
    pub written_by: String,
    /// The entry's place in the log.
    pub seq: u64,
    /// The term of its writer.
    pub term: u64,
    /// Drawn anew for each entry.
    pub uid: String,
    /// The log slot of the last manifest before this entry.
    pub last_manifest: Option<u64>,
    /// The entry's content.
    pub body: Body,
}

/// The content of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// A coordinator claims the term in the entry.
    Term,
    /// A manifest.
    Epoch {
        /// The manifest itself.
        manifest: Box<Manifest>,
    },
}

/// An entry as it is stored. Its own type, because a flattened enum is read by way of a buffer in which the keys of maps are text and
/// nothing else: a manifest with numbers for keys would be written and never read.
#[derive(Serialize, Deserialize)]
struct Stored {
    format: u32,
    written_by: String,
    seq: u64,
    term: u64,
    uid: String,
    last_manifest: Option<u64>,
    kind: Word,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    manifest: Option<Box<Manifest>>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    Term,
    Epoch,
}

impl From<Entry> for Stored {
    fn from(entry: Entry) -> Self {
        let Entry { format, written_by, seq, term, uid, last_manifest, body } = entry;
        let (kind, manifest) = match body {
            Body::Term => (Word::Term, None),
            Body::Epoch { manifest } => (Word::Epoch, Some(manifest)),
        };
        Self { format, written_by, seq, term, uid, last_manifest, kind, manifest }
    }
}

impl TryFrom<Stored> for Entry {
    type Error = &'static str;

    fn try_from(stored: Stored) -> std::result::Result<Self, &'static str> {
        let Stored { format, written_by, seq, term, uid, last_manifest, kind, manifest } = stored;
        let body = match (kind, manifest) {
            (Word::Term, _) => Body::Term,
            (Word::Epoch, Some(manifest)) => Body::Epoch { manifest },
            (Word::Epoch, None) => return Err("an entry of kind epoch without a manifest"),
        };
        Ok(Self { format, written_by, seq, term, uid, last_manifest, body })
    }
}

impl Entry {
    /// The bytes to put.
    pub fn encode(&self) -> Result<Vec<u8>> {
        serde_json::to_vec_pretty(self).map_err(|e| Error::broken("I5", "a log entry cannot be written as JSON").because(e))
    }

    /// Reads the entry that was stored at `seq`.
    pub fn decode(seq: u64, bytes: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
            #[serde(default)]
            written_by: String,
        }
        let damaged = |e: serde_json::Error| {
            Error::new(Kind::Corrupt, "this log entry is not what Watershed writes")
                .at(name(seq))
                .advise("restore the object from a copy, or start the job from a named snapshot")
                .because(e)
        };
        let head: Head = serde_json::from_slice(bytes).map_err(damaged)?;
        if head.format > FORMAT {
            let what =
                format!("written by version {} in format {}; this version reads up to {FORMAT}", head.written_by, head.format);
            return Err(Error::new(Kind::Invalid, what)
                .at(name(seq))
                .advise(format!("run the job with version {} or newer", head.written_by)));
        }
        let entry: Self = serde_json::from_slice(bytes).map_err(damaged)?;
        if entry.seq != seq {
            let what = format!("the entry says that it is number {}", entry.seq);
            return Err(Error::new(Kind::Corrupt, what).at(name(seq)).advise("log objects must not be copied or renamed"));
        }
        Ok(entry)
    }

    /// The log slot of the last manifest up to and with this entry.
    #[must_use]
    pub fn manifest_at(&self) -> Option<u64> {
        match self.body {
            Body::Term => self.last_manifest,
            Body::Epoch { .. } => Some(self.seq),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::manifest::{SourceEntry, SplitEntry};
    use super::*;
    use crate::env::{SinkHandle, SplitId};
    use crate::key::{Assignment, KeySpace, SlotId};
    use crate::protocol::manifest::HandleEntry;
    use crate::time::Time;

    #[test]
    fn a_manifest_with_everything_in_it_is_read_as_it_was_written() {
        let table = Assignment::even(KeySpace { seed: 0, bits: 8 }, 2);
        let mut manifest = Manifest::origin(7, vec![], &table, vec![SlotId(0), SlotId(1)]);
        let split = SplitEntry { split: SplitId::from("a"), position: vec![1, 255], watermark: Time::MAX, finished: true };
        manifest.sources.insert(u64::MAX, SourceEntry { splits: vec![split], discovery_complete: true });
        manifest.watermarks.insert(3, Time::MIN);
        manifest.committed_through.insert(5, 9);
        let handle = SinkHandle { sink: 5, version: 2, data: vec![0, 17] };
        manifest.handles.push(HandleEntry { epoch: 9, slot: SlotId(1), handle });
        for body in [Body::Term, Body::Epoch { manifest: Box::new(manifest) }] {
            let entry =
                Entry { format: FORMAT, written_by: "1".into(), seq: 4, term: 2, uid: "u".into(), last_manifest: Some(3), body };
            assert_eq!(Entry::decode(4, &entry.encode().unwrap()).unwrap(), entry);
        }
    }
}
