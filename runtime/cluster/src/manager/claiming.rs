//! Reading and claiming: the log is read to its end, the job compared with what it says, and the next term claimed.
//!
//! A job that cannot go on from the end of the log (the log has a state that the job lacks) is an error before a term is claimed: the
//! manager that runs the job now is not disturbed by one that cannot run it. Another manager may publish between the reading and the claim:
//! then the claim is lost, and the log is read again.

use watershed_runtime::error::{Error, Kind, Result};
use watershed_runtime::protocol::claim::{Claim, Claimed, LogScan, Read, Scanned};
use watershed_runtime::protocol::log::{LogEffect, Tail};
use watershed_runtime::protocol::restart::{self, Start};

use super::interface::{Action, Io, IoReply, Restored};
use super::machine::JobManager;
use super::phase::{Claiming, Gathering, Phase, Reading};
use crate::capacity::{capacity, shortfall};

/// The number of retries of a lost claim. Each loss means that another process wrote to the log in between.
const CLAIMS: u32 = 1000;

/// The progress of a scan with the answer to its last read; none if the answer is to something else.
pub(super) fn scanned(scan: &mut LogScan, reply: IoReply) -> Option<Result<Scanned>> {
    match reply {
        IoReply::Got(bytes) => Some(scan.got(bytes.as_deref())),
        IoReply::Failed(e) => Some(Err(e)),
        IoReply::Put(_)
        | IoReply::Committed
        | IoReply::Discovered(..)
        | IoReply::Merged(..)
        | IoReply::Collected
        | IoReply::ChoreFailed(_)
        | IoReply::Named(..) => None,
    }
}

impl JobManager {
    /// Begins to read the log.
    pub(super) fn read_log(&mut self, out: &mut Vec<Action>) {
        self.read_log_again(0, out);
    }

    fn read_log_again(&mut self, tries: u32, out: &mut Vec<Action>) {
        self.io += 1;
        let (scan, Read(name)) = LogScan::new();
        self.phase = Phase::Reading(Reading { scan, tries });
        out.push(Action::Io(self.io, Io::Get(name)));
    }

    /// A read of the log was answered.
    pub(super) fn log_read(&mut self, reply: IoReply, now: i64, out: &mut Vec<Action>) -> Result<()> {
        let Phase::Reading(reading) = &mut self.phase else { return Ok(()) };
        let tries = reading.tries;
        let Some(scanned) = scanned(&mut reading.scan, reply) else { return Ok(()) };
        match scanned? {
            Scanned::More(Read(name)) => {
                out.push(Action::Io(self.io, Io::Get(name)));
                Ok(())
            }
            Scanned::End(tail) => self.claim(*tail, tries, now, out),
        }
    }

    fn claim(&mut self, tail: Tail, tries: u32, now: i64, out: &mut Vec<Action>) -> Result<()> {
        self.plan(&tail)?;
        if self.journals.values().all(Option::is_none) && !self.fits(&tail, now) {
            return Ok(());
        }
        let uid = format!("{}-{}", self.settings.uid, self.io);
        let (claim, claimed) = Claim::new(&tail, &uid, self.settings.rules)?;
        self.phase = Phase::Claiming(Box::new(Claiming { claim, tail, tries }));
        self.after_claim(claimed, now, out)
    }

    /// A put or get of the claim was answered.
    pub(super) fn claim_answered(&mut self, reply: IoReply, now: i64, out: &mut Vec<Action>) -> Result<()> {
        let Phase::Claiming(claiming) = &mut self.phase else { return Ok(()) };
        let claimed = match reply {
            IoReply::Put(put) => claiming.claim.put(put)?,
            IoReply::Got(bytes) => claiming.claim.got(bytes.as_deref())?,
            IoReply::Failed(e) => return Err(e),
            IoReply::Committed
            | IoReply::Discovered(..)
            | IoReply::Merged(..)
            | IoReply::Collected
            | IoReply::ChoreFailed(_)
            | IoReply::Named(..) => return Ok(()),
        };
        self.after_claim(claimed, now, out)
    }

