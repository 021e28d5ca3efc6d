//! What an office has asked of the outside and has no answer to yet.

use std::sync::Arc;

use watershed_runtime::coordinator::Input;
use watershed_runtime::error::Result;
use watershed_runtime::graph::NodeIndex;
use watershed_runtime::key::GroupSet;
use watershed_runtime::protocol::entry::LATEST;
use watershed_runtime::protocol::gc::{Age, Keep, collect, object};
use watershed_runtime::protocol::log::Put;
use watershed_runtime::protocol::manifest::{Groups, HandleEntry, Manifest, StateFile};
use watershed_runtime::state::snapshot::{Index, merge};

use super::super::cover::Cover;
use super::super::laws::look_at_log;
use super::super::ops::Fate;
use super::super::process::Ground;
use super::super::start::SPACE;
use super::super::store::Bytes;
use super::office::{Life, Office};
use super::worker::Worker;

/// A question to the outside.
#[derive(Debug)]
pub(super) enum Ask {
    /// Where the log ends, roughly.
    Hint,
    /// A log entry to be created.
    Create { name: String, bytes: Bytes },
    /// A log entry to be read.
    Get { name: String },
    /// Files that replace others.
    Merge { file: StateFile, bytes: Bytes, replaces: Vec<String> },
    /// The hint to be renewed.
    Latest(u64),
    /// Output to be made visible.
    Commit(Vec<HandleEntry>),
    /// The splits of a source to be found.
    Discover(NodeIndex),
    /// Files that nobody needs to be deleted, as far as whoever asks knows.
    Collect { kept: Box<Manifest>, floor: Age },
}

impl Ask {
    /// Who asked is gone.
    pub(super) fn abandoned(self, ground: &mut Ground) {
        let happens = ground.rng.below(3);
        match self {
            Self::Create { name, bytes } | Self::Merge { file: StateFile { name, .. }, bytes, .. } => match happens {
                0 => {
                    ground.store.create(&name, &bytes);
                }
                1 => ground.store.later(&name, &bytes),
                _ => {}
            },
            Self::Commit(handles) => {
                let n = ground.rng.range(0, handles.len());
                handles.iter().take(n).for_each(|h| ground.sinks.commit_handle(&h.handle, &ground.expected));
            }
            Self::Hint | Self::Get { .. } | Self::Latest(_) | Self::Discover(_) | Self::Collect { .. } => {}
        }
        look_at_log(ground);
    }

    fn shown(&self) -> String {
        match self {
            Self::Hint => "asks for the hint".into(),
            Self::Create { name, .. } => format!("creates {name}"),
            Self::Get { name } => format!("gets {name}"),
            Self::Merge { file, .. } => format!("merges into {}", file.name),
            Self::Latest(seq) => format!("hints at {seq}"),
            Self::Commit(h) => format!("commits {} handles", h.len()),
            Self::Discover(n) => format!("discovers the splits of {}", n.0),
            Self::Collect { .. } => "collects".into(),
        }
    }
}

impl Office {
    /// Lets one question go on; if it is answered, the answer is heard.
    pub(super) fn progress(&mut self, at: usize, workers: &mut [Worker], bands: &mut super::worker::Bands, ground: &mut Ground) {
        if ground.trace.steps() < ground.down {
            ground.seen.see(Cover::StoreDown);
            ground.trace.note(4, self.number, 0, || "store: down".into());
            return;
        }
        if at >= self.ops.len() {
            return;
        }
        let ask = self.ops.swap_remove(at);
        ground.trace.note(4, self.number, self.ops.len() as u64, || format!("c{} {}", self.number, ask.shown()));
        if let Some(again) = self.answer(ask, workers, bands, ground) {
            self.ops.push(again);
        }
        look_at_log(ground);
    }

