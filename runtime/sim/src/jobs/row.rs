//! Rows that flow in and out of simulated jobs.

use std::sync::Arc;

use watershed_runtime::stream::Stream;

use crate::world::sink::SimSink;

/// A row of a source.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Row {
    /// The key.
    pub key: u32,
    /// A small number, negative half of the time.
    pub value: i64,
    /// Event time in microseconds.
    pub time: i64,
    /// The number of the row among all of its input.
    pub id: u64,
}

/// A row of a sink.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Out {
    /// The key of the row.
    pub key: u64,
    /// The number of the key's update; 0 where rows are only added.
    pub version: u64,
    /// The rest.
    pub values: [i64; 3],
}

/// Ends a stream in a sink of the world.
pub fn into_sink(stream: &Stream<Out>, name: &str, sinks: &Arc<crate::world::sink::Sinks>, index: usize) {
    stream.sink(name, SimSink::new(Arc::clone(sinks), index));
}
