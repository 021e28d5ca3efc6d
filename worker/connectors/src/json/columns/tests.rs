//! Columns against `serde_json`, both ways.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{
    DataType, Decimal128Type, Field, Float64Type, Int8Type, Int64Type, Schema, SchemaRef, TimeUnit, TimestampMillisecondType,
};
use proptest::prelude::*;
use serde_json::Value;
use watershed_columnar::{Columns, Op};

use super::JsonColumns;
use super::encode::{ColumnLines, Shape};
use crate::format::{LineDecoder, LineFormat, SinkFormat};

fn schema(fields: &[(&str, DataType)]) -> SchemaRef {
    Arc::new(Schema::new(fields.iter().map(|(n, t)| Field::new(*n, t.clone(), true)).collect::<Vec<_>>()))
}

fn decoder(fields: &[(&str, DataType)]) -> Box<dyn LineDecoder> {
    JsonColumns::new(schema(fields), false).unwrap().decoder()
}

fn columns(decoder: &mut dyn LineDecoder) -> RecordBatch {
    Columns::expect(decoder.take().unwrap()).unwrap().join().unwrap()
}

/// Decodes one row; the reason if it is malformed.
fn one(fields: &[(&str, DataType)], line: &str) -> Result<RecordBatch, String> {
    let mut d = decoder(fields);
    match d.decode(line, 10).malformed {
        Some(reason) => Err(reason),
        None => Ok(columns(d.as_mut())),
    }
}

#[test]
fn only_the_wanted_fields_are_read_wherever_they_stand() {
    let fields = [("b", DataType::Int64), ("a", DataType::Utf8)];
    let mut d = decoder(&fields);
    let text = concat!(
        "{\"a\":\"x\",\"skip\":{\"b\":[9,\"}\"]},\"b\":1}\n",
        "{\"b\":2,\"a\":\"y\\n\"}\n\n",
        "{\"\\u0062\":3}\n",
        "{}\n",
        "{\"b\":4,\"b\":5,\"a\":null}",
    );
    assert_eq!(d.decode(text, 100).consumed, text.len());
    let got = columns(d.as_mut());
    let b: Vec<_> = got.column(0).as_primitive::<Int64Type>().iter().collect();
    assert_eq!(b, [Some(1), Some(2), Some(3), None, Some(5)]);
    let a: Vec<_> = got.column(1).as_string::<i32>().iter().collect();
    assert_eq!(a, [Some("x"), Some("y\n"), None, None, None]);
}

#[test]
fn no_wanted_field_still_counts_rows() {
    let mut d = decoder(&[]);
    d.decode("{\"a\":1}\n{\"a\":2}\n", 100);
    assert_eq!(columns(d.as_mut()).num_rows(), 2);
}

#[test]
fn a_malformed_row_leaves_no_trace() {
    let mut d = decoder(&[("a", DataType::Int64), ("b", DataType::Int64)]);
    let text = "{\"a\":1,\"b\":1}\n{\"a\":2,\"b\":\"x\"}\n{\"a\":3}\n";
    let first = d.decode(text, 100);
    assert_eq!(first.malformed.unwrap(), "field 'b': 'x' is no whole number (BIGINT)");
    assert_eq!(first.consumed, 14);
    d.decode(&text[30..], 100);
    let got = columns(d.as_mut());
    assert_eq!(got.column(0).as_primitive::<Int64Type>().values(), &[1, 3]);
    assert!(got.column(1).is_null(1));
}

