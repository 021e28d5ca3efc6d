//! A slot's events as bytes: what one slot sends another in another process.
//!
//! ```text
//!   kind u8 | rest                                                      numbers little-endian
//!   0 data      | the edge's codec
//!   1 tagged    | version u64 | batch u64 | source u16 | the edge's codec
//!   2 watermark | i64          3 idle          7 credit | rows u32 | window u32
//!   4 barrier, 5 fence, 6 drained | postcard
//!   10 taken | batch u64
//!   8 warm, 9 final | length u32 of the head | head in postcard | the bytes that the head counts
//! ```
//!
//! Edge, sender and receiver are in the frame's head. Both ends run one dataflow in one build (registration sees to that), so postcard
//! needs no schema here. State on the move is not copied: its buffers become chunks of the payload.

use std::sync::Arc;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use watershed_runtime::error::{Error, Kind, Result};
use watershed_runtime::frame::{Frame, Item};
use watershed_runtime::graph::Graph;
use watershed_runtime::key::SlotId;
use watershed_runtime::protocol::cut::{CutPlan, Tag};
use watershed_runtime::slot::{Bulk, Event};
use watershed_runtime::state::ShipFinal;
use watershed_runtime::time::Time;
use watershed_wire::frame::{Channel, MAX_FRAME, Payload};

const DATA: u8 = 0;
const TAGGED: u8 = 1;
const WATERMARK: u8 = 2;
const IDLE: u8 = 3;
const BARRIER: u8 = 4;
const FENCE: u8 = 5;
const DRAINED: u8 = 6;
const CREDIT: u8 = 7;
const WARM: u8 = 8;
const FINAL: u8 = 9;
const TAKEN: u8 = 10;

/// The head of a warm-up, before its bytes: (table, length).
#[derive(Serialize, Deserialize)]
struct WarmHead {
    plan: Arc<CutPlan>,
    tables: Vec<(u64, u32)>,
}

/// The head of a final, before its bytes: (table, entries, digest, length of items, length of names).
#[derive(Serialize, Deserialize)]
struct FinalHead {
    plan: Arc<CutPlan>,
    watermarks: Vec<(u32, Time)>,
    segment: u64,
    table: u64,
    tables: Vec<(u64, u64, u64, u32, u32)>,
}

/// Encodes what is for slot `to`. A command has another way, through the control session.
pub fn encode_event(graph: &Graph, to: SlotId, event: Event) -> Result<(Channel, Payload)> {
    let (edge, from, payload) = match event {
        Event::Frame(Frame { edge, from, item }) => (edge, from, item_bytes(graph, edge, item)?.into()),
        Event::Credit { edge, from, rows, window } => {
            (edge, from, [&[CREDIT][..], &rows.to_le_bytes(), &window.to_le_bytes()].concat().into())
        }
        Event::Bulk(bulk) => {
            let from = match &bulk {
                Bulk::Warm { plan, .. } | Bulk::Final { plan, .. } => plan.source,
            };
            (0, from, bulk_bytes(bulk)?)
        }
        Event::WarmupAck(batch) => (0, SlotId(0), [&[TAKEN][..], &batch.to_le_bytes()].concat().into()),
        Event::Command(command) => {
            return Err(Error::broken("transport", format!("a command on a data link: {command:?}")));
        }
    };
    let payload = match payload {
        Encoded::Whole(bytes) => Payload::from(Bytes::from(bytes)),
        Encoded::Pieces(pieces) => Payload::from(pieces),
    };
    if payload.len() > MAX_FRAME / 2 {
        return Err(Error::new(Kind::Invalid, format!("{} bytes in one message between two processes", payload.len()))
            .advise(format!("{} are the most: smaller rows, or more key groups a job", MAX_FRAME / 2)));
    }
    Ok((Channel { edge, from: from.0, to: to.0 }, payload))
}

enum Encoded {
    Whole(Vec<u8>),
    Pieces(Vec<Bytes>),
}

impl From<Vec<u8>> for Encoded {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Whole(bytes)
    }
}

