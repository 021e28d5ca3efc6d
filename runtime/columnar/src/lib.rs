//! The Arrow container of Watershed, with its operation column.
