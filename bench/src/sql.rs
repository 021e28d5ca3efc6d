//! SQL text to a graph, through the library: what the command line does, without a manifest.

use watershed::runtime::graph::Graph;
use watershed::{Error, Kind, Result};
use watershed_sql::StandardConnectors;

/// The graph of a text.
pub fn graph(text: &str) -> Result<Graph> {
    let plan = watershed_sql::compile(text, &StandardConnectors)?.plan;
    let plan =
        plan.ok_or_else(|| Error::new(Kind::Invalid, "the text has no INSERT").advise("end it in INSERT INTO … SELECT"))?;
    watershed_sql::build(&plan, &StandardConnectors)
}

/// A text in single quotes.
#[must_use]
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
