//! `scale`: tells a running job how many slots to have, and says what it does about it until the wish is met and durable.

use std::time::Duration;

use watershed_runtime::error::Result;

use super::exit::{Printed, print};
use crate::control::{Answer, Client, Request, directory};

/// How often the job is asked how far it is.
const EVERY: Duration = Duration::from_millis(50);

/// Scales the job that runs on this storage (`None`: the default directory), and waits until it has settled.
pub fn scale(job: &str, storage: Option<&str>, slots: u16) -> Result<Printed> {
    let mut client = Client::connect(job, &directory(job, storage))?;
    let before = client.ask(&Request::Status)?;
    say(&format!("{job}: from {} to {slots} slots", before.slots.len()))?;
    let mut answer = client.ask(&Request::Scale { job: job.to_owned(), slots })?;
    let mut shown = String::new();
    while !(answer.settled && answer.slots.len() == usize::from(slots)) {
        let now = progress(&answer);
        if now != shown {
            say(&format!("{job}: {now}"))?;
            shown = now;
        }
        std::thread::sleep(EVERY);
        answer = client.ask(&Request::Status)?;
    }
    say(&format!("{job}: settled at epoch {}: {}", answer.epoch, progress(&answer)))
}

/// Whether the job runs on this storage in one process.
#[cfg(feature = "grpc")]
pub(super) fn runs_here(job: &str, storage: Option<&str>) -> bool {
    Client::connect(job, &directory(job, storage)).is_ok()
}

/// Stops the job that runs on this storage, or drains it.
#[cfg(feature = "grpc")]
pub(super) fn end(job: &str, storage: Option<&str>, drain: bool) -> Result<()> {
    let mut client = Client::connect(job, &directory(job, storage))?;
    client.ask(&Request::Stop { job: job.to_owned(), drain }).map(|_| ())
}

fn progress(answer: &Answer) -> String {
    let groups: Vec<String> = answer.groups.iter().map(|(_, n)| n.to_string()).collect();
    let mut text = format!("{} slots, key groups {}", answer.slots.len(), groups.join("/"));
    if let Some(first) = answer.waiting.first() {
        text.push_str(&format!(", waiting for {first}"));
    }
    text
}

fn say(line: &str) -> Result<Printed> {
    print(|out| writeln!(out, "{line}"))
}
