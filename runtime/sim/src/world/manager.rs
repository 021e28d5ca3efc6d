//! A coordinator's process: a job manager of the production, and what it has asked of the outside and has no answer to yet.

use std::collections::BTreeSet;
use std::sync::Arc;

use watershed_cluster::{Event, Io, IoReply, JobManager, Outcome, Settings, Target};
use watershed_runtime::error::{Error, Kind, Result};
use watershed_runtime::graph::Graph;
use watershed_runtime::protocol::entry::{LATEST, name};
use watershed_runtime::protocol::epoch::Pace;
use watershed_runtime::protocol::log::Put;
use watershed_runtime::protocol::maintenance::{Chore, Collect, Merge};
use watershed_runtime::protocol::manifest::HandleEntry;
use watershed_runtime::protocol::named::{FOLDER, Pins, object_of};
use watershed_runtime::protocol::rescale::Sizes;
use watershed_runtime::protocol::state_file::merged;

use super::clock::Clock;
use super::cover::Cover;
use super::env::{SPACE, SimEnv};
use super::fate::Fate;
use super::fault_plan::Setting;
use super::laws::look_at_log;

/// A coordinator's process.
#[derive(Debug)]
pub(super) struct SimManager {
    pub(super) number: u64,
    pub(super) machine: JobManager,
    /// The process's own copy of the graph, with its sources.
    graph: Arc<Graph>,
    pub(super) clock: Clock,
    pub(super) ops: Vec<(u64, Io)>,
    /// The number of the newest run, or of what comes before it.
    pub(super) io: u64,
    pins: Pins,
    /// The way in which the process has ended.
    pub(super) end: Option<Result<Outcome>>,
    /// Until which step it goes on, where it was replaced in a world that lets both go on for a while.
    pub(super) doomed: u64,
    /// Requests so far, and those that a user waits for.
    pub(super) requests: u64,
    pub(super) waited: BTreeSet<u64>,
    /// Workers that it has admitted: number, and which process of that number.
    pub(super) admitted: BTreeSet<(u32, u64)>,
}

/// The answer to a question.
enum Answer {
    Reply(IoReply),
    /// There is no answer yet.
    Again(Io),
    /// There will be none.
    None,
}

impl SimManager {
    /// A process that has just been started, and its first questions.
    pub(super) fn new(number: u64, target: Target, setting: &Setting, env: &mut SimEnv) -> Result<Self> {
        let (graph, _) = env.graph(number | 1 << 16)?;
        let (max_batch, max_warming, max_open) = env.plan.sizes;
        let settings = Settings {
            job: env.plan.kind.name().to_owned(),
            graph: graph.clone(),
            keys: SPACE,
            may_drop: Vec::new(),
            drop_unmatched: false,
            pace: Pace { interval_micros: env.plan.epoch_rows * 1000, max_in_flight: env.plan.in_flight },
            sizes: Sizes { max_batch, max_warming, max_open },
            target,
            patience: setting.patience,
            uid: format!("m{number}-{:x}", env.rng.next() & 0xffff),
            rules: env.rules,
        };
        let clock = Clock::any(&mut env.rng);
        let (machine, first) = JobManager::new(settings, clock.at(env.time()))?;
        let mut manager = Self {
            number,
            machine,
            graph,
            clock,
            ops: Vec::new(),
            io: 0,
            pins: Pins::default(),
            end: None,
            doomed: u64::MAX,
            requests: 0,
            waited: BTreeSet::new(),
            admitted: BTreeSet::new(),
        };
        for action in first {
            if let watershed_cluster::Action::Io(id, io) = action {
                manager.ops.push((id, io));
            }
        }
        Ok(manager)
    }

    /// The process's time, by its own clock.
    pub(super) fn now(&self, env: &SimEnv) -> i64 {
        self.clock.at(env.time())
    }

    /// True if the manager has admitted this process.
    pub(super) fn knew(&self, worker: u32, life: u64) -> bool {
        self.admitted.contains(&(worker, life))
    }

    /// True if the process has ended.
    pub(super) fn over(&self) -> bool {
        self.end.is_some()
    }

