//! The options of JSON that the connectors share: how lines are read into columns, and how columns become lines.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use watershed_runtime::error::{Error, Kind};

use super::spec::Accepts;
use crate::columns::times::Style;
use crate::json::columns::JsonColumns;
use crate::json::columns::encode::{ColumnLines, Shape};
use crate::options::Reader;

/// The options of reading lines.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReadOptions {
    /// Malformed rows are skipped and counted.
    pub(super) ignore_errors: bool,
    fail_on_missing: bool,
}

impl ReadOptions {
    /// Judges the options, and the types of the table's columns.
    pub(super) fn parse(options: &mut Reader<'_>, schema: &SchemaRef) -> Result<Self, Error> {
        options.required_choice("format", &[("json", ())])?;
        let ignore_errors = options.boolean("json.ignore-parse-errors")?.unwrap_or(false);
        let fail_on_missing = options.boolean("json.fail-on-missing-field")?.unwrap_or(false);
        if ignore_errors && fail_on_missing {
            return Err(options
                .refuse("json.fail-on-missing-field", "rows cannot be both skipped and refused")
                .advise("set only one of 'json.ignore-parse-errors' and 'json.fail-on-missing-field'")
                .because(Error::new(Kind::Invalid, "both are 'true'")));
        }
        let read = Self { ignore_errors, fail_on_missing };
        read.format(schema).map_err(|e| options.at_table(e))?;
        Ok(read)
    }

    /// The format for some of the table's columns.
    pub(super) fn format(self, projected: &SchemaRef) -> Result<JsonColumns, Error> {
        JsonColumns::new(Arc::clone(projected), self.fail_on_missing)
    }
}

/// The options of writing rows.
#[derive(Clone, Debug)]
pub(super) struct WriteOptions {
    /// The changes that the format can write down.
    pub(super) accepts: Accepts,
    shape: Shape,
    style: Style,
    ignore_nulls: bool,
}

impl WriteOptions {
    /// Judges the options, and the types of the table's columns.
    pub(super) fn parse(options: &mut Reader<'_>, schema: &SchemaRef) -> Result<Self, Error> {
        let formats = [
            ("json", ("json", Shape::Json, Accepts::Append)),
            ("debezium-json", ("debezium-json", Shape::Debezium, Accepts::Retract)),
        ];
        // Both formats share the code, and their options differ by the prefix.
        let (prefix, shape, accepts) = options.required_choice("format", &formats)?;
        let styles = [("SQL", Style::Sql), ("ISO-8601", Style::Iso)];
        let style = options.choice(&format!("{prefix}.timestamp-format.standard"), &styles)?.unwrap_or(Style::Sql);
        let ignore_nulls = options.boolean(&format!("{prefix}.encode.ignore-null-fields"))?.unwrap_or(false);
        let write = Self { accepts, shape, style, ignore_nulls };
        write.format(schema).map_err(|e| options.at_table(e))?;
        Ok(write)
    }

    /// The format for rows of a schema.
    pub(super) fn format(&self, input: &SchemaRef) -> Result<ColumnLines, Error> {
        let mut lines = ColumnLines::new(Arc::clone(input), self.shape.clone())?;
        lines.style = self.style;
        lines.ignore_nulls = self.ignore_nulls;
        Ok(lines)
    }
}