#[test]
fn types_follow_flink() {
    let ms = DataType::Timestamp(TimeUnit::Millisecond, None);
    let stamp = |t| one(&[("t", ms.clone())], t).map(|b| b.column(0).as_primitive::<TimestampMillisecondType>().value(0));
    assert_eq!(stamp("{\"t\":\"1970-01-01 00:00:01.5\"}"), Ok(1500));
    assert_eq!(stamp("{\"t\":\"1970-01-01T00:00:01\"}"), Ok(1000));
    assert!(stamp("{\"t\":1700000000000}").unwrap_err().starts_with("field 't': 1700000000000 is no time-stamp"));
    let int = |t| one(&[("n", DataType::Int8)], t).map(|b| b.column(0).as_primitive::<Int8Type>().value(0));
    assert_eq!(int("{\"n\":\"-128\"}"), Ok(-128));
    assert_eq!(int("{\"n\":3.0}"), Ok(3));
    assert!(int("{\"n\":128}").is_err() && int("{\"n\":1.5}").is_err() && int("{\"n\":true}").is_err());
    let dec = |t| one(&[("n", DataType::Decimal128(5, 2))], t).map(|b| b.column(0).as_primitive::<Decimal128Type>().value(0));
    assert_eq!(dec("{\"n\":12.345}"), Ok(1235));
    assert_eq!(dec("{\"n\":\"-1\"}"), Ok(-100));
    assert!(dec("{\"n\":1000}").is_err());
    let text = |t| one(&[("s", DataType::Utf8)], t).map(|b| b.column(0).as_string::<i32>().value(0).to_owned());
    assert_eq!(text("{\"s\":12.50}").unwrap(), "12.50");
    assert_eq!(text("{\"s\":{\"a\": [1]}}").unwrap(), "{\"a\": [1]}");
    let bytes = |t| one(&[("s", DataType::Binary)], t).map(|b| b.column(0).as_binary::<i32>().value(0).to_vec());
    assert_eq!(bytes("{\"s\":\"AQI=\"}"), Ok(vec![1, 2]));
    assert!(bytes("{\"s\":\"?\"}").is_err());
}

#[test]
fn what_is_no_object_says_why() {
    let reason = |t| one(&[("s", DataType::Utf8)], t).unwrap_err();
    assert_eq!(reason("[1]"), "a JSON value, but no object");
    assert_eq!(reason("{\"s\":}"), "expected value at character 6");
    assert_eq!(reason("{\"s\":\"a\"} x"), "trailing characters at character 11");
    assert_eq!(reason("{\"s\":\"a\",}"), "key must be a string at character 10");
}

#[test]
fn a_column_that_is_not_null_must_be_there() {
    let schema: SchemaRef = Arc::new(Schema::new(vec![Field::new("k", DataType::Int64, false)]));
    let reason = |t: &str| JsonColumns::new(Arc::clone(&schema), false).unwrap().decoder().decode(t, 1).malformed.unwrap();
    assert_eq!(reason("{\"k\":null}"), "field 'k': is null, but the column is NOT NULL");
    assert_eq!(reason("{}"), "field 'k': is missing");
}

fn encode(shape: Shape, batch: &RecordBatch) -> String {
    let mut out = Vec::new();
    ColumnLines::new(batch.schema(), shape)
        .unwrap()
        .encoder()
        .encode(crate::columns::batch::wrap(batch.clone()), &mut out)
        .unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn rows_are_written_as_flink_writes_them() {
    let fields = [
        ("a\"", DataType::Utf8),
        ("d", DataType::Decimal128(6, 3)),
        ("t", DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))),
        ("day", DataType::Date32),
        ("b", DataType::Binary),
    ];
    let line = "{\"a\\\"\":\"x\\\"\",\"d\":-0.050,\"t\":\"2026-01-31 12:00:00.05Z\",\"day\":\"2026-01-31\",\"b\":\"AQI=\"}\n";
    let batch = one(&fields, line).unwrap();
    assert_eq!(encode(Shape::Json, &batch), line);
    assert_eq!(encode(Shape::Debezium, &batch), format!("{{\"before\":null,\"after\":{},\"op\":\"c\"}}\n", line.trim_end()));
    assert_eq!(encode(Shape::Print("p> ".into()), &batch), "p> +I[x\", -0.050, 2026-01-31T12:00:00.05Z, 2026-01-31, AQI=]\n");
    let empty = one(&fields, "{}").unwrap();
    assert_eq!(encode(Shape::Json, &empty), "{\"a\\\"\":null,\"d\":null,\"t\":null,\"day\":null,\"b\":null}\n");
}

