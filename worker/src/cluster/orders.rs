//! What the coordinator tells workers, and what they say back, as items of a control session.
//!
//! The engine's own words travel as they are (see `transport::items`); what carries a manifest or a table is JSON inside.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use watershed_runtime::coordinator::{NewSlot, Run, WorkerJournal};
use watershed_runtime::error::{Error, Kind, Result};
use watershed_runtime::key::SlotId;
use watershed_runtime::protocol::manifest::{Manifest, Table};
use watershed_runtime::slot::{Barrier, Command, Report};
use watershed_wire::frame::Era;
use watershed_wire::v1::Item;

use crate::transport::{pack, slot_of, unpack};

const BEGIN: u32 = 1;
const COMMAND: u32 = 2;
const START: u32 = 3;
const RELEASE: u32 = 4;
const CREW: u32 = 5;
const END: u32 = 6;
const REPORT: u32 = 7;
const BOOK: u32 = 8;
const LEAVING: u32 = 9;
const LET_GO: u32 = 10;

/// A worker as the others know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Member {
    pub(super) worker: u32,
    pub(super) name: String,
    pub(super) incarnation: String,
    pub(super) address: String,
    pub(super) slots: Vec<SlotId>,
}

/// The beginning of a run, for a worker; also of one that is under way.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Begin {
    /// Which run.
    pub(super) run: Run,
    /// The manifest to begin from; its members are the slots that take part.
    pub(super) manifest: Manifest,
    /// Who owns what.
    pub(super) table: Table,
    pub(super) storage: String,
    pub(super) window: u32,
    /// Everybody who is there, the one who is told included.
    pub(super) crew: Vec<Member>,
}

/// A slot that joins, made by the worker that is told.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Start {
    id: SlotId,
    epoch: u64,
    members: Vec<SlotId>,
    table: Table,
    joins_at: Barrier,
}

impl Start {
    pub(super) fn new(slot: &NewSlot) -> Self {
        let NewSlot { id, epoch, members, table, joins_at } = slot;
        let (members, table, joins_at) = (members.clone(), (&**table).into(), (**joins_at).clone());
        Self { id: *id, epoch: *epoch, members, table, joins_at }
    }

    pub(super) fn slot(self) -> Result<NewSlot> {
        let Self { id, epoch, members, table, joins_at } = self;
        Ok(NewSlot { id, epoch, members, table: Arc::new(table.assignment()?), joins_at: Arc::new(joins_at) })
    }
}

/// The coordinator to a worker.
#[derive(Debug)]
pub(super) enum Order {
    Begin(Box<Begin>),
    Command(SlotId, Command),
    Start(Start),
    Release(SlotId),
    /// Who is there now.
    Crew(Vec<Member>),
    /// The job is over: finished or stopped, or failed for this reason.
    End(Option<String>),
    /// The one who is told was to leave and may: for this reason.
    LetGo(String),
}

impl Order {
    pub(super) fn item(&self, era: Era) -> Result<Item> {
        match self {
            Self::Begin(begin) => pack(BEGIN, None, era, &json(begin)?),
            Self::Command(slot, command) => pack(COMMAND, Some(*slot), era, command),
            Self::Start(start) => pack(START, None, era, &json(start)?),
            Self::Release(slot) => pack(RELEASE, Some(*slot), era, &()),
            Self::Crew(crew) => pack(CREW, None, era, crew),
            Self::End(why) => pack(END, None, era, why),
            Self::LetGo(why) => pack(LET_GO, None, era, why),
        }
    }

    pub(super) fn of(item: &Item) -> Result<Self> {
        Ok(match item.kind {
            BEGIN => Self::Begin(Box::new(of_json(&unpack::<Vec<u8>>(item)?)?)),
            COMMAND => Self::Command(slot_of(item)?, unpack(item)?),
            START => Self::Start(of_json(&unpack::<Vec<u8>>(item)?)?),
            RELEASE => Self::Release(slot_of(item)?),
            CREW => Self::Crew(unpack(item)?),
            END => Self::End(unpack(item)?),
            LET_GO => Self::LetGo(unpack(item)?),
            kind => return Err(wrong(format!("an order of kind {kind}"))),
        })
    }
}

/// A slot's report as an item.
pub(super) fn report_item(era: Era, slot: SlotId, report: &Report) -> Result<Item> {
    pack(REPORT, Some(slot), era, report)
}

/// What a worker remembers of the run that it is in, as an item; none if it is in none.
pub(super) fn journal_item(era: Era, journal: Option<&WorkerJournal>) -> Result<Item> {
    pack(BOOK, None, era, &json(&journal)?)
}

/// That a worker is to leave, as an item.
pub(super) fn leaving_item(era: Era) -> Result<Item> {
    pack(LEAVING, None, era, &())
}

/// What workers say.
#[derive(Debug)]
pub(super) enum Word {
    /// A slot's report, and the era in which it was said.
    Report(Era, SlotId, Report),
    /// The first word of a session.
    WorkerJournal(Option<Box<WorkerJournal>>),
    /// It has been told to end, and does when others have what it has.
    Leaving,
}

impl Word {
    pub(super) fn of(item: &Item) -> Result<Self> {
        match item.kind {
            REPORT => Ok(Self::Report(era_of(item), slot_of(item)?, unpack(item)?)),
            BOOK => Ok(Self::WorkerJournal(of_json(&unpack::<Vec<u8>>(item)?)?)),
            LEAVING => Ok(Self::Leaving),
            kind => Err(wrong(format!("a report of kind {kind}"))),
        }
    }
}

/// The era in which something was said.
pub(super) fn era_of(item: &Item) -> Era {
    item.era.unwrap_or_default().into()
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
    use super::*;

    #[test]
    fn who_leaves_and_who_may_go_are_said_in_bytes_that_stay() {
        let item = leaving_item(Era { term: 7, generation: 1 }).unwrap();
        assert_eq!((item.kind, item.slot, item.payload.len()), (9, None, 0));
        assert!(matches!(Word::of(&item).unwrap(), Word::Leaving));
        let item = Order::LetGo("x".into()).item(Era::default()).unwrap();
        assert_eq!((item.kind, item.slot, &item.payload[..]), (10, None, &b"\x01x"[..]));
        let Order::LetGo(why) = Order::of(&item).unwrap() else { panic!("an order to go") };
        assert_eq!(why, "x");
    }
}
