//! Keyed streams over windows.

use std::sync::Arc;
use std::time::Duration;

use crate::container::{Data, Exchanged, RowsCodec};
use crate::error::Result;
use crate::graph::Path;
use crate::key::Key;
use crate::operator::aggregate::{Aggregation, Count, Fold, Reduce};
use crate::operator::window::{WindowAggregate, WindowResult, Windows};
use crate::state::StateValue;

use super::keyed::operator;
use super::{Keyed, Stream, micros};

/// Results, and the late rows with their keys.
pub type WithLate<K, A, T> = (Stream<WindowResult<K, A>>, Stream<(K, T)>);

/// A keyed stream over windows.
#[derive(Debug)]
pub struct Windowed<'a, K, T> {
    keyed: &'a Keyed<K, T>,
    windows: Windows,
}

impl<K: Key, T: Data> Keyed<K, T> {
    /// Windows of `size`, one after the other.
    pub fn tumbling(&self, size: Duration) -> Result<Windowed<'_, K, T>> {
        Ok(Windowed { keyed: self, windows: Windows::new(micros(size), micros(size))? })
    }

    /// Windows of `size` that begin every `slide`.
    pub fn sliding(&self, size: Duration, slide: Duration) -> Result<Windowed<'_, K, T>> {
        Ok(Windowed { keyed: self, windows: Windows::new(micros(size), micros(slide))? })
    }
}

impl<K: Key, T: Data> Windowed<'_, K, T> {
    /// The number of rows that each key has in each window.
    pub fn count(&self) -> Stream<WindowResult<K, u64>> {
        self.combine("count", Count)
    }

    /// One row a key and window, folded together two at a time.
    pub fn reduce(&self, f: impl Fn(&mut T, T) + Send + Sync + 'static) -> Stream<WindowResult<K, T>>
    where
        T: StateValue,
    {
        let sum = self.combine("reduce", Reduce(Arc::new(f)));
        sum.flat_map(|r| r.value.map(|value| WindowResult { key: r.key, start: r.start, end: r.end, value }))
    }

    /// An aggregate from a start value, a way to add a row, and a way to merge two aggregates.
    pub fn aggregate<A: StateValue + Sync>(
        &self,
        zero: A,
        add: impl Fn(&mut A, &T) + Send + Sync + 'static,
        merge: impl Fn(&mut A, A) + Send + Sync + 'static,
    ) -> Stream<WindowResult<K, A>> {
        self.combine("aggregate", Fold { zero, add: Arc::new(add), merge: Arc::new(merge) })
    }

    fn combine<G: Aggregation<T>>(&self, name: &str, aggregation: G) -> Stream<WindowResult<K, G::Value>> {
        use crate::operator::combine::Partial;
        let windows = self.windows;
        let combined = self.keyed.combiner(name, aggregation.clone(), windows.pane());
        let make = move |space| Ok(WindowAggregate::<Partial<K, G::Value>, T, K, G>::new(windows, aggregation.clone(), space));
        let job = &self.keyed.stream.job;
        let mut graph = job.graph.borrow_mut();
        let node = graph.add(format!("window {name}"), operator(make), &[(combined, 0, Path::Exchange)]);
        graph.carry(node, 0, &RowsCodec::<Partial<K, G::Value>>::shared());
        drop(graph);
        Stream::at(job, node, 0)
    }

    /// Like [`Windowed::aggregate`], with the late rows in a stream of their own. Rows cross the exchange one by one for that: a late row
    /// can be told only where its window is.
    pub fn aggregate_with_late<A: StateValue + Sync>(
        &self,
        zero: A,
        add: impl Fn(&mut A, &T) + Send + Sync + 'static,
        merge: impl Fn(&mut A, A) + Send + Sync + 'static,
    ) -> WithLate<K, A, T>
    where
        T: Exchanged,
    {
        let fold = Fold { zero, add: Arc::new(add), merge: Arc::new(merge) };
        let windows = self.windows;
        let make = move |space| Ok(WindowAggregate::<(K, T), T, K, _>::new(windows, fold.clone(), space));
        let pairs = self.keyed.pairs();
        let job = &self.keyed.stream.job;
        let mut graph = job.graph.borrow_mut();
        let node = graph.add("window aggregate", operator(make), &[(pairs.node, 0, Path::Exchange)]);
        graph.carry(node, 0, &RowsCodec::<(K, T)>::shared());
        drop(graph);
        (Stream::at(job, node, 0), Stream::at(job, node, 1))
    }
}
