//! Slots as threads of this process.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Waker;

use watershed_runtime::coordinator::NewSlot;
use watershed_runtime::error::Result;
use watershed_runtime::graph::Graph;
use watershed_runtime::key::SlotId;
use watershed_runtime::slot::{Command, Event, Slot, SlotConfig, Tuning};

use crate::host::{Crew, HostSender};
use crate::slots::{Directory, SlotMessage, SlotThread};

/// The slots of this process.
#[derive(Debug)]
pub(crate) struct Threads {
    pub(crate) graph: Arc<Graph>,
    pub(crate) directory: Directory,
    pub(crate) slots: BTreeMap<SlotId, SlotThread>,
    /// Where their reports go.
    pub(crate) sender: HostSender,
    pub(crate) window: u32,
}

impl Crew for Threads {
    fn command(&mut self, slot: SlotId, command: Command) -> Result<()> {
        self.directory.send(slot, SlotMessage::Event(Event::Command(command)));
        Ok(())
    }

    fn start(&mut self, term: u64, new: NewSlot) -> Result<()> {
        let (graph, window, id) = (self.graph.clone(), self.window, new.id);
        // A slot of this number may have left a moment ago.
        drop(self.slots.remove(&id));
        let make = move |waker| joiner(graph, term, window, new, waker);
        self.slots.insert(id, SlotThread::start(id, &self.directory, self.sender.clone(), make)?);
        Ok(())
    }

    fn release(&mut self, slot: SlotId) -> Result<()> {
        drop(self.slots.remove(&slot));
        Ok(())
    }
}

/// A slot that joins a running job: it owns nothing yet.
fn joiner(graph: Arc<Graph>, term: u64, window: u32, new: NewSlot, waker: Waker) -> Result<Slot> {
    let mut slot = Slot::new(SlotConfig {
        id: new.id,
        term,
        graph,
        assignment: (*new.table).clone(),
        members: new.members,
        epoch: new.epoch,
        window,
        segment: 1,
        joins_at: Some(new.joins_at),
        waker,
        tuning: Tuning::default(),
    })?;
    slot.start(&[])?;
    Ok(slot)
}
