//! How a process starts: it finds the end of the log, claims a term, reads the state files of the last manifest into slots and begins.

use std::collections::BTreeSet;
use std::sync::Arc;

use watershed_runtime::coordinator::{Coordinator, Input, NewSlot};
use watershed_runtime::error::{Error, Kind, Result};
use watershed_runtime::graph::Graph;
use watershed_runtime::key::{Assignment, GroupSet, KeySpace, SlotId};
use watershed_runtime::protocol::epoch::Pace;
use watershed_runtime::protocol::log::{LogEffect, LogReader, LogWriter, Put, Tail};
use watershed_runtime::protocol::manifest::Manifest;
use watershed_runtime::protocol::rescale::Sizes;
use watershed_runtime::protocol::restart::{Job, Start, start};
use watershed_runtime::slot::{Barrier, Slot, SlotConfig};
use watershed_runtime::state::snapshot::each_item;

use super::cover::Cover;
use super::ops::Ask;
use super::process::{Flag, Ground, Host, Life, Process};
use super::store::Bytes;

/// The key groups of every run.
pub(super) const SPACE: KeySpace = KeySpace { seed: 0, bits: 8 };

impl Process {
    /// The hint has been read, or there is none.
    pub(super) fn begin_reading(&mut self, hint: Option<Bytes>) {
        let hint = hint.and_then(|b| String::from_utf8_lossy(&b).parse().ok());
        let (reader, effect) = LogReader::new(hint);
        self.life = Life::Reading(Some(reader));
        self.ask_log(effect);
    }

    pub(super) fn ask_log(&mut self, effect: LogEffect) {
        match effect {
            LogEffect::Create { name, bytes } => self.ops.push(Ask::Create { name, bytes: Arc::new(bytes) }),
            LogEffect::Get { name } => self.ops.push(Ask::Get { name }),
            LogEffect::Published { seq } => self.ops.push(Ask::Latest(seq)),
        }
    }

    /// A put of the log was answered.
    pub(super) fn put_answered(&mut self, put: Put, ground: &mut Ground) {
        match &mut self.life {
            Life::Claiming(claim) => {
                let effect = claim.0.put(put);
                self.claim_goes_on(effect, ground);
            }
            Life::Running(_) => self.tell(Input::LogPut(put), ground),
            Life::Reading(_) | Life::Finishing | Life::Over | Life::Fenced => {}
        }
    }

    /// A get of the log was answered.
    pub(super) fn got(&mut self, bytes: Option<Bytes>, ground: &mut Ground) {
        match &mut self.life {
            Life::Reading(Some(reader)) => match reader.got(bytes.as_ref().map(|b| b.as_slice())) {
                Ok(Ok(tail)) => self.claim(tail, ground),
                Ok(Err(effect)) => self.ask_log(effect),
                Err(e) => ground.broken(|| format!("the log cannot be read: {e}")),
            },
            Life::Claiming(claim) => {
                let effect = claim.0.got(bytes.as_ref().map(|b| b.as_slice()));
                self.claim_goes_on(effect, ground);
            }
            Life::Running(_) => self.tell(Input::LogGot(bytes.map(|b| b.to_vec())), ground),
            Life::Reading(None) | Life::Finishing | Life::Over | Life::Fenced => {}
        }
    }

    fn claim(&mut self, tail: Tail, ground: &mut Ground) {
        let mut writer = LogWriter::new(&tail, ground.rules);
        if writer.claimed() {
            // A mutant begins without a term of its own.
            return self.begin(writer, tail, ground);
        }
        let effect = writer.claim(&format!("term-{}-{}", self.number, ground.rng.next()));
        self.life = Life::Claiming(Box::new((writer, tail)));
        self.claim_goes_on(effect.map(Some), ground);
    }

    fn claim_goes_on(&mut self, effect: Result<Option<LogEffect>>, ground: &mut Ground) {
        match effect {
            Ok(Some(LogEffect::Published { .. })) => {
                if let Life::Claiming(claim) = std::mem::replace(&mut self.life, Life::Over) {
                    let (writer, tail) = *claim;
                    self.begin(writer, tail, ground);
                }
            }
            Ok(Some(effect)) => self.ask_log(effect),
            Ok(None) => {}
            // Somebody was faster: from the beginning.
            Err(e) if e.kind() == Kind::Fenced => {
                self.life = Life::Reading(None);
                self.ops.push(Ask::Hint);
            }
            Err(e) => ground.broken(|| format!("a term cannot be claimed: {e}")),
        }
    }

    /// The term is ours: slots from the last manifest.
    fn begin(&mut self, writer: LogWriter, tail: Tail, ground: &mut Ground) {
        self.term = writer.term();
        if let Err(e) = self.try_begin(writer, &tail, ground) {
            ground.broken(|| format!("the job does not start: {e}"));
        }
    }

