//! A worker's process: the slots it has, the journal it keeps of them, the coordinator it is in session with, the files it writes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use watershed_runtime::coordinator::{NewSlot, Run, WorkerJournal};
use watershed_runtime::error::Result;
use watershed_runtime::key::{Assignment, SlotId};
use watershed_runtime::protocol::gc::object;
use watershed_runtime::protocol::log::Put;
use watershed_runtime::protocol::manifest::{Groups, Manifest, StateFile};
use watershed_runtime::slot::{Command, EpochPart, Kept, Report};
use watershed_runtime::state::snapshot::{FileInfo, write_file};

use super::super::cover::Cover;
use super::super::laws::let_go;
use super::super::process::{Ground, said};
use super::super::start::SPACE;
use super::super::store::Bytes;
use super::band::Band;

/// All bands, by the term of their run.
pub(super) type Bands = BTreeMap<u64, Band>;

/// What a coordinator wants of a worker.
#[derive(Debug)]
pub(super) struct Order {
    /// Who says it.
    pub(super) office: u64,
    /// Its term.
    pub(super) term: u64,
    /// Of which run.
    pub(super) run: Run,
    /// Of its table.
    pub(super) version: u64,
    pub(super) what: What,
}

/// It.
#[derive(Debug)]
pub(super) enum What {
    /// A run begins from a manifest; the worker's slots among its members are to be made.
    Begin(Arc<(Manifest, Assignment)>),
    Command(SlotId, Command),
    Start(NewSlot),
    Release(SlotId),
}

/// A state file on its way.
#[derive(Debug)]
pub(super) struct Upload {
    run: u64,
    slot: SlotId,
    epoch: u64,
    part: EpochPart,
    file: StateFile,
    bytes: Bytes,
}

/// A worker's process.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) number: usize,
    /// How many processes of this number there were before.
    pub(super) life: u64,
    pub(super) alive: bool,
    pub(super) journal: Option<WorkerJournal>,
    /// With which office it is in session.
    pub(super) session: Option<u64>,
    /// The highest term it has heard of.
    pub(super) term: u64,
    /// What the office has said and the worker has not heard, and the other way round.
    pub(super) orders: VecDeque<Order>,
    pub(super) reports: VecDeque<(u64, SlotId, Report)>,
    /// Words of sessions that are over.
    pub(super) strays: VecDeque<Order>,
    pub(super) uploads: Vec<Upload>,
    /// It hears no office until this step.
    pub(super) cut: u64,
    /// It is started again at this step.
    pub(super) back: u64,
}

impl Worker {
    pub(super) fn new(number: usize) -> Self {
        Self {
            number,
            life: 0,
            alive: false,
            journal: None,
            session: None,
            term: 0,
            orders: VecDeque::new(),
            reports: VecDeque::new(),
            strays: VecDeque::new(),
            uploads: Vec::new(),
            cut: 0,
            back: 0,
        }
    }

    /// A new process.
    pub(super) fn start(&mut self) {
        *self = Self { life: self.life + 1, alive: true, cut: self.cut, ..Self::new(self.number) };
    }

    /// The process dies. What it was writing may be there, or come to be there.
    pub(super) fn die(&mut self, bands: &mut Bands, ground: &mut Ground) {
        for upload in std::mem::take(&mut self.uploads) {
            match ground.rng.below(3) {
                0 => {
                    ground.store.create(&upload.file.name, &upload.bytes);
                }
                1 => ground.store.later(&upload.file.name, &upload.bytes),
                _ => {}
            }
        }
        let _kept = self.drop_slots(bands, ground);
        let (life, cut, number) = (self.life, self.cut, self.number);
        *self = Self { life, cut, ..Self::new(number) };
    }

    /// Its session is over: what was under way in it is lost, and what its coordinator still says is not for this one.
    pub(super) fn hang_up(&mut self, ground: &mut Ground) {
        self.session = None;
        if !self.orders.is_empty() {
            ground.seen.see(Cover::OrdersLost);
        }
        self.strays.extend(self.orders.drain(..));
        self.reports.clear();
    }

