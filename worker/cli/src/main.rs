//! The `watershed` command line: runs, scales, validates and explains jobs written in SQL.
//!
//! | file | what |
//! |---|---|
//! | `flags` | the flags and arguments |
//! | `commands` | one function a command |
//! | `job` | a file becomes a job, its graph and its settings |
//! | `places` | from a place in SQL to the place in the file |
//!
//! Everything that a Rust job's binary does too (running, signals, metrics, exit codes) is in [`watershed::cli`].

mod commands;
mod flags;
mod job;
mod places;

use std::process::ExitCode;

/// Batches are made and dropped on different threads by the million: mimalloc is made for that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match flags::command().try_get_matches() {
        Ok(typed) => commands::run(&typed),
        Err(e) => {
            // Help is no error and goes to standard output; both may be closed.
            let _closed = e.print();
            ExitCode::from(u8::try_from(e.exit_code()).unwrap_or(2))
        }
    }
}
