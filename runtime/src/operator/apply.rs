//! Stateless work on a batch: map, filter, flat-map, keying. One closure over whole batches, so that the inner loop is compiled with
//! the user's code in it and nothing is called once a row through a pointer.

use crate::container::{Batch, Data, Rows};
use crate::error::{Error, Kind, Result};
use crate::key::KeySpace;
use crate::operator::{Context, Flow, Operator};

/// Applies a closure to each batch of `T`.
pub struct Apply<T, F> {
    f: F,
    row: std::marker::PhantomData<fn(T)>,
}

impl<T, F> Apply<T, F> {
    /// An operator that emits what `f` makes of each batch.
    pub fn new(f: F) -> Self {
        Self { f, row: std::marker::PhantomData }
    }
}

impl<T: Data, U: Data, F: FnMut(Rows<T>, KeySpace) -> Rows<U> + Send> Operator for Apply<T, F> {
    fn on_batch(&mut self, _port: u8, batch: Batch, cx: &mut Context<'_>) -> Result<Flow> {
        let rows = typed::<T>(batch)?;
        cx.emit(Box::new((self.f)(rows, cx.space)));
        Ok(Flow::Done)
    }
}

/// The rows of a batch, or an error that names both types.
pub fn typed<T: Data>(batch: Batch) -> Result<Rows<T>> {
    Rows::<T>::downcast(batch).map_err(|other| {
        Error::new(
            Kind::Broken,
            format!("expected rows of {}, got a batch of {} other rows", std::any::type_name::<T>(), other.len()),
        )
    })
}
