//! The container's laws: what comes out is what went in, in order.

use arrow::array::{AsArray, Int64Array, StringArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use proptest::prelude::*;

use super::*;

fn columns(values: &[i64], changes: bool) -> Columns {
    let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false), Field::new("s", DataType::Utf8, true)]));
    let n: ArrayRef = Arc::new(Int64Array::from(values.to_vec()));
    let s: ArrayRef = Arc::new(StringArray::from_iter(values.iter().map(|v| (v % 3 != 0).then(|| v.to_string()))));
    let batch = RecordBatch::try_new(schema, vec![n, s]).unwrap();
    let ops =
        if changes { values.iter().map(|v| if v % 2 == 0 { Op::Insert } else { Op::Delete }).collect() } else { Vec::new() };
    let hashes = values.iter().map(|v| *v as u64).collect();
    Columns { hashes, ..Columns::from(batch).with_times(values.iter().map(|v| Time(*v)).collect()).with_ops(ops) }
}

/// Each row as a text.
fn rows(batch: Batch) -> Vec<String> {
    let parts = Columns::downcast(batch).unwrap().into_parts().unwrap();
    let n = parts.batch.column(0).as_primitive::<Int64Type>();
    let s = parts.batch.column(1).as_string::<i32>();
    let row = |i: usize| {
        let op = parts.ops.get(i).copied().unwrap_or_default();
        let text = if s.is_null(i) { "NULL" } else { s.value(i) };
        format!("{} {} {text} t{} h{}", op.symbol(), n.value(i), parts.times[i].0, parts.hashes[i])
    };
    (0..parts.batch.num_rows()).map(row).collect()
}

#[test]
fn rows_look_like_this() {
    assert_eq!(rows(Box::new(columns(&[1, 2, 3], true))), ["-D 1 1 t1 h1", "+I 2 2 t2 h2", "-D 3 NULL t3 h3"]);
}

#[test]
fn new_rows_get_an_operation_beside_changes() {
    let mut a = columns(&[1, 3], false);
    a.append(Box::new(columns(&[5], true))).unwrap();
    assert_eq!(rows(Box::new(a)), ["+I 1 1 t1 h1", "+I 3 NULL t3 h3", "-D 5 5 t5 h5"]);
}

#[test]
fn rows_without_columns_are_counted() {
    let options = RecordBatchOptions::new().with_row_count(Some(4));
    let batch = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options).unwrap();
    let columns = Columns { hashes: vec![1, 2, 3, 4], ..Columns::from(batch) };
    let mut builders: Vec<Option<Batch>> = vec![None, None];
    (Box::new(columns) as Batch).scatter(&[0, 1, 1, 1], &mut builders);
    assert_eq!(builders.iter().map(|b| b.as_ref().map_or(0, |b| b.len())).collect::<Vec<_>>(), [1, 3]);
}

#[test]
fn another_container_is_handed_back() {
    let mut a = columns(&[1], false);
    assert!(a.append(Box::new(watershed_runtime::container::Rows::from(vec![1u8]))).is_err());
}

proptest! {
    #[test]
    fn scatter_keeps_order_for_each_destination(values: Vec<(i64, u16)>, changes: bool, before: Vec<i64>) {
        let dest: Vec<u16> = values.iter().map(|(_, d)| d % 3).collect();
        let numbers: Vec<i64> = values.iter().map(|(v, _)| *v).collect();
        let mut builders: Vec<Option<Batch>> = vec![None, Some(Box::new(columns(&before, false))), None];
        (Box::new(columns(&numbers, changes)) as Batch).scatter(&dest, &mut builders);
        for (d, builder) in builders.into_iter().enumerate() {
            let mut want: Vec<String> = if d == 1 { rows(Box::new(columns(&before, false))) } else { Vec::new() };
            let own: Vec<i64> = values.iter().filter(|(_, x)| usize::from(x % 3) == d).map(|(v, _)| *v).collect();
            want.extend(rows(Box::new(columns(&own, changes))));
            prop_assert_eq!(builder.map(rows).unwrap_or_default(), want);
        }
    }

    #[test]
    fn split_and_append_are_inverse(pieces: Vec<Vec<i64>>, at in 0usize..40) {
        let mut all = columns(&[], false);
        for p in &pieces {
            all.append(Box::new(columns(p, true))).unwrap();
        }
        let whole = rows(all.copy());
        prop_assert_eq!(whole.len(), pieces.iter().map(Vec::len).sum::<usize>());
        let tail = all.split_off(at);
        prop_assert_eq!(all.len(), at.min(whole.len()));
        prop_assert!(tail.byte_size() <= 1 << 20);
        let mut again = rows(Box::new(all));
        again.extend(rows(tail));
        prop_assert_eq!(again, whole);
    }
}
