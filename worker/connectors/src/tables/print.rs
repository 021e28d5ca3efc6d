//! `print`: changes on a standard stream, for people.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use watershed_runtime::env::Sink;
use watershed_runtime::error::Error;

use super::connector::{Connector, SinkTable};
use super::spec::{Accepts, SinkTraits};
use crate::json::columns::encode::{ColumnLines, Shape};
use crate::options::Reader;
use crate::stdio::{Output, Target};

pub(super) const CONNECTOR: Connector = Connector { name: "print", source: None, sink: Some(parse) };

struct Print {
    prefix: String,
    target: Target,
}

fn parse(options: &mut Reader<'_>, schema: &SchemaRef) -> Result<Box<dyn SinkTable>, Error> {
    let prefix = options.text("print-identifier").map(|p| format!("{p}> ")).unwrap_or_default();
    let target = if options.boolean("standard-error")?.unwrap_or(false) { Target::Stderr } else { Target::Stdout };
    let print = Print { prefix, target };
    print.lines(schema).map_err(|e| options.at_table(e))?;
    Ok(Box::new(print))
}

impl Print {
    fn lines(&self, input: &SchemaRef) -> Result<ColumnLines, Error> {
        ColumnLines::new(Arc::clone(input), Shape::Print(self.prefix.clone()))
    }
}

impl SinkTable for Print {
    fn traits(&self) -> SinkTraits {
        SinkTraits { accepts: Accepts::Retract }
    }

    fn build(&self, input: &SchemaRef) -> Result<Arc<dyn Sink>, Error> {
        Ok(Arc::new(Output::new(self.target, self.lines(input)?)))
    }
}
