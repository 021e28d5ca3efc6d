//! Reading frames: every length is checked before it is believed.

use bytes::{Buf, Bytes};

use super::{Body, Channel, Era, Frame, Hello, Lane, Payload, VERSION};

/// A decoding error of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// The part that could not be read.
    pub part: &'static str,
    /// The bytes or value that were found.
    pub found: String,
}

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "malformed frame: {}: {}", self.part, self.found)
    }
}

impl std::error::Error for Malformed {}

type Result<T> = std::result::Result<T, Malformed>;

fn wrong<T>(part: &'static str, found: impl Into<String>) -> Result<T> {
    Err(Malformed { part, found: found.into() })
}

fn short<T>(part: &'static str) -> Result<T> {
    wrong(part, "the frame ends before it")
}

fn u8_of(from: &mut impl Buf, part: &'static str) -> Result<u8> {
    from.try_get_u8().or_else(|_| short(part))
}

fn u16_of(from: &mut impl Buf, part: &'static str) -> Result<u16> {
    from.try_get_u16_le().or_else(|_| short(part))
}

fn u32_of(from: &mut impl Buf, part: &'static str) -> Result<u32> {
    from.try_get_u32_le().or_else(|_| short(part))
}

fn u64_of(from: &mut impl Buf, part: &'static str) -> Result<u64> {
    from.try_get_u64_le().or_else(|_| short(part))
}

fn utf8(bytes: &Bytes, part: &'static str) -> Result<String> {
    std::str::from_utf8(bytes).map(str::to_owned).or_else(|e| wrong(part, e.to_string()))
}

fn text(from: &mut impl Buf, part: &'static str) -> Result<String> {
    let len = usize::from(u16_of(from, part)?);
    if from.remaining() < len {
        return wrong(part, format!("{len} bytes announced, {} left", from.remaining()));
    }
    utf8(&from.copy_to_bytes(len), part)
}

impl Frame {
    /// Reads exactly one frame: all of `from`.
    pub fn decode(from: &mut impl Buf) -> Result<Self> {
        let version = u8_of(from, "version")?;
        if version != VERSION {
            return wrong("version", format!("{version}; this build speaks {VERSION}"));
        }
        let kind = u8_of(from, "kind")?;
        let era = Era { term: u64_of(from, "term")?, generation: u64_of(from, "generation")? };
        let body = match kind {
            1 => Body::Hello(hello(from)?),
            2 => item(from)?,
            3 => Body::Ack(u64_of(from, "next")?),
            4 => Body::Resume(u64_of(from, "next")?),
            5 => Body::Refuse(utf8(&from.copy_to_bytes(from.remaining()), "reason")?),
            kind => return wrong("kind", kind.to_string()),
        };
        match from.remaining() {
            0 => Ok(Self { era, body }),
            n => wrong("end", format!("{n} bytes too many")),
        }
    }
}

fn hello(from: &mut impl Buf) -> Result<Hello> {
    let lane = match u8_of(from, "lane")? {
        0 => Lane::Data,
        1 => Lane::Bulk,
        lane => return wrong("lane", lane.to_string()),
    };
    Ok(Hello {
        lane,
        worker: u32_of(from, "worker")?,
        job: text(from, "job")?,
        name: text(from, "name")?,
        incarnation: text(from, "incarnation")?,
        build: text(from, "build")?,
    })
}

fn item(from: &mut impl Buf) -> Result<Body> {
    let channel = Channel { edge: u32_of(from, "edge")?, from: u16_of(from, "sender")?, to: u16_of(from, "receiver")? };
    let sequence = u64_of(from, "sequence")?;
    Ok(Body::Item { channel, sequence, payload: Payload::from(from.copy_to_bytes(from.remaining())) })
}

/// For the fuzzer: any bytes are a frame that encodes to the same bytes again, or an error; never a panic.
pub fn fuzz_frame(bytes: &[u8]) {
    let mut from = bytes;
    if let Ok(frame) = Frame::decode(&mut from) {
        let mut again = Vec::with_capacity(frame.encoded_len());
        frame.encode(&mut again);
        // Texts of a hello are cut at 1024 bytes.
        let cut = matches!(&frame.body, Body::Hello(_)) && again.len() < bytes.len();
        assert!(cut || (again == bytes && again.len() == frame.encoded_len()), "a frame that does not survive: {frame:?}");
    }
}
