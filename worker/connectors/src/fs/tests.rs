//! The laws of files: splits give every line once, commits give every file once.

mod sink;
mod source;
