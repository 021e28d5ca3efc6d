//! A table as DataFusion's plans refer to it.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion_expr::TableSource;

use crate::catalog::TableDef;

/// A table as DataFusion sees it: its stored columns.
#[derive(Debug)]
pub(crate) struct StreamTable {
    pub(crate) def: Arc<TableDef>,
    schema: SchemaRef,
}

impl StreamTable {
    pub(crate) fn new(def: Arc<TableDef>) -> Self {
        let schema = def.physical();
        Self { def, schema }
    }
}

impl TableSource for StreamTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}
