//! `coordinator`, `worker` and `run --replicas`, and the flags of `status`, `snapshot` and `stop`.

use std::process::{Command as Process, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::{Arg, ArgMatches, Command, value_parser};
use serde_json::json;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use watershed_runtime::error::{Error, Kind, Result};
use watershed_runtime::graph::Graph;
use watershed_runtime::key::KeySpace;
use watershed_wire::v1::Phase;

use super::exit::exit_code;
use super::leave::Leave;
pub use super::reach::typed_replicas;
use super::reach::{WrittenDown, coordinator_at, given, network, network_args, number, reach_args, replicas, value};
pub use super::steer::{scale, snapshot, status, stop};
use super::supervised::{is_supervised, stay, stay_and_tell, supervised_arg};
use super::{EndsWhenTold, Settings, flags};
use crate::LocalJob;
use crate::cluster::client::Client;
use crate::cluster::supervise::Supervisor;
use crate::cluster::{CoordinatorJob, CoordinatorWatch, WorkerJob, WorkerWatch};
use crate::http::{HttpServer, Watched};
use crate::local::Outcome;
use crate::telemetry::log::{Format, Log};
use crate::transport::Network;

/// The time between two questions for the job's file to a coordinator that does not answer.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// `coordinator`.
#[must_use]
pub fn coordinator_command(job: Option<Arg>) -> Command {
    Command::new("coordinator")
        .about("Coordinate a job whose workers are processes of their own")
        .args(job)
        .arg(value("listen", "ADDR", "Where workers and commands reach it [default: 127.0.0.1:7100]"))
        .arg(replicas("Workers to begin with [default: 1]"))
        .arg(supervised_arg())
        .args(flags::run_args().into_iter().filter(|a| !["slots", "replicas"].contains(&a.get_id().as_str())))
        .args(network_args())
}

/// `worker`.
#[must_use]
pub fn worker_command(job: Option<Arg>) -> Command {
    Command::new("worker")
        .about("Work for a coordinator")
        .args(job)
        .arg(coordinator_at())
        .arg(value(
            "name",
            "NAME-N",
            "Who it is; the number at the end says which key groups' slots are its own [default: worker-0]",
        ))
        .arg(value("listen", "ADDR", "Where other workers reach it [default: 127.0.0.1, any port]"))
        .arg(value("advertise", "ADDR", "The address that they use, if that is another"))
        .arg(value("memory-bytes", "BYTES", "How much state it has room for").value_parser(value_parser!(u64)))
        .arg(supervised_arg())
        .args(flags::run_args().into_iter().filter(|a| ["slots", "http", "log-format"].contains(&a.get_id().as_str())))
        .args(network_args())
}

/// `status`.
#[must_use]
pub fn status_command(job: Option<Arg>) -> Command {
    Command::new("status")
        .about("Show a running job: key ranges, workers, rates, and what it waits for")
        .args(job)
        .arg(Arg::new("watch").long("watch").action(clap::ArgAction::SetTrue).help("Again and again"))
        .arg(Arg::new("json").long("json").action(clap::ArgAction::SetTrue).help("For programs"))
        .arg(flags::storage())
        .args(reach_args())
}

/// `snapshot`.
#[must_use]
pub fn snapshot_command(job: Option<Arg>) -> Command {
    Command::new("snapshot")
        .about("Name a snapshot of a running job: it stays until `snapshots delete`")
        .args(job)
        .arg(value("as", "NAME", "Its name [default: the time]"))
        .arg(flags::storage())
        .args(reach_args())
}

/// `stop`.
#[must_use]
pub fn stop_command(job: Option<Arg>) -> Command {
    Command::new("stop")
        .about("Stop a running job with a snapshot; the next start goes on from it")
        .args(job)
        .arg(
            Arg::new("drain")
                .long("drain")
                .action(clap::ArgAction::SetTrue)
                .help("Read nothing more, close what is open, and finish: the job is over, and a later start has nothing to do"),
        )
        .arg(
            Arg::new("no-wait")
                .long("no-wait")
                .requires("drain")
                .action(clap::ArgAction::SetTrue)
                .help("Do not wait until the job has finished"),
        )
        .arg(flags::storage())
        .args(reach_args())
}

fn ends<T>(log: &Log, result: Result<T>, code: impl FnOnce(T) -> u8) -> ExitCode {
    match result {
        Ok(value) => ExitCode::from(code(value)),
        Err(e) => {
            log.failed(&e);
            ExitCode::from(exit_code(e.kind()))
        }
    }
}

/// Serves what a process says of itself, if that is asked for.
fn serve(typed: &ArgMatches, log: &Log, watched: impl Watched) -> Result<Option<HttpServer>> {
    let Some(address) = given(typed, "http") else { return Ok(None) };
    let server = HttpServer::start(&address, watched)?;
    let page = format!("http://{}/metrics", server.address());
    log.event("http", &page, json!({ "address": server.address().to_string() }));
    Ok(Some(server))
}

/// Runs `coordinator`. `early`: signals until the job hears them; for one that is looked after SIGTERM stays the end of the process.
#[must_use]
pub fn coordinate(typed: &ArgMatches, graph: Graph, settings: &Settings, early: EndsWhenTold) -> ExitCode {
    let log = Arc::new(Log::new(settings.format, &settings.name));
    let supervised = is_supervised(typed);
    let storage = given(typed, "storage").or_else(|| settings.storage.clone());
    let storage = storage.unwrap_or_else(|| LocalJob::default_storage(&settings.name).display().to_string());
    let listen = given(typed, "listen").unwrap_or_else(|| "127.0.0.1:7100".into());
    let watch = CoordinatorWatch::new(&settings.name);
    let _http = match serve(typed, &log, watch.clone()) {
        Ok(server) => server,
        Err(e) => return ends::<()>(&log, Err(e), |()| 0),
    };
    let mut early = Some(early);
    let run = || -> Result<Outcome> {
        let keys = match number(typed, "key-groups")? {
            None => settings.keys,
            Some(groups) => KeySpace::with_groups(groups).ok_or_else(|| {
                Error::new(Kind::Invalid, format!("{groups} key groups: a power of two from 256 to 32768 is needed"))
                    .at("WATERSHED_KEY_GROUPS")
            })?,
        };
        let job = CoordinatorJob::new(&settings.name, graph, &storage)
            .epoch(settings.epoch)
            .replicas(number(typed, "replicas")?.unwrap_or(settings.replicas))
            .fresh(settings.fresh)
            .keys(keys)
            .may_drop(settings.drop_states.clone())
            .drop_unmatched(settings.drop_unmatched)
            .listen(&listen)
            .network(network(typed)?)
            .watch(watch.clone())
            .file(settings.file.clone())
            .tells({
                let log = log.clone();
                move |sentence| log.event("run", sentence, json!({ "message": sentence }))
            });
        let mut signals = super::signals::twice_ends(if supervised { &[SIGINT] } else { &[SIGINT, SIGTERM] })?;
        job.run(|address, stopper| {
            log.event("listening", &format!("coordinates at {address}"), json!({ "address": address.to_string() }));
            std::thread::spawn(move || signals.forever().for_each(|_| stopper.stop()));
            // SIGTERM stays the end of a process that is looked after.
            match early.take() {
                Some(signals) if supervised => early.insert(signals).hears_interrupts(),
                Some(_) | None => {}
            }
        })
    };
    let result = run();
    if let Ok(outcome) = &result {
        let (event, sentence) = match outcome {
            Outcome::Finished => ("finished", "finished"),
            Outcome::AlreadyFinished => ("finished", "had finished before: nothing to do"),
            Outcome::Stopped => ("stopped", "stopped; the next start goes on from here"),
        };
        log.event(event, sentence, json!({}));
        if supervised {
            let phase = if *outcome == Outcome::Stopped { Phase::Stopped } else { Phase::Finished };
            let stayed = network(typed).and_then(|n| stay_and_tell(&watch, &settings.name, &storage, phase, &listen, &n));
            return ends(&log, stayed, |()| 0);
        }
    }
    ends(&log, result, |_| 0)
}

/// The file that the coordinator's job is from, its name first: waits until the coordinator answers, and says so.
pub fn job_file(typed: &ArgMatches, name: &str) -> Result<(String, String)> {
    let address = given(typed, "coordinator").ok_or_else(|| {
        Error::new(Kind::Invalid, "a worker needs its job's file, or a coordinator to ask for it")
            .advise("give the file, or the coordinator with --coordinator ADDR or WATERSHED_COORDINATOR")
    })?;
    let log = Log::new(flags::RunFlags::of(typed).format, name);
    let network = network(typed)?;
    let mut said = false;
    loop {
        let asked = Client::connect(&address, network.clone()).and_then(|mut c| c.file());
        match asked {
            Ok(Some(file)) => return Ok(file),
            Ok(None) => {
                return Err(Error::new(Kind::Invalid, "the job is a program, and not a file")
                    .at(address)
                    .advise("start the program itself as a worker: it takes the same flags"));
            }
            Err(e) if e.kind() == Kind::Unavailable => {
                if !std::mem::replace(&mut said, true) {
                    let why = e.to_string();
                    log.event("waiting", &format!("waits for the coordinator at {address}: {why}"), json!({ "message": why }));
                }
                std::thread::sleep(ASK_AGAIN);
            }
            Err(e) => return Err(e),
        }
    }
}

/// Runs `worker`. `early`: signals until it listens for them itself.
#[must_use]
pub fn work(typed: &ArgMatches, graph: Graph, settings: &Settings, early: EndsWhenTold) -> ExitCode {
    let name = given(typed, "name").unwrap_or_else(|| "worker-0".into());
    let log = Arc::new(Log::new(settings.format, &format!("{} {name}", settings.name)));
    let supervised = is_supervised(typed);
    let watch = WorkerWatch::new(&settings.name);
    let _http = match serve(typed, &log, watch.clone()) {
        Ok(server) => server,
        Err(e) => return ends::<()>(&log, Err(e), |()| 0),
    };
    let run = || -> Result<(Leave, Result<()>)> {
        let coordinator = given(typed, "coordinator").unwrap_or_else(|| "127.0.0.1:7100".into());
        let job = WorkerJob::new(&settings.name, graph, &name, coordinator)
            .slots(number(typed, "slots")?.unwrap_or(settings.each))
            .memory_bytes(number(typed, "memory-bytes")?.unwrap_or(0))
            .listen(given(typed, "listen").unwrap_or_else(|| "127.0.0.1:0".into()), given(typed, "advertise"))
            .network(network(typed)?)
            .watch(watch.clone())
            .tells({
                let log = log.clone();
                move |sentence| log.event("leaving", sentence, json!({ "message": sentence }))
            });
        let leave = Leave::listen(job.leaver())?;
        drop(early);
        Ok((leave, job.run()))
    };
    let (leave, result) = match run() {
        Ok(worked) => worked,
        Err(e) => return ends::<()>(&log, Err(e), |()| 0),
    };
    // Of two processes with one name the later stays. Whoever started this one again would make it the later one, and so on for ever.
    let replaced = result.as_ref().is_err_and(|e| e.kind() == Kind::Fenced);
    let stays = supervised && (replaced || result.is_ok());
    if stays || result.is_ok() {
        watch.over();
    }
    let code = ends(&log, result, |()| 0);
    if stays && leave.stays() {
        // The job is over, or goes on without this process, and nobody wants it begun again.
        stay();
    }
    code
}

/// Runs `run --replicas N`. `own`: the words that make this very program coordinate or work for the job; `early`: signals until it listens
/// for them itself.
#[must_use]
pub fn supervise(own: &[String], settings: &Settings, replicas: u32, early: EndsWhenTold) -> ExitCode {
    let log = Arc::new(Log::new(settings.format, &settings.name));
    let run = || -> Result<i32> {
        let unavailable = |what: &str, e: std::io::Error| Error::new(Kind::Unavailable, what.to_owned()).because(e);
        let program = std::env::current_exe().map_err(|e| unavailable("this program cannot be found", e))?;
        let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr());
        let address = free.map_err(|e| unavailable("no port of loopback is free", e))?.to_string();
        let file = WrittenDown::file(&settings.name);
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder).map_err(|e| unavailable("the directory of the job cannot be made", e))?;
        }
        let written = WrittenDown { address: address.clone(), storage: settings.storage.clone() };
        std::fs::write(&file, written.text()).map_err(|e| unavailable("the coordinator's address cannot be written down", e))?;
        let format = if settings.format == Format::Json { "json" } else { "text" };
        let begin = move |role: &str, own: &[String]| {
            let mut command = Process::new(&program);
            command.arg(role).args(own).args(["--log-format", format]);
            command
        };
        let (http, storage, fresh) = (settings.http.clone(), settings.storage.clone(), std::cell::Cell::new(settings.fresh));
        let (epoch, drop_states, slots) = (settings.epoch, settings.drop_states.clone(), settings.each);
        let (for_workers, to, owned, worker_own) = (begin.clone(), address.clone(), own.to_vec(), own.to_vec());
        let at = address.clone();
        let coordinator = move |replicas: u32| {
            let mut command = begin("coordinator", &owned);
            command.args(["--listen", &at, "--replicas", &replicas.to_string()]);
            command.args(["--epoch", &format!("{}ms", epoch.as_millis())]);
            command.args(http.iter().flat_map(|a| ["--http", a.as_str()]));
            command.args(storage.iter().flat_map(|s| ["--storage", s.as_str()]));
            command.args(drop_states.iter().flat_map(|s| ["--drop-state", s.as_str()]));
            // Only the first time: a coordinator that is started again goes on.
            command.args(fresh.replace(false).then_some("--fresh"));
            command
        };
        let worker = move |number: u32| {
            let mut command = for_workers("worker", &worker_own);
            command.args(["--coordinator", &to, "--name", &format!("worker-{number}"), "--slots", &slots.to_string()]);
            command
        };
        let says = log.clone();
        let told = Arc::new(AtomicBool::new(false));
        let tells = told.clone();
        let mut signals = Signals::new([SIGTERM]).map_err(|e| unavailable("cannot listen for signals", e))?;
        // Ctrl-C goes to the coordinator too, which is in the terminal's group; SIGTERM is passed on.
        let _ignored = Signals::new([SIGINT]);
        std::thread::spawn(move || {
            signals.forever().for_each(|_| tells.store(true, Ordering::SeqCst));
        });
        drop(early);
        let supervisor = Supervisor {
            coordinator: Box::new(coordinator),
            worker: Box::new(worker),
            address,
            replicas,
            told,
            network: Network::default(),
            says: Box::new(move |sentence| says.event("supervisor", sentence, json!({ "message": sentence }))),
        };
        let code = supervisor.run();
        let _gone = std::fs::remove_file(&file);
        code
    };
    ends(&log, run(), |code| u8::try_from(code).unwrap_or(70))
}
