//! Commands for a running job, in one process or in many: `status`, `scale`, `snapshot` and `stop`.
//!
//! A coordinator that was typed is the one that is meant. Else a job in one process that answers on its socket is; else the coordinator
//! whose address `run --replicas` wrote down, which may be left over from processes that were killed.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::time::Duration;

use clap::ArgMatches;
use watershed_runtime::error::{Error, Kind, Result};
use watershed_wire::v1::{Phase, StatusReply};

use super::drain::{Draining, last_manifest, term_of};
use super::exit::{Printed, print};
use super::flags::scale_slots;
use super::reach::{WrittenDown, given, network, typed_replicas};
use super::serve::socket;
use super::shown::{as_json, as_table};
use crate::cluster::client::Client;

/// The time between two looks at a rescale.
const EVERY: Duration = Duration::from_millis(50);

/// The job that runs on this storage in one process.
fn here(job: &str, storage: Option<&str>) -> Result<Client> {
    let path = socket(job, storage);
    let mut client = Client::connect_unix(&path).map_err(|e| {
        let nobody = matches!(e.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused);
        let (what, advice) = if nobody {
            (
                "does not run here",
                "start it with `run`; if it runs from another directory or with --storage, go there or give the same --storage; \
                 name a coordinator elsewhere with --coordinator ADDR",
            )
        } else {
            ("cannot be reached", "only the user who started a job may steer it")
        };
        Error::new(Kind::Unavailable, format!("the job `{job}` {what}")).at(path.display().to_string()).advise(advice).because(e)
    })?;
    let runs = client.status()?.job;
    if runs != job {
        let what = format!("it is the job `{runs}` that runs here, not `{job}`");
        return Err(Error::new(Kind::Invalid, what).at(path.display().to_string()));
    }
    Ok(client)
}

/// The coordinator that was typed, or whose address was written down.
fn coordinator(typed: &ArgMatches, job: &str) -> Result<Client> {
    let known = given(typed, "coordinator").or_else(|| WrittenDown::read(job).map(|w| w.address));
    let address = known.ok_or_else(|| {
        Error::new(Kind::Unavailable, format!("the job `{job}` has no coordinator that is known here"))
            .at(WrittenDown::file(job).display().to_string())
            .advise("start it with `run --replicas N`, or name its coordinator with --coordinator ADDR")
    })?;
    Client::connect(address.trim(), network(typed)?)
}

/// The job that is meant, in one process or in many.
fn any(typed: &ArgMatches, job: &str, storage: Option<&str>) -> Result<Client> {
    with_storage(typed, job, storage).map(|(client, _)| client)
}

/// The same, with the place of its snapshots as far as it is known here.
fn with_storage(typed: &ArgMatches, job: &str, storage: Option<&str>) -> Result<(Client, Option<String>)> {
    let storage_here = storage.map(str::to_owned);
    if given(typed, "coordinator").is_some() {
        return Ok((coordinator(typed, job)?, storage_here));
    }
    match (here(job, storage), WrittenDown::read(job)) {
        (Err(_), Some(written)) => Ok((coordinator(typed, job)?, written.storage)),
        (client, _) => Ok((client?, storage_here)),
    }
}

/// `scale`: waits until the wish is met and durable.
pub fn scale(typed: &ArgMatches, job: &str, storage: Option<&str>) -> Result<Printed> {
    if let Some(replicas) = typed_replicas(typed) {
        let mut client = coordinator(typed, job)?;
        let before = client.scale(replicas).map_err(|e| e.at("replicas"))?;
        print(|out| writeln!(out, "{job}: from {before} to {replicas} workers"))?;
        let owners = |now: &StatusReply| now.workers.iter().filter(|w| w.key_groups > 0).count() == replicas as usize;
        let end = follow(&mut client, job, progress, owners)?;
        return print(|out| writeln!(out, "{job}: settled at epoch {}", end.epoch));
    }
    let (slots, mut client) = (scale_slots(typed), here(job, storage)?);
    let before = client.scale(u32::from(slots)).map_err(|e| e.at(format!("job {job}")))?;
    print(|out| writeln!(out, "{job}: from {before} to {slots} slots"))?;
    let end = follow(&mut client, job, progress_of_slots, |now| by_slot(now).len() == usize::from(slots))?;
    print(|out| writeln!(out, "{job}: settled at epoch {}: {}", end.epoch, progress_of_slots(&end)))
}