    fn try_begin(&mut self, writer: LogWriter, tail: &Tail, ground: &mut Ground) -> Result<()> {
        let n = ground.plan.slots.get(self.number as usize % 16).copied().unwrap_or(1);
        let slots: BTreeSet<SlotId> = (0..n).map(SlotId).collect();
        let job = Job {
            fingerprint: ground.plan.seed,
            graph: self.graph.shape()?.nodes,
            fresh: Assignment::even(SPACE, n),
            slots,
            may_drop: BTreeSet::new(),
        };
        let begun = start(tail, &job)?;
        ground.trace.note(6, self.number, u64::from(n), || format!("p{} starts with {n} slots, term {}", self.number, self.term));
        if let Some((_, stored)) = &tail.last {
            ground.seen.see(Cover::Restarted);
            if stored.members != begun.manifest.members {
                ground.seen.see(Cover::RestartedOther);
            }
            if !begun.commit.is_empty() {
                ground.seen.see(Cover::Owed);
            }
        }
        if begun.finished {
            self.life = Life::Finishing;
            self.ops.push(Ask::Commit(begun.commit));
            return Ok(());
        }
        self.make_slots(&begun, ground)?;
        let pace = Pace { interval_micros: ground.plan.epoch_rows * 1000, max_in_flight: ground.plan.in_flight };
        let (max_batch, max_warming, max_open) = ground.plan.sizes;
        let uid = format!("{}-{}", self.number, ground.rng.next() & 0xffff);
        let mut c = Coordinator::new(self.graph.clone(), writer, &begun, &uid, pace, self.clock(), ground.rules).sized(Sizes {
            max_batch,
            max_warming,
            max_open,
        });
        let effects = c.begin()?;
        self.life = Life::Running(Box::new(c));
        let undiscovered: Vec<_> = self.graph.sources().map(|(i, n, _)| (i, n.id.0)).collect();
        for (i, id) in undiscovered {
            if !begun.manifest.sources.get(&id).is_some_and(|s| s.discovery_complete) {
                self.ops.push(Ask::Discover(i));
            }
        }
        self.carry_out(effects, ground);
        Ok(())
    }

    fn make_slots(&mut self, begun: &Start, ground: &mut Ground) -> Result<()> {
        let segment = begun.manifest.handles.iter().map(|h| h.handle.version).max().unwrap_or(0).max(begun.table.version) + 1;
        let members = begun.manifest.members.clone();
        for id in &members {
            let seat = Seat {
                id: *id,
                table: &begun.table,
                members: &members,
                epoch: begun.manifest.epoch + 1,
                segment,
                joins_at: None,
            };
            let mut host = make(self.term, &self.graph, seat, ground)?;
            restore(&mut host.slot, &begun.manifest, &begun.table.groups_of(*id), ground)?;
            host.slot.start_from(&begun.manifest)?;
            if let Some(place) = self.hosts.get_mut(usize::from(id.0)) {
                *place = Some(host);
            }
        }
        Ok(())
    }

    /// A slot that joins.
    pub(super) fn join(&mut self, new: NewSlot, ground: &mut Ground) -> Result<()> {
        let NewSlot { id, epoch, members, table, joins_at } = new;
        ground.seen.see(Cover::ScaleOut);
        let segment = table.version + 1;
        let seat = Seat { id, table: &table, members: &members, epoch, segment, joins_at: Some(joins_at) };
        let mut host = make(self.term, &self.graph, seat, ground)?;
        host.slot.start(&[])?;
        match self.hosts.get_mut(usize::from(id.0)) {
            Some(place @ None) => *place = Some(host),
            Some(Some(_)) | None => return Err(Error::broken("I8", format!("slot {} joins, but is there already", id.0))),
        }
        Ok(())
    }
}

/// What is a slot's own when it is made.
pub(super) struct Seat<'a> {
    pub(super) id: SlotId,
    pub(super) table: &'a Assignment,
    pub(super) members: &'a [SlotId],
    pub(super) epoch: u64,
    pub(super) segment: u64,
    pub(super) joins_at: Option<Arc<Barrier>>,
}

/// Makes a slot of a run, with nothing in it.
pub(super) fn make(term: u64, graph: &Arc<Graph>, seat: Seat<'_>, ground: &Ground) -> Result<Host> {
    let Seat { id, table, members, epoch, segment, joins_at } = seat;
    let flag = Arc::new(Flag::default());
    let config = SlotConfig {
        id,
        term,
        graph: graph.clone(),
        assignment: table.clone(),
        members: members.to_vec(),
        epoch,
        window: ground.plan.window,
        segment,
        joins_at,
        waker: Process::waker(&flag),
        tuning: ground.plan.tuning,
    };
    let mut slot = Slot::new(config)?;
    #[cfg(feature = "mutants")]
    slot.set_rules(ground.rules);
    Ok(Host { slot, flag, busy: true, timeout: None })
}

/// Reads these groups out of the manifest's files.
pub(super) fn restore(slot: &mut Slot, manifest: &Manifest, groups: &GroupSet, ground: &Ground) -> Result<()> {
    if groups.is_empty() {
        return Ok(());
    }
    let mut files: Vec<_> = manifest.files.iter().collect();
    files.sort_by_key(|f| (f.to_epoch, f.from_epoch));
    for file in files {
        let bytes = ground.store.get(&file.name);
        let bytes =
            bytes.ok_or_else(|| Error::broken("I5, I14", format!("the manifest names {}, which is not there", file.name)))?;
        each_item(&bytes, groups, |s| slot.restore(s.table, &s.item))?;
    }
    Ok(())
}
