//! Streams with a key: aggregation, windows, and the low-level process operator with one or two inputs.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use crate::container::{Data, Exchanged, Rows, RowsCodec};
use crate::error::Result;
use crate::graph::{Path, Role};
use crate::key::{Key, KeySpace};
use crate::operator::Operator;
use crate::operator::aggregate::{Aggregation, Count, Fold, Reduce};
use crate::operator::combine::{Combiner, Partial};
use crate::operator::process::{Closures, Either, Keyed as ProcessContext, ProcessOperator};
use crate::operator::rolling::{Rolling, When};
use crate::state::StateValue;

use super::{Stream, batches, micros};

/// The function that finds a key in a row.
pub(super) type KeyFn<K, T> = Arc<dyn Fn(&T) -> K + Send + Sync>;

/// A stream with a key.
pub struct Keyed<K, T> {
    pub(super) stream: Stream<T>,
    pub(super) key: KeyFn<K, T>,
    when: When,
    ttl: Option<Duration>,
}

impl<K, T> std::fmt::Debug for Keyed<K, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keyed {:?}", self.stream)
    }
}

/// Makes an operator node from what makes the operator.
pub(super) fn operator<O: Operator + 'static>(make: impl Fn(KeySpace) -> Result<O> + Send + Sync + 'static) -> Role {
    Role::Operator { make: Arc::new(move |space| Ok(Box::new(make(space)?) as Box<dyn Operator>)), keyed: true }
}

impl<T: Data> Stream<T> {
    /// Names a key. Rows of one key are worked on in order, by the one slot that owns the key.
    pub fn key_by<K: Key>(&self, key: impl Fn(&T) -> K + Send + Sync + 'static) -> Keyed<K, T> {
        Keyed { stream: self.clone(), key: Arc::new(key), when: When::Changed, ttl: None }
    }
}

impl<K: Key, T: Data> Keyed<K, T> {
    /// Aggregates speak once, when the (bounded) input has ended, instead of after each epoch.
    #[must_use]
    pub fn at_end(mut self) -> Self {
        self.when = When::End;
        self
    }

    /// State of the process operator that is not written for so long (processing time) is forgotten.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// The number of rows that each key has.
    pub fn count(&self) -> Stream<(K, u64)> {
        self.combine("count", Count)
    }