#[test]
fn a_changelog_keeps_its_operations_or_is_refused() {
    let batch = one(&[("n", DataType::Int64)], "{\"n\":1}").unwrap();
    let of = |shape, op| {
        let mut columns = Columns::from(batch.clone()).with_ops(vec![Op::Insert]);
        watershed_runtime::container::Container::append(&mut columns, Box::new(Columns::from(batch.clone()).with_ops(vec![op])))
            .unwrap();
        let mut out = Vec::new();
        let format = ColumnLines::new(batch.schema(), shape).unwrap();
        format.encoder().encode(Box::new(columns), &mut out).map(|()| String::from_utf8(out).unwrap())
    };
    let text = of(Shape::Debezium, Op::UpdateBefore).unwrap();
    assert_eq!(text.lines().nth(1).unwrap(), "{\"before\":{\"n\":1},\"after\":null,\"op\":\"d\"}");
    assert_eq!(of(Shape::Print(String::new()), Op::UpdateAfter).unwrap(), "+I[1]\n+U[1]\n");
    assert!(of(Shape::Json, Op::Delete).is_err());
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e9f64..1e9).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "-?[0-9]{1,3}".prop_map(Value::from),
        proptest::collection::vec(any::<i8>(), 0..3).prop_map(Value::from),
    ]
}

#[expect(clippy::wildcard_enum_match_arm, reason = "a JSON value is what it is")]
/// The values that the columns must hold, by reading the row the slow way.
fn expected(v: &Value) -> (Option<Option<i64>>, Option<String>) {
    let int = match v {
        Value::Null => Some(None),
        Value::Number(n) if n.is_f64() => n.as_f64().filter(|f| f.fract() == 0.0).map(|f| Some(f as i64)),
        Value::Number(n) => n.as_i64().map(Some),
        Value::String(s) => s.trim().parse().ok().map(Some),
        _ => None,
    };
    let text = match v {
        Value::Null => None,
        Value::String(s) => Some(s.clone()),
        other => Some(other.to_string()),
    };
    (int, text)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn columns_hold_what_serde_json_reads(
        rows in proptest::collection::vec((scalar(), scalar(), any::<bool>()), 1..8), shuffle: bool,
    ) {
        let fields = [("n", DataType::Int64), ("s", DataType::Utf8)];
        for (n, s, extra) in rows {
            let mut parts = vec![format!("\"n\": {n}"), format!("\"s\" :{s}")];
            if extra {
                parts.push(format!("\"x\":[{{\"n\":{s}}}]"));
            }
            if shuffle {
                parts.reverse();
            }
            let line = format!("{{{}}}", parts.join(","));
            match (one(&fields, &line), expected(&n).0) {
                (Err(_), None) => {}
                (Ok(batch), Some(want)) => {
                    let got = batch.column(0).as_primitive::<Int64Type>();
                    prop_assert_eq!(got.is_valid(0).then(|| got.value(0)), want, "{}", line);
                    let got = batch.column(1).as_string::<i32>();
                    prop_assert_eq!(got.is_valid(0).then(|| got.value(0).to_owned()), expected(&s).1, "{}", line);
                }
                (got, want) => prop_assert!(false, "{line}: {got:?}, expected {want:?}"),
            }
        }
    }

    /// Damaged rows are refused exactly when `serde_json` refuses them (types aside: only text is asked for).
    #[test]
    fn damage_is_found(n in scalar(), s in scalar(), at: prop::sample::Index, byte in 0x20u8..0x7f) {
        let mut line = format!("{{\"n\":{n},\"s\":{s}}}").into_bytes();
        let at = at.index(line.len());
        prop_assume!(line[at].is_ascii());
        line[at] = byte;
        if let Ok(line) = String::from_utf8(line) {
            let ours = one(&[("s", DataType::Utf8)], &line);
            let theirs = serde_json::from_str::<serde_json::Map<String, Value>>(&line);
            // Half a surrogate pair is only looked at in a wanted field; a number beyond the doubles is text all the same.
            let lenient = line.contains("\\u") || theirs.as_ref().is_err_and(|e| e.to_string().contains("out of range"));
            prop_assert!(ours.is_ok() == theirs.is_ok() || lenient, "{line}: {ours:?}, {theirs:?}");
        }
    }

    #[test]
    fn what_is_written_is_read_back(n: Option<i64>, s: Option<String>, f in proptest::option::of(-1e300f64..1e300)) {
        let fields = [("n", DataType::Int64), ("s", DataType::Utf8), ("f", DataType::Float64)];
        let row = serde_json::json!({ "n": n, "s": s, "f": f }).to_string();
        let batch = one(&fields, &row).unwrap();
        let line = encode(Shape::Json, &batch);
        let again = one(&fields, &line).unwrap();
        prop_assert_eq!(&again, &batch);
        let read = again.column(2).as_primitive::<Float64Type>();
        prop_assert_eq!(read.is_valid(0).then(|| read.value(0)), f);
    }
}
