//! The container (see the crate's own text).

use std::any::Any;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::{concat_batches, filter_record_batch, take};
use arrow::datatypes::SchemaRef;
use watershed_runtime::container::{Batch, Container};
use watershed_runtime::error::{Error, Result};
use watershed_runtime::time::Time;

use crate::Op;

/// Rows of Arrow columns, with an operation, an event time and a key hash each.
#[derive(Clone, Debug)]
pub struct Columns {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
    rows: usize,
    /// Empty, or one a row.
    hashes: Vec<u64>,
    /// Empty, or one a row.
    times: Vec<Time>,
    /// Empty (all rows are new), or one a row.
    ops: Vec<Op>,
}

/// A container taken apart, its batches joined.
#[derive(Clone, Debug)]
pub struct Parts {
    /// The columns.
    pub batch: RecordBatch,
    /// Key hashes, or empty.
    pub hashes: Vec<u64>,
    /// Event times, or empty.
    pub times: Vec<Time>,
    /// Operations, or empty: all rows are new.
    pub ops: Vec<Op>,
}

impl From<RecordBatch> for Columns {
    fn from(batch: RecordBatch) -> Self {
        let (schema, rows) = (batch.schema(), batch.num_rows());
        Self { schema, batches: vec![batch], rows, hashes: Vec::new(), times: Vec::new(), ops: Vec::new() }
    }
}

impl From<Parts> for Columns {
    fn from(parts: Parts) -> Self {
        let Parts { batch, hashes, times, ops } = parts;
        Self { hashes, times, ops, ..Self::from(batch) }
    }
}

impl Columns {
    /// Gives each row its event time; `times` has one a row.
    #[must_use]
    pub fn with_times(self, times: Vec<Time>) -> Self {
        Self { times, ..self }
    }

    /// Gives each row its operation; `ops` has one a row, or none where all rows are new.
    #[must_use]
    pub fn with_ops(self, ops: Vec<Op>) -> Self {
        Self { ops, ..self }
    }

    /// The columns.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Event times, or empty.
    #[must_use]
    pub fn times(&self) -> &[Time] {
        &self.times
    }

    /// Operations, or empty: all rows are new.
    #[must_use]
    pub fn ops(&self) -> &[Op] {
        &self.ops
    }

    /// The operation of a row.
    #[inline]
    #[must_use]
    pub fn op(&self, row: usize) -> Op {
        self.ops.get(row).copied().unwrap_or_default()
    }

    /// The batches as they came, for whoever can take them one by one.
    #[must_use]
    pub fn batches(&self) -> &[RecordBatch] {
        &self.batches
    }

    /// Takes the container apart, joining its batches.
    pub fn into_parts(mut self) -> Result<Parts> {
        let batch = self.join()?;
        let Self { hashes, times, ops, .. } = self;
        Ok(Parts { batch, hashes, times, ops })
    }

    /// The batch, joined on the way if there are several.
    pub fn join(&mut self) -> Result<RecordBatch> {
        if let [one] = self.batches.as_slice() {
            return Ok(one.clone());
        }
        let joined = concat_batches(&self.schema, &self.batches).map_err(|e| not_alike(&e))?;
        self.batches = vec![joined.clone()];
        Ok(joined)
    }

    /// The typed container out of an erased one; the erased one comes back if it is something else.
    pub fn downcast(batch: Batch) -> Result<Self, Batch> {
        if !batch.as_any().is::<Self>() {
            return Err(batch);
        }
        match batch.into_any().downcast::<Self>() {
            Ok(columns) => Ok(*columns),
            // `is` has just said yes.
            Err(_) => Err(Box::new(watershed_runtime::container::Rows::<()>::default())),
        }
    }

    /// The typed container out of an erased one; anything else is a defect of whoever built the graph.
    pub fn expect(batch: Batch) -> Result<Self> {
        Self::downcast(batch).map_err(|other| Error::broken("container", format!("expected Arrow columns, got {other:?}")))
    }

    /// The rows whose place in `keep` is true.
    pub fn filter(self, keep: &arrow::array::BooleanArray) -> Result<Self> {
        let Parts { batch, hashes, times, ops } = self.into_parts()?;
        let batch = filter_record_batch(&batch, keep).map_err(|e| not_alike(&e))?;
        let kept = |row: usize| keep.is_valid(row) && keep.value(row);
        Ok(Self::from(Parts { batch, hashes: pick(hashes, kept), times: pick(times, kept), ops: pick(ops, kept) }))
    }

