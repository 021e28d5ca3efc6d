//! Requests of users: scale, stop, drain, snapshot.

use watershed_runtime::coordinator::Input;
use watershed_runtime::error::{Error, Kind, Result};
use watershed_runtime::protocol::named::{NamedSnapshot, object_of};

use super::interface::{Action, Io, Outcome, Reply, Request};
use super::machine::JobManager;
use super::phase::Phase;
use super::savepoints::NAMING;
use crate::membership::Target;

impl JobManager {
    pub(super) fn request(&mut self, id: u64, request: Request, now: i64, out: &mut Vec<Action>) -> Result<()> {
        match request {
            Request::Scale(n) => {
                out.push(Action::Reply(id, self.scale(n).map_or_else(Reply::Refused, Reply::Scaled)));
                Ok(())
            }
            Request::Stop => {
                out.push(Action::Reply(id, Reply::Stopping));
                self.stop(now, out)
            }
            Request::Drain => self.drain(id, now, out),
            Request::Snapshot { name, wait } => {
                self.ask_savepoint(id, name, wait, out);
                Ok(())
            }
        }
    }

    /// Another target; what there was before.
    fn scale(&mut self, n: u32) -> Result<u32> {
        let groups = self.settings.keys.groups();
        let (unit, before, slots) = match self.wishes.target {
            Target::Workers(before) => ("worker", before, n as usize * usize::from(self.members.each())),
            Target::Slots(before) => ("slot", u32::from(before), n as usize),
        };
        if n == 0 {
            return Err(Error::new(Kind::Invalid, format!("a job has at least one {unit}")).advise("stop the job to have none"));
        }
        if slots > groups {
            let what = match self.wishes.target {
                Target::Workers(_) => format!("{n} workers have more slots than the {groups} key groups there are"),
                Target::Slots(_) => format!("{n} slots need more than the {groups} key groups there are"),
            };
            return Err(Error::new(Kind::Invalid, what).advise("ask for fewer; a new job may have more key groups"));
        }
        self.wishes.target = match self.wishes.target {
            Target::Workers(_) => Target::Workers(n),
            Target::Slots(_) => Target::Slots(u16::try_from(n).unwrap_or(u16::MAX)),
        };
        Ok(before)
    }

    /// Stops with a snapshot; at once if nothing runs.
    fn stop(&mut self, now: i64, out: &mut Vec<Action>) -> Result<()> {
        (self.wishes.stopping, self.wishes.draining) = (true, false);
        if self.running().is_none() {
            self.end(Ok(Outcome::Stopped), out);
            return Ok(());
        }
        self.input(Input::Stop, now, out)
    }

    /// Drains. The wish is this process's alone until a slot has heard the barrier at which sources end: the manager that takes the slots
    /// over then completes it, and a manifest makes it last. A manager that is lost before has drained nothing, and is asked again.
    fn drain(&mut self, id: u64, now: i64, out: &mut Vec<Action>) -> Result<()> {
        if self.coordinator().is_some_and(|c| c.closing() && !c.draining()) {
            let late = "the job's last snapshot is under way: if it has not finished then, start it again and drain it";
            out.push(Action::Reply(id, Reply::Refused(Error::new(Kind::Invalid, late))));
            return Ok(());
        }
        out.push(Action::Reply(id, Reply::Draining));
        (self.wishes.draining, self.wishes.stopping) = (true, false);
        self.input(Input::Drain, now, out)
    }

    /// A snapshot is asked for: of everything that is read until the next barrier.
    fn ask_savepoint(&mut self, request: u64, name: String, wait: bool, out: &mut Vec<Action>) {
        if let Err(e) = object_of(&name) {
            return out.push(Action::Reply(request, Reply::Refused(e)));
        }
        let Some(coordinator) = self.coordinator() else {
            let why = Error::new(Kind::Unavailable, "the job does not run yet: `status` says for whom it waits");
            return out.push(Action::Reply(request, Reply::Refused(why)));
        };
        let epoch = coordinator.next_epoch();
        if !wait {
            out.push(Action::Reply(request, Reply::Snapshot(epoch)));
        }
        self.savepoints.ask(request, name, epoch, wait);
    }

    /// Names what has been published.
    pub(super) fn grant_savepoints(&mut self, now: i64, out: &mut Vec<Action>) {
        let Phase::Running(running) = &self.phase else { return };
        let (covered, manifest) = (running.coordinator.covered(), running.coordinator.last());
        for (request, name) in self.savepoints.covered(covered, manifest) {
            let snapshot = Box::new(NamedSnapshot { name, at_micros: now, manifest: manifest.clone() });
            out.push(Action::Io(NAMING, Io::Name { request, snapshot }));
        }
    }
}
