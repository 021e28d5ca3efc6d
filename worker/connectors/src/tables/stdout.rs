//! `stdout`: rows in a format on standard output.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use watershed_runtime::env::Sink;
use watershed_runtime::error::Error;

use super::connector::{Connector, SinkTable};
use super::json::WriteOptions;
use super::spec::SinkTraits;
use crate::options::Reader;
use crate::stdio::{Output, Target};

pub(super) const CONNECTOR: Connector = Connector { name: "stdout", source: None, sink: Some(parse) };

struct FormattedOutput(WriteOptions);

fn parse(options: &mut Reader<'_>, schema: &SchemaRef) -> Result<Box<dyn SinkTable>, Error> {
    Ok(Box::new(FormattedOutput(WriteOptions::parse(options, schema)?)))
}

impl SinkTable for FormattedOutput {
    fn traits(&self) -> SinkTraits {
        SinkTraits { accepts: self.0.accepts }
    }

    fn build(&self, input: &SchemaRef) -> Result<Arc<dyn Sink>, Error> {
        Ok(Arc::new(Output::new(Target::Stdout, self.0.format(input)?)))
    }
}
