//! A crew of slots in other processes: what the coordinator wants of a slot becomes an order to its worker.

use watershed_runtime::coordinator::NewSlot;
use watershed_runtime::error::Result;
use watershed_runtime::key::SlotId;
use watershed_runtime::slot::Command;
use watershed_wire::frame::Era;

use super::orders::{Order, Start};
use crate::host::Crew;
use crate::transport::Sessions;

/// The slots of all workers, in one run.
#[derive(Debug)]
pub(super) struct Remote {
    pub(super) sessions: Sessions,
    pub(super) era: Era,
    /// Slots a worker has.
    pub(super) each: u16,
}

impl Remote {
    pub(super) fn order(&self, worker: u32, order: &Order) -> Result<()> {
        // A worker without a session is about to be lost, and with it this run.
        let _there = self.sessions.send(worker, order.item(self.era)?);
        Ok(())
    }

    fn worker_of(&self, slot: SlotId) -> u32 {
        u32::from(slot.0 / self.each.max(1))
    }
}

impl Crew for Remote {
    fn command(&mut self, slot: SlotId, command: Command) -> Result<()> {
        self.order(self.worker_of(slot), &Order::Command(slot, command))
    }

    fn start(&mut self, _term: u64, new: NewSlot) -> Result<()> {
        self.order(self.worker_of(new.id), &Order::Start(Start::new(&new)))
    }

    fn release(&mut self, slot: SlotId) -> Result<()> {
        self.order(self.worker_of(slot), &Order::Release(slot))
    }
}
