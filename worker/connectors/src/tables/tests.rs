//! Options, projection, and what the generators make.

use std::sync::Arc;
use std::task::Waker;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Int32Type, Int64Type, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType};
use watershed_columnar::Columns;
use watershed_runtime::env::{Read, Sink, Source};
use watershed_runtime::error::{Error, Kind};

use super::connector::{Connector, SinkTable, SourceTable};
use super::registry::{CONNECTORS, sink_of, source_of};
use super::{Accepts, SinkTraits, SourceTraits, TableSpec, describe_sink, describe_source, sink, source};
use crate::options::Options;

fn table(columns: &[(&str, DataType)], options: &[(&str, &str)]) -> TableSpec {
    let fields = columns.iter().map(|(n, t)| Field::new(*n, t.clone(), true)).collect::<Vec<_>>();
    let mut all = Options::new();
    for (i, (k, v)) in options.iter().enumerate() {
        all.set(*k, *v, Some(format!("line {}", i + 1))).unwrap();
    }
    TableSpec::new("t", Arc::new(Schema::new(fields)), all)
}

fn wrong(columns: &[(&str, DataType)], options: &[(&str, &str)]) -> (String, String) {
    let e: Error = describe_source(&table(columns, options)).unwrap_err();
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
    let of = |options: &[(&str, &str)]| describe_sink(&table(&t, options)).unwrap().accepts;
    assert_eq!(of(&[("connector", "filesystem"), ("path", "x"), ("format", "json")]), Accepts::Append);
    assert_eq!(of(&[("connector", "filesystem"), ("path", "x"), ("format", "debezium-json")]), Accepts::Retract);
    assert_eq!(of(&[("connector", "print")]), Accepts::Retract);
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
    assert!(describe_source(&spec).unwrap().bounded);
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
fn malformed_rows_of_a_table_are_skipped_if_it_says_so() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("in"), "{\"a\":1}\nbad\n{\"a\":\"x\"}\n{\"a\":2}\n").unwrap();
    let path = dir.path().to_str().unwrap();
    let options = [("connector", "filesystem"), ("path", path), ("format", "json"), ("json.ignore-parse-errors", "true")];
    let spec = table(&[("a", DataType::Int64)], &options);
    assert_eq!(rows(source(&spec, &spec.schema).unwrap().as_ref(), &spec.schema, 10).num_rows(), 2);
}

#[test]
fn a_nexmark_table_has_the_columns_it_names_in_any_spelling() {
    let columns = [
        ("item_name", DataType::Utf8),
        ("initialBid", DataType::Int64),
        ("dateTime", DataType::Timestamp(TimeUnit::Microsecond, None)),
    ];
    let spec = table(&columns, &[("connector", "nexmark"), ("event-type", "auction"), ("events.num", "100000")]);
    assert_eq!(rows(source(&spec, &spec.schema).unwrap().as_ref(), &spec.schema, 1000).num_rows(), 6000);
}

/// Options with which a table of the connector is read: ending by itself, and never ending where it can.
fn readable(name: &str) -> Vec<Vec<(&'static str, &'static str)>> {
    match name {
        "filesystem" => vec![
            vec![("path", "in"), ("format", "json")],
            vec![("path", "in"), ("format", "json"), ("source.monitor-interval", "1 s")],
        ],
        "datagen" => vec![
            vec![("number-of-rows", "5")],
            vec![("fields.a.kind", "sequence"), ("fields.a.end", "3")],
            vec![("rows-per-second", "5")],
        ],
        "nexmark" => {
            vec![vec![("event-type", "person"), ("events.num", "50")], vec![("event-type", "auction")]]
        }
        "stdin" => vec![vec![("format", "json")]],
        other => panic!("the connector '{other}' can be read: add options here and its source below"),
    }
}

fn with_connector(name: &'static str, options: &[(&'static str, &'static str)]) -> TableSpec {
    let columns = if name == "nexmark" { [("id", DataType::Int64)] } else { [("a", DataType::Int64)] };
    table(&columns, &[&[("connector", name)], options].concat())
}

