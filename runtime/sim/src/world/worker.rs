//! A worker's process: a task manager of the production, the slots it has, its session, and the files it writes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use watershed_cluster::{Begin, Registration, TaskManager, ToCoordinator, WorkerAction, WorkerEnd, WorkerEvent, fingerprint};
use watershed_runtime::key::SlotId;
use watershed_runtime::protocol::log::Put;
use watershed_runtime::protocol::manifest::StateFile;
use watershed_runtime::protocol::state_file::delta;
use watershed_runtime::slot::{Command, RetainedState};
use watershed_runtime::state::EncodedRun;

use super::cluster_run::ClusterRun;
use super::cover::Cover;
use super::env::{SPACE, SimEnv};
use super::laws::let_go;
use super::session::{Down, Session};
use super::slot::said;
use super::store::Bytes;

/// All runs that have slots, by their terms.
pub(super) type ClusterRuns = BTreeMap<u64, ClusterRun>;

/// A state file on its way.
#[derive(Debug)]
pub(super) struct Upload {
    run: u64,
    slot: SlotId,
    epoch: u64,
    file: StateFile,
    bytes: Bytes,
}

/// A worker's process.
#[derive(Debug)]
pub(super) struct SimWorker {
    pub(super) number: u32,
    /// The number of earlier processes of this worker.
    pub(super) life: u64,
    pub(super) alive: bool,
    /// The manager whose fate it shares.
    pub(super) bound: Option<u64>,
    pub(super) task: TaskManager,
    /// The run of its slots, and these.
    run: u64,
    pub(super) slots: BTreeSet<SlotId>,
    pub(super) session: Option<Session>,
    /// Messages of sessions that are over, and of which.
    pub(super) strays: VecDeque<(u64, Down)>,
    pub(super) uploads: Vec<Upload>,
    /// The worker hears no manager until this step; its connections seem to stand all the same.
    pub(super) cut: u64,
    pub(super) silent: bool,
    /// The step at which the worker is started again.
    pub(super) back: u64,
    /// Since when it has had no session.
    pub(super) away: Option<i64>,
    /// The way in which the worker has ended by itself.
    pub(super) end: Option<WorkerEnd>,
}

impl SimWorker {
    pub(super) fn new(number: u32, bound: Option<u64>, leave: i64, env: &SimEnv) -> Self {
        Self {
            number,
            life: 0,
            alive: bound.is_some(),
            bound,
            task: TaskManager::new(env.graph.clone(), number, leave, env.rules),
            run: 0,
            slots: BTreeSet::new(),
            session: None,
            strays: VecDeque::new(),
            uploads: Vec::new(),
            cut: 0,
            silent: false,
            back: 0,
            away: None,
            end: None,
        }
    }

    /// A new process.
    pub(super) fn start(&mut self, leave: i64, env: &SimEnv) {
        let (life, cut, silent) = (self.life + 1, self.cut, self.silent);
        *self = Self { life, cut, silent, alive: true, ..Self::new(self.number, self.bound, leave, env) };
    }

    /// The process dies. What it was writing may be there, or come to be there.
    pub(super) fn die(&mut self, runs: &mut ClusterRuns, env: &mut SimEnv) {
        for upload in std::mem::take(&mut self.uploads) {
            match env.rng.below(3) {
                0 => {
                    env.store.create(&upload.file.name, &upload.bytes);
                }
                1 => env.store.later(&upload.file.name, &upload.bytes),
                _ => {}
            }
        }
        let _kept = self.drop_slots(runs, env);
        (self.alive, self.session, self.end) = (false, None, None);
        self.strays.clear();
    }

    /// The worker's registration, as this process or as one that it has replaced.
    pub(super) fn registration(&self, life: u64, (slots, memory_bytes): (usize, u64), env: &SimEnv) -> Registration {
        let shape = env.graph.shape().map(|s| s.nodes).unwrap_or_default();
        Registration {
            job: env.plan.kind.name().to_owned(),
            name: format!("worker-{}", self.number),
            incarnation: life.to_string(),
            slots: slots as u32,
            address: String::new(),
            memory_bytes,
            fingerprint: fingerprint(&shape),
            shape: String::new(),
        }
    }

    /// True if the worker is in session with this manager.
    pub(super) fn with(&self, manager: u64) -> bool {
        self.session.as_ref().is_some_and(|s| s.manager == manager)
    }

    /// The worker's session is over: what was under way in it is lost, and what its manager still says is not for this one.
    pub(super) fn hang_up(&mut self, env: &mut SimEnv) {
        let Some(session) = self.session.take() else { return };
        if session.downs() > 0 {
            env.seen.see(Cover::OrdersLost);
        }
        self.strays.extend(session.over());
    }

    /// The worker's slots end; the result is the state that they keep for the next run.
    fn drop_slots(&mut self, runs: &mut ClusterRuns, env: &mut SimEnv) -> BTreeMap<SlotId, RetainedState> {
        let slots = std::mem::take(&mut self.slots);
        let Some(run) = runs.get_mut(&self.run) else { return BTreeMap::new() };
        slots.into_iter().filter_map(|slot| Some((slot, run.lose(slot, env)?.keep()?))).collect()
    }

    /// True if the worker has this slot of this run.
    pub(super) fn has(&self, run: u64, slot: SlotId) -> bool {
        self.alive && self.run == run && self.slots.contains(&slot)
    }

