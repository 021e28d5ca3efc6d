//! The watershed command line: run, scale, validate and explain jobs.
