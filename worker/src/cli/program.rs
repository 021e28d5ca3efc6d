//! `main`: a Rust program that builds a job becomes a complete command line.
//!
//! ```no_run
//! use std::process::ExitCode;
//! use watershed::{Job, Result, Str, io};
//!
//! fn job(job: &Job) -> Result<()> {
//!     job.source("numbers", io::generate(|n| n).rows(1000))
//!         .key_by(|n| n % 10)
//!         .at_end()
//!         .count()
//!         .sink("counts", io::json_files("out"));
//!     Ok(())
//! }
//!
//! fn main() -> ExitCode {
//!     watershed::main("counts", job)
//! }
//! ```

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Command};
use watershed_runtime::error::Result;
use watershed_runtime::graph::Graph;
use watershed_runtime::stream::Job;

#[cfg(feature = "grpc")]
use super::cluster;
use super::flags::{self, RunFlags};
use super::{EndsWhenTold, Settings, dot, ends_when_told, outline, report, run};
use crate::cli::exit::print;

/// Runs the program's command line: `run` (which may be left out), `snapshots`, `explain`, `completions`, and with the feature `grpc`
/// those that ask a running job (`status`, `scale`, `snapshot`, `stop`). The name is that of the job: its snapshots are found by it.
pub fn main(name: &str, build: impl FnOnce(&Job) -> Result<()>) -> ExitCode {
    main_from(name, std::env::args_os(), build)
}

/// As [`main`], with other arguments than the process's; the first is the program's own name.
pub fn main_from(name: &str, args: impl IntoIterator<Item = OsString>, build: impl FnOnce(&Job) -> Result<()>) -> ExitCode {
    let typed = match command(name).try_get_matches_from(args) {
        Ok(typed) => typed,
        Err(e) => {
            // Help is no error and goes to standard output; both may be closed.
            let _closed = e.print();
            return ExitCode::from(u8::try_from(e.exit_code()).unwrap_or(2));
        }
    };
    match typed.subcommand() {
        #[cfg(feature = "grpc")]
        Some(("coordinator", typed)) => {
            with_graph(name, typed, build, |graph, settings, early| cluster::coordinate(typed, graph, settings, early))
        }
        #[cfg(feature = "grpc")]
        Some(("worker", typed)) => {
            with_graph(name, typed, build, |graph, settings, early| cluster::work(typed, graph, settings, early))
        }
        #[cfg(feature = "grpc")]
        Some(("status", typed)) => report(cluster::status(typed, name, flags::storage_of(typed).as_deref())),
        #[cfg(feature = "grpc")]
        Some(("snapshot", typed)) => report(cluster::snapshot(typed, name, flags::storage_of(typed).as_deref())),
        #[cfg(feature = "grpc")]
        Some(("stop", typed)) => report(cluster::stop(typed, name, flags::storage_of(typed).as_deref())),
        #[cfg(feature = "grpc")]
        Some(("scale", typed)) => report(cluster::scale(typed, name, flags::storage_of(typed).as_deref())),
        Some(("snapshots", typed)) => report(flags::snapshots(typed, name, None)),
        Some(("explain", typed)) => report(graph(build).and_then(|g| {
            let text = if typed.get_flag("dot") { dot(name, &g) } else { outline(&g) };
            print(|out| out.write_all(text.as_bytes()))
        })),
        Some(("completions", typed)) => report(flags::completions(typed, command(name))),
        Some((_, typed)) => run_typed(name, typed, build),
        None => run_typed(name, &typed, build),
    }
}

fn run_typed(name: &str, typed: &ArgMatches, build: impl FnOnce(&Job) -> Result<()>) -> ExitCode {
    #[cfg(feature = "grpc")]
    if let Some(replicas) = cluster::typed_replicas(typed) {
        return with_graph(name, typed, build, |_, settings, early| cluster::supervise(&[], settings, replicas, early));
    }
    with_graph(name, typed, build, run)
}

/// Builds the job, and hands it over with the settings typed. Signals end the process until the job hears them.
fn with_graph(
    name: &str,
    typed: &ArgMatches,
    build: impl FnOnce(&Job) -> Result<()>,
    then: impl FnOnce(Graph, &Settings, EndsWhenTold) -> ExitCode,
) -> ExitCode {
    match ends_when_told().and_then(|early| Ok((graph(build)?, early))) {
        Ok((graph, early)) => then(graph, &Settings::new(name).with(RunFlags::of(typed)), early),
        Err(e) => report::<()>(Err(e)),
    }
}

fn graph(build: impl FnOnce(&Job) -> Result<()>) -> Result<Graph> {
    let job = Job::new();
    build(&job)?;
    job.build()
}

fn command(name: &str) -> Command {
    let command = base(name);
    #[cfg(feature = "grpc")]
    let command = command
        .subcommand(flags::scale_command(None))
        .subcommand(cluster::coordinator_command(None))
        .subcommand(cluster::worker_command(None))
        .subcommand(cluster::status_command(None))
        .subcommand(cluster::snapshot_command(None))
        .subcommand(cluster::stop_command(None));
    command
}

fn base(name: &str) -> Command {
    let dot = Arg::new("dot").long("dot").action(ArgAction::SetTrue).help("In the language of Graphviz");
    Command::new(name.to_owned())
        .about(format!("The job `{name}`, a program of Watershed"))
        .args_conflicts_with_subcommands(true)
        .args(flags::run_args())
        .subcommand(Command::new("run").about("Run the job (also without this word)").args(flags::run_args()))
        .subcommand(flags::snapshots_command(None))
        .subcommand(Command::new("explain").about("Show what the job is made of").arg(dot))
        .subcommand(flags::completions_command())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound_and_run_is_its_default() {
        command("j").debug_assert();
        let typed = command("j").try_get_matches_from(["j", "--slots", "3", "--epoch", "50ms"]).unwrap();
        let bare = RunFlags::of(&typed);
        let typed = command("j").try_get_matches_from(["j", "run", "--slots", "3", "--epoch", "50 ms"]).unwrap();
        assert_eq!(RunFlags::of(typed.subcommand_matches("run").unwrap()), bare);
        assert_eq!(bare.slots, Some(3));
        for bad in [["j", "--slots", "0"], ["j", "--epoch", "0ms"], ["j", "--epoch", "soon"], ["j", "--log-format", "xml"]] {
            assert_eq!(command("j").try_get_matches_from(bad).unwrap_err().exit_code(), 2, "{bad:?}");
        }
    }
}
