//! The executor of a manager's actions in the simulator, and what is to be seen of a step.

use std::collections::VecDeque;

use watershed_cluster::{Action, Event, Io, Refusal, Reply, ToWorker, WorkerEvent};
use watershed_runtime::coordinator::Coordinator;
use watershed_runtime::key::SlotId;
use watershed_runtime::protocol::manifest::Manifest;
use watershed_runtime::slot::Command;

use super::cluster_world::{ClusterWorld, GHOST};
use super::cover::Cover;
use super::env::SimEnv;
use super::manager::SimManager;
use super::session::{Down, Session};
use super::worker::ClusterRuns;

impl ClusterWorld {
    /// A manager is told something, and what it wants is done; at once what needs nobody else.
    pub(super) fn tell(&mut self, m: usize, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let Some(manager) = self.managers.get_mut(m) else { return };
            let now = manager.now(&self.env);
            let (before, ticks) = (manager.machine.running().is_some(), matches!(event, Event::Tick));
            let actions = manager.machine.step(event, now);
            let (latest, due) = (now + self.env.plan.epoch_rows as i64 * 1000, manager.machine.next_due());
            if ticks && let Some(due) = due.filter(|due| *due > latest) {
                let by = due - latest;
                self.env.broken(|| format!("I12: a barrier comes every interval, but the next one is due {by} too late"));
            }
            self.note(m, before, &actions);
            for action in actions {
                self.carry_out(m, action, &mut events);
            }
        }
    }

    /// Records coverage for the actions of one step of a manager.
    pub(super) fn note(&mut self, m: usize, before: bool, actions: &[Action]) {
        let (Some(manager), env) = (self.managers.get(m), &mut self.env) else { return };
        let Some(running) = manager.machine.running() else { return };
        for action in actions {
            if let Action::Send(_, _, ToWorker::Command(_, Command::Barrier(b))) = action
                && b.epoch > running.coordinator.last().epoch + 1
            {
                env.seen.see(Cover::EpochsOverlap);
            }
            if matches!(action, Action::Io(_, Io::Hint(_))) {
                env.seen.see(Cover::Epoch);
                env.epochs += 1;
            }
        }
        if !before {
            note_beginning(manager, actions, &self.runs, env);
        }
    }

    /// A worker's session begins, if its process is still there.
    fn admit(&mut self, m: usize, ticket: u64, worker: u32, term: u64) -> bool {
        let (Some(manager), env) = (self.managers.get_mut(m), &mut self.env) else { return false };
        let number = manager.number;
        if ticket & GHOST != 0 {
            env.broken(|| format!("worker {worker} takes its name back from the process that has replaced it"));
            return false;
        }
        let (at, life) = ((ticket >> 32) as usize, ticket & 0xffff_ffff);
        let Some(w) = self.workers.get_mut(at).filter(|w| w.alive && w.life == life) else { return false };
        env.trace.note(22, number, u64::from(worker), || format!("w{worker}.{life} is in session with m{number}"));
        manager.admitted.insert((worker, life));
        w.hang_up(env);
        self.sessions += 1;
        (w.session, w.away) = (Some(Session::new(self.sessions, number)), None);
        w.step(WorkerEvent::Session { term, session: self.sessions }, None, &mut self.runs, env);
        true
    }

    pub(super) fn carry_out(&mut self, m: usize, action: Action, events: &mut VecDeque<Event>) {
        let Some(manager) = self.managers.get_mut(m) else { return };
        let (number, env) = (manager.number, &mut self.env);
        match action {
            Action::Admit { ticket, worker, term } => {
                if self.admit(m, ticket, worker, term) {
                    events.push_back(Event::Connected(worker));
                }
            }
            Action::Refuse(ticket, why, text) => {
                env.trace.note(28, number, ticket, || format!("m{number} refuses a worker: {text}"));
                if ticket & GHOST != 0 && why == Refusal::Replaced {
                    env.seen.see(Cover::GhostRefused);
                } else if ticket & GHOST == 0 && why != Refusal::Over {
                    env.broken(|| format!("a worker is refused: {text}"));
                }
            }
            Action::EndSession(worker) => {
                if manager.machine.running().is_none() && env.term.0 > 0 {
                    env.seen.see(Cover::LostDuringRecovery);
                }
                for w in self.workers.iter_mut().filter(|w| w.alive && w.number == worker && w.with(number)) {
                    env.seen.see(Cover::ThoughtLost);
                    w.hang_up(env);
                }
            }
            Action::Send(worker, envelope, message) => {
                // A manager that has ended in the same step says no more what its table was.
                let version = manager.machine.coordinator().map(|c| c.table().version);
                let session = self.workers.iter_mut().find(|w| w.alive && w.number == worker && w.with(number));
                if let Some(session) = session.and_then(|w| w.session.as_mut()) {
                    if matches!(message, ToWorker::Released(_)) {
                        env.seen.see(Cover::Released);
                    }
                    session.tell(Down { envelope, version, message });
                }
            }
            Action::Io(id, io) => {
                manager.io = manager.io.max(id);
                manager.ops.push((id, io));
            }
            Action::AbandonIo(id) => {
                env.seen.see(Cover::RunEnded);
                manager.abandon(Some(id), env);
            }
            Action::Reply(id, reply) => {
                manager.waited.remove(&id);
                if let Reply::Refused(e) = reply {
                    env.trace.note(43, number, id, || format!("m{number} refuses: {e}"));
                }
            }
            Action::Tell(text) if text.contains("cannot be taken over") => env.seen.see(Cover::AdoptRefused),
            Action::Tell(text) => env.trace.note(25, number, 0, || format!("m{number}: {text}")),
            Action::End(outcome) => {
                env.trace.note(26, number, 0, || format!("m{number} ends: {outcome:?}"));
                manager.end = Some(outcome);
            }
        }
    }
}