    /// Lets one question go on; the answer, if there is one.
    pub(super) fn progress(&mut self, at: usize, env: &mut SimEnv) -> Option<Event> {
        if env.trace.steps() < env.down {
            env.seen.see(Cover::StoreDown);
            env.trace.note(4, self.number, 0, || "store: down".into());
            return None;
        }
        if at >= self.ops.len() {
            return None;
        }
        let (id, io) = self.ops.swap_remove(at);
        env.trace.note(4, self.number, self.ops.len() as u64, || format!("m{} {}", self.number, shown(&io)));
        let answer = self.answer(io, env);
        look_at_log(env);
        match answer {
            Answer::Reply(reply) => Some(Event::Io(id, reply)),
            Answer::Again(io) => {
                self.ops.push((id, io));
                None
            }
            Answer::None => None,
        }
    }

    fn answer(&mut self, io: Io, env: &mut SimEnv) -> Answer {
        match io {
            Io::Get(name) => match env.get(&name) {
                Some(bytes) => Answer::Reply(IoReply::Got(bytes.map(|b| b.to_vec()))),
                // Some clients ask again, some give up.
                None if env.rng.chance(1, 8) => {
                    env.seen.see(Cover::StoreAway);
                    Answer::Reply(IoReply::Failed(Error::new(Kind::Unavailable, "the store is away")))
                }
                None => Answer::Again(Io::Get(name)),
            },
            Io::Create { name, bytes } => {
                let content = Arc::new(bytes);
                match env.put(&name, &content) {
                    Some(put) => Answer::Reply(IoReply::Put(put)),
                    None => Answer::Again(Io::Create { name, bytes: content.to_vec() }),
                }
            }
            Io::Hint(seq) => {
                if matches!(env.fate(), Fate::Done | Fate::Lost) {
                    env.store.put(LATEST, Arc::new(seq.to_string().into_bytes()));
                }
                Answer::None
            }
            Io::Commit(handles) => commit(handles, env),
            Io::Discover(node) if env.lists() => Answer::Again(Io::Discover(node)),
            Io::Discover(node) => {
                let source = self.graph.sources().find(|(i, ..)| *i == node).map(|(.., s)| s.clone());
                match source.map(|s| s.discover()) {
                    Some(Ok(found)) => Answer::Reply(IoReply::Discovered(node, found)),
                    Some(Err(e)) => Answer::Reply(IoReply::Failed(e)),
                    None => Answer::None,
                }
            }
            Io::Chore(Chore::Merge(chore)) => merge(chore, env),
            // To list what is there takes its time, in which much can happen.
            Io::Chore(Chore::Collect(chore)) if env.rng.chance(4, 5) => Answer::Again(Io::Chore(Chore::Collect(chore))),
            Io::Chore(Chore::Collect(chore)) => self.collect(&chore, env),
            Io::Name { request, snapshot } => {
                let object = object_of(&snapshot.name).unwrap_or_default();
                let bytes = Arc::new(snapshot.encode().unwrap_or_default());
                match env.put(&object, &bytes) {
                    Some(put) => Answer::Reply(IoReply::Named(request, Ok(put))),
                    None => Answer::Again(Io::Name { request, snapshot }),
                }
            }
        }
    }

    fn collect(&mut self, chore: &Collect, env: &mut SimEnv) -> Answer {
        if env.term.0 > self.machine.term() {
            env.seen.see(Cover::OldCollects);
        }
        let listed: Vec<String> = env.store.list(FOLDER).map(str::to_owned).collect();
        let Ok(pins) = self.pins.files(listed, |name| Ok(env.store.get(name).map(|b| b.to_vec()))) else {
            return Answer::Reply(IoReply::ChoreFailed(None));
        };
        let gone: Vec<String> = chore.state(&pins, env.store.list("state/")).into_iter().map(str::to_owned).collect();
        for object in gone {
            env.seen.see(Cover::Collected);
            env.store.delete(&object);
        }
        chore.log().for_each(|seq| env.store.delete(&name(seq)));
        Answer::Reply(IoReply::Collected)
    }

