//! YAML with a position on every node, and serde over it.
//!
//! Two passes: [`tree`] turns the parser's events into nodes that remember where they stood; [`de`] lets serde read such a node
//! and reports every refusal with its place and its field path. Validation later asks the same tree where a value stood. Reading
//! into structs directly would be one pass fewer, but a manifest is read once and its errors are read by people.

pub(crate) mod de;
pub(crate) mod scalar;
pub(crate) mod tree;
