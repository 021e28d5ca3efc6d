//! One run of one text: so many slots, rows a batch, and what happens under way.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use watershed::{Handle, LocalJob, Outcome, Progress};
use watershed_runtime::error::{Error, Result, explain};
use watershed_sql::plan::{NodeKind, Plan, SinkMode};
use watershed_sql::{Compiled, TableDef, build, compile};

use crate::file::File;
use crate::world::{Death, Ends, LONG, World};

/// The fate of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Nothing.
    Straight,
    /// A death past the first epochs and a start from the storage, with other slots.
    Kill,
    /// Two rescales while it runs.
    Rescale,
}

/// One of the eighteen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) slots: u16,
    pub(crate) batch: usize,
    pub(crate) way: Way,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} slots, batches of {}, {:?}", self.slots, self.batch, self.way)
    }
}

/// All of them.
pub(crate) fn all() -> Vec<Cell> {
    let mut cells = Vec::new();
    for slots in [1, 3] {
        for batch in [1, 32, 4096] {
            cells.extend([Way::Straight, Way::Kill, Way::Rescale].map(|way| Cell { slots, batch, way }));
        }
    }
    cells
}

/// A text, planned; and the world of its next run.
pub(crate) struct Planned {
    pub(crate) plan: Plan,
    /// Every table of the text.
    pub(crate) tables: BTreeMap<String, Arc<TableDef>>,
    ends: Ends,
    /// The number of rows of its sources.
    rows: usize,
}

impl Planned {
    pub(crate) fn new(file: &File, sql: &str, dir: &Path) -> Result<Self> {
        let mut pauses = BTreeMap::new();
        for (table, splits) in &file.inputs {
            for (n, split) in splits.iter().enumerate() {
                pauses.insert(format!("{table}/{n}.jsonl"), split.pauses.clone());
            }
        }
        let ends = Ends(Arc::new(World::new(dir.join("in"), pauses)));
        let Compiled { plan, tables, .. } = compile(&format!("{}{sql}", file.tables), &ends)?;
        let plan = plan.expect("the text has an INSERT");
        let read = plan.nodes.iter().filter_map(|n| if let NodeKind::Source(s) = &n.kind { Some(&s.table.name) } else { None });
        let rows = read.filter_map(|t| file.inputs.get(t)).flatten().map(|s| s.lines.len()).sum();
        Ok(Self { plan, tables, ends, rows })
    }

    /// The same in a new world.
    pub(crate) fn again(&mut self, batch: usize) {
        self.ends = Ends(Arc::new(self.world().again(batch)));
    }

    pub(crate) fn world(&self) -> &Arc<World> {
        &self.ends.0
    }

    pub(crate) fn job(&self, slots: u16, storage: &str) -> Result<LocalJob> {
        let job = LocalJob::new("logic", build(&self.plan, &self.ends)?);
        Ok(job.slots(slots).epoch(Duration::from_millis(3)).storage(storage))
    }

    /// Runs it; the error is the job's, a panic is the test's.
    pub(crate) fn run(&self, cell: Cell, storage: &Path) -> Result<()> {
        let most = usize::MAX;
        match cell.way {
            Way::Straight => {
                self.world().begin(most);
                finish(self.job(cell.slots, "memory:")?)
            }
            Way::Kill => {
                let storage = storage.display().to_string();
                let death = if cell.batch == 32 { Death::Commit } else { Death::Seal };
                self.world().begin(self.rows * 2 / 5);
                self.die(self.job(cell.slots, &storage)?, death)?;
                self.world().begin(most);
                finish(self.job(4 - cell.slots, &storage)?)
            }
            Way::Rescale => {
                self.world().begin(self.rows / 3);
                let to = if cell.slots == 1 { [3, 2] } else { [1, 2] };
                self.steered(self.job(cell.slots, "memory:")?, |handle| {
                    for (n, limit) in to.into_iter().zip([self.rows * 2 / 3, most]) {
                        self.given();
                        handle.scale(n);
                        until(handle, "rescale", |s| s.settled && s.slots.len() == usize::from(n));
                        self.world().change(|s| s.limit = limit);
                    }
                })
            }
        }
    }

    /// Waits until the job has all rows that it may have.
    fn given(&self) {
        assert!(self.world().wait(|s| s.given >= s.limit), "the rows were not read: {:?}", self.world().lock());
    }