    /// One row a key, folded together two at a time.
    pub fn reduce(&self, f: impl Fn(&mut T, T) + Send + Sync + 'static) -> Stream<(K, T)>
    where
        T: StateValue,
    {
        let sum = self.combine("reduce", Reduce(Arc::new(f)));
        sum.flat_map(|(k, v)| v.map(|v| (k, v)))
    }

    /// An aggregate from a start value, a way to add a row, and a way to merge two aggregates.
    pub fn aggregate<A: StateValue + Sync>(
        &self,
        zero: A,
        add: impl Fn(&mut A, &T) + Send + Sync + 'static,
        merge: impl Fn(&mut A, A) + Send + Sync + 'static,
    ) -> Stream<(K, A)> {
        self.combine("aggregate", Fold { zero, add: Arc::new(add), merge: Arc::new(merge) })
    }

    fn combine<G: Aggregation<T>>(&self, name: &str, aggregation: G) -> Stream<(K, G::Value)> {
        let combined = self.combiner(name, aggregation.clone(), 0);
        let when = self.when;
        let role = operator(move |space| Ok(Rolling::<T, K, G>::new(aggregation.clone(), when, space)));
        let mut graph = self.stream.job.graph.borrow_mut();
        let node = graph.add(name, role, &[(combined, 0, Path::Exchange)]);
        graph.carry(node, 0, &RowsCodec::<Partial<K, G::Value>>::shared());
        drop(graph);
        Stream::at(&self.stream.job, node, 0)
    }

    /// Adds the combiner that feeds an aggregation.
    pub(super) fn combiner<G: Aggregation<T>>(&self, name: &str, aggregation: G, pane: i64) -> crate::graph::NodeIndex {
        let key = Arc::new(self.key.clone());
        let make = Arc::new(move |_: KeySpace| {
            let key = key.clone();
            let find = Arc::new(move |row: &T| key(row));
            Ok(Box::new(Combiner::<T, K, _, G>::new(find, aggregation.clone(), pane)) as Box<dyn Operator>)
        });
        let input = [(self.stream.node, self.stream.output, Path::Local)];
        self.stream.job.graph.borrow_mut().add(format!("combine {name}"), Role::Operator { make, keyed: false }, &input)
    }

    /// Rows with their keys and hashes, ready for an exchange.
    pub(super) fn pairs(&self) -> Stream<(K, T)> {
        let key = self.key.clone();
        self.stream.then(
            "key_by",
            batches(move |rows: Rows<T>, space| {
                let mut out = Rows::with_capacity(rows.rows.len());
                out.hashes.reserve(rows.rows.len());
                for row in rows.rows {
                    let k = key(&row);
                    out.hashes.push(Key::hash(&k, space));
                    out.rows.push((k, row));
                }
                out.times = rows.times;
                out
            }),
        )
    }

    /// The low-level operator: a function of a row and its key's state. Emits on the stream and on a side output. The rows go to whoever
    /// owns their key, perhaps in another process: hence [`Exchanged`].
    pub fn process<S, O, R, M>(&self, row: R, timer: M) -> (Stream<O>, Stream<O>)
    where
        T: Exchanged,
        S: StateValue + Default,
        O: Data,
        R: Fn(T, &mut ProcessContext<'_, K, S, O>) + Clone + Send + Sync + 'static,
        M: Fn(&mut ProcessContext<'_, K, S, O>) + Clone + Send + Sync + 'static,
    {
        let ttl = self.ttl.map(micros);
        let role = operator(move |space| {
            let (row, timer) = (row.clone(), timer.clone());
            let rows = move |r: Either<T, T>, cx: &mut ProcessContext<'_, K, S, O>| match r {
                Either::Left(r) | Either::Right(r) => row(r, cx),
            };
            let ttl = ttl.map(i64::unsigned_abs);
            Ok(ProcessOperator::<K, T, T, _>::new(
                Closures::new(rows, move |cx: &mut ProcessContext<'_, K, S, O>| timer(cx)),
                ttl,
                space,
            ))
        });
        let pairs = self.pairs();
        let job = &self.stream.job;
        let mut graph = job.graph.borrow_mut();
        let node = graph.add("process", role, &[(pairs.node, 0, Path::Exchange)]);
        graph.carry(node, 0, &RowsCodec::<(K, T)>::shared());
        drop(graph);
        (Stream::at(job, node, 0), Stream::at(job, node, 1))
    }

    /// This stream and another with the same key, for an operator with two inputs.
    pub fn connect<U: Data>(&self, other: &Keyed<K, U>) -> Connected<K, T, U> {
        Connected { left: self.pairs(), right: other.pairs(), ttl: self.ttl, types: PhantomData }
    }
}

/// Two streams with the same key.
#[derive(Debug)]
pub struct Connected<K, T, U> {
    left: Stream<(K, T)>,
    right: Stream<(K, U)>,
    ttl: Option<Duration>,
    types: PhantomData<fn(T, U)>,
}

impl<K: Key, T: Exchanged, U: Exchanged> Connected<K, T, U> {
    /// The low-level operator with two inputs: rows of either stream see the same state.
    pub fn process<S, O, R, M>(&self, row: R, timer: M) -> (Stream<O>, Stream<O>)
    where
        S: StateValue + Default,
        O: Data,
        R: Fn(Either<T, U>, &mut ProcessContext<'_, K, S, O>) + Clone + Send + Sync + 'static,
        M: Fn(&mut ProcessContext<'_, K, S, O>) + Clone + Send + Sync + 'static,
    {
        let ttl = self.ttl.map(micros);
        let role = operator(move |space| {
            let (row, timer) = (row.clone(), timer.clone());
            let rows = move |r: Either<T, U>, cx: &mut ProcessContext<'_, K, S, O>| row(r, cx);
            let ttl = ttl.map(i64::unsigned_abs);
            Ok(ProcessOperator::<K, T, U, _>::new(
                Closures::new(rows, move |cx: &mut ProcessContext<'_, K, S, O>| timer(cx)),
                ttl,
                space,
            ))
        });
        let job = &self.left.job;
        let inputs = [(self.left.node, 0, Path::Exchange), (self.right.node, 0, Path::Exchange)];
        let mut graph = job.graph.borrow_mut();
        let node = graph.add("process", role, &inputs);
        graph.carry(node, 0, &RowsCodec::<(K, T)>::shared());
        graph.carry(node, 1, &RowsCodec::<(K, U)>::shared());
        drop(graph);
        (Stream::at(job, node, 0), Stream::at(job, node, 1))
    }
}
