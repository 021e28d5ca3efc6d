//! The cost of planning a text, and of sending one row through filter and projection:
//! `cargo run --release -p watershed-sql --example row_rate`.

#![allow(clippy::disallowed_methods, reason = "it measures")]

use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::SchemaRef;
use watershed_columnar::Columns;
use watershed_runtime::container::Batch;
use watershed_runtime::env::{Discovered, Sink, SinkHandle, SinkWriter, Source, SplitId, SplitReader};
use watershed_runtime::error::{Error, Kind, Result};
use watershed_runtime::graph::Role;
use watershed_runtime::key::KeySpace;
use watershed_runtime::operator::{Context, Flow, Operator, Watermarks};
use watershed_runtime::time::Time;
use watershed_sql::{Accepts, Connectors, SinkTraits, SourceTraits, TableDef, build, compile};

#[derive(Debug)]
struct Nothing;

impl Source for Nothing {
    fn discover(&self) -> Result<Discovered> {
        Ok(Discovered::default())
    }
    fn open(&self, _: &SplitId, _: &[u8]) -> Result<Box<dyn SplitReader>> {
        Err(Error::new(Kind::Invalid, "nothing to read"))
    }
    fn bounded(&self) -> bool {
        true
    }
}

impl Sink for Nothing {
    fn open(&self, _: u16, _: u64) -> Result<Box<dyn SinkWriter>> {
        Err(Error::new(Kind::Invalid, "nothing to write"))
    }
    fn commit(&self, _: &[SinkHandle]) -> Result<()> {
        Ok(())
    }
}

impl Connectors for Nothing {
    fn describe_source(&self, _: &TableDef) -> Result<SourceTraits> {
        Ok(SourceTraits { bounded: true })
    }
    fn describe_sink(&self, _: &TableDef) -> Result<SinkTraits> {
        Ok(SinkTraits { accepts: Accepts::Append })
    }
    fn source(&self, _: &TableDef, _: &SchemaRef) -> Result<Arc<dyn Source>> {
        Ok(Arc::new(Self))
    }
    fn sink(&self, _: &TableDef, _: &SchemaRef) -> Result<Arc<dyn Sink>> {
        Ok(Arc::new(Self))
    }
}

const TEXT: &str = "CREATE TABLE a (k STRING, v BIGINT) WITH ('connector' = 'x');
CREATE TABLE b (k STRING, v BIGINT) WITH ('connector' = 'x');
INSERT INTO b SELECT UPPER(k), v * 2 + 1 FROM a WHERE v > 0 AND k <> 'skip';";

/// Nanoseconds for a batch of `rows` through the chain.
fn measure(ops: &mut [Box<dyn Operator>], schema: &SchemaRef, rows: usize, times: usize) -> Result<f64> {
    let k: ArrayRef = Arc::new(StringArray::from_iter_values((0..rows).map(|i| format!("key{i}"))));
    let v: ArrayRef = Arc::new(Int64Array::from_iter_values((0..rows).map(|i| i as i64 + 1)));
    let batch = RecordBatch::try_new(Arc::clone(schema), vec![k, v]).map_err(|e| Error::broken("example", e.to_string()))?;
    let marks = Watermarks::uniform(Time::MIN);
    let mut late = 0;
    let start = Instant::now();
    for _ in 0..times {
        let mut batches: Vec<Batch> = vec![Box::new(Columns::from(batch.clone()))];
        for op in ops.iter_mut() {
            let mut out = Vec::new();
            let mut cx = Context::new(&marks, 0, KeySpace::default(), &mut out, &mut late);
            for b in batches.drain(..) {
                if op.on_batch(0, b, &mut cx)? == Flow::More {
                    return Err(Error::broken("example", "a filter has nothing to resume"));
                }
            }
            batches.extend(out.into_iter().map(|(_, b)| b));
        }
        std::hint::black_box(batches);
    }
    Ok(start.elapsed().as_nanos() as f64 / times as f64)
}

fn main() -> Result<()> {
    let start = Instant::now();
    let plan = compile(TEXT, &Nothing)?.plan.ok_or_else(|| Error::broken("example", "no plan"))?;
    let planned = start.elapsed();
    let graph = build(&plan, &Nothing)?;
    let mut ops = Vec::new();
    for node in graph.nodes() {
        if let Role::Operator { make, .. } = &node.role {
            ops.push(make(KeySpace::default())?);
        }
    }
    let schema = plan.nodes.first().map(|n| Arc::clone(&n.schema)).ok_or_else(|| Error::broken("example", "no source"))?;
    measure(&mut ops, &schema, 1, 1000)?;
    let one = measure(&mut ops, &schema, 1, 100_000)?;
    let many = measure(&mut ops, &schema, 4096, 1000)?;
    let text = format!(
        "planned in {:.1} ms\n{:.2} us for a batch of one row\n{:.1} ns a row in batches of 4096\n",
        planned.as_secs_f64() * 1e3,
        one / 1e3,
        many / 4096.0
    );
    // A closed pipe is the reader's business.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(())
}