    /// Its slots end; what they keep.
    fn drop_slots(&mut self, bands: &mut Bands, ground: &mut Ground) -> BTreeMap<SlotId, Kept> {
        let Some(journal) = self.journal.take() else { return BTreeMap::new() };
        let Some(band) = bands.get_mut(&journal.run.term) else { return BTreeMap::new() };
        let kept = journal.slots.keys().filter_map(|slot| Some((*slot, band.lose(*slot, ground)?.keep()?)));
        kept.collect()
    }

    /// The next word of a session that is over comes after all.
    pub(super) fn stray(&mut self, bands: &mut Bands, ground: &mut Ground) {
        let Some(order) = self.strays.pop_front() else { return };
        if ground.rules.obeys_newest() {
            ground.seen.see(Cover::StrayRefused);
        } else {
            self.obey(order, bands, ground);
        }
    }

    /// Hears the next order.
    pub(super) fn hear(&mut self, bands: &mut Bands, ground: &mut Ground) {
        if let Some(order) = self.orders.pop_front() {
            self.obey(order, bands, ground);
        }
    }

    fn obey(&mut self, order: Order, bands: &mut Bands, ground: &mut Ground) {
        let Order { office, term, run, version, what } = order;
        let (w, life) = (self.number, self.life);
        ground.trace.note(20, w as u64, term, || {
            format!("w{w}.{life} hears c{office} (term {term}, run {}): {}", run.term, shown(&what))
        });
        if self.journal.as_mut().is_some_and(|b| !b.obeys(term, ground.rules)) || term < self.term && ground.rules.obeys_newest()
        {
            ground.seen.see(Cover::StrayRefused);
            return;
        }
        self.term = self.term.max(term);
        let room = |run| WorkerJournal::new(run, BTreeSet::new());
        if let What::Begin(begin) = &what {
            let kept = self.drop_slots(bands, ground);
            self.uploads.clear();
            self.journal = Some(room(run));
            if let Err(e) = self.begin(begin, kept, bands, ground) {
                ground.broken(|| format!("a run cannot begin: {e}"));
            }
            return;
        }
        let Some(journal) = self.journal.as_mut().filter(|b| b.run == run) else { return };
        let Some(band) = bands.get_mut(&run.term) else { return };
        match what {
            What::Begin(_) => {}
            What::Command(slot, command) => {
                if journal.slots.contains_key(&slot) {
                    // One that nobody has heard never was, and another may have its number.
                    if let Command::Barrier(b) = &command {
                        ground.barriers.entry((run.term, b.epoch)).or_insert(version);
                    }
                    journal.told(&band.graph, slot, &command);
                    band.command(slot, command, ground);
                }
            }
            What::Start(new) => {
                journal.joined(&new);
                if let Err(e) = band.join(new, ground) {
                    ground.broken(|| format!("a slot cannot join: {e}"));
                }
            }
            What::Release(slot) => {
                ground.seen.see(Cover::ScaleIn);
                let_go(run.term, slot, ground);
                journal.released(slot);
                let _left = band.lose(slot, ground);
            }
        }
    }

    fn begin(
        &mut self,
        begin: &(Manifest, Assignment),
        mut kept: BTreeMap<SlotId, Kept>,
        bands: &mut Bands,
        ground: &mut Ground,
    ) -> Result<()> {
        let (manifest, table) = begin;
        let Some(journal) = &mut self.journal else { return Ok(()) };
        let Some(band) = bands.get_mut(&journal.run.term) else { return Ok(()) };
        let each = ground.each;
        let mine = |s: &SlotId| usize::from(s.0) / each == self.number;
        journal.room = (self.number * each..(self.number + 1) * each).map(|s| SlotId(s as u16)).collect();
        for slot in manifest.members.iter().copied().filter(mine) {
            journal.begun(slot, table, &manifest.members);
            band.begin(slot, kept.remove(&slot), manifest, table, ground)?;
        }
        Ok(())
    }