    /// The question again, if there is no answer.
    fn answer(&mut self, ask: Ask, workers: &mut [Worker], bands: &mut super::worker::Bands, ground: &mut Ground) -> Option<Ask> {
        match ask {
            Ask::Hint => match ground.get(LATEST) {
                Some(bytes) => self.begin_reading(bytes),
                None => return Some(Ask::Hint),
            },
            Ask::Create { name, bytes } => match ground.put(&name, &bytes) {
                Some(put) => self.put_answered(put, workers, bands, ground),
                None => return Some(Ask::Create { name, bytes }),
            },
            Ask::Get { name } => match ground.get(&name) {
                Some(bytes) => self.got(bytes, workers, bands, ground),
                None => return Some(Ask::Get { name }),
            },
            Ask::Merge { file, bytes, replaces } => match ground.put(&file.name, &bytes) {
                Some(Put::Created | Put::Exists) => {
                    self.merging = false;
                    self.tell(Input::Merged(file, replaces), workers, ground);
                }
                Some(Put::Ambiguous) | None => return Some(Ask::Merge { file, bytes, replaces }),
            },
            Ask::Latest(seq) => match ground.fate() {
                Fate::Done | Fate::Lost => ground.store.put(LATEST, Arc::new(seq.to_string().into_bytes())),
                Fate::Failed | Fate::Late | Fate::Slow => {}
            },
            Ask::Commit(handles) => return self.commit(handles, workers, ground),
            Ask::Discover(node) if ground.lists() => return Some(Ask::Discover(node)),
            Ask::Discover(node) => {
                let graph = self.graph.clone()?;
                let source = graph.sources().find(|(i, ..)| *i == node).map(|(.., s)| s.clone())?;
                match source.discover() {
                    Ok(found) => {
                        let complete = found.complete;
                        self.tell(Input::Discovered(node, found), workers, ground);
                        return (!complete).then_some(Ask::Discover(node));
                    }
                    Err(e) => ground.broken(|| format!("discovery failed: {e}")),
                }
            }
            // To list what is there takes its time, in which much can happen.
            Ask::Collect { kept, floor } if ground.rng.chance(4, 5) => return Some(Ask::Collect { kept, floor }),
            Ask::Collect { kept, floor } => {
                if ground.term.0 > self.era {
                    ground.seen.see(Cover::OldCollects);
                }
                let keep = Keep { manifests: std::slice::from_ref(&*kept), pins: &self.young, floor };
                let gone: Vec<String> = collect(&keep, ground.store.list("state/")).into_iter().map(str::to_owned).collect();
                for name in gone {
                    ground.seen.see(Cover::Collected);
                    ground.store.delete(&name);
                }
            }
        }
        None
    }

    fn commit(&mut self, handles: Vec<HandleEntry>, workers: &mut [Worker], ground: &mut Ground) -> Option<Ask> {
        let fate = ground.fate();
        let n = match fate {
            Fate::Done => handles.len(),
            Fate::Failed | Fate::Slow => return Some(Ask::Commit(handles)),
            // It breaks off somewhere, perhaps at the very end: all of it comes again.
            Fate::Lost | Fate::Late => ground.rng.range(0, handles.len()),
        };
        handles.iter().take(n).for_each(|h| ground.sinks.commit_handle(&h.handle, &ground.expected));
        if fate != Fate::Done {
            return Some(Ask::Commit(handles));
        }
        if matches!(self.life, Life::Finishing) {
            self.life = Life::Over;
        }
        self.tell(Input::Committed, workers, ground);
        None
    }

    /// After each manifest: merge files, or look for what nobody needs.
    pub(super) fn keep_house(&mut self, manifest: Manifest, ground: &mut Ground) {
        if !self.merging
            && let Err(e) = self.merge_some(&manifest, ground)
        {
            ground.broken(|| format!("files cannot be merged: {e}"));
        }
        self.young.retain(|name| !manifest.files.iter().any(|f| f.name == *name));
        let Some(floor) = self.coordinator().map(|c| c.floor()) else { return };
        self.ops.push(Ask::Collect { kept: Box::new(manifest), floor });
    }

    fn merge_some(&mut self, manifest: &Manifest, ground: &mut Ground) -> Result<()> {
        let Some((files, base)) = manifest.merge_due() else { return Ok(()) };
        let held = files.into_iter().map(|f| ground.store.get(&f.name).map(|bytes| (f, bytes)));
        let Some(inputs) = held.collect::<Option<Vec<_>>>() else { return Ok(()) };
        let bytes: Vec<&[u8]> = inputs.iter().map(|(_, b)| b.as_slice()).collect();
        let merged = merge(&bytes, None, base)?;
        let info = Index::of_file(&merged)?.info;
        let age = (manifest.injected_term, manifest.epoch);
        self.merges += 1;
        let name = object("state/merged", age, &format!("{}-{}", self.number, self.merges));
        let file = StateFile {
            name,
            bytes: merged.len() as u64,
            from_epoch: info.from_epoch,
            to_epoch: info.to_epoch,
            entries: 0,
            level: info.level,
            groups: Groups::of(&GroupSet::all(SPACE)),
        };
        let replaces = inputs.iter().map(|(f, _)| f.name.clone()).collect();
        self.merging = true;
        self.young.insert(file.name.clone());
        ground.seen.see(Cover::Merged);
        self.ops.push(Ask::Merge { file, bytes: Arc::new(merged), replaces });
        Ok(())
    }
}
