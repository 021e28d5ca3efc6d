//! Jobs as a Rust program writes them: typed streams that build the erased graph.
//!
//! A [`Stream<T>`] is a place in a graph under construction, nothing more: calling a method adds nodes, nothing runs. A stream may be
//! used more than once; each reader gets every row. Keyed streams know how to find a row's key but hold no rows; what is done with them
//! decides whether rows themselves or a combiner's partial values cross the exchange.
//!
//! ```no_run
//! # use watershed_runtime::stream::Job;
//! # fn job(job: &Job, lines: watershed_runtime::stream::Stream<String>) {
//! lines.flat_map(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>())
//!     .key_by(|word| word.clone())
//!     .count();
//! # }
//! ```

mod keyed;
mod windowed;

use std::cell::RefCell;
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::container::{Batch, Data, Rows};
use crate::env::{Sink, Source, TimeStamper};
use crate::error::Result;
use crate::graph::{EventTime, Graph, NodeIndex, Path, Role};
use crate::key::KeySpace;
use crate::operator::Operator;
use crate::operator::apply::{Apply, typed};
use crate::time::Time;

pub use keyed::{Connected, Keyed};
pub use windowed::{Windowed, WithLate};

/// A source whose batches are [`Rows`] of one type.
pub trait TypedSource: Source {
    /// The row.
    type Row: Data;
}

/// A sink that takes [`Rows`] of one type.
pub trait TypedSink: Sink {
    /// The row.
    type Row: Data;
}

/// A job under construction.
#[derive(Clone, Debug, Default)]
pub struct Job {
    graph: Rc<RefCell<Graph>>,
}

impl Job {
    /// An empty job.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a source. The name is part of what a snapshot is matched by: keep it.
    pub fn source<S: TypedSource + 'static>(&self, name: &str, source: S) -> SourceStream<S::Row> {
        let role = Role::Source { source: Arc::new(source), event_time: None };
        let node = self.graph.borrow_mut().add(name, role, &[]);
        SourceStream { stream: Stream::at(self, node, 0) }
    }

    /// The graph, checked.
    pub fn build(&self) -> Result<Graph> {
        let graph = self.graph.borrow().clone();
        graph.check()?;
        Ok(graph)
    }
}

/// A stream right behind its source: event time is found here, where each split can be watched by itself.
#[derive(Clone, Debug)]
pub struct SourceStream<T> {
    stream: Stream<T>,
}

impl<T> std::ops::Deref for SourceStream<T> {
    type Target = Stream<T>;
    fn deref(&self) -> &Stream<T> {
        &self.stream
    }
}

struct Stamp<T, F> {
    f: Arc<F>,
    row: PhantomData<fn(T)>,
}

impl<T, F> std::fmt::Debug for Stamp<T, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stamp")
    }
}

impl<T: Data, F: Fn(&T) -> Time + Send + Sync> TimeStamper for Stamp<T, F> {
    fn stamp(&mut self, batch: Batch) -> Result<(Batch, Option<Time>)> {
        let mut rows = typed::<T>(batch)?;
        rows.times.clear();
        rows.times.extend(rows.rows.iter().map(|r| (self.f)(r)));
        let highest = rows.times.iter().max().copied();
        Ok((Box::new(rows), highest))
    }
}

impl<T: Data> SourceStream<T> {
    /// Says which time a row has, and by how much rows of one split may be out of order.
    #[must_use]
    pub fn event_time(self, time: impl Fn(&T) -> Time + Send + Sync + 'static, disorder: Duration) -> Self {
        let f = Arc::new(time);
        let stamper = Arc::new(move || Box::new(Stamp { f: f.clone(), row: PhantomData }) as Box<dyn TimeStamper>);
        self.set(|e| *e = Some(EventTime { stamper, disorder_micros: micros(disorder), idle_micros: None }));
        self
    }

    /// After so long without a row, a split no longer holds event time back. Call after [`SourceStream::event_time`].
    #[must_use]
    pub fn idle_after(self, idle: Duration) -> Self {
        self.set(|e| {
            if let Some(e) = e {
                e.idle_micros = Some(micros(idle));
            }
        });
        self
    }

