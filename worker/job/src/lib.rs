//! The StreamJob specification and its validation: one truth for the command line and the custom resource.
//!
//! Reading order: [`manifest`] (what may be written), [`job`] (what it means), [`document`] (how a file becomes a job), [`problem`]
//! (what a refusal looks like). The way is one way: text → positioned tree → typed text → judged job, and nothing behind it looks
//! at text again.
//!
//! This crate depends on nothing else of Watershed: the operator uses it without the engine.

pub mod document;
pub mod job;
pub mod manifest;
pub mod near;
pub mod problem;
mod schema;
mod yaml;

pub use document::{Document, fuzz_parse, parse_manifest, parse_sql, read};
pub use job::Job;
pub use problem::{Position, Problem, Refusal};
pub use schema::schema;
