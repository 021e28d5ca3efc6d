//! Messages between a manager and its workers, as items of a control session.
//!
//! The engine's own words travel as they are (see `transport::items`); what carries a manifest or a table is JSON inside. An item's era
//! is the message's [`Envelope`]: the term under which the run was begun, and as its generation the term of the manager.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use watershed_cluster::{Begin, Envelope, Member, ToCoordinator, ToWorker};
use watershed_runtime::coordinator::{NewSlot, Run};
use watershed_runtime::error::{Error, Kind, Result};
use watershed_runtime::key::SlotId;
use watershed_runtime::protocol::manifest::{Manifest, Table};
use watershed_runtime::slot::Barrier;
use watershed_wire::frame::Era;
use watershed_wire::v1::Item;

use crate::transport::{pack, slot_of, unpack};
use crate::worker_host::WINDOW;

const BEGIN: u32 = 1;
const COMMAND: u32 = 2;
const START: u32 = 3;
const RELEASE: u32 = 4;
const MEMBERS: u32 = 5;
const END: u32 = 6;
const REPORT: u32 = 7;
const JOURNAL: u32 = 8;
const LEAVING: u32 = 9;
const RELEASED: u32 = 10;

/// The beginning of a run, and what a worker needs for it beside.
#[derive(Debug, Serialize, Deserialize)]
struct PackedBegin {
    run: Run,
    manifest: Manifest,
    table: Table,
    storage: String,
    window: u32,
    crew: Vec<Member>,
}

/// A slot that joins, made by the worker that is told.
#[derive(Debug, Serialize, Deserialize)]
struct PackedStart {
    id: SlotId,
    epoch: u64,
    members: Vec<SlotId>,
    table: Table,
    joins_at: Barrier,
}

/// The storage of a run that begins, and the rows that may be under way on a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StorageAt {
    pub(super) storage: String,
    pub(super) window: u32,
}

fn era(envelope: Envelope) -> Era {
    Era { term: envelope.run, generation: envelope.term }
}

fn envelope(item: &Item) -> Envelope {
    let era = item.era.unwrap_or_default();
    Envelope { term: era.generation, run: era.term }
}

/// A message to a worker becomes an item. `storage` is that of the job.
pub(super) fn pack_for_worker(to: Envelope, message: &ToWorker, storage: &str) -> Result<Item> {
    let era = era(to);
    match message {
        ToWorker::Begin(begin) => {
            let Begin { run, manifest, table, members } = &**begin;
            let (manifest, storage, crew) = (manifest.clone(), storage.to_owned(), members.clone());
            pack(
                BEGIN,
                None,
                era,
                &json(&PackedBegin { run: *run, manifest, table: table.into(), storage, window: WINDOW, crew })?,
            )
        }
        ToWorker::Command(slot, command) => pack(COMMAND, Some(*slot), era, command),
        ToWorker::Start(new) => {
            let NewSlot { id, epoch, members, table, joins_at } = new;
            let (members, table, joins_at) = (members.clone(), (&**table).into(), (**joins_at).clone());
            pack(START, None, era, &json(&PackedStart { id: *id, epoch: *epoch, members, table, joins_at })?)
        }
        ToWorker::Release(slot) => pack(RELEASE, Some(*slot), era, &()),
        ToWorker::Members(members) => pack(MEMBERS, None, era, members),
        ToWorker::End(why) => pack(END, None, era, why),
        ToWorker::Released(why) => pack(RELEASED, None, era, why),
    }
}

/// A message to a worker from its item, and the storage if that is said.
pub(super) fn unpack_for_worker(item: &Item) -> Result<(Envelope, ToWorker, Option<StorageAt>)> {
    let message = match item.kind {
        BEGIN => {
            let packed: PackedBegin = of_json(&unpack::<Vec<u8>>(item)?)?;
            let PackedBegin { run, manifest, table, storage, window, crew: members } = packed;
            let begin = Begin { run, manifest, table: table.assignment()?, members };
            return Ok((envelope(item), ToWorker::Begin(Box::new(begin)), Some(StorageAt { storage, window })));
        }
        COMMAND => ToWorker::Command(slot_of(item)?, unpack(item)?),
        START => {
            let PackedStart { id, epoch, members, table, joins_at } = of_json(&unpack::<Vec<u8>>(item)?)?;
            let (table, joins_at) = (Arc::new(table.assignment()?), Arc::new(joins_at));
            ToWorker::Start(NewSlot { id, epoch, members, table, joins_at })
        }
        RELEASE => ToWorker::Release(slot_of(item)?),
        MEMBERS => ToWorker::Members(unpack(item)?),
        END => ToWorker::End(unpack(item)?),
        RELEASED => ToWorker::Released(unpack(item)?),
        kind => return Err(wrong(format!("an order of kind {kind}"))),
    };
    Ok((envelope(item), message, None))
}

