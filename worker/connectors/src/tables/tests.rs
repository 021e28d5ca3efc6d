//! Options, projection, and what the generators make.

use std::sync::Arc;
use std::task::Waker;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Int32Type, Int64Type, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType};
use watershed_columnar::Columns;
use watershed_runtime::env::{Read, Source};
use watershed_runtime::error::Error;

use super::{Accepts, TableSpec, accepts, bounded, sink, source, source_with_metrics};
use crate::options::Options;

fn table(columns: &[(&str, DataType)], options: &[(&str, &str)]) -> TableSpec {
    let fields = columns.iter().map(|(n, t)| Field::new(*n, t.clone(), true)).collect::<Vec<_>>();
    let mut all = Options::new();
    for (i, (k, v)) in options.iter().enumerate() {
        all.set(*k, *v, Some(format!("line {}", i + 1))).unwrap();
    }
    TableSpec { name: "t".into(), schema: Arc::new(Schema::new(fields)), options: all, primary_key: Vec::new() }
}

fn wrong(columns: &[(&str, DataType)], options: &[(&str, &str)]) -> (String, String) {
    let e: Error = bounded(&table(columns, options)).unwrap_err();
    (e.to_string(), e.advice().unwrap_or_default().to_owned())
}

/// All rows of a source, split by split, in reads of at most `max` rows.
fn rows(source: &dyn Source, schema: &SchemaRef, max: usize) -> RecordBatch {
    let mut all = Vec::new();
    for split in source.discover().unwrap().splits {
        let mut reader = source.open(&split, &[]).unwrap();
        loop {
            match reader.read(max, Waker::noop()).unwrap() {
                Read::Batch(b) => all.push(Columns::expect(b).unwrap().join().unwrap()),
                Read::Finished => break,
                Read::Pending => std::thread::yield_now(),
            }
        }
    }
    concat_batches(schema, &all).unwrap()
}

#[test]
fn wrong_options_are_told_with_their_place() {
    let t = [("a", DataType::Int64)];
    assert_eq!(wrong(&t, &[]).0, "table 't': option 'connector' is missing");
    let (what, advice) = wrong(&t, &[("connector", "filesytem")]);
    assert_eq!(
        (what.as_str(), advice.as_str()),
        ("table 't': line 1: there is no connector 'filesytem'", "did you mean 'filesystem'?")
    );
    assert_eq!(wrong(&t, &[("connector", "print")]).0, "table 't': line 1: a 'print' table cannot be read");
    let (what, advice) = wrong(&t, &[("connector", "datagen"), ("number-of-row", "5")]);
    assert_eq!(
        (what.as_str(), advice.as_str()),
        ("table 't': line 2: there is no option 'number-of-row'", "did you mean 'number-of-rows'?")
    );
    let (what, advice) = wrong(&t, &[("connector", "filesystem"), ("path", "x"), ("format", "csv")]);
    assert_eq!(
        (what.as_str(), advice.as_str()),
        ("table 't': line 3: option 'format' has the bad value 'csv'", "allowed: 'json'")
    );
    let (what, _) = wrong(&t, &[("connector", "datagen"), ("fields.a.min", "5"), ("fields.a.max", "1")]);
    assert_eq!(what, "table 't': line 3: the smallest value of 'a' is above its largest");
    let (_, advice) = wrong(&[("prices", DataType::Int64)], &[("connector", "nexmark"), ("event-type", "bid")]);
    assert_eq!(advice, "did you mean 'price'?");
}

#[test]
fn sinks_say_which_changes_they_take() {
    let t = [("a", DataType::Int64)];
    let of = |options: &[(&str, &str)]| accepts(&table(&t, options)).unwrap();
    assert_eq!(of(&[("connector", "filesystem"), ("path", "x"), ("format", "json")]), Accepts::Append);
    assert_eq!(of(&[("connector", "filesystem"), ("path", "x"), ("format", "debezium-json")]), Accepts::Changes);
    assert_eq!(of(&[("connector", "print")]), Accepts::Changes);
    let spec = table(&t, &[("connector", "blackhole")]);
    assert!(sink(&spec, &spec.schema).unwrap().immediate());
}

