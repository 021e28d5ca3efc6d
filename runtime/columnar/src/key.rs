//! Keys of rows: which columns, how they are hashed, how they are stored.
//!
//! The **hash** is the specified one of `watershed_runtime::key` over a canonical encoding: a single text or binary column is its bytes; an
//! integer, a date or a time-stamp is eight little-endian bytes (`i64`), a truth value one byte, a decimal sixteen, a float the eight
//! bytes of its double with one zero and one NaN; NULL is nothing; several columns are, each in turn, the length (`u32`, little-endian) and
//! the encoding, with length `u32::MAX` and no bytes for NULL; no column is nothing. So a key hashes as the same key does in Rust.
//!
//! The **stored** form tells NULL from the empty text: [`KeyBytes`] has a form of its own for it, and several columns are stored as Arrow's
//! row format, which tells them apart by itself.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, Int64Array, NullArray, StringArray, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type};
use arrow::row::{RowConverter, SortField};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use watershed_runtime::error::{Error, Result};
use watershed_runtime::key::{Key, KeySpace};

const INLINE: usize = 22;

/// A stored key: up to 22 bytes in place, so that keys cost no allocation where they are short.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyBytes(Repr);

#[derive(Clone, PartialEq, Eq)]
enum Repr {
    Null,
    Inline(u8, [u8; INLINE]),
    Heap(Box<[u8]>),
}

impl KeyBytes {
    /// The key NULL.
    pub const NULL: Self = Self(Repr::Null);

    /// A key of these bytes.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        let mut inline = [0; INLINE];
        match inline.get_mut(..bytes.len()) {
            Some(place) => {
                place.copy_from_slice(bytes);
                Self(Repr::Inline(bytes.len() as u8, inline))
            }
            None => Self(Repr::Heap(bytes.into())),
        }
    }

    /// The bytes; `None` for NULL.
    #[inline]
    #[must_use]
    pub fn bytes(&self) -> Option<&[u8]> {
        match &self.0 {
            Repr::Null => None,
            Repr::Inline(n, bytes) => bytes.get(..usize::from(*n)),
            Repr::Heap(bytes) => Some(bytes),
        }
    }
}

impl std::fmt::Debug for KeyBytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.bytes() {
            Some(bytes) => write!(f, "{}", bytes.escape_ascii()),
            None => f.write_str("NULL"),
        }
    }
}

impl Serialize for KeyBytes {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        self.bytes().serialize(s)
    }
}

impl<'de> Deserialize<'de> for KeyBytes {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let bytes: Option<&[u8]> = Deserialize::deserialize(d)?;
        Ok(bytes.map_or(Self::NULL, Self::new))
    }
}

/// A stored key travels with the hash of its canonical encoding, which cannot always be computed from the stored form; this one is only for
/// keys of one column.
impl Key for KeyBytes {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.bytes().unwrap_or_default());
    }
}

/// The columns of a key.
#[derive(Clone, Debug)]
pub struct KeyLayout {
    types: Vec<DataType>,
    form: Form,
}

#[derive(Clone, Debug)]
enum Form {
    None,
    Text,
    Bytes,
    Int,
    Many(Arc<RowConverter>),
}

/// The keys of a batch, ready to be looked at row by row.
#[derive(Debug)]
pub(crate) enum BatchKeys {
    None(usize),
    Text(StringArray),
    Bytes(BinaryArray),
    Int(Int64Array),
    Many { rows: arrow::row::Rows, columns: Vec<ArrayRef> },
}

impl KeyLayout {
    /// A key of columns of these types.
    pub fn new(types: Vec<DataType>) -> Result<Self> {
        use DataType as T;
        let form = match types.as_slice() {
            [] => Form::None,
            [T::Utf8] => Form::Text,
            [T::Binary] => Form::Bytes,
            [T::Int8 | T::Int16 | T::Int32 | T::Int64 | T::Date32 | T::Timestamp(..)] => Form::Int,
            many => {
                let fields = many.iter().map(|t| SortField::new(t.clone())).collect();
                Form::Many(Arc::new(RowConverter::new(fields).map_err(|e| unusable(&e))?))
            }
        };
        Ok(Self { types, form })
    }

    /// The number of columns of the key.
    #[must_use]
    pub fn len(&self) -> usize {
        self.types.len()
    }

    /// True if the key has no columns: all rows have the same key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.types.is_empty()
    }

    pub(crate) fn read(&self, columns: &[ArrayRef], rows: usize) -> Result<BatchKeys> {
        let first = || columns.first().cloned().unwrap_or_else(|| Arc::new(NullArray::new(rows)));
        Ok(match &self.form {
            Form::None => BatchKeys::None(rows),
            Form::Text => BatchKeys::Text(first().as_string_opt::<i32>().ok_or_else(wrong_type)?.clone()),
            Form::Bytes => BatchKeys::Bytes(first().as_binary_opt::<i32>().ok_or_else(wrong_type)?.clone()),
            Form::Int => BatchKeys::Int(integers(&first())?),
            Form::Many(converter) => {
                let mut rows = converter.empty_rows(rows, rows * 16);
                converter.append(&mut rows, columns).map_err(|e| unusable(&e))?;
                BatchKeys::Many { rows, columns: columns.iter().map(canonical).collect::<Result<_>>()? }
            }
        })
    }

    /// The columns of stored keys.
    pub(crate) fn columns<'a>(&self, keys: impl ExactSizeIterator<Item = &'a KeyBytes> + Clone) -> Result<Vec<ArrayRef>> {
        let bytes = keys.clone().map(KeyBytes::bytes);
        Ok(match &self.form {
            Form::None => Vec::new(),
            Form::Text => {
                let mut text = Vec::with_capacity(keys.len());
                for b in bytes {
                    text.push(b.map(std::str::from_utf8).transpose().map_err(|e| damaged(&e))?);
                }
                vec![Arc::new(StringArray::from(text))]
            }
            Form::Bytes => vec![Arc::new(BinaryArray::from(bytes.collect::<Vec<_>>()))],
            Form::Int => {
                let of = |b: &[u8]| b.try_into().map(i64::from_le_bytes).unwrap_or_default();
                let numbers: ArrayRef = Arc::new(Int64Array::from(bytes.map(|b| b.map(of)).collect::<Vec<_>>()));
                vec![from_integers(&numbers, self.types.first().unwrap_or(&DataType::Int64))?]
            }
            Form::Many(converter) => {
                let parser = converter.parser();
                let rows: Vec<_> = bytes.map(|b| parser.parse(b.unwrap_or_default())).collect();
                converter.convert_rows(rows).map_err(|e| damaged(&e))?
            }
        })
    }
}

