//! The flags of every command, and their values with types.
//!
//! A wrong value is refused here, with the flag's name; a flag that was not given stays `None`, so that the job's own words count.

use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use clap_complete::Shell;
use watershed_runtime::error::Result;

use super::exit::{Printed, print};
use crate::telemetry::log::Format;

/// The flags of `run`, as typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunFlags {
    /// `--slots`
    pub slots: Option<u16>,
    /// `--storage`
    pub storage: Option<String>,
    /// `--fresh`
    pub fresh: bool,
    /// `--epoch`
    pub epoch: Option<Duration>,
    /// `--drop-state`
    pub drop_states: Vec<String>,
    /// `--log-format`
    pub format: Format,
    /// `--http`
    pub http: Option<String>,
}

const SLOTS: &str = "slots";
const STORAGE: &str = "storage";

fn slots() -> Arg {
    Arg::new(SLOTS).long(SLOTS).value_name("N").value_parser(value_parser!(u16).range(1..=32768))
}

/// `--storage URL`.
#[must_use]
pub fn storage() -> Arg {
    Arg::new(STORAGE)
        .long(STORAGE)
        .value_name("URL")
        .help("Where snapshots are: a directory, memory:, s3://, gs:// or az:// [default: ./.watershed/JOB]")
}

/// The flags of `run`.
#[must_use]
pub fn run_args() -> Vec<Arg> {
    let epoch = "How often a snapshot is taken and output becomes visible, such as 500ms, 1s [default: 1s]";
    let flag = |name: &'static str, help: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue).help(help);
    let mut args = vec![
        slots().help("Engine threads [default: 1, or what the manifest says]"),
        storage(),
        flag("fresh", "Throw earlier snapshots of the job away and begin anew"),
        Arg::new("epoch").long("epoch").value_name("DURATION").value_parser(epoch_period).help(epoch),
        Arg::new("drop-state")
            .long("drop-state")
            .value_name("NODE.STATE")
            .action(ArgAction::Append)
            .help("Give up a stored state that the changed job no longer has; may be repeated"),
        Arg::new("log-format")
            .long("log-format")
            .value_name("FORMAT")
            .default_value("text")
            .value_parser(PossibleValuesParser::new(["text", "json"]))
            .help("How events are written to standard error"),
    ];
    #[cfg(feature = "grpc")]
    args.push(super::reach::replicas("Run as so many worker processes and a coordinator, with --slots threads each"));
    if cfg!(feature = "http") {
        let help = "Serve /metrics, /healthz and /readyz, such as 127.0.0.1:9090";
        args.push(Arg::new("http").long("http").value_name("ADDR").help(help));
    }
    args
}

fn epoch_period(text: &str) -> std::result::Result<Duration, String> {
    let period = watershed_connectors::units::duration(text).ok_or("not a duration: write it as 500ms, 1s or 2min")?;
    let (least, most) = (Duration::from_millis(1), Duration::from_secs(600));
    if (least..=most).contains(&period) { Ok(period) } else { Err("out of range: 1ms to 10min".into()) }
}

impl RunFlags {
    /// From what was typed.
    #[must_use]
    pub fn of(typed: &ArgMatches) -> Self {
        let text = |name: &str| typed.try_get_one::<String>(name).ok().flatten().cloned();
        // Not every command has every flag.
        let many = typed.try_get_many::<String>("drop-state").ok().flatten();
        Self {
            slots: typed.try_get_one::<u16>(SLOTS).ok().flatten().copied(),
            storage: storage_of(typed),
            fresh: typed.try_get_one::<bool>("fresh").ok().flatten().copied().unwrap_or(false),
            epoch: typed.try_get_one::<Duration>("epoch").ok().flatten().copied(),
            drop_states: many.unwrap_or_default().cloned().collect(),
            format: if text("log-format").as_deref() == Some("json") { Format::Json } else { Format::Text },
            http: text("http"),
        }
    }
}

/// The value of `--storage`.
#[must_use]
pub fn storage_of(typed: &ArgMatches) -> Option<String> {
    typed.try_get_one::<String>(STORAGE).ok().flatten().cloned()
}

/// `scale`, for a job that `job` names (if the program does not know it).
#[cfg(feature = "grpc")]
#[must_use]
pub fn scale_command(job: Option<Arg>) -> Command {
    Command::new("scale")
        .about("Change the number of slots or workers of a running job, without stopping it")
        .args(job)
        .arg(
            slots()
                .value_name("M")
                .help("How many slots it is to have, of a job in one process")
                .required_unless_present("replicas"),
        )
        .arg(super::reach::replicas("How many workers it is to have, of a job in many").conflicts_with(SLOTS))
        .args(super::reach::reach_args())
        .arg(storage())
}

/// The number of slots typed for `scale`.
#[cfg(feature = "grpc")]
pub(super) fn scale_slots(typed: &ArgMatches) -> u16 {
    typed.get_one::<u16>(SLOTS).copied().unwrap_or(1)
}

/// `snapshots list`, `show` and `delete`.
#[must_use]
pub fn snapshots_command(job: Option<&Arg>) -> Command {
    let entry = Arg::new("epoch").value_name("EPOCH").value_parser(value_parser!(u64)).help("Which one [default: the newest]");
    let json = Arg::new("json").long("json").action(ArgAction::SetTrue).help("As it is stored");
    let named = Arg::new("name").value_name("NAME").required(true).help("Its name");
    Command::new("snapshots")
        .about("Look at a job's snapshots, and delete those that have a name")
        .subcommand_required(true)
        .subcommand(Command::new("list").about("One line a snapshot").args(job.cloned()).arg(storage()))
        .subcommand(Command::new("delete").about("Give up a named snapshot").args(job.cloned()).arg(named).arg(storage()))
        .subcommand(Command::new("show").about("What is in a snapshot").args(job.cloned()).arg(entry).arg(json).arg(storage()))
}

/// Runs `snapshots`, once the job's name and its storage are known.
pub fn snapshots(typed: &ArgMatches, job: &str, manifest: Option<&str>) -> Result<Printed> {
    let Some((what, typed)) = typed.subcommand() else { return Ok(Printed) };
    let storage = storage_of(typed).or_else(|| manifest.map(str::to_owned));
    match what {
        "list" => super::list(job, storage.as_deref()),
        "delete" => super::delete(job, storage.as_deref(), typed.get_one::<String>("name").map_or("", String::as_str)),
        _ => super::show(job, storage.as_deref(), typed.get_one::<u64>("epoch").copied(), typed.get_flag("json")),
    }
}

/// `completions SHELL`.
#[must_use]
pub fn completions_command() -> Command {
    let shell = Arg::new("shell").value_name("SHELL").required(true).value_parser(value_parser!(Shell));
    Command::new("completions").about("Write a completion script to standard output").arg(shell)
}

/// Writes the script for a whole command.
pub fn completions(typed: &ArgMatches, mut whole: Command) -> Result<Printed> {
    let Some(shell) = typed.get_one::<Shell>("shell").copied() else { return Ok(Printed) };
    let name = whole.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut whole, name, &mut script);
    print(|out| out.write_all(&script))
}
