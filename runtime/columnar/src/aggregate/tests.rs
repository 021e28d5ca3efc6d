//! The combiner and what follows it, driven by hand, against sums computed row by row.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use proptest::prelude::*;
use watershed_runtime::container::Batch;
use watershed_runtime::key::{GroupSet, KeySpace};
use watershed_runtime::operator::window::{WindowAggregate, Windows};
use watershed_runtime::operator::{Context, Flow, Operator, Watermarks};
use watershed_runtime::time::Time;

use super::*;
use crate::{Columns, KeyLayout, Op};

const SPACE: KeySpace = KeySpace { seed: 0, bits: 8 };

/// Drives one operator until it is done.
fn drive(watermark: Time, mut call: impl FnMut(&mut Context<'_>, bool) -> Flow) -> Vec<Batch> {
    let marks = Watermarks::uniform(watermark);
    let (mut out, mut late) = (Vec::new(), 0);
    let mut first = true;
    loop {
        let mut cx = Context::new(&marks, 0, SPACE, &mut out, &mut late);
        cx.call_rows = 3;
        let flow = call(&mut cx, first);
        first = false;
        if flow == Flow::Done {
            return out.into_iter().map(|(_, b)| b).collect();
        }
    }
}

fn feed(op: &mut dyn Operator, batches: Vec<Batch>, watermark: Time) -> Vec<Batch> {
    let mut out = Vec::new();
    for b in batches {
        let mut b = Some(b);
        out.extend(drive(watermark, |cx, first| match b.take() {
            Some(b) if first => op.on_batch(0, b, cx).unwrap(),
            _ => op.resume(cx).unwrap(),
        }));
    }
    out
}

fn flush(op: &mut dyn Operator) -> Vec<Batch> {
    drive(Time::MIN, |cx, first| if first { op.on_flush(cx).unwrap() } else { op.resume(cx).unwrap() })
}

fn watermark(op: &mut dyn Operator, w: Time) -> Vec<Batch> {
    drive(w, |cx, first| if first { op.on_watermark(cx).unwrap() } else { op.resume(cx).unwrap() })
}

fn activate(op: &mut dyn Operator) {
    op.tables(&mut |t| t.activate(&GroupSet::all(SPACE)));
}

type Row = (Option<String>, Option<i64>, i64);

fn input(rows: &[Row], ops: Vec<Op>) -> Batch {
    let schema = Arc::new(Schema::new(vec![Field::new("k", DataType::Utf8, true), Field::new("v", DataType::Int64, true)]));
    let k: ArrayRef = Arc::new(rows.iter().map(|r| r.0.clone()).collect::<StringArray>());
    let v: ArrayRef = Arc::new(rows.iter().map(|r| r.1).collect::<Int64Array>());
    let times = rows.iter().map(|r| Time(r.2)).collect();
    Box::new(Columns::from(RecordBatch::try_new(schema, vec![k, v]).unwrap()).with_times(times).with_ops(ops))
}

fn calls() -> Vec<Call> {
    let over = Some((1, DataType::Int64));
    let one = |kind| Call { kind, argument: over.clone(), result: DataType::Int64 };
    let star = Call { kind: CallKind::Count, argument: None, result: DataType::Int64 };
    vec![star, one(CallKind::Count), one(CallKind::Sum), one(CallKind::Avg), one(CallKind::Min), one(CallKind::Max)]
}

fn layout() -> KeyLayout {
    KeyLayout::new(vec![DataType::Utf8]).unwrap()
}

fn schema(windows: usize) -> Arc<Schema> {
    let mut fields = vec![Field::new("k", DataType::Utf8, true)];
    fields.extend((0..6).map(|i| Field::new(format!("a{i}"), DataType::Int64, true)));
    fields.extend((0..windows).map(|i| Field::new(format!("w{i}"), DataType::Int64, true)));
    Arc::new(Schema::new(fields))
}

/// Rows as text, in the order in which they came.
fn texts(batches: Vec<Batch>) -> Vec<String> {
    let mut all = Vec::new();
    for b in batches {
        let parts = Columns::downcast(b).unwrap().into_parts().unwrap();
        for row in 0..parts.batch.num_rows() {
            let mut text = parts.ops.get(row).copied().unwrap_or_default().symbol().to_owned();
            for c in parts.batch.columns() {
                let value = match c.as_string_opt::<i32>() {
                    _ if c.is_null(row) => "NULL".to_owned(),
                    Some(s) => s.value(row).to_owned(),
                    None => c.as_primitive::<Int64Type>().value(row).to_string(),
                };
                text.push(' ');
                text.push_str(&value);
            }
            all.push(text);
        }
    }
    all
}

fn number(n: Option<i64>) -> String {
    n.map_or_else(|| "NULL".into(), |n| n.to_string())
}

/// The result of some values, computed the plain way.
fn expected(values: &[Option<i64>]) -> String {
    let there: Vec<i64> = values.iter().flatten().copied().collect();
    let sum = (!there.is_empty()).then(|| there.iter().sum::<i64>());
    let avg = sum.map(|s| s / there.len() as i64);
    let (min, max) = (there.iter().min().copied(), there.iter().max().copied());
    format!("{} {} {} {} {} {}", values.len(), there.len(), number(sum), number(avg), number(min), number(max))
}

fn name(k: &Option<String>) -> String {
    k.clone().unwrap_or_else(|| "NULL".into())
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let key = prop_oneof![Just(None), "[a-d]{0,1}".prop_map(Some), Just(Some("a key longer than what fits in place".to_owned()))];
    prop::collection::vec((key, prop::option::of(-9i64..9), 0i64..50), 0..40)
}

proptest! {
    #[test]
    fn windows_equal_sums_row_by_row(batches in prop::collection::vec(rows(), 0..4), flushes: bool) {
        let grouping = Grouping::new(calls(), false);
        let mut combiner = Combiner::new(layout(), grouping.clone(), 10);
        type Owner = WindowAggregate<watershed_runtime::operator::combine::Partial<KeyBytes, Group>, (), KeyBytes, Grouping>;
        let mut windows = Owner::new(Windows::new(10, 10).unwrap(), grouping.clone(), SPACE);
        activate(&mut windows);
        let mut want: BTreeMap<(i64, String), Vec<Option<i64>>> = BTreeMap::new();
        let mut partials = Vec::new();
        for rows in &batches {
            for (k, v, t) in rows {
                want.entry((t / 10 * 10, name(k))).or_default().push(*v);
            }
            partials.extend(feed(&mut combiner, vec![input(rows, Vec::new())], Time::MIN));
            if flushes {
                partials.extend(flush(&mut combiner));
            }
        }
        partials.extend(watermark(&mut combiner, Time::MAX));
        feed(&mut windows, partials, Time::MIN);
        let closed = watermark(&mut windows, Time::MAX);
        let fields = vec![WindowField::Start];
        let mut finish = Finish::new(layout(), grouping, fields, schema(1));
        let mut got = texts(feed(&mut finish, closed, Time::MIN));
        got.sort();
        let mut all: Vec<String> = want.iter().map(|((_, k), v)| format!("+I {k} {} 0", expected(v))).collect();
        all.sort();
        prop_assert_eq!(got, all);
    }

    #[test]
    fn a_changelog_adds_up(batches in prop::collection::vec((rows(), any::<bool>()), 0..5), take_back: bool) {
        let grouping = Grouping::new(calls(), take_back);
        let mut combiner = Combiner::new(layout(), grouping.clone(), 0);
        let mut changelog = Changelog::new(layout(), grouping, schema(0), EmitMode::Changes, SPACE);
        activate(&mut changelog);
        let mut model: BTreeMap<String, Vec<Option<i64>>> = BTreeMap::new();
        let mut seen: BTreeMap<String, String> = BTreeMap::new();
        let mut given: Vec<Row> = Vec::new();
        for (rows, back) in &batches {
            let (rows, op) = if take_back && *back { (std::mem::take(&mut given), Op::Delete) } else { (rows.clone(), Op::Insert) };
            for (k, v, _) in &rows {
                let values = model.entry(name(k)).or_default();
                if op == Op::Insert {
                    values.push(*v);
                } else {
                    let at = values.iter().position(|x| x == v).unwrap();
                    values.remove(at);
                }
            }
            if op == Op::Insert {
                given.extend(rows.clone());
            }
            let mut partials = feed(&mut combiner, vec![input(&rows, vec![op; rows.len()])], Time::MIN);
            partials.extend(flush(&mut combiner));
            let mut out = feed(&mut changelog, partials, Time::MIN);
            out.extend(flush(&mut changelog));
            for text in texts(out) {
                let (op, row) = text.split_once(' ').unwrap();
                let (key, value) = row.rsplitn(7, ' ').last().map(|k| (k.to_owned(), row[k.len() + 1..].to_owned())).unwrap();
                match op {
                    "+I" => prop_assert_eq!(seen.insert(key, value), None),
                    "-U" | "-D" => prop_assert_eq!(seen.remove(&key), Some(value)),
                    _ => prop_assert_eq!(seen.insert(key, value), None),
                }
            }
            model.retain(|_, v| !v.is_empty());
            let want: BTreeMap<String, String> = model.iter().map(|(k, v)| (k.clone(), expected(v))).collect();
            prop_assert_eq!(&seen, &want);
        }
    }
}

#[test]
fn a_group_speaks_once_an_epoch() {
    let grouping = Grouping::new(vec![Call { kind: CallKind::Count, argument: None, result: DataType::Int64 }], false);
    let mut combiner = Combiner::new(layout(), grouping.clone(), 0);
    let fields = vec![Field::new("k", DataType::Utf8, true), Field::new("n", DataType::Int64, false)];
    let mut changelog = Changelog::new(layout(), grouping, Arc::new(Schema::new(fields)), EmitMode::Changes, SPACE);
    activate(&mut changelog);
    let mut epoch = |keys: &[&str]| {
        let rows: Vec<Row> = keys.iter().map(|k| (Some((*k).to_owned()), None, 0)).collect();
        feed(&mut combiner, vec![input(&rows, Vec::new())], Time::MIN);
        feed(&mut changelog, flush(&mut combiner), Time::MIN);
        texts(flush(&mut changelog))
    };
    assert_eq!(epoch(&["a", "a"]), ["+I a 2"]);
    assert_eq!(epoch(&["a", "a", "a"]), ["-U a 2", "+U a 5"]);
    assert_eq!(epoch(&[]), Vec::<String>::new());
}

#[test]
fn no_key_and_no_row_is_a_result_at_the_end() {
    let grouping = Grouping::new(vec![Call { kind: CallKind::Count, argument: None, result: DataType::Int64 }], false);
    let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]));
    let mut changelog = Changelog::new(KeyLayout::new(Vec::new()).unwrap(), grouping, schema, EmitMode::End, SPACE);
    activate(&mut changelog);
    assert_eq!(texts(watermark(&mut changelog, Time::MAX)), ["+I 0"]);
    assert_eq!(texts(watermark(&mut changelog, Time::MAX)), Vec::<String>::new());
}

#[test]
fn a_sum_out_of_range_is_an_error_of_the_data() {
    let call = Call { kind: CallKind::Sum, argument: Some((1, DataType::Int64)), result: DataType::Int64 };
    let grouping = Grouping::new(vec![call], false);
    let mut group = grouping.empty();
    group.cells = Box::new([state::Cell::Sum(i128::from(i64::MAX) + 1, 2)]);
    let e = finish::results(&grouping, &[&group]).unwrap_err();
    assert_eq!(e.category(), "data");
    group.cells = Box::new([state::Cell::Sum(i128::from(i64::MAX), 2)]);
    assert!(finish::results(&grouping, &[&group]).is_ok());
}