fn packed<T: Serialize>(kind: u8, value: &T) -> Result<Vec<u8>> {
    postcard::to_extend(value, vec![kind]).map_err(|e| Error::broken("transport", "a control item cannot be encoded").because(e))
}

fn item_bytes(graph: &Graph, edge: u32, item: Item) -> Result<Vec<u8>> {
    match item {
        Item::Data(batch, tag) => {
            let codec = graph.codec(edge).ok_or_else(|| Error::broken("transport", format!("edge {edge} has no codec")))?;
            let mut out = Vec::new();
            match tag {
                None => out.push(DATA),
                Some(Tag { version, batch, source }) => {
                    out.push(TAGGED);
                    out.extend_from_slice(&version.to_le_bytes());
                    out.extend_from_slice(&batch.to_le_bytes());
                    out.extend_from_slice(&source.0.to_le_bytes());
                }
            }
            codec.encode(batch, &mut out)?;
            Ok(out)
        }
        Item::Watermark(time) => Ok([&[WATERMARK][..], &time.0.to_le_bytes()].concat()),
        Item::Idle => Ok(vec![IDLE]),
        Item::Barrier(barrier) => packed(BARRIER, &barrier),
        Item::Fence(plan) => packed(FENCE, &plan),
        Item::Drained(plan) => packed(DRAINED, &plan),
    }
}

fn headed<T: Serialize>(kind: u8, head: &T, bytes: Vec<Vec<u8>>) -> Result<Encoded> {
    let head = packed(kind, head)?;
    let len = u32::try_from(head.len().saturating_sub(1)).unwrap_or(u32::MAX).to_le_bytes();
    let mut first = Vec::with_capacity(head.len() + 4);
    first.push(kind);
    first.extend_from_slice(&len);
    first.extend_from_slice(head.get(1..).unwrap_or_default());
    let pieces = bytes.into_iter().filter(|b| !b.is_empty()).map(Bytes::from);
    Ok(Encoded::Pieces(std::iter::once(Bytes::from(first)).chain(pieces).collect()))
}

fn length(bytes: &[u8]) -> Result<u32> {
    u32::try_from(bytes.len()).map_err(|_| Error::broken("transport", "one table moves more than 4 GiB in one message"))
}

fn bulk_bytes(bulk: Bulk) -> Result<Encoded> {
    match bulk {
        Bulk::Warm { plan, tables } => {
            let counted = tables.iter().map(|(t, b)| Ok((*t, length(b)?))).collect::<Result<_>>()?;
            headed(WARM, &WarmHead { plan, tables: counted }, tables.into_iter().map(|(_, b)| b).collect())
        }
        Bulk::Final { plan, watermarks, tables, segment, table } => {
            let count = |(t, f): &(u64, ShipFinal)| Ok((*t, f.entries, f.digest, length(&f.items)?, length(&f.names)?));
            let counted = tables.iter().map(count).collect::<Result<_>>()?;
            let bytes = tables.into_iter().flat_map(|(_, f)| [f.items, f.names]).collect();
            headed(FINAL, &FinalHead { plan, watermarks, segment, table, tables: counted }, bytes)
        }
    }
}

/// Reads an event back. Whatever the bytes are: an event or an error that says what is wrong.
pub fn decode_event(graph: &Graph, channel: Channel, payload: &[u8]) -> Result<Event> {
    decode(graph, channel, payload)
        .map_err(|e| e.at(format!("event from slot {} to slot {} on edge {}", channel.from, channel.to, channel.edge)))
}

fn wrong(what: impl std::fmt::Display) -> Error {
    Error::new(Kind::Corrupt, format!("a message from another process cannot be read: {what}"))
}