    fn steered(&self, job: LocalJob, steer: impl FnOnce(&Handle) + Send) -> Result<()> {
        let ready = job.prepare()?;
        let handle = ready.handle();
        std::thread::scope(|scope| {
            let steering = scope.spawn(move || steer(&handle));
            let outcome = ready.run();
            if outcome.is_err() {
                // A test that waits for rows of a job that failed would wait for ever.
                self.world().change(|s| s.limit = 0);
            }
            steering.join().unwrap();
            assert_eq!(outcome?, Outcome::Finished);
            Ok(())
        })
    }

    fn die(&self, job: LocalJob, death: Death) -> Result<()> {
        let ended = self.steered(job, |handle| {
            self.given();
            until(handle, "an epoch", |s| s.epoch >= 1);
            let limit = self.rows * 7 / 10;
            self.world().change(|s| s.limit = limit);
            self.given();
            self.world().change(|s| (s.death, s.limit) = (Some(death), usize::MAX));
        });
        match ended {
            Err(e) if explain(&e).contains("killed by the test") => Ok(()),
            // Nothing was left to be committed: there was no commit to kill.
            Ok(()) if death == Death::Commit => Ok(()),
            Ok(()) => panic!("the job outlived its death"),
            Err(e) => Err(e),
        }
    }

    /// The rows that the sinks hold in the end.
    pub(crate) fn results(&self) -> BTreeMap<String, Vec<String>> {
        let committed = std::mem::take(&mut self.world().lock().committed);
        let mut tables = BTreeMap::new();
        for node in &self.plan.nodes {
            let NodeKind::Sink(sink) = &node.kind else { continue };
            let mine = committed.iter().filter(|(s, _)| *s == sink.table.name).map(|(_, row)| row.as_str());
            let mut rows = match &sink.mode {
                SinkMode::Append => mine.map(|r| r.strip_prefix("+I ").unwrap_or(r).to_owned()).collect(),
                SinkMode::Retract => retracted(mine),
                SinkMode::Upsert(key) => upserted(mine, key),
            };
            rows.sort();
            tables.insert(sink.table.name.clone(), rows);
        }
        tables
    }
}

fn finish(job: LocalJob) -> Result<(), Error> {
    match job.run()? {
        Outcome::Finished | Outcome::AlreadyFinished => Ok(()),
        Outcome::Stopped => panic!("nobody stopped it"),
    }
}

/// Waits for a condition of the running job.
pub(crate) fn until(handle: &Handle, what: &str, condition: impl Fn(&Progress) -> bool) {
    let deadline = Instant::now() + LONG;
    while let Some(status) = handle.status() {
        if condition(&status) {
            return;
        }
        assert!(Instant::now() < deadline, "{what} did not happen: {status:#?}");
        std::thread::yield_now();
    }
}

/// The table that a full changelog makes: every row taken back must have been there.
fn retracted<'a>(changes: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut table: BTreeMap<&str, i64> = BTreeMap::new();
    for change in changes {
        let (op, row) = change.split_once(' ').unwrap();
        *table.entry(row).or_default() += if op.starts_with('+') { 1 } else { -1 };
        assert!(table[row] >= 0, "{change} takes back what was never said");
    }
    table.into_iter().flat_map(|(row, n)| (0..n).map(|_| row.to_owned())).collect()
}

/// The table that upserts make: every row deleted must have been there.
fn upserted<'a>(changes: impl Iterator<Item = &'a str>, key: &[usize]) -> Vec<String> {
    let mut table: BTreeMap<Vec<&str>, &str> = BTreeMap::new();
    for change in changes {
        let (op, row) = change.split_once(' ').unwrap();
        let values: Vec<&str> = row.split(" | ").collect();
        let key = key.iter().map(|i| values[*i]).collect();
        if op.starts_with('+') {
            table.insert(key, row);
        } else {
            assert!(table.remove(&key).is_some(), "{change} deletes what was never there");
        }
    }
    table.into_values().map(str::to_owned).collect()
}

/// The cells of a text: all of them, or for a quick run some that its name chooses, so that the texts together see all.
pub(crate) fn chosen(name: &str, quick: Option<usize>) -> BTreeSet<usize> {
    let all = all().len();
    let seed = name.bytes().fold(0usize, |h, b| h.wrapping_mul(31).wrapping_add(usize::from(b)));
    match quick {
        Some(n) => (0..n).map(|i| (seed + i * 7) % all).collect(),
        None => (0..all).collect(),
    }
}
