//! `snapshot`: the job as of the next barrier gets a name.

use tokio::sync::oneshot;
use watershed_runtime::error::{Error, Result};
use watershed_wire::v1::{SnapshotReply, SnapshotRequest};

use super::coordinator::Office;
use crate::clock::now;
use crate::named::{NamedSnapshot, object_of};

/// Somebody waits for a snapshot.
#[derive(Debug)]
pub(super) struct Wish {
    name: String,
    /// The barrier that it must have.
    epoch: u64,
    /// Nobody waits where there is none.
    answer: Option<oneshot::Sender<SnapshotReply>>,
}

fn refused(e: &Error) -> SnapshotReply {
    SnapshotReply { accepted: false, reason: watershed_runtime::error::explain(e), epoch: 0 }
}

impl Office {
    /// A snapshot is asked for: of everything that is read until the next barrier.
    pub(super) fn wish_for_snapshot(&mut self, asked: SnapshotRequest, answer: oneshot::Sender<SnapshotReply>) {
        if let Err(e) = object_of(&asked.name) {
            let _gone = answer.send(refused(&e));
            return;
        }
        let Some(running) = &self.running else {
            let reason = "the job does not run yet: `status` says for whom it waits".to_owned();
            let _gone = answer.send(SnapshotReply { accepted: false, reason, epoch: 0 });
            return;
        };
        let epoch = running.coordinator.next_epoch();
        if asked.wait {
            self.wishes.push(Wish { name: asked.name, epoch, answer: Some(answer) });
        } else {
            let _gone = answer.send(SnapshotReply { accepted: true, reason: String::new(), epoch });
            self.wishes.push(Wish { name: asked.name, epoch, answer: None });
        }
    }

    /// Names what has been published for those who wait.
    pub(super) fn grant_wishes(&mut self) -> Result<()> {
        let Some(running) = self.running.as_ref().filter(|_| !self.wishes.is_empty()) else { return Ok(()) };
        let (covered, pins) = (running.coordinator.covered(), running.host.pins());
        for wish in self.wishes.extract_if(.., |w| w.epoch <= covered) {
            // Who has asked has gone: nobody would know of the snapshot, and of what it pins.
            if wish.answer.as_ref().is_some_and(oneshot::Sender::is_closed) {
                continue;
            }
            let manifest = running.coordinator.last().clone();
            pins.pin(&wish.name, &manifest)?;
            let (store, pins) = (self.store.clone(), pins.clone());
            // The storage may take its time; slots must not wait for it.
            std::thread::spawn(move || {
                let epoch = manifest.epoch;
                let snapshot = NamedSnapshot { name: wish.name, at_micros: now(), manifest };
                let reply = match pins.store(&store, &snapshot) {
                    Ok(()) => SnapshotReply { accepted: true, reason: String::new(), epoch },
                    Err(e) => refused(&e),
                };
                let _gone = wish.answer.map(|answer| answer.send(reply));
            });
        }
        Ok(())
    }
}
