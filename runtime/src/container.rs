//! The content of a frame: a batch of rows behind one object-safe trait.
//!
//! Graph, exchange, gates and slots only ever see [`Container`]s, so that a user's row type is compiled into one node body and
//! nowhere else. Two kinds exist: [`Rows`] here (the Rust API) and the Arrow batch of `watershed-columnar` (SQL). Turning one
//! into the other is an explicit operator, never done behind anybody's back.

mod codec;

use std::any::Any;
use std::fmt::Debug;

use crate::time::Time;

pub use codec::{BatchCodec, Exchanged, RowsCodec};

/// An owned, erased batch.
pub type Batch = Box<dyn Container>;

/// A batch of rows, their key hashes and event times.
pub trait Container: Any + Send + Debug {
    /// The number of rows.
    fn len(&self) -> usize;
    /// True if there is no row.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// About how many bytes the rows take; for credits and budgets, not for accounting to the byte.
    fn byte_size(&self) -> usize;
    /// The key hash of each row; empty where the rows have no key.
    fn hashes(&self) -> &[u64];
    /// Moves row `i` to the end of `builders[dest[i]]`, creating builders as needed. Order is kept for each destination.
    fn scatter(self: Box<Self>, dest: &[u16], builders: &mut [Option<Batch>]);
    /// Moves all rows of `other` (same concrete type) to the end. A batch of another type is handed back.
    fn append(&mut self, other: Batch) -> Result<(), Batch>;
    /// Splits off the rows from `at` on, like [`Vec::split_off`].
    fn split_off(&mut self, at: usize) -> Batch;
    /// A copy: an output that feeds two nodes gives each its own.
    fn copy(&self) -> Batch;
    /// For downcasts.
    fn as_any(&self) -> &dyn Any;
    /// For downcasts.
    fn into_any(self: Box<Self>) -> Box<dyn Any>;
}

/// Rows of a Rust type, with parallel columns of key hashes and event times (each either empty or as long as `rows`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rows<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// Key hashes, or empty.
    pub hashes: Vec<u64>,
    /// Event times, or empty.
    pub times: Vec<Time>,
}

impl<T> Default for Rows<T> {
    fn default() -> Self {
        Self { rows: Vec::new(), hashes: Vec::new(), times: Vec::new() }
    }
}

impl<T> From<Vec<T>> for Rows<T> {
    fn from(rows: Vec<T>) -> Self {
        Self { rows, hashes: Vec::new(), times: Vec::new() }
    }
}

/// A row type: owned, sendable between slots, copyable for a second reader, printable in a dump.
pub trait Data: Clone + Send + Debug + 'static {}
impl<T: Clone + Send + Debug + 'static> Data for T {}

impl<T: Data> Rows<T> {
    /// An empty batch with room.
    #[must_use]
    pub fn with_capacity(n: usize) -> Self {
        Self { rows: Vec::with_capacity(n), hashes: Vec::new(), times: Vec::new() }
    }

    /// Takes the typed batch out of an erased one; the erased one comes back if its type is another.
    pub fn downcast(batch: Batch) -> Result<Self, Batch> {
        if batch.as_any().is::<Self>() {
            match batch.into_any().downcast::<Self>() {
                Ok(rows) => Ok(*rows),
                // `is` has just said yes.
                Err(_) => Ok(Self::default()),
            }
        } else {
            Err(batch)
        }
    }
}

impl<T: Data> Container for Rows<T> {
    fn len(&self) -> usize {
        self.rows.len()
    }

    fn byte_size(&self) -> usize {
        self.rows.len() * (size_of::<T>() + 8 * usize::from(!self.hashes.is_empty()) + 8 * usize::from(!self.times.is_empty()))
    }

    fn hashes(&self) -> &[u64] {
        &self.hashes
    }

    fn scatter(self: Box<Self>, dest: &[u16], builders: &mut [Option<Batch>]) {
        let Self { rows, hashes, times } = *self;
        let n = rows.len();
        let mut parts: Vec<Option<Self>> = builders.iter_mut().map(|b| b.take().and_then(|b| Self::downcast(b).ok())).collect();
        let (mut hashes, mut times) = (hashes.into_iter(), times.into_iter());
        for (row, d) in rows.into_iter().zip(dest) {
            let (h, t) = (hashes.next(), times.next());
            if let Some(part) = parts.get_mut(usize::from(*d)) {
                let part = part.get_or_insert_with(|| Self::with_capacity(n.min(4096)));
                part.rows.push(row);
                part.hashes.extend(h);
                part.times.extend(t);
            }
        }
        for (builder, part) in builders.iter_mut().zip(parts) {
            *builder = part.map(|p| Box::new(p) as Batch);
        }
    }

    fn append(&mut self, other: Batch) -> Result<(), Batch> {
        let mut other = Self::downcast(other)?;
        self.rows.append(&mut other.rows);
        self.hashes.append(&mut other.hashes);
        self.times.append(&mut other.times);
        Ok(())
    }

    fn split_off(&mut self, at: usize) -> Batch {
        let at = at.min(self.rows.len());
        let cut = |len: usize| at.min(len);
        Box::new(Self {
            rows: self.rows.split_off(at),
            hashes: self.hashes.split_off(cut(self.hashes.len())),
            times: self.times.split_off(cut(self.times.len())),
        })
    }

    fn copy(&self) -> Batch {
        Box::new(self.clone())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}