    /// One of its slots has said something.
    pub(super) fn said(&mut self, run: u64, slot: SlotId, report: Report, bands: &mut Bands, ground: &mut Ground) {
        let Report::Sealed(epoch, part) = report else { return self.pass(run, slot, report, bands, ground) };
        if part.runs.iter().all(|(_, r)| r.is_empty()) {
            return self.pass(run, slot, Report::Sealed(epoch, part), bands, ground);
        }
        match self.upload(run, slot, epoch, *part, bands) {
            Ok(upload) => self.uploads.push(upload),
            Err(e) => ground.broken(|| format!("a state file cannot be written: {e}")),
        }
    }

    fn upload(&self, run: u64, slot: SlotId, epoch: u64, mut part: EpochPart, bands: &Bands) -> Result<Upload> {
        let mut runs = std::mem::take(&mut part.runs);
        runs.retain(|(_, r)| !r.is_empty());
        let shape = bands.get(&run).map(|b| b.graph.shape()).transpose()?.map(|s| s.nodes).unwrap_or_default();
        let tables = shape.into_iter().flat_map(|n| n.states.into_iter().map(move |s| (n.id.table(&s.name), s))).collect();
        let info = FileInfo { bits: SPACE.bits, from_epoch: epoch, to_epoch: epoch, level: 0, tables };
        let bytes = write_file(info, &runs)?;
        let name = object("state/delta", (run, epoch), &format!("{}-{}-{}", self.number, self.life, slot.0));
        let entries = runs.iter().map(|(_, r)| r.len() as u64).sum();
        let (size, groups) = (bytes.len() as u64, Groups::All);
        let file = StateFile { name, bytes: size, from_epoch: epoch, to_epoch: epoch, entries, level: 0, groups };
        Ok(Upload { run, slot, epoch, part, file, bytes: Arc::new(bytes) })
    }

    /// Lets one of its uploads go on.
    pub(super) fn progress(&mut self, at: usize, bands: &mut Bands, ground: &mut Ground) {
        if at >= self.uploads.len() {
            return;
        }
        let Upload { run, slot, epoch, mut part, file, bytes } = self.uploads.swap_remove(at);
        match ground.put(&file.name, &bytes) {
            Some(Put::Created | Put::Exists) => {
                part.files.push(file);
                self.pass(run, slot, Report::Sealed(epoch, Box::new(part)), bands, ground);
            }
            Some(Put::Ambiguous) | None => self.uploads.push(Upload { run, slot, epoch, part, file, bytes }),
        }
    }

    /// A report goes into the journal and to the coordinator.
    fn pass(&mut self, run: u64, slot: SlotId, report: Report, bands: &mut Bands, ground: &mut Ground) {
        let (w, life) = (self.number, self.life);
        ground
            .trace
            .note(21, w as u64, u64::from(slot.0), || format!("w{w}.{life} passes on of slot {}: {}", slot.0, said(&report)));
        if let Some(journal) = self.journal.as_mut().filter(|b| b.run.term == run) {
            journal.said(slot, &report);
        }
        if let Some(band) = bands.get_mut(&run) {
            band.heard(slot, &report, ground);
        }
        if self.session.is_some() {
            self.reports.push_back((run, slot, report));
        }
    }
}

fn shown(what: &What) -> String {
    match what {
        What::Begin(b) => format!("begin from epoch {} with {:?}", b.0.epoch, b.0.members),
        What::Command(slot, Command::Cut(p)) => {
            format!("slot {}: cut batch {} v{} {}->{}", slot.0, p.batch, p.version, p.source.0, p.target.0)
        }
        What::Command(slot, Command::Warm(p)) => {
            format!("slot {}: warm batch {} {}->{}", slot.0, p.batch, p.source.0, p.target.0)
        }
        What::Command(slot, command) => format!("slot {}: {command:?}", slot.0),
        What::Start(new) => format!("start slot {} in epoch {}", new.id.0, new.epoch),
        What::Release(slot) => format!("release slot {}", slot.0),
    }
}