/// A message of a worker becomes an item.
pub(super) fn pack_for_coordinator(from: Envelope, message: &ToCoordinator) -> Result<Item> {
    let era = era(from);
    match message {
        ToCoordinator::Report(slot, report) => pack(REPORT, Some(*slot), era, report),
        ToCoordinator::Journal(journal) => pack(JOURNAL, None, era, &json(journal)?),
        ToCoordinator::Leaving => pack(LEAVING, None, era, &()),
    }
}

/// A message of a worker from its item.
pub(super) fn unpack_for_coordinator(item: &Item) -> Result<(Envelope, ToCoordinator)> {
    let message = match item.kind {
        REPORT => ToCoordinator::Report(slot_of(item)?, unpack(item)?),
        JOURNAL => ToCoordinator::Journal(of_json(&unpack::<Vec<u8>>(item)?)?),
        LEAVING => ToCoordinator::Leaving,
        kind => return Err(wrong(format!("a report of kind {kind}"))),
    };
    Ok((envelope(item), message))
}

fn wrong(what: String) -> Error {
    Error::new(Kind::Invalid, format!("the other end of a control session said {what}, which this build does not know"))
        .advise("run one build in all processes of a job")
}

/// Manifests are made for JSON: they are read by people, and leave out what is empty, which postcard cannot.
fn json<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|e| Error::new(Kind::Broken, "an order cannot be written").because(e))
}

fn of_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|e| wrong(format!("an order that cannot be read: {e}")))
}

#[cfg(test)]
mod tests {
    use watershed_runtime::coordinator::WorkerJournal;
    use watershed_runtime::key::{Assignment, KeySpace};

    use super::*;

    const ENVELOPE: Envelope = Envelope { term: 9, run: 7 };

    #[test]
    fn leaving_and_release_are_said_in_bytes_that_stay() {
        let item = pack_for_coordinator(ENVELOPE, &ToCoordinator::Leaving).unwrap();
        assert_eq!((item.kind, item.slot, item.payload.len()), (9, None, 0));
        assert!(matches!(unpack_for_coordinator(&item).unwrap(), (ENVELOPE, ToCoordinator::Leaving)));
        let item = pack_for_worker(Envelope::default(), &ToWorker::Released("x".into()), "").unwrap();
        assert_eq!((item.kind, item.slot, &item.payload[..]), (10, None, &b"\x01x"[..]));
        let (_, ToWorker::Released(why), None) = unpack_for_worker(&item).unwrap() else { panic!("a release") };
        assert_eq!(why, "x");
    }

    #[test]
    fn a_beginning_and_a_journal_survive_the_way() {
        let table = Assignment::even(KeySpace::default(), 2);
        let manifest = Manifest::origin(3, Vec::new(), &table, vec![SlotId(0), SlotId(1)]);
        let member =
            Member { worker: 1, name: "w-1".into(), incarnation: "i".into(), address: "here:1".into(), slots: vec![SlotId(1)] };
        let run = Run { term: 7, epoch: 4 };
        let begin = Begin { run, manifest, table, members: vec![member] };
        let said = format!("{begin:?}");
        let item = pack_for_worker(ENVELOPE, &ToWorker::Begin(Box::new(begin)), "s3://bucket/job").unwrap();
        let (ENVELOPE, ToWorker::Begin(back), Some(at)) = unpack_for_worker(&item).unwrap() else { panic!("a beginning") };
        assert_eq!((format!("{back:?}"), at.storage.as_str(), at.window), (said, "s3://bucket/job", WINDOW));
        for journal in [None, Some(Box::new(WorkerJournal::new(run, [SlotId(1)].into())))] {
            let said = format!("{journal:?}");
            let item = pack_for_coordinator(ENVELOPE, &ToCoordinator::Journal(journal)).unwrap();
            let (ENVELOPE, ToCoordinator::Journal(back)) = unpack_for_coordinator(&item).unwrap() else { panic!("a journal") };
            assert_eq!(format!("{back:?}"), said);
        }
    }
}
