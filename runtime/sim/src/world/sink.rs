//! The sinks of a simulated job, and the judge behind them: output is staged under (sink, term, epoch, slot, version) and becomes visible
//! with a commit. Everything a reader of the output could complain of is a breach here: a commit of what no manifest names (I7), staged
//! output that is not there, a name written twice, a version of a key that goes back or leaves one out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use watershed_runtime::container::{Batch, Rows};
use watershed_runtime::env::{Segment, Sink, SinkHandle, SinkWriter};
use watershed_runtime::error::{Error, Result};
use watershed_runtime::key::SlotId;
use watershed_runtime::operator::apply::typed;
use watershed_runtime::stream::TypedSink;

use crate::jobs::row::Out;
use crate::jobs::{Check, Expected};

/// The name of one stretch of staged output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Staged {
    /// The sink's number in the job.
    pub sink: u32,
    /// The writer's term.
    pub term: u32,
    /// The epoch.
    pub epoch: u32,
    /// The slot.
    pub slot: u32,
    /// The assignment version of its rows.
    pub version: u32,
}

impl Staged {
    fn encode(self) -> Vec<u8> {
        [self.sink, self.term, self.epoch, self.slot, self.version].iter().flat_map(|n| n.to_le_bytes()).collect()
    }

    /// The handle's contents.
    #[must_use]
    pub fn decode(data: &[u8]) -> Option<Self> {
        let mut all = data.chunks_exact(4).filter_map(|c| c.try_into().ok()).map(u32::from_le_bytes);
        let mut next = || all.next();
        Some(Self { sink: next()?, term: next()?, epoch: next()?, slot: next()?, version: next()? })
    }
}

/// The state of a key in an upsert sink.
#[derive(Debug, Default)]
struct Visible {
    rows: Vec<Out>,
    last: BTreeMap<u64, Out>,
}

/// All sinks of a run: they outlive every process.
#[derive(Debug, Default)]
struct Inner {
    staged: BTreeMap<Staged, Vec<Out>>,
    named: BTreeSet<Staged>,
    committed: BTreeSet<Staged>,
    visible: Vec<Visible>,
    breach: Option<String>,
    /// Writers that wait for their output to become durable.
    wakers: Vec<Waker>,
    again: u64,
}

/// All sinks of a run.
#[derive(Debug, Default)]
pub struct Sinks(Mutex<Inner>);

