//! Aggregate calls: an aggregate function over a column.

use arrow::datatypes::DataType;

/// An aggregate function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallKind {
    /// Counts values that are not NULL; all rows if it has no argument.
    Count,
    /// Adds them up.
    Sum,
    /// Their mean.
    Avg,
    /// The least.
    Min,
    /// The greatest.
    Max,
}

/// One aggregate of an aggregation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Call {
    /// The aggregate function.
    pub kind: CallKind,
    /// The column of the input that it is over, and its type; none for `COUNT(*)`.
    pub argument: Option<(usize, DataType)>,
    /// The type of its result.
    pub result: DataType,
}

/// The stored form of a call's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keeping {
    /// The number of rows is enough; nothing else is stored.
    Rows,
    /// The number of values.
    Count,
    /// An exact sum and the number of values.
    Sum,
    /// An exact sum of decimals too long for one number, and the number of values.
    Wide,
    /// A sum of doubles and the number of values.
    Float,
    /// The least or greatest integer.
    Integer {
        /// Greatest, not least.
        max: bool,
    },
    /// The least or greatest of anything.
    Extreme {
        /// Greatest, not least.
        max: bool,
    },
    /// Every value with its number, because values are taken back.
    Bag,
}

impl Call {
    /// The form in which the value is stored, given whether rows may be taken back.
    pub(crate) fn keeping(&self, retracting: bool) -> Keeping {
        use DataType as T;
        let Some((_, t)) = &self.argument else { return Keeping::Rows };
        match self.kind {
            CallKind::Count => Keeping::Count,
            CallKind::Sum | CallKind::Avg if matches!(t, T::Float32 | T::Float64) => Keeping::Float,
            // Ten thousand million values of 28 digits fit into 128 bits.
            CallKind::Sum | CallKind::Avg if matches!(t, T::Decimal128(29.., _)) => Keeping::Wide,
            CallKind::Sum | CallKind::Avg => Keeping::Sum,
            CallKind::Min | CallKind::Max if retracting => Keeping::Bag,
            CallKind::Min | CallKind::Max => {
                let max = self.kind == CallKind::Max;
                match t {
                    T::Int8 | T::Int16 | T::Int32 | T::Int64 | T::Date32 | T::Timestamp(..) => Keeping::Integer { max },
                    _ => Keeping::Extreme { max },
                }
            }
        }
    }
}
