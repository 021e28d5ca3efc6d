//! The bytes of a batch that goes to another process.
//!
//! ```text
//!   version u8 | flags u8 | rows u32 | hashes 8 each, if flag 1 | event times 8 each, if flag 2 | rows in postcard
//! ```
//!
//! Numbers are little-endian. Hashes travel, since a key is hashed once in its life. Only edges with an exchange have a codec: within
//! a process a batch is moved and never encoded, and rows that stay within a slot need not be encodable. Both ends run the same
//! program (workers of another dataflow are refused), so the row's type is not written down.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Batch, Data, Rows};
use crate::error::{Error, Kind, Result};
use crate::state::codec::Append;
use crate::time::Time;

const VERSION: u8 = 1;
const HASHES: u8 = 1;
const TIMES: u8 = 2;
/// More rows are in no batch: rows that take no bytes would otherwise let a short message ask for billions.
const MOST_ROWS: usize = 1 << 24;

/// A row that may cross an exchange, and so from one process to another.
pub trait Exchanged: Data + Serialize + DeserializeOwned {}
impl<T: Data + Serialize + DeserializeOwned> Exchanged for T {}

/// Encodes and decodes the batches of one edge. Shared by threads that do nothing else.
pub trait BatchCodec: Send + Sync + fmt::Debug {
    /// Appends the bytes of a batch. An error leaves `out` as it was.
    fn encode(&self, batch: Batch, out: &mut Vec<u8>) -> Result<()>;
    /// Reads a batch: all of `bytes`.
    fn decode(&self, bytes: &[u8]) -> Result<Batch>;
}

/// The codec of [`Rows`].
pub struct RowsCodec<T>(PhantomData<fn() -> T>);

impl<T> fmt::Debug for RowsCodec<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RowsCodec<{}>", std::any::type_name::<T>())
    }
}

impl<T: Exchanged> RowsCodec<T> {
    /// The codec of an edge that carries [`Rows<T>`].
    #[must_use]
    pub fn shared() -> Arc<dyn BatchCodec> {
        Arc::new(Self(PhantomData))
    }

    fn put(rows: &Rows<T>, out: &mut Vec<u8>) -> Result<()> {
        let n = u32::try_from(rows.rows.len()).ok().filter(|n| *n as usize <= MOST_ROWS);
        let n = n.ok_or_else(|| Error::broken("container", format!("a batch of {} rows", rows.rows.len())))?;
        let flags = (HASHES * u8::from(!rows.hashes.is_empty())) | (TIMES * u8::from(!rows.times.is_empty()));
        out.reserve(6 + 8 * (rows.hashes.len() + rows.times.len()) + size_of::<T>() * rows.rows.len());
        out.extend_from_slice(&[VERSION, flags]);
        out.extend_from_slice(&n.to_le_bytes());
        for hash in &rows.hashes {
            out.extend_from_slice(&hash.to_le_bytes());
        }
        for time in &rows.times {
            out.extend_from_slice(&time.0.to_le_bytes());
        }
        for row in &rows.rows {
            postcard::serialize_with_flavor(row, Append(out)).map_err(|e| {
                Error::new(Kind::Invalid, format!("a row of type {} cannot be encoded", std::any::type_name::<T>()))
                    .because(e)
                    .advise("its Serialize must not fail and must not need a self-describing format")
            })?;
        }
        Ok(())
    }
}

impl<T: Exchanged> BatchCodec for RowsCodec<T> {
    fn encode(&self, batch: Batch, out: &mut Vec<u8>) -> Result<()> {
        let rows = Rows::<T>::downcast(batch)
            .map_err(|other| Error::broken("container", format!("the edge of {self:?} carries {other:?}")))?;
        let start = out.len();
        Self::put(&rows, out).inspect_err(|_| out.truncate(start))
    }