    /// The next message of a session that is over comes after all.
    pub(super) fn stray(&mut self, runs: &mut ClusterRuns, env: &mut SimEnv) {
        if let Some((session, down)) = self.strays.pop_front() {
            env.seen.see(Cover::StrayRefused);
            self.message(session, down, runs, env);
        }
    }

    /// Hears the next message of its session.
    pub(super) fn hear(&mut self, runs: &mut ClusterRuns, env: &mut SimEnv) {
        let Some(session) = &mut self.session else { return };
        let number = session.number;
        match session.next_down() {
            Ok(Some(down)) => self.message(number, down, runs, env),
            Ok(None) => {}
            Err(wrong) => env.broken(|| format!("a session is not what it was: {wrong}")),
        }
    }

    fn message(&mut self, session: u64, down: Down, runs: &mut ClusterRuns, env: &mut SimEnv) {
        let Down { envelope, version, message } = down;
        let (w, life) = (self.number, self.life);
        env.trace.note(20, u64::from(w), envelope.term, || {
            format!("w{w}.{life} hears (term {}, run {}): {}", envelope.term, envelope.run, super::shown::to_worker(&message))
        });
        self.step(WorkerEvent::Message(session, envelope, message), version, runs, env);
    }

    /// The task manager is told something. `version`: that of the manager's table, where a manager says it.
    pub(super) fn step(&mut self, event: WorkerEvent, version: Option<u64>, runs: &mut ClusterRuns, env: &mut SimEnv) {
        for action in self.task.step(event) {
            match action {
                WorkerAction::Send(envelope, message) => {
                    if let ToCoordinator::Report(slot, report) = &message {
                        let (w, life) = (self.number, self.life);
                        env.trace.note(21, u64::from(w), u64::from(slot.0), || {
                            format!("w{w}.{life} passes on of slot {}: {}", slot.0, said(report))
                        });
                        if let Some(run) = runs.get_mut(&self.run) {
                            run.heard(*slot, report, env);
                        }
                    }
                    if let Some(session) = &mut self.session {
                        session.report((envelope, message));
                    }
                }
                WorkerAction::Begin(begin, mine) => self.begin(&begin, &mine, runs, env),
                WorkerAction::Command(slot, command) => {
                    let Some(run) = runs.get_mut(&self.run) else { continue };
                    if let (Command::Barrier(b), Some(version)) = (&command, version) {
                        env.barriers.entry((run.term, b.epoch)).or_insert(version);
                    }
                    run.command(slot, command, env);
                }
                WorkerAction::Start(_, new) => {
                    let Some(run) = runs.get_mut(&self.run) else { continue };
                    self.slots.insert(new.id);
                    if let Err(e) = run.join(new, env) {
                        env.broken(|| format!("a slot cannot join: {e}"));
                    }
                }
                WorkerAction::Release(slot) => {
                    env.seen.see(Cover::ScaleIn);
                    let_go(self.run, slot, env);
                    self.slots.remove(&slot);
                    if let Some(run) = runs.get_mut(&self.run) {
                        let _left = run.lose(slot, env);
                    }
                }
                WorkerAction::Members(_) | WorkerAction::Tell(_) => {}
                WorkerAction::Upload { run, slot, epoch, runs } => self.upload(run, slot, epoch, &runs, env),
                WorkerAction::End(end) => self.end = Some(end),
            }
        }
    }

    fn begin(&mut self, begin: &Begin, mine: &[SlotId], runs: &mut ClusterRuns, env: &mut SimEnv) {
        let mut kept = self.drop_slots(runs, env);
        self.uploads.clear();
        self.run = begin.run.term;
        let run = match runs.entry(self.run) {
            std::collections::btree_map::Entry::Occupied(run) => run.into_mut(),
            std::collections::btree_map::Entry::Vacant(place) => match ClusterRun::new(begin.run.term, env) {
                Ok(run) => place.insert(run),
                Err(e) => return env.broken(|| format!("the job cannot be built: {e}")),
            },
        };
        for slot in mine {
            self.slots.insert(*slot);
            if let Err(e) = run.begin(*slot, kept.remove(slot), &begin.manifest, &begin.table, env) {
                env.broken(|| format!("a run cannot begin: {e}"));
            }
        }
    }

    fn upload(&mut self, run: u64, slot: SlotId, epoch: u64, runs: &[(u64, EncodedRun)], env: &mut SimEnv) {
        let unique = format!("{}-{}-{}", self.number, self.life, slot.0);
        match delta(SPACE.bits, &env.descs, (run, epoch), &unique, runs) {
            Ok((file, bytes)) => self.uploads.push(Upload { run, slot, epoch, file, bytes: Arc::new(bytes) }),
            Err(e) => env.broken(|| format!("a state file cannot be written: {e}")),
        }
    }

    /// Lets one of its uploads go on.
    pub(super) fn progress(&mut self, at: usize, runs: &mut ClusterRuns, env: &mut SimEnv) {
        if at >= self.uploads.len() {
            return;
        }
        let Upload { run, slot, epoch, file, bytes } = self.uploads.swap_remove(at);
        match env.put(&file.name, &bytes) {
            // The file's name is this worker's alone: any object of that name was put by it.
            Some(Put::Created | Put::Exists) => {
                self.step(WorkerEvent::Uploaded { run, slot, epoch, file: Ok(file) }, None, runs, env);
            }
            Some(Put::Ambiguous) | None => self.uploads.push(Upload { run, slot, epoch, file, bytes }),
        }
    }
}
