//! Arrow's side of the connectors: the batch of SQL, and the texts of its types.
//!
//! Sources make Arrow's own record batches and [`wrap`](batch::wrap) them; sinks take the engine's columns with their operations.

pub(crate) mod batch;
pub(crate) mod decimal;
pub(crate) mod times;
