//! `stdin`: the lines of standard input as a table.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use watershed_runtime::env::Source;
use watershed_runtime::error::Error;

use super::connector::{Connector, SourceTable};
use super::json::ReadOptions;
use super::spec::SourceTraits;
use crate::options::Reader;
use crate::stdio::Stdin;

pub(super) const CONNECTOR: Connector = Connector { name: "stdin", source: Some(parse), sink: None };

struct Input(ReadOptions);

fn parse(options: &mut Reader<'_>, schema: &SchemaRef) -> Result<Box<dyn SourceTable>, Error> {
    Ok(Box::new(Input(ReadOptions::parse(options, schema)?)))
}

impl SourceTable for Input {
    fn traits(&self) -> SourceTraits {
        SourceTraits { bounded: true }
    }

    fn build(&self, projected: &SchemaRef) -> Result<Arc<dyn Source>, Error> {
        Ok(Arc::new(Stdin::new(self.0.format(projected)?).ignore_parse_errors(self.0.ignore_errors)))
    }
}
