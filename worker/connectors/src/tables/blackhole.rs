//! `blackhole`: a table that drops its rows.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use watershed_runtime::env::Sink;
use watershed_runtime::error::Error;

use super::connector::{Connector, SinkTable};
use super::spec::{Accepts, SinkTraits};
use crate::options::Reader;
use crate::stdio::Blackhole;

pub(super) const CONNECTOR: Connector = Connector { name: "blackhole", source: None, sink: Some(parse) };

struct Drain;

fn parse(_: &mut Reader<'_>, _: &SchemaRef) -> Result<Box<dyn SinkTable>, Error> {
    Ok(Box::new(Drain))
}

impl SinkTable for Drain {
    fn traits(&self) -> SinkTraits {
        SinkTraits { accepts: Accepts::Retract }
    }

    fn build(&self, _: &SchemaRef) -> Result<Arc<dyn Sink>, Error> {
        Ok(Arc::new(Blackhole::new()))
    }
}
