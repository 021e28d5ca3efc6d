//! The flags and arguments of the command line.

use clap::{Arg, ArgAction, Command};
use watershed::cli::{cluster, flags as shared};

/// The file of a job, by this name among the arguments.
pub(crate) const FILE: &str = "file";
/// The name or the file of a job.
pub(crate) const JOB: &str = "job";

fn file() -> Arg {
    Arg::new(FILE).value_name("JOB.yaml|QUERY.sql").required(true).help("A manifest, or SQL alone")
}

/// The file of a worker, which may ask its coordinator for it.
fn own_file() -> Arg {
    file().required(false).help("A manifest, or SQL alone [default: what the coordinator has]")
}

fn job() -> Arg {
    Arg::new(JOB).value_name("JOB").required(true).help("The job's name, or its file")
}

/// The whole command line.
pub(crate) fn command() -> Command {
    let dot = Arg::new("dot").long("dot").action(ArgAction::SetTrue).help("The physical graph in the language of Graphviz");
    let files = file().action(ArgAction::Append).num_args(1..);
    Command::new("watershed")
        .about("Stateful stream processing: jobs in SQL or Rust, exactly once, rescaled while they run")
        .version(env!("CARGO_PKG_VERSION"))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(Command::new("run").about("Run a job on this machine").arg(file()).args(shared::run_args()))
        .subcommand(shared::scale_command(Some(job())))
        .subcommand(cluster::coordinator_command(Some(file())))
        .subcommand(cluster::worker_command(Some(own_file())))
        .subcommand(cluster::status_command(Some(job())))
        .subcommand(cluster::snapshot_command(Some(job())))
        .subcommand(cluster::stop_command(Some(job())))
        .subcommand(Command::new("validate").about("Check jobs without running them").arg(files))
        .subcommand(Command::new("explain").about("Show the plan of a job").arg(file()).arg(dot))
        .subcommand(shared::snapshots_command(Some(&job())))
        .subcommand(shared::completions_command())
        .after_help(exit_codes())
}

fn exit_codes() -> String {
    let lines = watershed::cli::EXIT_CODES.iter().map(|(code, meaning)| format!("  {code:>3}  {meaning}"));
    format!("Exit codes:\n{}", lines.collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_sound() {
        super::command().debug_assert();
    }
}