fn unusable(e: &arrow::error::ArrowError) -> Error {
    Error::broken("key", format!("columns that cannot be a key: {e}"))
}

fn damaged(e: &dyn std::fmt::Display) -> Error {
    Error::new(watershed_runtime::error::Kind::Corrupt, format!("a stored key cannot be read: {e}"))
}

fn wrong_type() -> Error {
    Error::broken("key", "a key column has another type than the plan says")
}

/// Integers, dates and time-stamps as `i64`.
pub(crate) fn integers(column: &ArrayRef) -> Result<Int64Array> {
    if let Some(numbers) = column.as_primitive_opt::<Int64Type>() {
        return Ok(numbers.clone());
    }
    let via =
        if matches!(column.data_type(), DataType::Date32) { cast(column, &DataType::Int32) } else { Ok(Arc::clone(column)) };
    let wide = via.and_then(|c| cast(&c, &DataType::Int64)).map_err(|e| unusable(&e))?;
    wide.as_primitive_opt::<Int64Type>().cloned().ok_or_else(wrong_type)
}

/// The inverse of [`integers`].
pub(crate) fn from_integers(numbers: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    let via = if matches!(to, DataType::Date32) { cast(numbers, &DataType::Int32) } else { Ok(Arc::clone(numbers)) };
    via.and_then(|c| cast(&c, to)).map_err(|e| unusable(&e))
}

/// A column in the form whose bytes are hashed.
fn canonical(column: &ArrayRef) -> Result<ArrayRef> {
    use DataType as T;
    Ok(match column.data_type() {
        T::Utf8 | T::Binary | T::Boolean | T::Decimal128(..) => Arc::clone(column),
        T::Float32 | T::Float64 => cast(column, &T::Float64).map_err(|e| unusable(&e))?,
        T::Null => new_null_array(&T::Int64, column.len()),
        _ => Arc::new(integers(column)?),
    })
}

/// Appends the canonical encoding of a value.
fn encode(column: &ArrayRef, row: usize, out: &mut Vec<u8>) {
    if let Some(s) = column.as_string_opt::<i32>() {
        out.extend_from_slice(s.value(row).as_bytes());
    } else if let Some(b) = column.as_binary_opt::<i32>() {
        out.extend_from_slice(b.value(row));
    } else if let Some(n) = column.as_primitive_opt::<Int64Type>() {
        out.extend_from_slice(&n.value(row).to_le_bytes());
    } else if let Some(b) = column.as_boolean_opt() {
        out.push(u8::from(b.value(row)));
    } else if let Some(d) = column.as_primitive_opt::<Decimal128Type>() {
        out.extend_from_slice(&d.value(row).to_le_bytes());
    } else if let Some(f) = column.as_primitive_opt::<Float64Type>() {
        let v = f.value(row);
        // One zero and one NaN.
        let v = if v == 0.0 {
            0.0
        } else if v.is_nan() {
            f64::NAN
        } else {
            v
        };
        out.extend_from_slice(&v.to_bits().to_le_bytes());
    }
}

impl BatchKeys {
    /// The hash of each row's key.
    pub(crate) fn hashes(&self, space: KeySpace) -> Vec<u64> {
        let null = space.hash_bytes(&[]);
        match self {
            Self::None(rows) => vec![null; *rows],
            Self::Text(a) if a.null_count() == 0 => (0..a.len()).map(|i| space.hash_bytes(a.value(i).as_bytes())).collect(),
            Self::Text(a) => a.iter().map(|v| v.map_or(null, |v| space.hash_bytes(v.as_bytes()))).collect(),
            Self::Bytes(a) => a.iter().map(|v| v.map_or(null, |v| space.hash_bytes(v))).collect(),
            Self::Int(a) => a.iter().map(|v| v.map_or(null, |v| space.hash_bytes(&v.to_le_bytes()))).collect(),
            Self::Many { rows, columns } => {
                let mut buffer = Vec::with_capacity(64);
                let one = |row: usize| {
                    buffer.clear();
                    if let [only] = columns.as_slice() {
                        if only.is_valid(row) {
                            encode(only, row, &mut buffer);
                        }
                        return space.hash_bytes(&buffer);
                    }
                    for c in columns {
                        let at = buffer.len();
                        buffer.extend_from_slice(&u32::MAX.to_le_bytes());
                        if c.is_valid(row) {
                            encode(c, row, &mut buffer);
                            let length = (buffer.len() - at - 4) as u32;
                            if let Some(place) = buffer.get_mut(at..at + 4) {
                                place.copy_from_slice(&length.to_le_bytes());
                            }
                        }
                    }
                    space.hash_bytes(&buffer)
                };
                (0..rows.num_rows()).map(one).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests;
