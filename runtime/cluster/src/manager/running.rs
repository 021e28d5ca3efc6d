//! Running: the effects of a run's coordinator become actions; workers of the target are asked for, files are merged, sources looked
//! through again.

use watershed_runtime::coordinator::{Coordinator, Effect, Input};
use watershed_runtime::error::Result;
use watershed_runtime::graph::NodeIndex;
use watershed_runtime::key::SlotId;
use watershed_runtime::protocol::log::LogEffect;

use super::interface::{Action, Io, IoReply, Outcome};
use super::machine::{JobManager, micros};
use super::phase::Phase;
use crate::messages::ToWorker;

impl JobManager {
    /// The run's coordinator is told something; nothing if there is no run.
    pub(super) fn input(&mut self, input: Input, now: i64, out: &mut Vec<Action>) -> Result<()> {
        let Phase::Running(running) = &mut self.phase else { return Ok(()) };
        let effects = running.coordinator.step(input, micros(now));
        self.carry_out(effects, now, out)
    }

    /// A batch's source has sent its Final: only mutants listen.
    #[cfg(feature = "mutants")]
    pub fn final_sent(&mut self, run: u64, batch: u64) {
        if let Phase::Running(running) = &mut self.phase
            && running.run.term == run
        {
            running.coordinator.final_sent(batch);
        }
    }

    /// Effects become actions, in the order given.
    pub(super) fn carry_out(&mut self, effects: Vec<Effect>, now: i64, out: &mut Vec<Action>) -> Result<()> {
        for effect in effects {
            match effect {
                Effect::Send(slot, command) => self.order(slot, ToWorker::Command(slot, command), out),
                Effect::Start(new) => self.order(new.id, ToWorker::Start(new), out),
                Effect::Release(slot) => self.order(slot, ToWorker::Release(slot), out),
                Effect::Log(LogEffect::Create { name, bytes }) => out.push(Action::Io(self.io, Io::Create { name, bytes })),
                Effect::Log(LogEffect::Get { name }) => out.push(Action::Io(self.io, Io::Get(name))),
                Effect::Log(LogEffect::Published { seq }) => out.push(Action::Io(self.io, Io::Hint(seq))),
                Effect::Commit(handles) => out.push(Action::Io(self.io, Io::Commit(handles))),
                Effect::Published(manifest) => {
                    self.retry.worked();
                    if let Phase::Running(running) = &mut self.phase {
                        running.published = Some(now);
                        running.maintenance.published(*manifest, running.coordinator.floor());
                    }
                }
                Effect::Done => {
                    let finished = self.coordinator().is_some_and(Coordinator::finished);
                    self.end(Ok(if finished { Outcome::Finished } else { Outcome::Stopped }), out);
                    return Ok(());
                }
                Effect::Failed(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// To the worker that has the slot; one without a session hears nothing, and is about to be lost.
    fn order(&self, slot: SlotId, message: ToWorker, out: &mut Vec<Action>) {
        self.send(self.members.worker_of(slot), message, out);
    }

    /// An answer of the outside to the run.
    pub(super) fn run_answered(&mut self, reply: IoReply, now: i64, out: &mut Vec<Action>) -> Result<()> {
        let Phase::Running(running) = &mut self.phase else { return Ok(()) };
        let input = match reply {
            IoReply::Got(bytes) => Input::LogGot(bytes),
            IoReply::Put(put) => Input::LogPut(put),
            IoReply::Committed => Input::Committed,
            IoReply::Discovered(node, found) => {
                if !found.complete {
                    self.look_again(node, now);
                }
                Input::Discovered(node, found)
            }
            IoReply::Merged(file, replaces) => {
                running.maintenance.done();
                Input::Merged(file, replaces)
            }
            IoReply::Collected => {
                running.maintenance.done();
                Input::Tick
            }
            IoReply::ChoreFailed(name) => {
                running.maintenance.merge_failed(name.as_deref().unwrap_or_default());
                Input::Tick
            }
            IoReply::Failed(e) => return Err(e),
            IoReply::Named(..) => Input::Tick,
        };
        self.input(input, now, out)
    }

    /// Looks through a source.
    pub(super) fn discover(&self, node: NodeIndex, out: &mut Vec<Action>) {
        out.push(Action::Io(self.io, Io::Discover(node)));
    }

    /// A source that may have more splits is looked through again.
    fn look_again(&mut self, node: NodeIndex, now: i64) {
        let source = self.settings.graph.sources().find(|(n, ..)| *n == node);
        let Some(millis) = source.and_then(|(.., s)| s.discovery_interval_millis()) else { return };
        let at = now.saturating_add(i64::try_from(millis).unwrap_or(i64::MAX).saturating_mul(1000));
        if let Phase::Running(running) = &mut self.phase {
            running.rounds.push((at, node));
        }
    }

    /// Work of a run that is due by time: savepoints, workers that may leave, the target, chores, discovery.
    pub(super) fn look_after_run(&mut self, now: i64, out: &mut Vec<Action>) -> Result<()> {
        self.grant_savepoints(now, out);
        self.release_leavers(out);
        self.ask_for_target(now, out)?;
        let io = self.io;
        let (settings, savepoints) = (&self.settings, &self.savepoints);
        let Phase::Running(running) = &mut self.phase else { return Ok(()) };
        let uid = || format!("{}-{io}", settings.uid);
        if let Some(chore) = running.maintenance.next(uid, || savepoints.pins(), now) {
            out.push(Action::Io(io, Io::Chore(chore)));
        }
        while let Some(at) = running.rounds.iter().position(|(due, _)| *due <= now) {
            let (_, node) = running.rounds.swap_remove(at);
            out.push(Action::Io(io, Io::Discover(node)));
        }
        Ok(())
    }

    /// Asks for the slots of the workers that are wanted, once all of these are there.
    fn ask_for_target(&mut self, now: i64, out: &mut Vec<Action>) -> Result<()> {
        let Ok(slots) = self.members.target_slots(self.wishes.target) else { return Ok(()) };
        let Phase::Running(running) = &mut self.phase else { return Ok(()) };
        let told = slots.iter().all(|s| running.told.contains(&self.members.worker_of(*s)));
        if slots.is_empty() || !told || running.asked.as_ref() == Some(&slots) {
            return Ok(());
        }
        running.asked = Some(slots.clone());
        running.began_rescale = Some((**running.coordinator.table()).clone());
        self.input(Input::Want(slots), now, out)
    }
}