#[test]
fn datagen_makes_the_same_rows_whatever_is_asked_for() {
    let columns = [
        ("n", DataType::Int32),
        ("s", DataType::Utf8),
        ("seq", DataType::Int64),
        ("t", DataType::Timestamp(TimeUnit::Microsecond, None)),
        ("d", DataType::Decimal128(10, 2)),
        ("b", DataType::Boolean),
    ];
    let options = [
        ("connector", "datagen"),
        ("rows-per-second", "10000000"),
        ("fields.n.min", "3"),
        ("fields.n.max", "5"),
        ("fields.n.null-rate", "0.5"),
        ("fields.s.length", "7"),
        ("fields.seq.kind", "sequence"),
        ("fields.seq.start", "10"),
        ("fields.seq.end", "9009"),
        ("fields.t.start", "1970-01-01 00:00:01"),
    ];
    let spec = table(&columns, &options);
    assert!(bounded(&spec).unwrap());
    let all = rows(source(&spec, &spec.schema).unwrap().as_ref(), &spec.schema, 1000);
    assert_eq!(all.num_rows(), 9000);
    assert_eq!(all, rows(source(&spec, &spec.schema).unwrap().as_ref(), &spec.schema, 7));
    let n = all.column(0).as_primitive::<Int32Type>();
    assert!(n.iter().flatten().all(|v| (3..=5).contains(&v)));
    assert!((4000..5000).contains(&n.null_count()));
    assert!(all.column(1).as_string::<i32>().iter().all(|s| s.unwrap().len() == 7));
    let mut seq: Vec<i64> = all.column(2).as_primitive::<Int64Type>().values().to_vec();
    let times = all.column(3).as_primitive::<TimestampMicrosecondType>();
    assert!(seq.iter().zip(times.values()).all(|(s, t)| *t == 1_000_000 + (s - 10) / 10));
    seq.sort_unstable();
    assert!(seq.into_iter().eq(10..=9009));
    let some: SchemaRef = Arc::new(spec.schema.project(&[1, 4]).unwrap());
    let projected = rows(source(&spec, &some).unwrap().as_ref(), &some, 1000);
    assert_eq!(projected, all.project(&[1, 4]).unwrap());
    let none: SchemaRef = Arc::new(Schema::empty());
    assert_eq!(rows(source(&spec, &none).unwrap().as_ref(), &none, 1000).num_rows(), 9000);
}

#[test]
fn a_json_table_reads_only_what_is_projected() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("in.jsonl");
    std::fs::write(&path, "{\"a\":1,\"b\":\"bad for a number\"}\n{\"a\":2}\n").unwrap();
    let spec = table(
        &[("a", DataType::Int64), ("b", DataType::Int64)],
        &[("connector", "filesystem"), ("path", path.to_str().unwrap()), ("format", "json")],
    );
    let a: SchemaRef = Arc::new(spec.schema.project(&[0]).unwrap());
    let got = rows(source(&spec, &a).unwrap().as_ref(), &a, 10);
    assert_eq!(got.column(0).as_primitive::<Int64Type>().values(), &[1, 2]);
}

#[test]
fn skipped_rows_of_a_table_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("in"), "{\"a\":1}\nbad\n{\"a\":\"x\"}\n{\"a\":2}\n").unwrap();
    let path = dir.path().to_str().unwrap();
    let options = [("connector", "filesystem"), ("path", path), ("format", "json"), ("json.ignore-parse-errors", "true")];
    let spec = table(&[("a", DataType::Int64)], &options);
    let (source, metrics) = source_with_metrics(&spec, &spec.schema).unwrap();
    assert_eq!(rows(source.as_ref(), &spec.schema, 10).num_rows(), 2);
    assert_eq!(metrics.unwrap().skipped(), 2);
}