#[test]
fn a_name_leads_to_its_own_connector() {
    let sources = [("filesystem", "FileSource"), ("datagen", "GeneratedRows"), ("nexmark", "EventRows"), ("stdin", "Stdin")];
    let sinks = [("filesystem", "FileSink"), ("print", "Print("), ("blackhole", "Blackhole"), ("stdout", "shape: Json")];
    let mut seen = (0, 0);
    for connector in CONNECTORS {
        let of = |all: &[(&str, &'static str)]| all.iter().find(|(name, _)| *name == connector.name).map(|(_, made)| *made);
        assert_eq!((connector.source.is_some(), connector.sink.is_some()), (of(&sources).is_some(), of(&sinks).is_some()));
        if let Some(made) = of(&sources) {
            for options in readable(connector.name) {
                let spec = with_connector(connector.name, &options);
                let source = source(&spec, &spec.schema).unwrap();
                assert!(format!("{source:?}").contains(made), "{}: {source:?}", connector.name);
                assert_eq!(describe_source(&spec).unwrap(), SourceTraits { bounded: source.bounded() }, "{options:?}");
            }
            seen.0 += 1;
        }
        if let Some(made) = of(&sinks) {
            let options: &[_] = match connector.name {
                "filesystem" => &[("path", "out"), ("format", "json")],
                "stdout" => &[("format", "json")],
                _ => &[],
            };
            let spec = with_connector(connector.name, options);
            let sink = sink(&spec, &spec.schema).unwrap();
            assert!(format!("{sink:?}").contains(made), "{}: {sink:?}", connector.name);
            seen.1 += 1;
        }
    }
    assert_eq!(seen, (sources.len(), sinks.len()));
    let mut names: Vec<&str> = CONNECTORS.iter().map(|c| c.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), CONNECTORS.len(), "two connectors have one name");
}

/// Traits that no real connector has, and ends that tell their name.
struct Added;

impl SourceTable for Added {
    fn traits(&self) -> SourceTraits {
        SourceTraits { bounded: false }
    }

    fn build(&self, _: &SchemaRef) -> Result<Arc<dyn Source>, Error> {
        Err(Error::new(Kind::Invalid, "the added source"))
    }
}

impl SinkTable for Added {
    fn traits(&self) -> SinkTraits {
        SinkTraits { accepts: Accepts::Upsert }
    }

    fn build(&self, _: &SchemaRef) -> Result<Arc<dyn Sink>, Error> {
        Err(Error::new(Kind::Invalid, "the added sink"))
    }
}

#[test]
fn a_connector_that_is_added_to_the_list_is_no_other_one() {
    let added = Connector {
        name: "added",
        source: Some(|options, _| {
            options.required("x")?;
            Ok(Box::new(Added))
        }),
        sink: Some(|_, _| Ok(Box::new(Added))),
    };
    let connectors = [CONNECTORS, &[added]].concat();
    let read = with_connector("added", &[("x", "1")]);
    let source = source_of(&connectors, &read).unwrap();
    assert!(!source.traits().bounded);
    assert_eq!(source.build(&read.schema).unwrap_err().to_string(), "the added source");
    let written = with_connector("added", &[]);
    let sink = sink_of(&connectors, &written).unwrap();
    assert_eq!(sink.traits().accepts, Accepts::Upsert);
    assert_eq!(sink.build(&written.schema).unwrap_err().to_string(), "the added sink");
    // Options are the connector's own, and without it in the list there is no such connector.
    assert_eq!(source_of(&connectors, &written).err().unwrap().to_string(), "table 't': option 'x' is missing");
    assert_eq!(sink_of(&connectors, &read).err().unwrap().to_string(), "table 't': line 2: there is no option 'x'");
    assert_eq!(sink_of(CONNECTORS, &written).err().unwrap().to_string(), "table 't': line 1: there is no connector 'added'");
}

#[test]
fn describing_touches_nothing_outside() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("not/there");
    let options = [("connector", "filesystem"), ("path", path.to_str().unwrap()), ("format", "json")];
    let spec = table(&[("a", DataType::Int64)], &options);
    assert_eq!(describe_source(&spec).unwrap(), SourceTraits { bounded: true });
    assert_eq!(describe_sink(&spec).unwrap(), SinkTraits { accepts: Accepts::Append });
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_refusal_about_no_option_in_particular_stands_at_the_table() {
    let mut spec = table(&[("a", DataType::Duration(TimeUnit::Second))], &[("connector", "stdin"), ("format", "json")]);
    spec.place = Some("line 9, column 14".into());
    let read = describe_source(&spec).unwrap_err().to_string();
    assert!(read.starts_with("line 9, column 14: table 't': the JSON format cannot read the type Duration"), "{read}");
    spec.options = Options::new().with("connector", "filesystem").with("path", "s3://b/k").with("format", "json");
    for refused in [describe_source(&spec).unwrap_err(), describe_sink(&spec).unwrap_err()] {
        assert!(refused.to_string().starts_with("line 9, column 14: table 't': 's3://b/k'"), "{refused}");
    }
}