impl Sinks {
    /// As many sinks as a job has.
    #[must_use]
    pub fn new(n: usize) -> Self {
        let visible = std::iter::repeat_with(Visible::default).take(n).collect();
        Self(Mutex::new(Inner { visible, ..Inner::default() }))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first thing that went wrong.
    #[must_use]
    pub fn breach(&self) -> Option<String> {
        self.lock().breach.clone()
    }

    /// A text of what is staged, named and visible.
    #[must_use]
    pub fn shown(&self) -> String {
        let all = self.lock();
        format!("{:?} {:?} {:?} {:?}", all.staged, all.named, all.committed, all.visible)
    }

    /// A manifest in the log names this.
    pub fn name(&self, staged: Staged) {
        let mut all = self.lock();
        if !all.staged.contains_key(&staged) {
            all.breach.get_or_insert_with(|| format!("I5: a manifest names {staged:?}, which is not staged"));
        }
        all.named.insert(staged);
    }

    /// Something that a slot has staged, a manifest names, and nobody has committed.
    #[must_use]
    pub fn owes(&self, slot: SlotId) -> Option<Staged> {
        let all = self.lock();
        let mine = |s: &&Staged| s.slot == u32::from(slot.0) && !all.committed.contains(s);
        all.named.iter().find(mine).copied()
    }

    /// The number of handles that were committed more than once.
    #[must_use]
    pub fn again(&self) -> u64 {
        self.lock().again
    }

    /// Wakes everybody who waits for output to become durable; whether there was anybody.
    pub fn wake(&self) -> bool {
        let wakers = std::mem::take(&mut self.lock().wakers);
        let any = !wakers.is_empty();
        wakers.into_iter().for_each(Waker::wake);
        any
    }

    /// True if a slot waits for output to become durable.
    #[must_use]
    pub fn waiting(&self) -> bool {
        !self.lock().wakers.is_empty()
    }

    fn commit(&self, staged: Staged, every: Option<bool>) {
        let mut guard = self.lock();
        let all = &mut *guard;
        if !all.named.contains(&staged) {
            all.breach.get_or_insert_with(|| format!("I7: {staged:?} is committed, but no manifest names it"));
        }
        if !all.committed.insert(staged) {
            all.again += 1;
            return;
        }
        let rows = all.staged.get(&staged).cloned().unwrap_or_default();
        let Some(visible) = all.visible.get_mut(staged.sink as usize) else { return };
        let Some(every) = every else {
            visible.rows.extend(rows);
            return;
        };
        for row in rows {
            let before = visible.last.get(&row.key).map_or(0, |o| o.version);
            if row.version <= before || every && row.version != before + 1 {
                all.breach.get_or_insert_with(|| {
                    format!("I3: {staged:?} brings version {} of key {} after version {before}", row.version, row.key)
                });
            }
            visible.last.insert(row.key, row);
        }
    }

    /// Compares what is visible with the oracle's answer.
    pub fn judge(&self, expected: &Expected) -> Result<(), String> {
        let mut guard = self.lock();
        let all = &mut *guard;
        if let Some(b) = &all.breach {
            return Err(b.clone());
        }
        if let Some(s) = all.named.iter().find(|s| !all.committed.contains(s)) {
            return Err(format!("I7: {s:?} is named by a manifest and never committed"));
        }
        for (n, (visible, check)) in all.visible.iter_mut().zip(&expected.sinks).enumerate() {
            match check {
                Check::Bag(want) => {
                    let mut want = want.clone();
                    want.sort_unstable();
                    visible.rows.sort_unstable();
                    let whence = |row: &Out| {
                        let holds = |(name, rows): (&Staged, &Vec<Out>)| rows.contains(row).then(|| format!("{name:?}"));
                        let visible = all.staged.iter().filter(|(name, _)| all.committed.contains(name) && name.sink == n as u32);
                        visible.filter_map(holds).collect::<Vec<_>>().join(" and ")
                    };
                    let first = |e| {
                        format!(
                            "I2: sink {n}: {e}; {}",
                            beyond(&visible.rows, &want).first().map_or(String::new(), |r| whence(r))
                        )
                    };
                    bags(&visible.rows, &want).map_err(first)?;
                }
                Check::Last { rows, .. } => last(&visible.last, rows).map_err(|e| format!("I2: sink {n}: {e}"))?,
            }
        }
        Ok(())
    }
}

/// Two sorted lists: what is in one and not in the other.
fn bags(got: &[Out], want: &[Out]) -> Result<(), String> {
    let (more, less) = (beyond(got, want), beyond(want, got));
    if more.is_empty() && less.is_empty() {
        return Ok(());
    }
    let some = |rows: &[&Out]| {
        let rows: Vec<String> = rows.iter().take(3).map(|o| format!("{}/{} {:?}", o.key, o.version, o.values)).collect();
        rows.join(", ")
    };
    Err(format!("{} rows too many ({}), {} missing ({})", more.len(), some(&more), less.len(), some(&less)))
}

/// Rows of `a` that `b` lacks; both sorted.
fn beyond<'a>(a: &'a [Out], b: &[Out]) -> Vec<&'a Out> {
    let mut b = b.iter().peekable();
    let mut rest = Vec::new();
    for row in a {
        while b.next_if(|o| *o < row).is_some() {}
        if b.next_if(|o| *o == row).is_none() {
            rest.push(row);
        }
    }
    rest
}

fn last(got: &BTreeMap<u64, Out>, want: &BTreeMap<u64, Out>) -> Result<(), String> {
    for (key, w) in want {
        let same = |g: &Out| g.values == w.values && (w.version == 0 || g.version == w.version);
        if !got.get(key).is_some_and(same) {
            return Err(format!("key {key}: {:?} instead of {w:?}", got.get(key)));
        }
    }
    let more = got.keys().find(|k| !want.contains_key(k));
    more.map_or(Ok(()), |k| Err(format!("key {k} is not in the oracle's answer")))
}

