//! What a running job in many processes is asked: `status`, `scale`, `snapshot` and `stop`, which also reaches a job in one process.
//!
//! The address that is asked is the one that was typed, or the one that `run --replicas` wrote down. A written address may be left over from
//! processes that were killed, so it decides nothing by itself: a job in one process that answers on its socket is the one that is meant.

use std::time::Duration;

use clap::ArgMatches;
use watershed_runtime::error::{Error, Kind, Result};
use watershed_wire::v1::StatusReply;

use super::cluster::{address_file, given, network};
use super::exit::{Printed, print};
use super::shown::{as_json, as_table};
use crate::cluster::client::Client;

fn client(typed: &ArgMatches, job: &str) -> Result<Client> {
    let file = address_file(job);
    let known = given(typed, "coordinator").or_else(|| std::fs::read_to_string(&file).ok());
    let address = known.ok_or_else(|| {
        Error::new(Kind::Unavailable, format!("the job `{job}` has no coordinator that is known here"))
            .at(file.display().to_string())
            .advise("start it with `run --replicas N`, or name its coordinator with --coordinator ADDR")
    })?;
    Client::connect(address.trim(), network(typed)?)
}

/// `scale --replicas M`: waits until the wish is met and durable.
pub fn scale(typed: &ArgMatches, job: &str, replicas: u32) -> Result<Printed> {
    let mut client = client(typed, job)?;
    let before = client.scale(replicas)?;
    print(|out| writeln!(out, "{job}: from {before} to {replicas} workers"))?;
    let mut shown = String::new();
    loop {
        let now = client.status()?;
        let owners = now.workers.iter().filter(|w| w.key_groups > 0).count();
        let settled = now.phase() == watershed_wire::v1::Phase::Running && owners == replicas as usize;
        let line = progress(&now);
        if line != shown {
            print(|out| writeln!(out, "{job}: {line}"))?;
            shown = line;
        }
        if settled {
            return print(|out| writeln!(out, "{job}: settled at epoch {}", now.epoch));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn progress(now: &StatusReply) -> String {
    let groups: Vec<String> = now.workers.iter().map(|w| w.key_groups.to_string()).collect();
    let mut text = format!("{} workers, key groups {}", now.workers.len(), groups.join("/"));
    if let Some(first) = now.waiting.first() {
        text.push_str(&format!(", waiting {first}"));
    }
    text
}

/// `snapshot`.
pub fn snapshot(typed: &ArgMatches, job: &str) -> Result<Printed> {
    let of_now = || crate::telemetry::rfc3339(crate::clock::now()).replace([':', '.'], "-").to_lowercase();
    let name = typed.get_one::<String>("as").cloned().unwrap_or_else(of_now);
    let epoch = client(typed, job)?.snapshot(&name)?;
    print(|out| writeln!(out, "{job}: snapshot {name} is epoch {epoch}"))
}

/// `stop`: of a job in many processes, or of one in one process.
pub fn stop(typed: &ArgMatches, job: &str, storage: Option<&str>) -> Result<Printed> {
    let drain = typed.get_flag("drain");
    let named = given(typed, "coordinator").is_some();
    let many = named || address_file(job).exists() && !super::scale::runs_here(job, storage);
    let says = match (many, drain) {
        (false, _) => {
            super::scale::end(job, storage, drain)?;
            String::new()
        }
        (true, false) => client(typed, job)?.stop().map(|()| String::new())?,
        (true, true) => client(typed, job)?.drain()?,
    };
    let what = match (drain, says.as_str()) {
        (false, _) => "stopping with a snapshot".to_owned(),
        (true, "") => "draining".to_owned(),
        (true, says) => format!("draining: {says}"),
    };
    print(|out| writeln!(out, "{job}: {what}"))
}

/// `status`, with `--watch` again and again.
pub fn status(typed: &ArgMatches, job: &str) -> Result<Printed> {
    let mut client = client(typed, job)?;
    loop {
        let now = client.status()?;
        print(|out| if typed.get_flag("json") { as_json(out, &now) } else { as_table(out, &now) })?;
        if !typed.get_flag("watch") {
            return Ok(Printed);
        }
        std::thread::sleep(Duration::from_secs(1));
    }
}
