//! Messages between slots and coordinator, in the items of a control session.
//!
//! The engine's own types travel in postcard under a kind that the hosts choose and a version that is here. Only processes of one build
//! and one dataflow read them, registration sees to that; the version is checked all the same, so that a mistake is an error and not
//! another command.

use serde::Serialize;
use serde::de::DeserializeOwned;
use watershed_runtime::error::{Error, Kind, Result};
use watershed_runtime::key::SlotId;
use watershed_wire::frame::Era;
use watershed_wire::v1::Item;

/// The version of the payloads: raised when a type in them changes.
pub const ITEM_VERSION: u32 = 1;

/// An item of a kind, about a slot or about none.
pub fn pack<T: Serialize>(kind: u32, slot: Option<SlotId>, era: Era, value: &T) -> Result<Item> {
    let payload = postcard::to_extend(value, Vec::new())
        .map_err(|e| Error::broken("transport", format!("{} cannot be encoded", std::any::type_name::<T>())).because(e))?;
    let slot = slot.map(|s| u32::from(s.0));
    Ok(Item { sequence: 0, era: Some(era.into()), kind, version: ITEM_VERSION, slot, payload: payload.into() })
}

/// The contents of an item: all of its payload.
pub fn unpack<T: DeserializeOwned>(item: &Item) -> Result<T> {
    let wrong = |what: String| {
        let name = std::any::type_name::<T>();
        Error::new(Kind::Corrupt, format!("an item of kind {} cannot be read as {name}: {what}", item.kind))
            .advise("run one build of the program in all processes of a job")
    };
    if item.version != ITEM_VERSION {
        return Err(wrong(format!("version {}, this build reads {ITEM_VERSION}", item.version)));
    }
    match postcard::take_from_bytes(&item.payload) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(wrong(format!("{} bytes too many", rest.len()))),
        Err(e) => Err(wrong(e.to_string())),
    }
}

/// The slot an item is about.
pub fn slot_of(item: &Item) -> Result<SlotId> {
    let slot = item.slot.and_then(|s| u16::try_from(s).ok());
    slot.map(SlotId).ok_or_else(|| Error::new(Kind::Corrupt, format!("an item of kind {} without its slot", item.kind)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use watershed_runtime::slot::{Barrier, Command, Report};

    use super::*;

    const ERA: Era = Era { term: 1, generation: 2 };

    #[test]
    fn commands_and_reports_survive_the_way() {
        let barrier = Arc::new(Barrier { epoch: 9, members: Some(vec![SlotId(1)]), ..Barrier::default() });
        let command = Command::Barrier(barrier);
        let item = pack(3, Some(SlotId(4)), ERA, &command).unwrap();
        assert_eq!((item.kind, slot_of(&item).unwrap()), (3, SlotId(4)));
        assert_eq!(format!("{:?}", unpack::<Command>(&item).unwrap()), format!("{command:?}"));
        let cause = Error::new(Kind::Unavailable, "the disk is full");
        let report = Report::Failed(Error::new(Kind::Data, "a row is broken").at("in.jsonl:7").advise("mend it").because(cause));
        let item = pack(4, None, ERA, &report).unwrap();
        let Report::Failed(back) = unpack::<Report>(&item).unwrap() else { panic!("a failure") };
        assert_eq!(
            (back.kind(), back.to_string(), back.advice()),
            (Kind::Data, "in.jsonl:7: a row is broken".into(), Some("mend it"))
        );
        assert_eq!(std::error::Error::source(&back).map(ToString::to_string), Some("the disk is full".into()));
        assert!(slot_of(&item).is_err());
    }

    #[test]
    fn another_version_and_bytes_left_over_are_errors() {
        let item = pack(1, None, ERA, &5u64).unwrap();
        let older = Item { version: 0, ..item.clone() };
        assert!(unpack::<u64>(&older).unwrap_err().to_string().contains("version 0"));
        let longer = Item { payload: [&item.payload[..], b"x"].concat().into(), ..item };
        assert!(unpack::<u64>(&longer).unwrap_err().to_string().contains("1 bytes too many"));
    }
}
