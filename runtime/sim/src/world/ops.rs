//! What a process has asked of the outside and has no answer to yet; and what the store makes of it when it is calm, down, or lying.

use std::sync::Arc;

use watershed_runtime::coordinator::Input;
use watershed_runtime::graph::NodeIndex;
use watershed_runtime::protocol::entry::LATEST;
use watershed_runtime::protocol::log::Put;
use watershed_runtime::protocol::manifest::{HandleEntry, StateFile};

use super::cover::Cover;
use super::process::{Ground, Life, Process};
use super::store::Bytes;

/// A question to the outside.
#[derive(Clone, Debug)]
pub(super) enum Ask {
    /// Where the log ends, roughly.
    Hint,
    /// A log entry to be created.
    Create {
        /// Its name.
        name: String,
        /// Its content.
        bytes: Bytes,
    },
    /// A log entry to be read.
    Get {
        /// Its name.
        name: String,
    },
    /// A state file to be written.
    File {
        /// Of which epoch; the files it replaces, if it was merged.
        why: Why,
        /// What the manifest will say.
        file: StateFile,
        /// Its content.
        bytes: Bytes,
    },
    /// The hint to be renewed.
    Latest(u64),
    /// Output to be made visible.
    Commit(Vec<HandleEntry>),
    /// The splits of a source to be found.
    Discover(NodeIndex),
}

/// Why a state file is written.
#[derive(Clone, Debug)]
pub(super) enum Why {
    /// It is the delta of an epoch.
    Epoch(u64),
    /// It replaces others.
    Merged(Vec<String>),
}

/// What the store makes of a put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Done,
    Lost,
    Failed,
    Late,
    Slow,
}

impl Ground {
    pub(super) fn fate(&mut self) -> Fate {
        let step = self.trace.steps();
        if step >= self.lies {
            return Fate::Done;
        }
        match self.rng.below(8) {
            0 | 1 => Fate::Lost,
            2 => Fate::Failed,
            3 => Fate::Late,
            4 => Fate::Slow,
            _ => Fate::Done,
        }
    }

    /// A create-only put with an answer that may be wrong. `None`: no answer yet.
    pub(super) fn put(&mut self, name: &str, bytes: &Bytes) -> Option<Put> {
        let fate = self.fate();
        self.trace.note(5, name.len() as u64, fate as u64, || format!("store: create {name}: {fate:?}"));
        match fate {
            Fate::Done => Some(if self.store.create(name, bytes) { Put::Created } else { Put::Exists }),
            Fate::Lost => {
                self.store.create(name, bytes);
                self.seen.see(Cover::AckLost);
                Some(Put::Ambiguous)
            }
            Fate::Failed => {
                self.seen.see(Cover::Ambiguous);
                Some(Put::Ambiguous)
            }
            Fate::Late => {
                self.store.later(name, bytes);
                Some(Put::Ambiguous)
            }
            Fate::Slow => {
                self.seen.see(Cover::StoreSlow);
                None
            }
        }
    }

    /// Whether a discovery goes on looking.
    pub(super) fn lists(&mut self) -> bool {
        let turns = self.plan.listing;
        turns > 1 && !self.rng.chance(1, turns)
    }

    /// A get; `None`: it failed and will be tried again.
    pub(super) fn get(&mut self, name: &str) -> Option<Option<Bytes>> {
        if matches!(self.fate(), Fate::Failed | Fate::Slow) {
            self.seen.see(Cover::GetFailed);
            return None;
        }
        Some(self.store.get(name))
    }
}

impl Process {
    /// Lets one question go on; if it is answered, the answer is heard.
    pub(super) fn progress(&mut self, at: usize, ground: &mut Ground) {
        if ground.trace.steps() < ground.down {
            ground.seen.see(Cover::StoreDown);
            ground.trace.note(4, self.number, 0, || "store: down".into());
            return;
        }
        if at >= self.ops.len() {
            return;
        }
        let ask = self.ops.swap_remove(at);
        ground.trace.note(4, self.number, self.ops.len() as u64, || format!("p{} {}", self.number, ask.shown()));
        if let Some(again) = self.answer(ask, ground) {
            self.ops.push(again);
        }
        self.look_at_log(ground);
    }

