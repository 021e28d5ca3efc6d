//! Stateful stream processing in Rust: the library a job depends on.
