//! `stop --drain`: the client waits for the end of the job.
//!
//! A job's process ends when the job is over, so a client that loses it reads the job's log, which tells a finished job from a stopped one.
//! A coordinator that is only away comes back under another term, perhaps before anybody notices. It may have forgotten the drain, so it is
//! asked for it again.

use std::time::{Duration, Instant};

use watershed_runtime::error::{Error, Kind, Result};
use watershed_runtime::protocol::manifest::Manifest;
use watershed_wire::v1::{Phase, StatusReply};

use super::exit::print;
use super::snapshots::open;
use crate::cluster::client::Client;
use crate::root::read_log;

/// The time between two looks at the job.
const EVERY: Duration = Duration::from_millis(100);
/// The longest time for which a coordinator may be away.
const AWAY: Duration = Duration::from_secs(60);
/// The longest time for which the storage may take to tell the end of the log.
const SOON: Duration = Duration::from_secs(5);

/// The last manifest in a job's log. None where there is none, or where the storage does not tell it soon: a user who asks how the job is
/// must not wait until a storage that is away has been given up.
pub(super) fn last_manifest(job: &str, storage: Option<&str>) -> Option<Manifest> {
    let (told, heard) = std::sync::mpsc::channel();
    let (job, storage) = (job.to_owned(), storage.map(str::to_owned));
    std::thread::spawn(move || {
        let log = open(&job, storage.as_deref()).and_then(|store| read_log(&store));
        let _late = told.send(log.ok().and_then(|tail| tail.last).map(|(_, manifest)| manifest));
    });
    heard.recv_timeout(SOON).ok().flatten()
}

/// The end of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Finished,
    Stopped,
    Failed,
}

impl End {
    /// The end that a running coordinator tells, or one that stays when the job is over.
    fn of_status(now: &StatusReply) -> Option<Self> {
        match now.phase() {
            Phase::Finished => Some(Self::Finished),
            Phase::Stopped => Some(Self::Stopped),
            Phase::Failed => Some(Self::Failed),
            Phase::Unspecified | Phase::Starting | Phase::Running | Phase::Rescaling | Phase::Recovering | Phase::Draining => {
                None
            }
        }
    }

    /// The end that a log tells whose last manifest was of the epoch `before` when the drain was asked for: an older one is of an earlier
    /// start.
    fn of_log(last: &Manifest, before: Option<u64>) -> Option<Self> {
        let newer = before.is_none_or(|epoch| last.epoch > epoch);
        (last.last && newer).then(|| if last.finished() { Self::Finished } else { Self::Stopped })
    }
}

/// The term of a coordinator, which has none before it has claimed one.
pub(super) fn term_of(now: &StatusReply) -> Option<u64> {
    now.era.as_ref().map(|era| era.term)
}

/// A job that drains.
#[derive(Debug)]
pub(super) struct Draining<'a> {
    pub(super) job: &'a str,
    pub(super) storage: Option<&'a str>,
    /// The epoch of the log's last manifest when the drain was asked for.
    pub(super) before: Option<u64>,
    /// The coordinator's term when the drain was asked for.
    pub(super) term: Option<u64>,
}

impl Draining<'_> {
    /// Waits until the job has finished. `connect` finds the job again when its coordinator has gone away.
    pub(super) fn until_finished(mut self, client: Client, connect: impl Fn() -> Result<Client>) -> Result<()> {
        let (mut client, mut away) = (Some(client), None);
        loop {
            let status = match &mut client {
                Some(client) => self.look(client),
                None => connect().and_then(|found| self.look(client.insert(found))),
            };
            let end = match status {
                Ok(now) => {
                    away = None;
                    End::of_status(&now)
                }
                Err(e) if e.kind() == Kind::Unavailable => {
                    client = None;
                    let end = last_manifest(self.job, self.storage).and_then(|last| End::of_log(&last, self.before));
                    if end.is_none() {
                        self.is_away(&mut away, e)?;
                    }
                    end
                }
                Err(e) => return Err(e),
            };
            match end {
                Some(End::Finished) => return Ok(()),
                Some(End::Stopped) => return Err(self.ended("was stopped before it had finished", "start it again and drain it")),
                Some(End::Failed) => return Err(self.ended("failed before it had finished", "its log says why")),
                None => std::thread::sleep(EVERY),
            }
        }
    }

    /// The status of the job. A coordinator under another term than the one that was asked for the drain is asked again.
    fn look(&mut self, client: &mut Client) -> Result<StatusReply> {
        let now = client.status()?;
        let term = term_of(&now);
        if term != self.term && End::of_status(&now).is_none() {
            client.drain()?;
            self.term = term;
        }
        Ok(now)
    }

    fn ended(&self, how: &str, advice: &str) -> Error {
        Error::new(Kind::Unavailable, format!("the job `{}` {how}", self.job)).advise(advice)
    }

    /// Tells once that the job is away; an error when it has been for too long.
    fn is_away(&self, since: &mut Option<Instant>, why: Error) -> Result<()> {
        let Some(since) = since else {
            *since = Some(Instant::now());
            return print(|out| writeln!(out, "{}: away, and awaited: {why}", self.job)).map(|_| ());
        };
        if since.elapsed() <= AWAY {
            return Ok(());
        }
        let what = format!("the job `{}` went away while it drained, and has not come back for {} s", self.job, AWAY.as_secs());
        Err(Error::new(Kind::Unavailable, what)
            .advise(
                "start it again: `status` says whether it still drains; with --storage its log can tell whether it has finished",
            )
            .because(why))
    }
}

#[cfg(test)]
mod tests {
    use watershed_runtime::key::{Assignment, KeySpace};

    use super::*;

    #[test]
    fn a_log_tells_the_end_of_this_start_and_of_no_earlier_one() {
        let table = Assignment::even(KeySpace::default(), 1);
        let mut last = Manifest::origin(0, Vec::new(), &table, Vec::new());
        last.epoch = 7;
        assert_eq!(End::of_log(&last, None), None, "the job goes on");
        last.last = true;
        assert_eq!(End::of_log(&last, Some(7)), None, "the end of an earlier start");
        assert_eq!(End::of_log(&last, Some(6)), Some(End::Finished), "nothing is left to read");
        last.watermarks.insert(1, watershed_runtime::time::Time(5));
        assert_eq!(End::of_log(&last, None), Some(End::Stopped), "windows are open");
    }

    #[test]
    fn a_status_tells_an_end_only_when_there_is_one() {
        let of = |phase| End::of_status(&StatusReply { phase, ..StatusReply::default() });
        assert_eq!(of(Phase::Draining as i32), None);
        assert_eq!(of(Phase::Recovering as i32), None);
        assert_eq!(of(Phase::Finished as i32), Some(End::Finished));
        assert_eq!(of(Phase::Stopped as i32), Some(End::Stopped));
    }
}
