//! Hashes are those of the same keys in Rust; stored keys come back as they were.

use arrow::array::{BooleanArray, Date32Array, Int32Array};
use proptest::prelude::*;

use super::*;

const SPACE: KeySpace = KeySpace { seed: 0, bits: 12 };

fn hashes(columns: &[ArrayRef]) -> Vec<u64> {
    let layout = KeyLayout::new(columns.iter().map(|c| c.data_type().clone()).collect()).unwrap();
    layout.read(columns, columns.first().map_or(1, |c| c.len())).unwrap().hashes(SPACE)
}

/// These numbers are part of the stored format and may never change.
#[test]
fn hashes_are_golden() {
    let text: ArrayRef = Arc::new(StringArray::from(vec![Some("watershed"), Some(""), None]));
    assert_eq!(
        hashes(std::slice::from_ref(&text)),
        [SPACE.hash_bytes(b"watershed"), 0x2d06_8005_38d3_94c2, 0x2d06_8005_38d3_94c2]
    );
    let ints: ArrayRef = Arc::new(Int32Array::from(vec![7, -1, 0]));
    assert_eq!(hashes(std::slice::from_ref(&ints)), [Key::hash(&7i64, SPACE), Key::hash(&-1i64, SPACE), Key::hash(&0i64, SPACE)]);
    let dates: ArrayRef = Arc::new(Date32Array::from(vec![7]));
    assert_eq!(hashes(&[dates]), [Key::hash(&7i64, SPACE)]);
    let two = hashes(&[text, ints]);
    assert_eq!(two.first(), Some(&Key::hash(&(String::from("watershed"), 7i64), SPACE)));
    assert_ne!(two.get(1), two.get(2));
    assert_eq!(hashes(&[]), [Key::hash(&(), SPACE)]);
}

proptest! {
    #[test]
    fn stored_keys_come_back(texts: Vec<Option<String>>, n: i32, b: Option<bool>) {
        let text: ArrayRef = Arc::new(StringArray::from(texts.clone()));
        let ints: ArrayRef = Arc::new(Int32Array::from(vec![Some(n); texts.len()]));
        let bools: ArrayRef = Arc::new(BooleanArray::from(vec![b; texts.len()]));
        for columns in [vec![text.clone()], vec![ints.clone()], vec![bools.clone()], vec![text, ints, bools]] {
            let layout = KeyLayout::new(columns.iter().map(|c| c.data_type().clone()).collect()).unwrap();
            let keys = layout.read(&columns, texts.len()).unwrap();
            let stored: Vec<KeyBytes> = (0..texts.len()).map(|row| crate::aggregate::stored(&keys, row)).collect();
            let bytes = postcard::to_allocvec(&stored).unwrap();
            let stored: Vec<KeyBytes> = postcard::from_bytes(&bytes).unwrap();
            prop_assert_eq!(layout.columns(stored.iter()).unwrap(), columns);
        }
    }
}
