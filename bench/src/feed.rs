//! Rows from another thread of the same program, and rows handed to a closure: a job whose both ends are in the hands of a measurement.
//!
//! Arrivals do not wait for the job: rows are pushed when they are due, and a job that is behind is measured as one. A feed forgets what it
//! has handed out, so it cannot be restored; no measurement does.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use watershed::Result;
use watershed::runtime::container::{Batch, Data, Rows};
use watershed::runtime::env::{Discovered, Position, Read, Segment, Sink, SinkHandle, SinkWriter, Source, SplitId, SplitReader};
use watershed::runtime::operator::apply::typed;
use watershed::stream::{TypedSink, TypedSource};

#[derive(Debug)]
struct Queue<T> {
    rows: Vec<T>,
    waker: Option<Waker>,
    ended: bool,
    taken: u64,
}

/// A source of one split that other threads fill.
#[derive(Clone, Debug)]
pub struct Feed<T> {
    queue: Arc<Mutex<Queue<T>>>,
}

impl<T> Default for Feed<T> {
    fn default() -> Self {
        Self { queue: Arc::new(Mutex::new(Queue { rows: Vec::new(), waker: None, ended: false, taken: 0 })) }
    }
}

impl<T> Feed<T> {
    fn queue(&self) -> MutexGuard<'_, Queue<T>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// These rows have arrived.
    pub fn push(&self, rows: impl IntoIterator<Item = T>) {
        let mut queue = self.queue();
        queue.rows.extend(rows);
        let waker = queue.waker.take();
        drop(queue);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// No more will.
    pub fn end(&self) {
        self.queue().ended = true;
        self.push(None);
    }
}

impl<T: Data> Source for Feed<T> {
    fn discover(&self) -> Result<Discovered> {
        Ok(Discovered { splits: vec!["feed".into()], complete: true })
    }

    fn open(&self, _split: &SplitId, _position: &[u8]) -> Result<Box<dyn SplitReader>> {
        Ok(Box::new(self.clone()))
    }

    fn bounded(&self) -> bool {
        true
    }
}

impl<T: Data> TypedSource for Feed<T> {
    type Row = T;
}

impl<T: Data> SplitReader for Feed<T> {
    fn read(&mut self, max_rows: usize, waker: &Waker) -> Result<Read> {
        let mut queue = self.queue();
        if queue.rows.is_empty() {
            if queue.ended {
                return Ok(Read::Finished);
            }
            queue.waker = Some(waker.clone());
            return Ok(Read::Pending);
        }
        let n = queue.rows.len().min(max_rows.max(1));
        let rest = queue.rows.split_off(n);
        let rows = std::mem::replace(&mut queue.rows, rest);
        queue.taken += n as u64;
        Ok(Read::Batch(Box::new(Rows::from(rows))))
    }

    fn position(&self) -> Position {
        self.queue().taken.to_le_bytes().to_vec()
    }
}

/// A sink that gives every batch to a closure, at once.
pub struct Tap<T> {
    each: Arc<dyn Fn(Vec<T>) + Send + Sync>,
}

impl<T> Tap<T> {
    /// The sink.
    pub fn new(each: impl Fn(Vec<T>) + Send + Sync + 'static) -> Self {
        Self { each: Arc::new(each) }
    }
}

impl<T> std::fmt::Debug for Tap<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tap")
    }
}

impl<T: Data> Sink for Tap<T> {
    fn open(&self, _slot: u16, _term: u64) -> Result<Box<dyn SinkWriter>> {
        Ok(Box::new(Self { each: self.each.clone() }))
    }

    fn commit(&self, _handles: &[SinkHandle]) -> Result<()> {
        Ok(())
    }

    fn immediate(&self) -> bool {
        true
    }
}

impl<T: Data> TypedSink for Tap<T> {
    type Row = T;
}

impl<T: Data> SinkWriter for Tap<T> {
    fn write(&mut self, batch: Batch, _segment: Segment) -> Result<()> {
        (self.each)(typed::<T>(batch)?.rows);
        Ok(())
    }

    fn seal(&mut self, _epoch: u64) -> Result<()> {
        Ok(())
    }

    fn sealed(&mut self, _epoch: u64, _waker: &Waker) -> Result<Option<Vec<(u64, Vec<u8>)>>> {
        Ok(Some(Vec::new()))
    }

    fn backlog(&self, _waker: &Waker) -> usize {
        0
    }
}