/// From what a run began, or in the middle of what its slots were taken over.
fn note_beginning(manager: &SimManager, actions: &[Action], runs: &ClusterRuns, env: &mut SimEnv) {
    let Some(running) = manager.machine.running() else { return };
    let begin =
        |a: &Action| if let Action::Send(_, _, ToWorker::Begin(b)) = a { Some((b.manifest.clone(), b.run)) } else { None };
    if running.run.term == manager.machine.term() {
        let Some((manifest, _)) = actions.iter().find_map(begin).filter(|(m, _): &(Manifest, _)| m.epoch > 0) else { return };
        let took_part = &env.owners.1;
        env.seen.see(Cover::Restarted);
        if took_part.iter().any(|s| !manifest.members.contains(s)) {
            env.seen.see(Cover::Survivors);
        }
        if !took_part.iter().eq(manifest.members.iter()) {
            env.seen.see(Cover::RestartedOther);
        }
        if actions.iter().any(|a| matches!(a, Action::Io(_, Io::Commit(_)))) {
            env.seen.see(Cover::Owed);
        }
        return;
    }
    note_adoption(running.run.term, &running.coordinator, actions, runs, env);
}

/// In the middle of what slots were taken over, and what had to be said again.
fn note_adoption(term: u64, c: &Coordinator, actions: &[Action], runs: &ClusterRuns, env: &mut SimEnv) {
    let Some(run) = runs.get(&term) else { return };
    let again = env.seen.has(Cover::Adopted) && env.adopted.contains(&term);
    env.adopted.insert(term);
    let alive = || run.slots.iter().enumerate().filter(|(_, h)| h.is_some()).map(|(i, _)| SlotId(i as u16));
    let outside = alive().any(|s| !c.members().contains(&s));
    let marks = &run.marks;
    let sent = |b: &u64| run.net.finals.contains(b);
    let commands = || {
        let command = |a| if let &Action::Send(_, _, ToWorker::Command(_, ref command)) = a { Some(command) } else { None };
        actions.iter().filter_map(command)
    };
    let io = |is: fn(&Io) -> bool| actions.iter().any(|a| matches!(a, Action::Io(_, io) if is(io)));
    let all = [
        (true, Cover::Adopted),
        (again, Cover::AdoptedAgain),
        (!marks.warming.is_empty(), Cover::AdoptWarming),
        (marks.open.iter().any(|b| !sent(b)), Cover::AdoptFenced),
        (marks.open.iter().any(sent), Cover::AdoptFinal),
        (marks.open.is_empty() && c.table().version > c.last().table.version, Cover::AdoptCut),
        (!marks.aligning.is_empty() && outside, Cover::AdoptJoining),
        (marks.aligning.is_empty() && outside, Cover::AdoptLeaving),
        (!marks.aligning.is_empty(), Cover::AdoptAligning),
        (io(|io| matches!(io, Io::Create { .. })), Cover::AdoptParts),
        (commands().any(|k| matches!(k, Command::Published { .. })), Cover::AdoptUnheard),
        (io(|io| matches!(io, Io::Commit(_))), Cover::AdoptOwed),
        (commands().any(|k| matches!(k, Command::Barrier(_) | Command::Cut(_))), Cover::Repeated),
        (marks.draining && !env.finished, Cover::AdoptDraining),
        (actions.iter().any(|a| matches!(a, Action::Send(_, _, ToWorker::Start(_)))), Cover::StartedAgain),
        (commands().any(|k| matches!(k, Command::Splits(_, s) if !s.is_empty())), Cover::HandedAgain),
    ];
    all.into_iter().filter(|(is, _)| *is).for_each(|(_, cover)| env.seen.see(cover));
}
