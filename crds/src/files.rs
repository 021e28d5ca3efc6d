//! The generated files of the repository: the definitions in the chart, and the reference page of the manual.

use serde_json::Value;

use crate::definition::{stream_job, stream_snapshot};
use crate::reference;
use crate::yaml::to_yaml;

/// The generated files: the path of each below the root of the repository, and its text.
#[must_use]
pub fn files() -> Vec<(&'static str, String)> {
    vec![
        ("charts/watershed-crds/templates/streamjobs.yaml", text(stream_job())),
        ("charts/watershed-crds/templates/streamsnapshots.yaml", text(stream_snapshot())),
        ("docs/kubernetes-reference.md", reference::page()),
    ]
}

/// The text of a definition as a template of the chart: kept when the chart is removed, since deleting a definition deletes every job.
fn text(definition: Value) -> String {
    let yaml = to_yaml(&definition);
    format!("# Made by `cargo run -p watershed-crds`: change the types, not this.\n{yaml}")
}