/// Says how far a rescale is until it is done; the status then.
fn follow(
    client: &mut Client,
    job: &str,
    line: impl Fn(&StatusReply) -> String,
    done: impl Fn(&StatusReply) -> bool,
) -> Result<StatusReply> {
    let mut shown = String::new();
    loop {
        let now = client.status()?;
        if now.phase() == Phase::Running && done(&now) {
            return Ok(now);
        }
        let line = line(&now);
        if line != shown {
            print(|out| writeln!(out, "{job}: {line}"))?;
            shown = line;
        }
        std::thread::sleep(EVERY);
    }
}

/// Key groups by the slot that owns them.
fn by_slot(now: &StatusReply) -> BTreeMap<u32, u32> {
    let mut all = BTreeMap::new();
    now.ranges.iter().for_each(|r| *all.entry(r.slot).or_default() += r.groups);
    all
}

fn progress_of_slots(now: &StatusReply) -> String {
    progress_of("slots", &by_slot(now).into_values().collect::<Vec<_>>(), now)
}

fn progress(now: &StatusReply) -> String {
    progress_of("workers", &now.workers.iter().map(|w| w.key_groups).collect::<Vec<_>>(), now)
}

/// A line with the number of key groups that each of these has, and the first thing that the job waits for.
fn progress_of(these: &str, groups: &[u32], now: &StatusReply) -> String {
    let each: Vec<String> = groups.iter().map(u32::to_string).collect();
    let waiting = now.waiting.first().map(|first| format!(", waiting {first}")).unwrap_or_default();
    format!("{} {these}, key groups {}{waiting}", groups.len(), each.join("/"))
}

/// `snapshot`.
pub fn snapshot(typed: &ArgMatches, job: &str, storage: Option<&str>) -> Result<Printed> {
    let of_now = || crate::telemetry::rfc3339(crate::clock::now()).replace([':', '.'], "-").to_lowercase();
    let name = typed.get_one::<String>("as").cloned().unwrap_or_else(of_now);
    let epoch = any(typed, job, storage)?.snapshot(&name)?;
    print(|out| writeln!(out, "{job}: snapshot {name} is epoch {epoch}"))
}

/// `stop`: with `--drain` it waits until the job has finished.
pub fn stop(typed: &ArgMatches, job: &str, storage: Option<&str>) -> Result<Printed> {
    let (mut client, place) = with_storage(typed, job, storage)?;
    if !typed.get_flag("drain") {
        client.stop()?;
        return print(|out| writeln!(out, "{job}: stopping with a snapshot"));
    }
    let before = last_manifest(job, place.as_deref()).map(|m| m.epoch);
    let term = term_of(&client.status()?);
    let said = client.drain()?;
    print(|out| writeln!(out, "{job}: draining: {said}"))?;
    if typed.get_flag("no-wait") {
        return Ok(Printed);
    }
    Draining { job, storage: place.as_deref(), before, term }.until_finished(client, || any(typed, job, storage))?;
    print(|out| writeln!(out, "{job}: finished"))
}

/// `status`, with `--watch` again and again.
pub fn status(typed: &ArgMatches, job: &str, storage: Option<&str>) -> Result<Printed> {
    let mut client = any(typed, job, storage)?;
    loop {
        let now = client.status()?;
        print(|out| if typed.get_flag("json") { as_json(out, &now) } else { as_table(out, &now) })?;
        if !typed.get_flag("watch") {
            return Ok(Printed);
        }
        std::thread::sleep(Duration::from_secs(1));
    }
}
