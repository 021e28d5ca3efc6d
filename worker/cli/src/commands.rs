//! One function a command.

use std::io::Write;
use std::process::ExitCode;

use clap::ArgMatches;
use watershed::cli::flags::{self as shared, RunFlags};
use watershed::cli::{EndsWhenTold, Printed, Settings, cluster, dot, ends_when_told, report, run as run_graph};
use watershed::runtime::graph::Graph;
use watershed::{Result, explain as explain_error};

use crate::flags::{FILE, JOB, command};
use crate::job::{self, JobFile};

/// Runs the command that was typed.
pub(crate) fn run(typed: &ArgMatches) -> ExitCode {
    match typed.subcommand() {
        Some(("run", typed)) => run_job(typed),
        Some(("scale", typed)) => report(asked(typed, cluster::scale)),
        Some(("coordinator", typed)) => {
            with_job(typed, |graph, settings, early| cluster::coordinate(typed, graph, settings, early))
        }
        Some(("worker", typed)) => work(typed),
        Some(("status", typed)) => report(asked(typed, cluster::status)),
        Some(("snapshot", typed)) => report(asked(typed, cluster::snapshot)),
        Some(("stop", typed)) => report(asked(typed, cluster::stop)),
        Some(("validate", typed)) => validate(typed),
        Some(("explain", typed)) => report(explain(typed)),
        Some(("snapshots", typed)) => report(snapshots(typed)),
        Some((_, typed)) => report(shared::completions(typed, command())),
        None => ExitCode::from(2),
    }
}

fn text<'a>(typed: &'a ArgMatches, name: &str) -> &'a str {
    typed.get_one::<String>(name).map_or("", String::as_str)
}

fn run_job(typed: &ArgMatches) -> ExitCode {
    if let Some(replicas) = cluster::typed_replicas(typed) {
        let own = [text(typed, FILE).to_owned()];
        return with_job(typed, |_, settings, early| cluster::supervise(&own, settings, replicas, early));
    }
    with_job(typed, run_graph)
}

/// A worker reads its job's file, or asks the coordinator for it.
fn work(typed: &ArgMatches) -> ExitCode {
    let file = || match text(typed, FILE) {
        "" => cluster::job_file(typed, "worker").and_then(|(name, text)| JobFile::of(&name, text.as_bytes())),
        name => JobFile::read(name),
    };
    with_file(typed, file, |graph, settings, early| cluster::work(typed, graph, settings, early))
}

/// Reads the job's file, plans it, and hands it over with the settings typed.
fn with_job(typed: &ArgMatches, then: impl FnOnce(Graph, &Settings, EndsWhenTold) -> ExitCode) -> ExitCode {
    with_file(typed, || JobFile::read(text(typed, FILE)), then)
}

/// Signals end the process from before the file is read until the job hears them.
fn with_file(
    typed: &ArgMatches,
    file: impl FnOnce() -> Result<JobFile>,
    then: impl FnOnce(Graph, &Settings, EndsWhenTold) -> ExitCode,
) -> ExitCode {
    let ready = ends_when_told().and_then(|early| {
        let file = file()?;
        file.runs_here()?;
        let planned = file.plan()?;
        let settings = file.settings(&planned).with(RunFlags::of(typed));
        Ok((file.notes(), planned.graph()?, settings, early))
    });
    match ready {
        Ok((notes, graph, settings, early)) => {
            if settings.format == watershed::cli::Format::Text {
                complain(&notes);
            }
            then(graph, &settings, early)
        }
        Err(e) => report::<()>(Err(e)),
    }
}

/// Notes that stop nothing, on standard error.
fn complain(lines: &[String]) {
    for line in lines {
        // There is no place left to report that standard error is closed.
        let _closed = writeln!(std::io::stderr(), "{line}");
    }
}

/// A job is named by its name, or by the file it was started from.
fn name_and_storage(typed: &ArgMatches) -> Result<(String, Option<String>)> {
    let (job, storage) = (text(typed, JOB), shared::storage_of(typed));
    if !job::is_file(job) {
        return Ok((job.to_owned(), storage));
    }
    let file = JobFile::read(job)?;
    Ok((file.name(), storage.or_else(|| file.storage())))
}

/// Asks a running job.
fn asked(typed: &ArgMatches, ask: impl FnOnce(&ArgMatches, &str, Option<&str>) -> Result<Printed>) -> Result<Printed> {
    let (job, storage) = name_and_storage(typed)?;
    ask(typed, &job, storage.as_deref())
}

fn snapshots(typed: &ArgMatches) -> Result<Printed> {
    let Some((_, inner)) = typed.subcommand() else { return Ok(Printed) };
    let (job, storage) = name_and_storage(inner)?;
    shared::snapshots(typed, &job, storage.as_deref())
}

/// Every file is checked, whatever is wrong with those before it.
fn validate(typed: &ArgMatches) -> ExitCode {
    let mut worst = ExitCode::SUCCESS;
    for name in typed.get_many::<String>(FILE).unwrap_or_default() {
        let checked = JobFile::read(name).and_then(|file| {
            if file.has_sql() {
                file.plan()?.graph()?;
            }
            Ok(file)
        });
        match checked {
            Ok(file) => {
                complain(&file.notes());
                // A reader that has gone (`| head`) is fine.
                let _closed = writeln!(std::io::stdout(), "{name}: the job `{}` is valid", file.name());
            }
            Err(e) => {
                complain(&[explain_error(&e)]);
                worst = ExitCode::from(watershed::cli::exit_code(e.kind()));
            }
        }
    }
    worst
}

fn explain(typed: &ArgMatches) -> Result<Printed> {
    let file = JobFile::read(text(typed, FILE))?;
    let planned = file.plan()?;
    let text = if typed.get_flag("dot") { dot(&file.name(), &planned.graph()?) } else { planned.text() };
    // A reader that has gone (`| head`) is fine.
    let _closed = std::io::stdout().write_all(text.as_bytes());
    Ok(Printed)
}