    fn after_claim(&mut self, claimed: Claimed, now: i64, out: &mut Vec<Action>) -> Result<()> {
        match claimed {
            Claimed::More(LogEffect::Create { name, bytes }) => out.push(Action::Io(self.io, Io::Create { name, bytes })),
            Claimed::More(LogEffect::Get { name }) => out.push(Action::Io(self.io, Io::Get(name))),
            Claimed::More(LogEffect::Published { .. }) => {}
            Claimed::Lost(e) => {
                let tries = if let Phase::Claiming(c) = &self.phase { c.tries + 1 } else { 0 };
                if tries > CLAIMS {
                    return Err(e);
                }
                self.read_log_again(tries, out);
            }
            Claimed::Ours(log) => {
                let Phase::Claiming(claiming) = std::mem::replace(&mut self.phase, Phase::Gathering(Gathering)) else {
                    return Err(Error::broken("I10", "a term was claimed that was not asked for"));
                };
                self.runs.term = log.term();
                return self.claimed(&claiming.tail, *log, now, out);
            }
        }
        Ok(())
    }

    /// The manifest and slots to begin from, with the workers that are there. Records for the status which stored states go on.
    pub(super) fn plan(&mut self, tail: &Tail) -> Result<Start> {
        let slots = self.members.beginning(self.wishes.target);
        let stored = tail.last.as_ref().map_or(&[][..], |(_, m)| m.graph.as_slice());
        let shapes = restart::compare(stored, &self.shape);
        let mut job = restart::Job::new(self.shape.clone(), self.settings.keys, slots).may_drop(self.settings.may_drop.clone());
        if self.settings.drop_unmatched {
            job = job.may_drop(shapes.missing.iter().chain(&shapes.changed).cloned());
        }
        let start = restart::start(tail, &job)?;
        let (empty, dropped) = (start.empty.clone(), start.dropped.clone());
        self.runs.restored = Restored { epoch: start.manifest.epoch, kept: shapes.kept, empty, dropped };
        Ok(start)
    }

    /// True if the workers that are there have memory for the job's state. If not, the manager rests, so that the storage is not read at
    /// every step.
    pub(super) fn fits(&mut self, tail: &Tail, now: i64) -> bool {
        // The oldest file has nearly all of it; the younger ones say again what has changed.
        let state = tail.last.as_ref().and_then(|(_, m)| m.files.iter().map(|f| f.bytes).max()).unwrap_or(0);
        let short = shortfall(state, self.members.present().len(), capacity(self.members.budgets()));
        let fits = short.is_none();
        if let Some(why) = short {
            self.runs.recovering = Some(why);
            self.phase = Phase::Resting(now + self.settings.patience.rest);
        }
        fits
    }

    /// An answer of the outside, to whatever asked it.
    pub(super) fn answered(&mut self, io: u64, reply: IoReply, now: i64, out: &mut Vec<Action>) -> Result<()> {
        if let IoReply::Named(request, outcome) = reply {
            self.savepoints.named(request, outcome, out);
            return Ok(());
        }
        if self.newer.asked(io) {
            return self.looked(reply, now, out);
        }
        if io != self.io {
            return Ok(());
        }
        match &self.phase {
            Phase::Reading(_) => self.log_read(reply, now, out),
            Phase::Claiming(_) => self.claim_answered(reply, now, out),
            Phase::Running(_) => self.run_answered(reply, now, out),
            Phase::Committing(outcome) => match (*outcome, reply) {
                (outcome, IoReply::Committed) => {
                    self.end(Ok(outcome), out);
                    Ok(())
                }
                (_, IoReply::Failed(e)) => Err(e),
                (_, reply) => Err(Error::new(Kind::Broken, format!("{reply:?} answers a commit"))),
            },
            Phase::Gathering(_) | Phase::Resting(_) | Phase::Ended => Ok(()),
        }
    }
}