    /// Rows `indices`, in that order. The batch is joined already.
    fn take(batch: &RecordBatch, all: &Parts, indices: &[u32]) -> Result<Self> {
        let index = UInt32Array::from(indices.to_vec());
        let columns: Vec<ArrayRef> =
            batch.columns().iter().map(|c| take(c, &index, None)).collect::<Result<_, _>>().map_err(|e| not_alike(&e))?;
        let options = RecordBatchOptions::new().with_row_count(Some(indices.len()));
        let taken = RecordBatch::try_new_with_options(batch.schema(), columns, &options).map_err(|e| not_alike(&e))?;
        let at = |i: &u32| *i as usize;
        let parts = Parts {
            batch: taken,
            hashes: indices.iter().filter_map(|i| all.hashes.get(at(i)).copied()).collect(),
            times: indices.iter().filter_map(|i| all.times.get(at(i)).copied()).collect(),
            ops: indices.iter().filter_map(|i| all.ops.get(at(i)).copied()).collect(),
        };
        Ok(Self::from(parts))
    }

    fn push(&mut self, mut other: Self) {
        fill(&mut self.ops, self.rows, &mut other.ops, other.rows);
        self.hashes.append(&mut other.hashes);
        self.times.append(&mut other.times);
        self.ops.append(&mut other.ops);
        self.batches.append(&mut other.batches);
        self.rows += other.rows;
    }

    fn scatter_parts(self, dest: &[u16], builders: &mut [Option<Batch>]) -> Result<()> {
        let parts = self.into_parts()?;
        let mut indices: Vec<Vec<u32>> = vec![Vec::new(); builders.len()];
        for (row, d) in dest.iter().enumerate() {
            if let Some(list) = indices.get_mut(usize::from(*d)) {
                list.push(row as u32);
            }
        }
        for (builder, list) in builders.iter_mut().zip(&indices) {
            if !list.is_empty() {
                put(builder, Self::take(&parts.batch, &parts, list)?);
            }
        }
        Ok(())
    }
}

/// All containers on one edge have one schema; anything else is a defect of whoever built the graph.
fn not_alike(e: &arrow::error::ArrowError) -> Error {
    Error::broken("container", format!("the batches of one edge are not alike: {e}"))
}

fn pick<T: Copy>(values: Vec<T>, kept: impl Fn(usize) -> bool) -> Vec<T> {
    values.into_iter().enumerate().filter_map(|(row, v)| kept(row).then_some(v)).collect()
}

/// Brings two operation vectors to the same form: as soon as one side has operations, both have.
fn fill(a: &mut Vec<Op>, rows_a: usize, b: &mut Vec<Op>, rows_b: usize) {
    if !a.is_empty() || !b.is_empty() {
        a.resize(rows_a, Op::Insert);
        b.resize(rows_b, Op::Insert);
    }
}

/// Appends to a builder, or becomes it.
fn put(builder: &mut Option<Batch>, columns: Columns) {
    match builder {
        Some(b) => {
            // The builders of one edge hold what that edge carries.
            if let Err(other) = b.append(Box::new(columns)) {
                *builder = Some(other);
            }
        }
        None => *builder = Some(Box::new(columns)),
    }
}

impl Container for Columns {
    fn len(&self) -> usize {
        self.rows
    }

    fn byte_size(&self) -> usize {
        let of = |a: &ArrayRef| a.to_data().get_slice_memory_size().unwrap_or(0);
        let columns: usize = self.batches.iter().flat_map(|b| b.columns().iter().map(of)).sum();
        columns + self.hashes.len() * 8 + self.times.len() * 8 + self.ops.len()
    }

    fn hashes(&self) -> &[u64] {
        &self.hashes
    }

    fn scatter(self: Box<Self>, dest: &[u16], builders: &mut [Option<Batch>]) {
        let Some(first) = dest.first().copied() else { return };
        if dest.iter().all(|d| *d == first) {
            if let Some(builder) = builders.get_mut(usize::from(first)) {
                put(builder, *self);
            }
            return;
        }
        // `take` fails only on indices out of range or types without it, and neither comes here.
        (*self).scatter_parts(dest, builders).expect("rows of one batch can be taken by their own indices");
    }

    fn append(&mut self, other: Batch) -> Result<(), Batch> {
        let other = Self::downcast(other)?;
        if self.rows == 0 {
            *self = other;
        } else if other.rows > 0 {
            self.push(other);
        }
        Ok(())
    }

    fn split_off(&mut self, at: usize) -> Batch {
        let at = at.min(self.rows);
        let mut tail = Vec::new();
        let mut head = Vec::new();
        let mut start = 0;
        for b in self.batches.drain(..) {
            let n = b.num_rows();
            let cut = at.saturating_sub(start).min(n);
            if cut > 0 {
                head.push(b.slice(0, cut));
            }
            if cut < n {
                tail.push(b.slice(cut, n - cut));
            }
            start += n;
        }
        let cut = |len: usize| at.min(len);
        let other = Self {
            schema: Arc::clone(&self.schema),
            batches: tail,
            rows: self.rows - at,
            hashes: self.hashes.split_off(cut(self.hashes.len())),
            times: self.times.split_off(cut(self.times.len())),
            ops: self.ops.split_off(cut(self.ops.len())),
        };
        self.batches = head;
        self.rows = at;
        Box::new(other)
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

#[cfg(test)]
mod tests;
