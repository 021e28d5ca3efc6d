//! What a process does for its coordinator.

use std::sync::Arc;

use watershed_runtime::coordinator::Effect;
use watershed_runtime::error::{Kind, Result};
use watershed_runtime::key::{GroupSet, SlotId};
use watershed_runtime::protocol::gc::{Keep, collect, object};
use watershed_runtime::protocol::manifest::{Groups, Manifest, StateFile};
use watershed_runtime::slot::{Command, Event};
use watershed_runtime::state::EncodedRun;
use watershed_runtime::state::snapshot::{FileInfo, Index, merge, write_file};

use super::cover::Cover;
use super::laws::let_go;
use super::net::COORDINATOR;
use super::ops::{Ask, Why};
use super::process::{Ground, Life, Process};
use super::start::SPACE;

impl Process {
    /// In the order given.
    pub(super) fn carry_out(&mut self, effects: Vec<Effect>, ground: &mut Ground) {
        for effect in effects {
            match effect {
                Effect::Send(slot, command) => self.send(slot, command, ground),
                Effect::Start(new) => {
                    // Late rows wait until event time has passed at the new slot too.
                    self.readers.passed(watershed_runtime::time::Time::MIN);
                    if let Err(e) = self.join(new, ground) {
                        ground.broken(|| format!("a slot cannot join: {e}"));
                    }
                }
                Effect::Release(slot) => {
                    ground.seen.see(Cover::ScaleIn);
                    let_go(self.term, slot, ground);
                    if let Some(host) = self.hosts.get_mut(usize::from(slot.0)) {
                        *host = None;
                    }
                    self.net.forget(slot);
                }
                Effect::Log(log) => self.ask_log(log),
                Effect::Upload(epoch, runs) => match self.state_file(epoch, &runs) {
                    Ok(ask) => self.ops.push(ask),
                    Err(e) => ground.broken(|| format!("a state file cannot be written: {e}")),
                },
                Effect::Commit(handles) => self.ops.push(Ask::Commit(handles)),
                Effect::Published(manifest) => {
                    ground.seen.see(Cover::Epoch);
                    ground.epochs += 1;
                    if let Err(e) = self.keep_house(&manifest, ground) {
                        ground.broken(|| format!("files cannot be merged: {e}"));
                    }
                }
                Effect::Done => self.life = Life::Over,
                Effect::Failed(e) if e.kind() == Kind::Fenced => {
                    ground.seen.see(Cover::ZombieFenced);
                    self.life = Life::Fenced;
                }
                Effect::Failed(e) => ground.broken(|| format!("the job fails: {e}")),
            }
        }
    }

    fn send(&mut self, slot: SlotId, command: Command, ground: &mut Ground) {
        match &command {
            Command::Warm(plan) => {
                self.marks.warming.insert(plan.batch);
            }
            Command::Forget(batch) => {
                self.marks.warming.remove(batch);
                ground.seen.see(Cover::Forgotten);
            }
            Command::Cut(plan) => {
                self.marks.warming.remove(&plan.batch);
                self.marks.open.insert(plan.batch);
                ground.seen.see(Cover::CutMade);
                if self.marks.open.len() > 1 {
                    ground.seen.see(Cover::CutOverlap);
                }
            }
            Command::Barrier(b) => {
                self.marks.aligning += 1;
                if let Life::Running(c) = &self.life {
                    ground.barriers.insert((c.run(), b.epoch), c.table().version);
                }
                if let Life::Running(c) = &self.life
                    && b.epoch > c.last().epoch + 1
                {
                    ground.seen.see(Cover::EpochsOverlap);
                }
            }
            Command::Splits(..) | Command::EndOfSource(_) | Command::Published { .. } => {}
        }
        self.net.send(COORDINATOR, slot, Event::Command(command));
    }

    fn tables(&self) -> Result<Vec<(u64, watershed_runtime::state::StateDesc)>> {
        let shape = self.graph.shape()?;
        Ok(shape.nodes.into_iter().flat_map(|n| n.states.into_iter().map(move |s| (n.id.table(&s.name), s))).collect())
    }

    fn state_file(&self, epoch: u64, runs: &[(u64, EncodedRun)]) -> Result<Ask> {
        let info = FileInfo { bits: SPACE.bits, from_epoch: epoch, to_epoch: epoch, level: 0, tables: self.tables()? };
        let bytes = write_file(info, runs)?;
        let name = object("state/delta", (self.term, epoch), &format!("{}", self.number));
        let entries = runs.iter().map(|(_, r)| r.len() as u64).sum();
        let file = StateFile {
            name,
            bytes: bytes.len() as u64,
            from_epoch: epoch,
            to_epoch: epoch,
            entries,
            level: 0,
            groups: Groups::All,
        };
        Ok(Ask::File { why: Why::Epoch(epoch), file, bytes: Arc::new(bytes) })
    }

    /// After each manifest: merge files, and delete what nobody needs. One manifest is kept.
    fn keep_house(&mut self, manifest: &Manifest, ground: &mut Ground) -> Result<()> {
        if !self.merging {
            self.merge_some(manifest, ground)?;
        }
        let Life::Running(c) = &self.life else { return Ok(()) };
        // A put that is still to happen may name a file of an older epoch; such a manifest would be a zombie's, which fails.
        let keep = Keep { manifests: std::slice::from_ref(manifest), pins: &Default::default(), floor: c.floor() };
        let gone: Vec<String> = collect(&keep, ground.store.list("state/")).into_iter().map(str::to_owned).collect();
        for name in gone {
            ground.seen.see(Cover::Collected);
            ground.store.delete(&name);
        }
        Ok(())
    }

    fn merge_some(&mut self, manifest: &Manifest, ground: &mut Ground) -> Result<()> {
        let Some((files, base)) = manifest.merge_due() else { return Ok(()) };
        let held = files.into_iter().map(|f| ground.store.get(&f.name).map(|bytes| (f, bytes)));
        let Some(inputs) = held.collect::<Option<Vec<_>>>() else { return Ok(()) };
        let bytes: Vec<&[u8]> = inputs.iter().map(|(_, b)| b.as_slice()).collect();
        let merged = merge(&bytes, None, base)?;
        let info = Index::of_file(&merged)?.info;
        let name =
            object("state/merged", (self.term, info.to_epoch), &format!("{}-{}", self.number, ground.rng.next() & 0xff_ffff));
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
        ground.seen.see(Cover::Merged);
        self.ops.push(Ask::File { why: Why::Merged(replaces), file, bytes: Arc::new(merged) });
        Ok(())
    }
}