fn decode(graph: &Graph, channel: Channel, payload: &[u8]) -> Result<Event> {
    let (kind, rest) = payload.split_first().ok_or_else(|| wrong("it is empty"))?;
    let (edge, from) = (channel.edge, SlotId(channel.from));
    let batch = |bytes: &[u8]| graph.codec(edge).ok_or_else(|| wrong("its edge has no exchange"))?.decode(bytes);
    let item = match *kind {
        DATA => Item::Data(batch(rest)?, None),
        TAGGED => {
            let (version, rest) = number(rest)?;
            let (number, rest) = number(rest)?;
            let (source, rest) = rest.split_first_chunk::<2>().ok_or_else(|| wrong("it ends in its tag"))?;
            Item::Data(batch(rest)?, Some(Tag { version, batch: number, source: SlotId(u16::from_le_bytes(*source)) }))
        }
        WATERMARK => match number(rest)? {
            (time, []) => Item::Watermark(Time(time as i64)),
            (_, more) => return Err(wrong(format!("{} bytes after a watermark", more.len()))),
        },
        IDLE if rest.is_empty() => Item::Idle,
        BARRIER => Item::Barrier(unpacked(rest)?),
        FENCE => Item::Fence(unpacked(rest)?),
        DRAINED => Item::Drained(unpacked(rest)?),
        CREDIT => {
            let both = rest.try_into().map(u64::from_le_bytes).map_err(|_| wrong("credits and window are eight bytes"))?;
            return Ok(Event::Credit { edge, from, rows: both as u32, window: (both >> 32) as u32 });
        }
        TAKEN => match number(rest)? {
            (batch, []) => return Ok(Event::WarmupAck(batch)),
            (_, more) => return Err(wrong(format!("{} bytes after a batch", more.len()))),
        },
        WARM => return warm(rest).map(Event::Bulk),
        FINAL => return last(rest).map(Event::Bulk),
        kind => return Err(wrong(format!("kind {kind} with {} bytes", rest.len()))),
    };
    Ok(Event::Frame(Frame { edge, from, item }))
}

fn number(bytes: &[u8]) -> Result<(u64, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<8>().ok_or_else(|| wrong("it ends in a number"))?;
    Ok((u64::from_le_bytes(*number), rest))
}

fn unpacked<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(wrong(format!("{} bytes too many", rest.len()))),
        Err(e) => Err(wrong(e)),
    }
}

fn head<T: DeserializeOwned>(bytes: &[u8]) -> Result<(T, &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<4>().ok_or_else(|| wrong("it ends before its head"))?;
    let (head, rest) = rest.split_at_checked(u32::from_le_bytes(*len) as usize).ok_or_else(|| wrong("it ends in its head"))?;
    Ok((unpacked(head)?, rest))
}

/// Takes `len` bytes off the front.
fn cut(rest: &mut &[u8], len: u32) -> Result<Vec<u8>> {
    let (bytes, after) = rest
        .split_at_checked(len as usize)
        .ok_or_else(|| wrong(format!("{len} bytes of state announced, {} left", rest.len())))?;
    *rest = after;
    Ok(bytes.to_vec())
}

fn over(rest: &[u8]) -> Result<()> {
    if rest.is_empty() { Ok(()) } else { Err(wrong(format!("{} bytes of state too many", rest.len()))) }
}

fn warm(bytes: &[u8]) -> Result<Bulk> {
    let (WarmHead { plan, tables: counted }, mut rest) = head(bytes)?;
    let tables = counted.into_iter().map(|(t, len)| Ok((t, cut(&mut rest, len)?))).collect::<Result<_>>()?;
    over(rest)?;
    Ok(Bulk::Warm { plan, tables })
}

fn last(bytes: &[u8]) -> Result<Bulk> {
    let (FinalHead { plan, watermarks, segment, table, tables: counted }, mut rest) = head(bytes)?;
    let mut tables = Vec::new();
    for (table, entries, digest, items, names) in counted {
        let (items, names) = (cut(&mut rest, items)?, cut(&mut rest, names)?);
        tables.push((table, ShipFinal { items, names, entries, digest }));
    }
    over(rest)?;
    Ok(Bulk::Final { plan, watermarks, tables, segment, table })
}

#[cfg(test)]
mod tests;
