//! The computation of a keyed aggregation, apart from when and where: a start value, a way to add a row, a way to merge two partial values.
//!
//! Because partial values merge, a *combiner* aggregates before the exchange what each slot reads, across batches, and sends one row a
//! key instead of one a record. It holds no state of its own: it gives everything up before a barrier, before a watermark that closes
//! what it holds, when it is full, and when its slot has nothing else to do.

use std::sync::Arc;

use crate::container::Data;
use crate::state::StateValue;

/// An aggregation of rows of `T`.
pub trait Aggregation<T>: Clone + Send + Sync + 'static {
    /// The partial value.
    type Value: StateValue;
    /// The value of no row.
    fn zero(&self) -> Self::Value;
    /// Adds a row.
    fn add(&self, value: &mut Self::Value, row: &T);
    /// Adds the rows behind another partial value.
    fn merge(&self, value: &mut Self::Value, other: Self::Value);
}

/// Counts rows.
#[derive(Clone, Copy, Debug)]
pub struct Count;

impl<T: Data> Aggregation<T> for Count {
    type Value = u64;
    fn zero(&self) -> u64 {
        0
    }
    #[inline]
    fn add(&self, value: &mut u64, _row: &T) {
        *value += 1;
    }
    #[inline]
    fn merge(&self, value: &mut u64, other: u64) {
        *value += other;
    }
}

/// Folds rows with one function: the first row of a key is its first value.
#[derive(Debug)]
pub struct Reduce<F>(pub Arc<F>);

impl<F> Clone for Reduce<F> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Data + StateValue, F: Fn(&mut T, T) + Send + Sync + 'static> Aggregation<T> for Reduce<F> {
    type Value = Option<T>;
    fn zero(&self) -> Option<T> {
        None
    }
    fn add(&self, value: &mut Option<T>, row: &T) {
        Aggregation::<T>::merge(self, value, Some(row.clone()));
    }
    fn merge(&self, value: &mut Option<T>, other: Option<T>) {
        match (value.as_mut(), other) {
            (Some(v), Some(o)) => (self.0)(v, o),
            (None, other) => *value = other,
            (Some(_), None) => {}
        }
    }
}

/// An aggregation from three closures.
#[derive(Debug)]
pub struct Fold<A, Add, Merge> {
    /// The value of no row.
    pub zero: A,
    /// Adds a row.
    pub add: Arc<Add>,
    /// Merges two partial values.
    pub merge: Arc<Merge>,
}

impl<A: Clone, Add, Merge> Clone for Fold<A, Add, Merge> {
    fn clone(&self) -> Self {
        Self { zero: self.zero.clone(), add: self.add.clone(), merge: self.merge.clone() }
    }
}

impl<T, A, Add, Merge> Aggregation<T> for Fold<A, Add, Merge>
where
    A: StateValue + Sync,
    Add: Fn(&mut A, &T) + Send + Sync + 'static,
    Merge: Fn(&mut A, A) + Send + Sync + 'static,
{
    type Value = A;
    fn zero(&self) -> A {
        self.zero.clone()
    }
    #[inline]
    fn add(&self, value: &mut A, row: &T) {
        (self.add)(value, row);
    }
    #[inline]
    fn merge(&self, value: &mut A, other: A) {
        (self.merge)(value, other);
    }
}