    /// The question again, if there is no answer.
    fn answer(&mut self, ask: Ask, ground: &mut Ground) -> Option<Ask> {
        match ask {
            Ask::Hint => match ground.get(LATEST) {
                Some(bytes) => self.begin_reading(bytes),
                None => return Some(Ask::Hint),
            },
            Ask::Create { name, bytes } => match ground.put(&name, &bytes) {
                Some(put) => self.put_answered(put, ground),
                None => return Some(Ask::Create { name, bytes }),
            },
            Ask::Get { name } => match ground.get(&name) {
                Some(bytes) => self.got(bytes, ground),
                None => return Some(Ask::Get { name }),
            },
            Ask::File { why, file, bytes } => match ground.put(&file.name, &bytes) {
                // Its name is ours alone: whatever is there was put by us.
                Some(Put::Created | Put::Exists) => match why {
                    Why::Epoch(e) => self.tell(Input::Uploaded(e, Some(file)), ground),
                    Why::Merged(replaces) => {
                        self.merging = false;
                        self.tell(Input::Merged(file, replaces), ground);
                    }
                },
                Some(Put::Ambiguous) | None => return Some(Ask::File { why, file, bytes }),
            },
            Ask::Latest(seq) => match ground.fate() {
                Fate::Done | Fate::Lost => ground.store.put(LATEST, Arc::new(seq.to_string().into_bytes())),
                Fate::Failed | Fate::Late | Fate::Slow => {}
            },
            Ask::Commit(handles) => return self.commit(handles, ground),
            Ask::Discover(node) => {
                let source = self.graph.sources().find(|(i, ..)| *i == node).map(|(.., s)| s.clone());
                match source.map(|s| s.discover()) {
                    Some(Ok(found)) => {
                        let complete = found.complete;
                        self.tell(Input::Discovered(node, found), ground);
                        return (!complete).then_some(Ask::Discover(node));
                    }
                    Some(Err(e)) => ground.broken(|| format!("discovery failed: {e}")),
                    None => {}
                }
            }
        }
        None
    }

    fn commit(&mut self, handles: Vec<HandleEntry>, ground: &mut Ground) -> Option<Ask> {
        let fate = ground.fate();
        let n = match fate {
            Fate::Done => handles.len(),
            Fate::Failed | Fate::Slow => return Some(Ask::Commit(handles)),
            // It breaks off somewhere, perhaps at the very end: all of it comes again.
            Fate::Lost | Fate::Late => ground.rng.range(0, handles.len()),
        };
        for h in handles.iter().take(n) {
            ground.sinks.commit_handle(&h.handle, &ground.expected);
        }
        if fate != Fate::Done {
            return Some(Ask::Commit(handles));
        }
        if matches!(self.life, Life::Finishing) {
            self.life = Life::Over;
        }
        self.tell(Input::Committed, ground);
        None
    }

    /// The process dies: what it has asked for may have happened, may happen later, or not at all.
    pub(super) fn die(mut self, ground: &mut Ground) {
        for ask in std::mem::take(&mut self.ops) {
            let happens = ground.rng.below(3);
            match ask {
                Ask::Create { name, bytes } | Ask::File { file: StateFile { name, .. }, bytes, .. } => match happens {
                    0 => {
                        ground.store.create(&name, &bytes);
                    }
                    1 => ground.store.later(&name, &bytes),
                    _ => {}
                },
                Ask::Commit(handles) => {
                    let n = ground.rng.range(0, handles.len());
                    for h in handles.iter().take(n) {
                        ground.sinks.commit_handle(&h.handle, &ground.expected);
                    }
                }
                Ask::Hint | Ask::Get { .. } | Ask::Latest(_) | Ask::Discover(_) => {}
            }
        }
        self.look_at_log(ground);
        ground.rows += self.readers.rows();
    }
}

impl Ask {
    fn shown(&self) -> String {
        match self {
            Self::Hint => "asks for the hint".into(),
            Self::Create { name, .. } => format!("creates {name}"),
            Self::Get { name } => format!("gets {name}"),
            Self::File { file, .. } => format!("writes {}", file.name),
            Self::Latest(seq) => format!("hints at {seq}"),
            Self::Commit(h) => format!("commits {} handles", h.len()),
            Self::Discover(n) => format!("discovers the splits of {}", n.0),
        }
    }
}
