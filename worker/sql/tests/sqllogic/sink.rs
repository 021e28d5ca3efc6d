//! The sink of a job under test: rows as text, committed exactly once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Waker;

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use watershed_columnar::Columns;
use watershed_runtime::container::Batch;
use watershed_runtime::env::{Sealed, Segment, Sink, SinkHandle, SinkWriter};
use watershed_runtime::error::Result;

use crate::world::{Death, World, killed};

/// The sink.
#[derive(Clone, Debug)]
pub(crate) struct Rows {
    pub(crate) name: String,
    pub(crate) world: Arc<World>,
}

impl Sink for Rows {
    fn open(&self, slot: u16, term: u64) -> Result<Box<dyn SinkWriter>> {
        let life = self.world.lock().life;
        Ok(Box::new(Writer { sink: self.clone(), id: (life, term, slot), open: Vec::new(), sealed: BTreeMap::new() }))
    }

    fn commit(&self, handles: &[SinkHandle]) -> Result<()> {
        self.world.change(|s| {
            if s.death == Some(Death::Commit) {
                return Err(killed());
            }
            for h in handles {
                if !s.handles.insert(h.data.clone()) {
                    continue;
                }
                let text = String::from_utf8(h.data.clone()).unwrap();
                let mut lines = text.lines();
                let own = lines.next().and_then(|id| id.split('/').next()) == Some(s.life.to_string().as_str());
                for line in lines {
                    s.committed.push((self.name.clone(), line.to_owned()));
                    s.pending -= usize::from(own);
                }
            }
            Ok(())
        })
    }
}

#[derive(Debug)]
struct Writer {
    sink: Rows,
    id: (usize, u64, u16),
    open: Vec<(u64, String)>,
    sealed: BTreeMap<u64, Vec<(u64, String)>>,
}

/// The rows of a batch as text, columns with ` | ` between them.
pub(crate) fn texts(batch: &RecordBatch) -> Vec<String> {
    let options = FormatOptions::default().with_null("NULL");
    let columns: Vec<_> = batch.columns().iter().map(|c| ArrayFormatter::try_new(c.as_ref(), &options).unwrap()).collect();
    let row = |row: usize| columns.iter().map(|c| c.value(row).to_string()).collect::<Vec<_>>().join(" | ");
    (0..batch.num_rows()).map(row).collect()
}

impl SinkWriter for Writer {
    fn write(&mut self, batch: Batch, segment: Segment) -> Result<()> {
        let parts = Columns::expect(batch)?.into_parts()?;
        for (row, text) in texts(&parts.batch).into_iter().enumerate() {
            let op = parts.ops.get(row).copied().unwrap_or_default().symbol();
            self.open.push((segment.version, format!("{op} {text}")));
        }
        self.sink.world.change(|s| s.pending += parts.batch.num_rows());
        Ok(())
    }

    fn seal(&mut self, epoch: u64) -> Result<()> {
        if self.sink.world.lock().death == Some(Death::Seal) {
            return Err(killed());
        }
        self.sealed.insert(epoch, std::mem::take(&mut self.open));
        Ok(())
    }

    fn sealed(&mut self, epoch: u64, _: &Waker) -> Result<Option<Sealed>> {
        let (life, term, slot) = self.id;
        let mut versions: BTreeMap<u64, String> = BTreeMap::new();
        for (version, row) in self.sealed.remove(&epoch).unwrap_or_default() {
            let id = || format!("{life}/{term}/{slot}/{epoch}/{version}/{}\n", self.sink.name);
            let text = versions.entry(version).or_insert_with(id);
            text.push_str(&row);
            text.push('\n');
        }
        Ok(Some(versions.into_iter().map(|(version, text)| (version, text.into_bytes())).collect()))
    }

    fn backlog(&self, _: &Waker) -> usize {
        0
    }
}
