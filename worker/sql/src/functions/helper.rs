//! A scalar function as a value: name, types, and a closure over whole columns.
//!
//! Two functions are the same to the optimiser when their names are, which is all it needs to fold and share them.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Int64Type};
use datafusion_common::{Result, ScalarValue, plan_err};
use datafusion_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

/// The type of the result for the types of the arguments (already coerced), or what is wrong with them.
pub(super) type Returns = fn(&[DataType]) -> Result<DataType, String>;
/// The types to which the arguments are brought, or what is wrong with them.
pub(super) type Coerces = fn(&[DataType]) -> Result<Vec<DataType>, String>;
/// The evaluation over columns of equal length.
pub(super) type Evaluates = fn(&[ArrayRef], &DataType) -> Result<ArrayRef>;

/// One function.
pub(super) struct Plain {
    pub(super) name: &'static str,
    pub(super) coerces: Coerces,
    pub(super) returns: Returns,
    pub(super) evaluates: Evaluates,
    signature: Signature,
}

/// Makes a function.
pub(super) fn plain(name: &'static str, coerces: Coerces, returns: Returns, evaluates: Evaluates) -> Arc<ScalarUDF> {
    let signature = Signature::user_defined(Volatility::Immutable);
    Arc::new(ScalarUDF::from(Plain { name, coerces, returns, evaluates, signature }))
}

impl fmt::Debug for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for Plain {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Plain {}

impl Hash for Plain {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Plain {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        match (self.coerces)(arg_types) {
            Ok(types) => Ok(types),
            Err(why) => plan_err!("{}: {why}", self.name.to_uppercase()),
        }
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        match (self.returns)(arg_types) {
            Ok(t) => Ok(t),
            Err(why) => plan_err!("{}: {why}", self.name.to_uppercase()),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args.args.iter().all(|a| matches!(a, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let columns: Vec<ArrayRef> = args.args.iter().map(|a| a.to_array(rows)).collect::<Result<_>>()?;
        let out = (self.evaluates)(&columns, args.return_field.data_type())?;
        Ok(if constant { ColumnarValue::Scalar(ScalarValue::try_from_array(&out, 0)?) } else { ColumnarValue::Array(out) })
    }
}

/// Argument types that are these, or NULL, or (for numbers) smaller.
pub(super) fn exactly(got: &[DataType], want: &[DataType]) -> Result<Vec<DataType>, String> {
    if got.len() != want.len() {
        return Err(format!("takes {} arguments, not {}", want.len(), got.len()));
    }
    let fits = |g: &DataType, w: &DataType| match w {
        DataType::Int64 => g.is_integer(),
        DataType::Utf8 => matches!(g, DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8),
        _ => g == w,
    };
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        if !fits(g, w) && *g != DataType::Null {
            let (g, w) = (crate::text::types::sql_name(g), crate::text::types::sql_name(w));
            return Err(format!("argument {} must be {w}, not {g}", i + 1));
        }
    }
    Ok(want.to_vec())
}

/// The value of a string column in a row; `None` for NULL.
pub(super) fn text(column: &ArrayRef, row: usize) -> Option<&str> {
    let strings = column.as_string_opt::<i32>()?;
    (!strings.is_null(row)).then(|| strings.value(row))
}

/// The value of a BIGINT column in a row; `None` for NULL.
pub(super) fn number(column: &ArrayRef, row: usize) -> Option<i64> {
    let numbers = column.as_primitive_opt::<Int64Type>()?;
    (!numbers.is_null(row)).then(|| numbers.value(row))
}

/// A column in another type; a value that does not fit is an error, never NULL.
pub(super) fn cast(column: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    Ok(cast_with_options(column, to, &CastOptions { safe: false, ..CastOptions::default() })?)
}

/// A time column as microseconds.
pub(super) fn micros(column: &ArrayRef) -> Result<ArrayRef> {
    let plain = cast(column, &DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, None))?;
    cast(&plain, &DataType::Int64)
}

/// The number of rows.
pub(super) fn rows(columns: &[ArrayRef]) -> usize {
    columns.first().map_or(0, |c| c.len())
}
