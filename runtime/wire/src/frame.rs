//! The frame of a data link, and the codec that puts it on a stream without protobuf.
//!
//! ```text
//!   version u8 | kind u8 | term u64 | generation u64 | rest          all numbers little-endian
//!   1 hello    lane u8 | worker u32 | job, name, incarnation, build: each u16 length and UTF-8
//!   2 item     edge u32 | from u16 | to u16 | sequence u64 | payload
//!   3 ack      next u64
//!   4 resume   next u64
//!   5 refuse   UTF-8
//! ```
//!
//! A payload is a list of chunks that are copied once, into the buffer that goes to the socket; a decoded one is a slice of what came
//! in. Garbage is an error that says what is wrong with it and at which byte, and never more memory than it has bytes.

mod codec;
mod read;

use std::sync::Arc;

use bytes::{BufMut, Bytes};

pub use codec::{FrameCodec, FrameDecoder, FrameEncoder};
pub use read::{Malformed, fuzz_frame};

/// The version of the layout.
pub const VERSION: u8 = 1;
/// The most bytes of one frame: more is refused when it is sent, and a peer that announces more is cut off.
pub const MAX_FRAME: usize = 256 << 20;
/// Bytes of an item before its payload.
pub const ITEM_HEAD: usize = 34;

/// The fencing key of a frame: the coordinator's term, then the dataflow's generation. A greater one fences a smaller one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Era {
    /// The coordinator's term.
    pub term: u64,
    /// The dataflow's generation, raised by each recovery.
    pub generation: u64,
}

impl std::fmt::Display for Era {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "term {}, generation {}", self.term, self.generation)
    }
}

impl From<Era> for crate::v1::Era {
    fn from(era: Era) -> Self {
        Self { term: era.term, generation: era.generation }
    }
}

impl From<crate::v1::Era> for Era {
    fn from(era: crate::v1::Era) -> Self {
        Self { term: era.term, generation: era.generation }
    }
}

/// One of the two connections of a pair of processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Rows, credits and what goes with them.
    Data,
    /// State on the move: small must never wait behind big.
    Bulk,
}

/// The address of an item: an edge of the graph, and the slots at its ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Channel {
    /// The exchange edge; of no meaning on the bulk lane.
    pub edge: u32,
    /// The sending slot.
    pub from: u16,
    /// The receiving slot.
    pub to: u16,
}

/// The first frame of each side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The connection's lane.
    pub lane: Lane,
    /// The sender's number in the job.
    pub worker: u32,
    /// The job.
    pub job: String,
    /// The sender's name.
    pub name: String,
    /// The process's incarnation: one of those that have borne the name.
    pub incarnation: String,
    /// The sender's build, for logs.
    pub build: String,
}

/// Bytes in pieces, cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Payload(Arc<[Bytes]>);

impl Payload {
    /// The number of bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    /// True if there is no byte.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The pieces.
    #[must_use]
    pub fn chunks(&self) -> &[Bytes] {
        &self.0
    }

    /// All of it in one piece; copies only if there are several.
    #[must_use]
    pub fn whole(&self) -> Bytes {
        match &*self.0 {
            [] => Bytes::new(),
            [one] => one.clone(),
            more => more.concat().into(),
        }
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        self.whole() == other.whole()
    }
}

impl Eq for Payload {}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        Self(Arc::new([bytes]))
    }
}

impl From<Vec<Bytes>> for Payload {
    fn from(chunks: Vec<Bytes>) -> Self {
        Self(chunks.into())
    }
}

/// A frame of a data link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The sender's era.
    pub era: Era,
    /// The rest.
    pub body: Body,
}

/// The content of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// The sender's identity: the first frame of each side.
    Hello(Hello),
    /// Something to deliver.
    Item {
        /// For whom.
        channel: Channel,
        /// The item's number on this link: 0, 1, 2 … in an era.
        sequence: u64,
        /// The item's bytes.
        payload: Payload,
    },
    /// Everything before this number has arrived.
    Ack(u64),
    /// Everything before this number has arrived; send the rest again.
    Resume(u64),
    /// Frames of your era are not taken, for this reason.
    Refuse(String),
}

impl Frame {
    /// The encoded size in bytes.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        18 + match &self.body {
            Body::Hello(h) => 5 + [&h.job, &h.name, &h.incarnation, &h.build].iter().map(|s| 2 + text(s).len()).sum::<usize>(),
            Body::Item { payload, .. } => 16 + payload.len(),
            Body::Ack(_) | Body::Resume(_) => 8,
            Body::Refuse(why) => why.len(),
        }
    }

    /// Appends its bytes.
    pub fn encode(&self, out: &mut impl BufMut) {
        let kind = match &self.body {
            Body::Hello(_) => 1,
            Body::Item { .. } => 2,
            Body::Ack(_) => 3,
            Body::Resume(_) => 4,
            Body::Refuse(_) => 5,
        };
        out.put_slice(&[VERSION, kind]);
        out.put_u64_le(self.era.term);
        out.put_u64_le(self.era.generation);
        match &self.body {
            Body::Hello(h) => {
                out.put_u8(match h.lane {
                    Lane::Data => 0,
                    Lane::Bulk => 1,
                });
                out.put_u32_le(h.worker);
                for part in [&h.job, &h.name, &h.incarnation, &h.build] {
                    let part = text(part);
                    out.put_u16_le(part.len() as u16);
                    out.put_slice(part.as_bytes());
                }
            }
            Body::Item { channel, sequence, payload } => {
                out.put_u32_le(channel.edge);
                out.put_u16_le(channel.from);
                out.put_u16_le(channel.to);
                out.put_u64_le(*sequence);
                for chunk in payload.chunks() {
                    out.put_slice(chunk);
                }
            }
            Body::Ack(next) | Body::Resume(next) => out.put_u64_le(*next),
            Body::Refuse(why) => out.put_slice(why.as_bytes()),
        }
    }
}

/// A text of a hello: names are short; what is longer than 1024 bytes is cut at a character.
fn text(s: &str) -> &str {
    s.get(..s.floor_char_boundary(1024)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
