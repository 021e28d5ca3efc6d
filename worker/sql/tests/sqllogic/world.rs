//! The world of a job under test: sources that can be held at a row, a sink that remembers what was committed, and ways to die.
//!
//! Rows are read by the real `filesystem` source and decoder; only how many of them at once, and when, is decided here. The sink is a
//! list: a handle *is* its rows, so that any life of the job can commit what another one staged.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::task::Waker;
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use watershed_connectors::options::Options;
use watershed_connectors::tables::{self, TableSpec};
use watershed_runtime::env::{Discovered, Position, Read, Sink, Source, SplitId, SplitReader};
use watershed_runtime::error::{Error, Kind, Result};
use watershed_sql::{Accepts, Connectors, SinkTraits, SourceTraits, TableDef};

use crate::sink::Rows;

/// Longer than anything takes on the slowest machine.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// The end of a life before that of its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Death {
    /// At the seal of a slot's output: no coordinator knows of the epoch.
    Seal,
    /// At the commit of the output: the manifest exists, the output is not visible.
    Commit,
}

/// The state of a world, which changes while a job runs.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// Rows handed out in this life, and how many may be.
    pub(crate) given: usize,
    pub(crate) limit: usize,
    pub(crate) death: Option<Death>,
    pub(crate) life: usize,
    /// Rows of this life that were written and are not committed.
    pub(crate) pending: usize,
    /// Every committed row: the sink's name and the row, in order.
    pub(crate) committed: Vec<(String, String)>,
    pub(crate) handles: BTreeSet<Vec<u8>>,
    wakers: Vec<Waker>,
}

/// All lives of one job.
#[derive(Debug)]
pub(crate) struct World {
    state: Mutex<State>,
    changed: Condvar,
    /// Rows a read gives at most.
    pub(crate) batch: usize,
    /// The directory of the file's inputs, and what its splits wait for.
    pub(crate) inputs: PathBuf,
    pub(crate) pauses: BTreeMap<String, Vec<(usize, usize)>>,
}

impl World {
    /// One in which a read gives one row.
    pub(crate) fn new(inputs: PathBuf, pauses: BTreeMap<String, Vec<(usize, usize)>>) -> Self {
        Self { state: Mutex::default(), changed: Condvar::new(), batch: 1, inputs, pauses }
    }

    /// The same inputs, nothing committed.
    pub(crate) fn again(&self, batch: usize) -> Self {
        Self { batch, ..Self::new(self.inputs.clone(), self.pauses.clone()) }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Begins a life that may hand out so many rows.
    pub(crate) fn begin(&self, limit: usize) {
        let mut s = self.lock();
        s.life += 1;
        (s.given, s.limit, s.death, s.pending) = (0, limit, None, 0);
        s.wakers.clear();
    }

    /// A change of the state, after which every waiting reader and test looks again.
    pub(crate) fn change<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        let mut s = self.lock();
        let out = f(&mut s);
        let wakers = std::mem::take(&mut s.wakers);
        drop(s);
        self.changed.notify_all();
        wakers.into_iter().for_each(Waker::wake);
        out
    }

    /// Waits for something; false if it takes too long.
    pub(crate) fn wait(&self, until: impl Fn(&State) -> bool) -> bool {
        !self.changed.wait_timeout_while(self.lock(), LONG, |s| !until(s)).unwrap().1.timed_out()
    }
}

/// The death that a test asked for.
pub(crate) fn killed() -> Error {
    // The kind is not `Unavailable`: operations of that kind are tried again, and a killed job does not come back.
    Error::new(Kind::Broken, "killed by the test")
}

fn refused(table: &TableDef, what: &str) -> Error {
    Error::new(Kind::Invalid, what).at(table.at.to_string())
}

/// The connectors of one life.
#[derive(Clone, Debug)]
pub(crate) struct Ends(pub(crate) Arc<World>);

impl Ends {
    fn spec(&self, table: &TableDef) -> Result<TableSpec> {
        let mut options = Options::new();
        options.set("connector", "filesystem", None)?;
        options.set("path", self.0.inputs.join(&table.name).display().to_string(), None)?;
        options.set("format", "json", None)?;
        Ok(TableSpec::new(table.name.clone(), table.physical(), options))
    }
}

impl Connectors for Ends {
    fn describe_source(&self, table: &TableDef) -> Result<SourceTraits> {
        match table.connector()? {
            "rows" => Ok(SourceTraits { bounded: true }),
            "endless" => Ok(SourceTraits { bounded: false }),
            other => Err(refused(table, &format!("'{other}' cannot be read: write 'rows'"))),
        }
    }

    fn describe_sink(&self, table: &TableDef) -> Result<SinkTraits> {
        let accepts = match table.connector()? {
            "append" => Accepts::Append,
            "upsert" => Accepts::Upsert,
            "changes" => Accepts::Retract,
            other => return Err(refused(table, &format!("'{other}' cannot be written: write 'append'"))),
        };
        Ok(SinkTraits { accepts })
    }

    fn source(&self, table: &TableDef, projected: &SchemaRef) -> Result<Arc<dyn Source>> {
        let inner = tables::source(&self.spec(table)?, projected)?;
        Ok(Arc::new(Held { inner, world: Arc::clone(&self.0) }))
    }

    fn sink(&self, table: &TableDef, _: &SchemaRef) -> Result<Arc<dyn Sink>> {
        Ok(Arc::new(Rows { name: table.name.clone(), world: Arc::clone(&self.0) }))
    }
}

/// A source that is held.
#[derive(Debug)]
struct Held {
    inner: Arc<dyn Source>,
    world: Arc<World>,
}

impl Source for Held {
    fn discover(&self) -> Result<Discovered> {
        self.inner.discover()
    }

    fn open(&self, split: &SplitId, position: &[u8]) -> Result<Box<dyn SplitReader>> {
        // Before the position of the reader stands how many rows it has given.
        let (row, rest) = match position.split_first_chunk() {
            Some((n, rest)) => (usize::from_le_bytes(*n), rest),
            None => (0, position),
        };
        let pauses = self.world.pauses.iter().find(|(file, _)| split.0.contains(file.as_str())).map(|(_, p)| p.clone());
        let (inner, world) = (self.inner.open(split, rest)?, Arc::clone(&self.world));
        Ok(Box::new(HeldReader { inner, world, row, pauses: pauses.unwrap_or_default() }))
    }

    fn bounded(&self) -> bool {
        true
    }
}

#[derive(Debug)]
struct HeldReader {
    inner: Box<dyn SplitReader>,
    world: Arc<World>,
    row: usize,
    pauses: Vec<(usize, usize)>,
}

impl SplitReader for HeldReader {
    fn read(&mut self, max_rows: usize, waker: &Waker) -> Result<Read> {
        let world = Arc::clone(&self.world);
        let mut s = world.lock();
        let seen = s.committed.len() + s.pending;
        let stop =
            self.pauses.iter().filter(|(row, wanted)| *row >= self.row && seen < *wanted).map(|(row, _)| row - self.row).min();
        let most = max_rows.min(world.batch).min(s.limit.saturating_sub(s.given)).min(stop.unwrap_or(usize::MAX));
        if most == 0 {
            s.wakers.push(waker.clone());
            return Ok(Read::Pending);
        }
        let read = self.inner.read(most, waker)?;
        if let Read::Batch(batch) = &read {
            s.given += batch.len();
            self.row += batch.len();
            world.changed.notify_all();
        }
        Ok(read)
    }

    fn position(&self) -> Position {
        let mut position = self.row.to_le_bytes().to_vec();
        position.extend(self.inner.position());
        position
    }
}