    /// Nothing that was asked under this number is waited for any more: it may have happened, may happen later, or not at all.
    pub(super) fn abandon(&mut self, id: Option<u64>, env: &mut SimEnv) {
        for (_, io) in self.ops.extract_if(.., |(of, _)| id.is_none_or(|id| id == *of)).collect::<Vec<_>>() {
            let happens = env.rng.below(3);
            match io {
                Io::Create { name, bytes } => land(&name, bytes, happens, env),
                Io::Chore(Chore::Merge(chore)) => {
                    if let Some((name, bytes)) = merge_bytes(chore, env) {
                        land(&name, bytes, happens, env);
                    }
                }
                Io::Name { snapshot, .. } => {
                    if let (Ok(object), Ok(bytes)) = (object_of(&snapshot.name), snapshot.encode()) {
                        land(&object, bytes, happens, env);
                    }
                }
                Io::Commit(handles) => {
                    let n = env.rng.range(0, handles.len());
                    handles.iter().take(n).for_each(|h| env.sinks.commit_handle(&h.handle, &env.expected));
                }
                Io::Get(_) | Io::Hint(_) | Io::Discover(_) | Io::Chore(Chore::Collect(_)) => {}
            }
        }
        look_at_log(env);
    }
}

fn land(name: &str, bytes: Vec<u8>, happens: usize, env: &mut SimEnv) {
    let bytes = Arc::new(bytes);
    match happens {
        0 => {
            env.store.create(name, &bytes);
        }
        1 => env.store.later(name, &bytes),
        _ => {}
    }
}

fn commit(handles: Vec<HandleEntry>, env: &mut SimEnv) -> Answer {
    let fate = env.fate();
    let n = match fate {
        Fate::Done => handles.len(),
        Fate::Failed | Fate::Slow => return Answer::Again(Io::Commit(handles)),
        // The commit breaks off somewhere, perhaps at the very end: all of it comes again.
        Fate::Lost | Fate::Late => env.rng.range(0, handles.len()),
    };
    handles.iter().take(n).for_each(|h| env.sinks.commit_handle(&h.handle, &env.expected));
    if fate == Fate::Done { Answer::Reply(IoReply::Committed) } else { Answer::Again(Io::Commit(handles)) }
}

fn merge_bytes(chore: Merge, env: &SimEnv) -> Option<(String, Vec<u8>)> {
    let bytes: Option<Vec<_>> = chore.files.iter().map(|f| env.store.get(&f.name)).collect();
    let parts: Option<Vec<&[u8]>> = bytes.as_ref().map(|b| b.iter().map(|b| b.as_slice()).collect());
    let (file, bytes) = merged(chore.name, &chore.files, &parts?, chore.base).ok()?;
    Some((file.name, bytes))
}

fn merge(chore: Merge, env: &mut SimEnv) -> Answer {
    let failed = |name: &str| Answer::Reply(IoReply::ChoreFailed(Some(name.to_owned())));
    let held: Option<Vec<_>> = chore.files.iter().map(|f| env.store.get(&f.name)).collect();
    let Some(held) = held else { return failed(&chore.name) };
    let parts: Vec<&[u8]> = held.iter().map(|b| b.as_slice()).collect();
    let (file, bytes) = match merged(chore.name.clone(), &chore.files, &parts, chore.base) {
        Ok(merged) => merged,
        Err(e) => {
            env.broken(|| format!("files cannot be merged: {e}"));
            return failed(&chore.name);
        }
    };
    match env.put(&file.name, &Arc::new(bytes)) {
        Some(Put::Created) => {
            env.seen.see(Cover::Merged);
            Answer::Reply(IoReply::Merged(file, chore.replaces()))
        }
        Some(Put::Exists | Put::Ambiguous) => failed(&chore.name),
        None => Answer::Again(Io::Chore(Chore::Merge(chore))),
    }
}

fn shown(io: &Io) -> String {
    match io {
        Io::Get(name) => format!("gets {name}"),
        Io::Create { name, .. } => format!("creates {name}"),
        Io::Hint(seq) => format!("hints at {seq}"),
        Io::Commit(h) => format!("commits {} handles", h.len()),
        Io::Discover(n) => format!("discovers the splits of {}", n.0),
        Io::Chore(Chore::Merge(m)) => format!("merges into {}", m.name),
        Io::Chore(Chore::Collect(_)) => "deletes".into(),
        Io::Name { snapshot, .. } => format!("names the snapshot {}", snapshot.name),
    }
}