    fn set(&self, change: impl FnOnce(&mut Option<EventTime>)) {
        let mut graph = self.stream.job.graph.borrow_mut();
        if let Some(Role::Source { event_time, .. }) = graph.role_mut(self.stream.node) {
            change(event_time);
        }
    }
}

pub(crate) fn micros(d: Duration) -> i64 {
    i64::try_from(d.as_micros()).unwrap_or(i64::MAX)
}

/// A stream of rows of one type.
pub struct Stream<T> {
    job: Job,
    node: NodeIndex,
    output: u8,
    row: PhantomData<fn() -> T>,
}

impl<T> Clone for Stream<T> {
    fn clone(&self) -> Self {
        Self { job: self.job.clone(), node: self.node, output: self.output, row: PhantomData }
    }
}

impl<T> std::fmt::Debug for Stream<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Stream {:?} output {}", self.node, self.output)
    }
}

impl<T> Stream<T> {
    fn at(job: &Job, node: NodeIndex, output: u8) -> Self {
        Self { job: job.clone(), node, output, row: PhantomData }
    }
}

/// A node that applies a closure to whole batches.
fn batches<T: Data, U: Data>(f: impl Fn(Rows<T>, KeySpace) -> Rows<U> + Send + Sync + 'static) -> Role {
    let f = Arc::new(f);
    let make = Arc::new(move |_: KeySpace| {
        let f = f.clone();
        Ok(Box::new(Apply::new(move |rows, space| f(rows, space))) as Box<dyn Operator>)
    });
    Role::Operator { make, keyed: false }
}

impl<T: Data> Stream<T> {
    fn then<U>(&self, name: &str, role: Role) -> Stream<U> {
        let node = self.job.graph.borrow_mut().add(name, role, &[(self.node, self.output, Path::Local)]);
        Stream::at(&self.job, node, 0)
    }

    /// Each row becomes another.
    pub fn map<U: Data>(&self, f: impl Fn(T) -> U + Send + Sync + 'static) -> Stream<U> {
        self.then(
            "map",
            batches(move |rows: Rows<T>, _| Rows {
                rows: rows.rows.into_iter().map(&f).collect(),
                hashes: Vec::new(),
                times: rows.times,
            }),
        )
    }

    /// Keeps the rows for which `f` is true.
    pub fn filter(&self, f: impl Fn(&T) -> bool + Send + Sync + 'static) -> Self {
        self.then(
            "filter",
            batches(move |rows: Rows<T>, _| {
                let timed = !rows.times.is_empty();
                let mut out = Rows::with_capacity(rows.rows.len());
                let mut times = rows.times.into_iter();
                for row in rows.rows {
                    let time = times.next();
                    if f(&row) {
                        out.rows.push(row);
                        if timed {
                            out.times.extend(time);
                        }
                    }
                }
                out
            }),
        )
    }

    /// Each row becomes any number of rows, with its event time.
    pub fn flat_map<U: Data, I: IntoIterator<Item = U>>(&self, f: impl Fn(T) -> I + Send + Sync + 'static) -> Stream<U> {
        self.then(
            "flat_map",
            batches(move |rows: Rows<T>, _| {
                let mut out = Rows::with_capacity(rows.rows.len());
                let mut times = rows.times.into_iter();
                for row in rows.rows {
                    out.rows.extend(f(row));
                    if let Some(time) = times.next() {
                        out.times.resize(out.rows.len(), time);
                    }
                }
                out
            }),
        )
    }

    /// The rows of both streams.
    pub fn union(&self, other: &Self) -> Self {
        let inputs = [(self.node, self.output, Path::Local), (other.node, other.output, Path::Local)];
        let node = self.job.graph.borrow_mut().add("union", batches(|rows: Rows<T>, _| rows), &inputs);
        Self::at(&self.job, node, 0)
    }

    /// Writes the stream.
    pub fn sink<S: TypedSink<Row = T> + 'static>(&self, name: &str, sink: S) {
        let inputs = [(self.node, self.output, Path::Local)];
        self.job.graph.borrow_mut().add(name, Role::Sink(Arc::new(sink)), &inputs);
    }
}
