//! The cost per row of an aggregation over columns: `cargo run --release -p watershed-columnar --example aggregate_rate`.
//!
//! The inputs have the shape of the benchmarks' (5,000 words; 10,000 keys in windows of 10 s); batches are ready made, so decoding is not
//! in the numbers. An epoch ends every 200,000 rows.

#![allow(clippy::disallowed_methods, reason = "it measures")]

use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use watershed_columnar::aggregate::{Call, CallKind, Changelog, Combiner, EmitMode, Group, Grouping};
use watershed_columnar::{Columns, KeyBytes, KeyLayout};
use watershed_runtime::container::Batch;
use watershed_runtime::error::Result;
use watershed_runtime::key::{GroupSet, KeySpace};
use watershed_runtime::operator::combine::Partial;
use watershed_runtime::operator::window::{WindowAggregate, Windows};
use watershed_runtime::operator::{Context, Flow, Operator, Watermarks};
use watershed_runtime::time::Time;

const ROWS: usize = 4_000_000;
const BATCH: usize = 4096;
const EPOCH: usize = 200_000;

/// One call of an operator, with what it resumes.
fn drive(
    op: &mut dyn Operator,
    w: Time,
    f: impl FnOnce(&mut dyn Operator, &mut Context<'_>) -> Result<Flow>,
) -> Result<Vec<Batch>> {
    let marks = Watermarks::uniform(w);
    let (mut out, mut late) = (Vec::new(), 0);
    let mut cx = Context::new(&marks, 0, KeySpace::default(), &mut out, &mut late);
    let mut flow = f(op, &mut cx)?;
    while flow == Flow::More {
        flow = op.resume(&mut cx)?;
    }
    Ok(out.into_iter().map(|(_, b)| b).collect())
}

/// Batches of `keys` names; times rise by 100 us a row, out of order by up to 2 s.
fn batches(keys: u64, values: bool) -> Result<Vec<Columns>> {
    let mut seed = 7u64;
    let mut next = move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        seed >> 33
    };
    let mut all = Vec::new();
    for b in 0..ROWS / BATCH {
        let names: Vec<String> = (0..BATCH).map(|_| format!("k{:06}", next() % keys)).collect();
        let k: ArrayRef = Arc::new(StringArray::from(names));
        let mut fields = vec![Field::new("k", DataType::Utf8, true)];
        let mut columns = vec![k];
        if values {
            columns.push(Arc::new(Int64Array::from_iter_values((0..BATCH).map(|_| next() as i64 % 1000))));
            fields.push(Field::new("v", DataType::Int64, true));
        }
        let times = (0..BATCH).map(|i| Time(((b * BATCH + i) * 100) as i64 + (next() % 2_000_000) as i64)).collect();
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
            .map_err(|e| watershed_runtime::error::Error::broken("example", e.to_string()))?;
        all.push(Columns::from(batch).with_times(times));
    }
    Ok(all)
}

fn calls(values: bool) -> Vec<Call> {
    let one = |kind, argument| Call { kind, argument, result: DataType::Int64 };
    let mut calls = vec![one(CallKind::Count, None)];
    if values {
        calls.push(one(CallKind::Sum, Some((1, DataType::Int64))));
        calls.push(one(CallKind::Max, Some((1, DataType::Int64))));
    }
    calls
}

/// Nanoseconds a row.
fn measure(keys: u64, values: bool, windows: bool) -> Result<f64> {
    let input = batches(keys, values)?;
    let layout = KeyLayout::new(vec![DataType::Utf8])?;
    let grouping = Grouping::new(calls(values), false);
    let length = if windows { 10_000_000 } else { 0 };
    let mut combiner = Combiner::new(layout.clone(), grouping.clone(), length);
    let space = KeySpace::default();
    let mut owner: Box<dyn Operator> = if windows {
        type Owner = WindowAggregate<Partial<KeyBytes, Group>, (), KeyBytes, Grouping>;
        Box::new(Owner::new(Windows::new(length, length)?, grouping, space))
    } else {
        let mut fields = vec![Field::new("k", DataType::Utf8, true)];
        fields.extend(calls(values).iter().enumerate().map(|(i, _)| Field::new(format!("a{i}"), DataType::Int64, true)));
        Box::new(Changelog::new(layout, grouping, Arc::new(Schema::new(fields)), EmitMode::Changes, space))
    };
    owner.tables(&mut |t| t.activate(&GroupSet::all(space)));
    let (mut rows, mut marked, mut out) = (0usize, Time::MIN, 0usize);
    let start = Instant::now();
    for columns in input {
        let n = columns.times().len();
        let w = columns.times().iter().max().map_or(Time::MIN, |t| t.minus(2_100_000));
        let mut partials = drive(&mut combiner, marked, |op, cx| op.on_batch(0, Box::new(columns), cx))?;
        marked = marked.max(w);
        partials.extend(drive(&mut combiner, marked, |op, cx| op.on_watermark(cx))?);
        rows += n;
        if rows / EPOCH != (rows - n) / EPOCH {
            partials.extend(drive(&mut combiner, marked, |op, cx| op.on_flush(cx))?);
            out += drive(owner.as_mut(), marked, |op, cx| op.on_flush(cx))?.iter().map(|b| b.len()).sum::<usize>();
        }
        for p in partials {
            out += drive(owner.as_mut(), marked, |op, cx| op.on_batch(0, p, cx))?.len();
        }
        out += drive(owner.as_mut(), marked, |op, cx| op.on_watermark(cx))?.iter().map(|b| b.len()).sum::<usize>();
    }
    std::hint::black_box(out);
    Ok(start.elapsed().as_nanos() as f64 / rows as f64)
}

fn main() -> Result<()> {
    let mut text = String::new();
    for (name, keys, values, windows) in [
        ("words: COUNT(*) by 5,000 keys", 5_000, false, false),
        ("windows: COUNT(*) by 10,000 keys, 10 s", 10_000, false, true),
        ("words: COUNT(*), SUM, MAX by 5,000 keys", 5_000, true, false),
        ("COUNT(*) by 1,000,000 keys", 1_000_000, false, false),
    ] {
        let best =
            (0..3).map(|_| measure(keys, values, windows)).collect::<Result<Vec<_>>>()?.into_iter().fold(f64::MAX, f64::min);
        text.push_str(&format!("{best:7.1} ns/row  {name}\n"));
    }
    // A closed pipe is the reader's business.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(())
}