/// One sink of a job.
#[derive(Debug)]
pub struct SimSink {
    sinks: Arc<Sinks>,
    index: usize,
}

impl SimSink {
    /// The sink with this number.
    #[must_use]
    pub fn new(sinks: Arc<Sinks>, index: usize) -> Self {
        Self { sinks, index }
    }
}

impl TypedSink for SimSink {
    type Row = Out;
}

impl Sink for SimSink {
    fn open(&self, slot: u16, term: u64) -> Result<Box<dyn SinkWriter>> {
        let (sinks, index) = (self.sinks.clone(), self.index);
        Ok(Box::new(SimWriter { sinks, index, slot, term, rows: Vec::new(), sealed: Vec::new() }))
    }

    fn commit(&self, _handles: &[SinkHandle]) -> Result<()> {
        Err(Error::broken("I7", "the world commits through `Sinks::commit_handle`"))
    }
}

impl Sinks {
    /// Makes one handle's output visible, judged by the check of its sink.
    pub fn commit_handle(&self, handle: &SinkHandle, expected: &Expected) {
        let Some(staged) = Staged::decode(&handle.data) else { return };
        let every = match expected.sinks.get(staged.sink as usize) {
            Some(Check::Last { every, .. }) => Some(*every),
            Some(Check::Bag(_)) | None => None,
        };
        self.commit(staged, every);
    }
}

#[derive(Debug)]
struct SimWriter {
    sinks: Arc<Sinks>,
    index: usize,
    slot: u16,
    term: u64,
    rows: Vec<(Segment, Vec<Out>)>,
    /// Epochs on their way to being durable: how often they were asked for, and what is in them.
    sealed: Vec<(u64, u32, Vec<u64>)>,
}

impl SinkWriter for SimWriter {
    fn write(&mut self, batch: Batch, segment: Segment) -> Result<()> {
        let Rows { rows, .. } = typed::<Out>(batch)?;
        match self.rows.last_mut() {
            Some((s, all)) if *s == segment => all.extend(rows),
            Some((s, _)) if *s > segment => {
                return Err(Error::broken("I3", format!("segment {segment:?} is written after {s:?}")));
            }
            Some(_) | None => self.rows.push((segment, rows)),
        }
        Ok(())
    }

    fn seal(&mut self, epoch: u64) -> Result<()> {
        let mut versions = Vec::new();
        let mut all = self.sinks.lock();
        for (segment, rows) in self.rows.drain(..) {
            if segment.epoch != epoch {
                all.breach.get_or_insert_with(|| format!("I2: {segment:?} is sealed with epoch {epoch}"));
            }
            versions.push(segment.version);
            let (sink, slot) = (self.index as u32, u32::from(self.slot));
            let name = Staged { sink, term: self.term as u32, epoch: epoch as u32, slot, version: segment.version as u32 };
            if all.staged.insert(name, rows).is_some() {
                all.breach.get_or_insert_with(|| format!("I5: {name:?} is staged twice"));
            }
        }
        self.sealed.push((epoch, 0, versions));
        Ok(())
    }

    fn sealed(&mut self, epoch: u64, waker: &Waker) -> Result<Option<Vec<(u64, Vec<u8>)>>> {
        let Some(at) = self.sealed.iter().position(|(e, ..)| *e == epoch) else { return Ok(Some(Vec::new())) };
        let Some((_, asked, versions)) = self.sealed.get_mut(at) else { return Ok(Some(Vec::new())) };
        // The first time it is never durable, so that every epoch waits for a wake-up.
        *asked += 1;
        if *asked == 1 && !versions.is_empty() {
            self.sinks.lock().wakers.push(waker.clone());
            return Ok(None);
        }
        let (sink, term, slot) = (self.index as u32, self.term as u32, u32::from(self.slot));
        let name = |v: &u64| (*v, Staged { sink, term, epoch: epoch as u32, slot, version: *v as u32 }.encode());
        let handles = versions.iter().map(name).collect();
        self.sealed.remove(at);
        Ok(Some(handles))
    }

    fn backlog(&self, _waker: &Waker) -> usize {
        0
    }
}
