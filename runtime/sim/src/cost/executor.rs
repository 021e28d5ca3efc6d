//! Actions of the job's two machines, carried out in virtual time: messages take the latency of the network, questions that of the object
//! store.

use watershed_cluster::{
    Action, Envelope, Event, Io, IoReply, Refusal, Registration, ToCoordinator, ToWorker, WorkerAction, WorkerEnd, WorkerEvent,
    fingerprint,
};
use watershed_runtime::error::{Error, Kind, Result};
use watershed_runtime::key::SlotId;
use watershed_runtime::protocol::log::Put;
use watershed_runtime::protocol::maintenance::{Chore, Merge};
use watershed_runtime::protocol::manifest::{Groups, StateFile};
use watershed_runtime::slot::{Event as SlotEvent, SlotConfig};
use watershed_runtime::state::EncodedRun;

use super::due::What;
use super::engine::{SPACE, Simulation, nanos};

/// The number of the one session that there is.
const SESSION: u64 = 1;

impl Simulation {
    /// The worker registers: it has room for as many slots as there may be.
    pub(super) fn register(&mut self) -> Result<()> {
        let registration = Registration {
            job: "cost".into(),
            name: "worker-0".into(),
            incarnation: "1".into(),
            slots: SPACE.groups() as u32,
            fingerprint: fingerprint(&self.graph.shape()?.nodes),
            ..Registration::default()
        };
        self.tell_manager(Event::Register(0, registration));
        Ok(())
    }

    fn latency(&self) -> i64 {
        if self.paid { self.set.latency } else { 0 }
    }

    fn answer(&self) -> i64 {
        if self.paid { self.set.answer } else { 0 }
    }

    /// The store's time in nanoseconds for so many bytes of one slot.
    fn stored(&self, bytes: usize) -> i64 {
        self.answer() + if self.paid { nanos(bytes as f64, self.set.store) } else { 0 }
    }

    pub(super) fn up(&mut self, envelope: Envelope, message: ToCoordinator) {
        self.tell_manager(Event::Message(0, envelope, message));
    }

    pub(super) fn down(&mut self, envelope: Envelope, message: ToWorker) {
        self.tell_worker(WorkerEvent::Message(SESSION, envelope, message));
    }

    /// The manager is told something.
    pub(super) fn tell_manager(&mut self, event: Event) {
        let actions = self.manager.step(event, self.now / 1000);
        self.carry_out(actions);
    }

    /// Actions of the manager are carried out.
    pub(super) fn carry_out(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Admit { term, .. } => {
                    self.tell_worker(WorkerEvent::Session { term, session: SESSION });
                    self.tell_manager(Event::Connected(0));
                }
                Action::Refuse(_, reason, why) => self.refused(reason, why),
                Action::Send(_, envelope, message) => {
                    self.at(self.now + self.latency(), What::Down(envelope, Box::new(message)));
                }
                Action::Io(id, io) => self.io(id, io),
                Action::End(Err(e)) => self.failed = Some(e),
                Action::EndSession(_) | Action::AbandonIo(_) | Action::Reply(..) | Action::Tell(_) | Action::End(Ok(_)) => {}
            }
        }
    }

    fn refused(&mut self, reason: Refusal, why: String) {
        self.failed = Some(Error::new(Kind::Invalid, format!("the worker is refused ({reason:?}): {why}")));
    }

    /// The outside answers, each question after its time.
    fn io(&mut self, id: u64, io: Io) {
        let mut after = self.answer();
        let reply = match io {
            Io::Get(name) => IoReply::Got(self.log.get(&name).cloned()),
            Io::Create { name, bytes } => {
                self.log.insert(name, bytes);
                IoReply::Put(Put::Created)
            }
            Io::Hint(_) => return,
            Io::Commit(_) => IoReply::Committed,
            Io::Discover(node) => match self.graph.sources().find(|(n, ..)| *n == node).map(|(.., s)| s.discover()) {
                Some(Ok(found)) => IoReply::Discovered(node, found),
                Some(Err(e)) => IoReply::Failed(e),
                None => return,
            },
            Io::Chore(Chore::Merge(merge)) => {
                after = self.stored(merge.files.iter().map(|f| f.bytes as usize).sum());
                merged(merge)
            }
            Io::Chore(Chore::Collect(_)) => IoReply::Collected,
            Io::Name { request, .. } => IoReply::Named(request, Ok(Put::Created)),
        };
        self.at(self.now + after, What::Io(id, Box::new(reply)));
    }

    /// The worker is told something, and what it wants is done.
    pub(super) fn tell_worker(&mut self, event: WorkerEvent) {
        for action in self.worker.step(event) {
            let done = self.carry_out_of_worker(action);
            if let Err(e) = done {
                self.failed = Some(e);
            }
        }
    }

    fn carry_out_of_worker(&mut self, action: WorkerAction) -> Result<()> {
        match action {
            WorkerAction::Send(envelope, message) => {
                self.at(self.now + self.latency(), What::Up(envelope, Box::new(message)));
            }
            WorkerAction::Begin(begin, mine) => {
                for id in mine {
                    let config = |seat| SlotConfig::restored(seat, id, &begin.manifest, &begin.table);
                    let mut made = self.make(begin.run.term, config)?;
                    made.0.start_from(&begin.manifest)?;
                    self.put(id, made);
                }
            }
            WorkerAction::Command(slot, command) => self.hear(slot, SlotEvent::Command(command)),
            WorkerAction::Start(term, new) => {
                let id = new.id;
                let mut made = self.make(term, |seat| SlotConfig::joining(seat, new))?;
                made.0.start(&[])?;
                self.put(id, made);
            }
            WorkerAction::Release(slot) => self.remove(slot),
            WorkerAction::Upload { run, slot, epoch, runs } => self.upload(run, slot, epoch, &runs),
            WorkerAction::Members(_) | WorkerAction::Tell(_) => {}
            WorkerAction::End(WorkerEnd::Job(Some(why))) => return Err(Error::new(Kind::Broken, why)),
            WorkerAction::End(WorkerEnd::Job(None) | WorkerEnd::Left) => {}
        }
        Ok(())
    }

    /// A slot's entries go to the store.
    fn upload(&mut self, run: u64, slot: SlotId, epoch: u64, runs: &[(u64, EncodedRun)]) {
        let bytes: usize = runs.iter().map(|(_, r)| r.byte_len()).sum();
        let file = StateFile {
            name: format!("state/delta/{run}-{epoch}-{}", slot.0),
            bytes: bytes as u64,
            from_epoch: epoch,
            to_epoch: epoch,
            entries: runs.iter().map(|(_, r)| r.len() as u64).sum(),
            level: 0,
            groups: Groups::All,
        };
        let event = WorkerEvent::Uploaded { run, slot, epoch, file: Ok(file) };
        self.at(self.now + self.stored(bytes), What::Worker(Box::new(event)));
    }
}

/// One file in the place of others: as long as all of them.
fn merged(merge: Merge) -> IoReply {
    let replaces = merge.replaces();
    let Merge { name, files, .. } = merge;
    let file = StateFile {
        name,
        bytes: files.iter().map(|f| f.bytes).sum(),
        from_epoch: files.iter().map(|f| f.from_epoch).min().unwrap_or(0),
        to_epoch: files.iter().map(|f| f.to_epoch).max().unwrap_or(0),
        entries: files.iter().map(|f| f.entries).sum(),
        level: files.iter().map(|f| f.level).max().unwrap_or(0) + 1,
        groups: Groups::All,
    };
    IoReply::Merged(file, replaces)
}
