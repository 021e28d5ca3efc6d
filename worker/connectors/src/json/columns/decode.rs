//! Walks rows and fills columns.
//!
//! Rows of one source mostly have their fields in the same order: the decoder remembers the order of the last row and looks a
//! name up only where it differs.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use serde::de::IgnoredAny;
use watershed_runtime::container::Batch;
use watershed_runtime::error::{Error, Kind};

use super::build::Builder;
use super::value::{Fail, Value, Wants, read};
use crate::columns::batch::wrap;
use crate::format::{Decoded, LineDecoder, LineFormat};
use crate::json::scan::{Cursor, unescape};

/// JSON lines into columns: exactly those of a schema, in its order.
#[derive(Clone, Debug)]
pub(crate) struct JsonColumns {
    schema: SchemaRef,
    wants: Arc<[Wants]>,
    fail_on_missing: bool,
}

impl JsonColumns {
    /// The format for the wanted columns; an error for a column whose type cannot be read.
    pub(crate) fn new(schema: SchemaRef, fail_on_missing: bool) -> Result<Self, Error> {
        let want = |f: &Arc<arrow::datatypes::Field>| {
            Wants::of(f.data_type()).ok_or_else(|| {
                Error::new(
                    Kind::Invalid,
                    format!("the JSON format cannot read the type {} of column '{}'", f.data_type(), f.name()),
                )
                .advise("declare the column as STRING: it then holds the value's JSON text")
            })
        };
        let wants = schema.fields().iter().map(want).collect::<Result<_, _>>()?;
        Ok(Self { schema, wants, fail_on_missing })
    }
}

impl LineFormat for JsonColumns {
    fn decoder(&self) -> Box<dyn LineDecoder> {
        Box::new(Decoder { format: self.clone(), builders: Vec::new(), sizes: Vec::new(), rows: 0, order: Vec::new() })
    }
}

#[derive(Debug)]
struct Decoder {
    format: JsonColumns,
    builders: Vec<Builder>,
    /// The bytes of text that each column had in the last batch.
    sizes: Vec<usize>,
    rows: usize,
    /// The names of the last row in its order, and the columns they are.
    order: Vec<(Box<str>, Option<usize>)>,
}

impl LineDecoder for Decoder {
    fn decode(&mut self, text: &str, max_rows: usize) -> Decoded {
        if self.rows == 0 {
            self.begin(max_rows.min(4096));
        }
        let mut cursor = Cursor::new(text);
        let mut values = vec![Value::Missing; self.format.wants.len()];
        while self.rows < max_rows && cursor.seek_row() {
            let start = cursor.at();
            if let Err((column, fail)) = self.row(&mut cursor, &mut values) {
                return Decoded { consumed: start, malformed: Some(self.reason(cursor.line_from(start), column, fail)) };
            }
            for (builder, value) in self.builders.iter_mut().zip(&mut values) {
                builder.push(value);
                *value = Value::Missing;
            }
            self.rows += 1;
        }
        Decoded { consumed: cursor.at(), malformed: None }
    }

    fn len(&self) -> usize {
        self.rows
    }

    fn take(&mut self) -> Result<Batch, Error> {
        self.sizes = self.builders.iter().map(Builder::bytes).collect();
        let columns = self.builders.iter_mut().map(Builder::finish).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        self.rows = 0;
        RecordBatch::try_new_with_options(Arc::clone(&self.format.schema), columns, &options)
            .map(wrap)
            .map_err(|e| Error::broken("columns", format!("decoded columns do not fit the table: {e}")))
    }
}

impl Decoder {
    fn begin(&mut self, rows: usize) {
        let sizes = self.sizes.iter().copied().chain(std::iter::repeat(rows * 8));
        self.builders = self
            .format
            .schema
            .fields()
            .iter()
            .zip(sizes)
            .map(|(f, size)| Builder::new(f.data_type(), rows, size + size / 8))
            .collect();
    }

    /// Reads one row into `values`. An error names the column, if it is one's.
    fn row<'a>(&mut self, cursor: &mut Cursor<'a>, values: &mut [Value<'a>]) -> Result<(), (Option<usize>, Fail)> {
        let syntax = |_| (None, Fail::Syntax);
        cursor.expect(b'{').map_err(syntax)?;
        cursor.blanks();
        let mut nth = 0;
        if cursor.peek() == b'}' {
            cursor.bump();
        } else {
            loop {
                let column = self.name(cursor, nth).map_err(|f| (None, f))?;
                nth += 1;
                match column.and_then(|c| Some((c, *self.format.wants.get(c)?, values.get_mut(c)?))) {
                    Some((c, wants, value)) => *value = read(cursor, wants).map_err(|f| (Some(c), f))?,
                    None => cursor.skip().map_err(syntax)?,
                }
                cursor.blanks();
                match cursor.peek() {
                    b',' => {
                        cursor.bump();
                        cursor.blanks();
                    }
                    b'}' => {
                        cursor.bump();
                        break;
                    }
                    _ => return Err((None, Fail::Syntax)),
                }
            }
        }
        cursor.end_line().map_err(syntax)?;
        self.complete(values)
    }

    /// Checks the fields that must be there.
    #[inline]
    fn complete(&self, values: &[Value<'_>]) -> Result<(), (Option<usize>, Fail)> {
        for (i, (value, field)) in values.iter().zip(self.format.schema.fields()).enumerate() {
            if matches!(value, Value::Missing) && (self.format.fail_on_missing || !field.is_nullable()) {
                return Err((Some(i), Fail::Type("is missing".into())));
            }
            if matches!(value, Value::Null) && !field.is_nullable() {
                return Err((Some(i), Fail::Type("is null, but the column is NOT NULL".into())));
            }
        }
        Ok(())
    }

    /// Reads the `nth` name of a row and its colon; the column of that name, if the schema has it.
    #[inline]
    fn name(&mut self, cursor: &mut Cursor<'_>, nth: usize) -> Result<Option<usize>, Fail> {
        cursor.expect(b'"')?;
        let raw = cursor.string()?;
        cursor.expect(b':')?;
        match self.order.get(nth) {
            Some((name, column)) if **name == *raw.text => Ok(*column),
            _ => self.look_up(raw.text, raw.escaped, nth),
        }
    }

    #[cold]
    fn look_up(&mut self, raw: &str, escaped: bool, nth: usize) -> Result<Option<usize>, Fail> {
        let mut name = String::new();
        if escaped {
            unescape(raw, &mut name)?;
        } else {
            name.push_str(raw);
        }
        let column = self.format.schema.fields().iter().position(|f| *f.name() == name);
        // Rows with thousands of names are not worth remembering.
        if let Some(place) = self.order.get_mut(nth) {
            *place = (raw.into(), column);
        } else if nth == self.order.len() && nth < 1024 {
            self.order.push((raw.into(), column));
        }
        Ok(column)
    }

    #[cold]
    fn reason(&self, line: &str, column: Option<usize>, fail: Fail) -> String {
        match fail {
            Fail::Type(why) => {
                let name = column.and_then(|c| self.format.schema.fields().get(c)).map(|f| f.name().as_str()).unwrap_or_default();
                format!("field '{name}': {why}")
            }
            Fail::Syntax => match serde_json::from_str::<IgnoredAny>(line) {
                Err(e) => e.to_string().replace(" at line 1 column ", " at character "),
                Ok(_) if !line.trim_start().starts_with('{') => "a JSON value, but no object".into(),
                Ok(_) => "nested too deep, or half a surrogate pair".into(),
            },
        }
    }
}