    fn decode(&self, bytes: &[u8]) -> Result<Batch> {
        let wrong = |what: &str| {
            Error::new(Kind::Corrupt, format!("a batch from another process cannot be read: {what}")).at(format!("{self:?}"))
        };
        let (head, rest) = bytes.split_first_chunk::<6>().ok_or_else(|| wrong("it ends in its head"))?;
        let [version, flags, n @ ..] = *head;
        let n = u32::from_le_bytes(n) as usize;
        if version != VERSION || flags & !(HASHES | TIMES) != 0 || n > MOST_ROWS {
            return Err(wrong(&format!("version {version}, flags {flags}, {n} rows")));
        }
        let (hashes, rest) = column(rest, n * usize::from(flags & HASHES != 0)).ok_or_else(|| wrong("it ends in its hashes"))?;
        let (times, mut rest) = column(rest, n * usize::from(flags & TIMES != 0)).ok_or_else(|| wrong("it ends in its times"))?;
        let mut rows = Vec::with_capacity(n.min(rest.len()));
        for i in 0..n {
            let (row, after) = postcard::take_from_bytes::<T>(rest).map_err(|e| wrong(&format!("row {i} of {n}")).because(e))?;
            rows.push(row);
            rest = after;
        }
        if !rest.is_empty() {
            return Err(wrong(&format!("{} bytes too many", rest.len())));
        }
        let hashes = hashes.iter().map(|b| u64::from_le_bytes(*b)).collect();
        let times = times.iter().map(|b| Time(i64::from_le_bytes(*b))).collect();
        Ok(Box::new(Rows { rows, hashes, times }))
    }
}

/// The first `n` numbers, and what comes after them.
fn column(bytes: &[u8], n: usize) -> Option<(&[[u8; 8]], &[u8])> {
    let (column, rest) = bytes.split_at_checked(n.checked_mul(8)?)?;
    Some((column.as_chunks().0, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::container::Container;

    type Row = (u32, String);

    fn rows() -> impl Strategy<Value = Rows<Row>> {
        (prop::collection::vec((any::<Row>(), any::<u64>(), any::<i64>()), 0..40), any::<(bool, bool)>()).prop_map(
            |(all, (h, t))| Rows {
                rows: all.iter().map(|(r, ..)| r.clone()).collect(),
                hashes: if h { all.iter().map(|(_, h, _)| *h).collect() } else { Vec::new() },
                times: if t { all.iter().map(|(.., t)| Time(*t)).collect() } else { Vec::new() },
            },
        )
    }

    proptest! {
        #[test]
        fn a_batch_survives_the_round_trip(rows in rows()) {
            let codec = RowsCodec::<Row>::shared();
            let mut bytes = vec![7];
            codec.encode(Box::new(rows.clone()), &mut bytes).unwrap();
            let back = codec.decode(&bytes[1..]).unwrap();
            prop_assert_eq!(Rows::<Row>::downcast(back).unwrap(), rows);
        }

        #[test]
        fn what_is_cut_off_or_garbage_is_an_error_and_never_a_panic(rows in rows(), cut: prop::sample::Index, garbage: Vec<u8>) {
            let codec = RowsCodec::<Row>::shared();
            let mut bytes = Vec::new();
            codec.encode(Box::new(rows), &mut bytes).unwrap();
            prop_assert!(codec.decode(&bytes[..cut.index(bytes.len())]).is_err());
            bytes.extend(&garbage);
            prop_assert_eq!(codec.decode(&bytes).is_err(), !garbage.is_empty());
            let _any = codec.decode(&garbage);
        }
    }

    #[test]
    fn rows_without_bytes_cannot_ask_for_billions() {
        let codec = RowsCodec::<()>::shared();
        assert!(codec.decode(&[VERSION, 0, 255, 255, 255, 255]).is_err());
        assert_eq!(codec.decode(&[VERSION, 0, 3, 0, 0, 0]).unwrap().len(), 3);
    }

    #[test]
    fn a_batch_of_another_type_is_a_defect_with_a_name() {
        let error = RowsCodec::<u8>::shared().encode(Box::new(Rows::from(vec![1u16])), &mut Vec::new()).unwrap_err();
        assert!(error.to_string().contains("RowsCodec<u8>"), "{error}");
    }

    #[test]
    fn an_error_leaves_the_output_as_it_was() {
        let mut out = vec![1, 2, 3];
        let rows: Rows<Row> = Rows::default();
        assert!(Container::is_empty(&rows));
        let _error = RowsCodec::<u8>::shared().encode(Box::new(rows), &mut out).unwrap_err();
        assert_eq!(out, [1, 2, 3]);
    }
}
