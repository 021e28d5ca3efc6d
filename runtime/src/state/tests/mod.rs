//! Laws of the state tables, against a model that cannot be wrong.

mod rules;
mod world;

use super::codec::Frames;
use super::{Plain, StateDesc, Table, Windowed};
use crate::key::{GroupSet, Key, KeySpace};

pub(super) const SPACE: KeySpace = KeySpace { seed: 0, bits: 8 };

pub(super) type Wide = Table<Windowed<u64>, String>;

pub(super) fn hash(key: u64) -> u64 {
    key.hash(SPACE)
}

/// A table of plain counts with every group active.
pub(super) fn counts() -> Table<Plain<u64>, u64> {
    let mut t = Table::new(StateDesc::of::<u64, u64>("counts"), SPACE);
    t.activate(&GroupSet::all(SPACE));
    t
}

pub(super) fn bump(t: &mut Table<Plain<u64>, u64>, key: u64) {
    t.update(hash(key), 0, |k| k.0 == key, || (Plain(key), 0), |n| *n += 1).unwrap();
}

pub(super) fn read(t: &Table<Plain<u64>, u64>, key: u64) -> Option<u64> {
    t.get(hash(key), 0, |k| k.0 == key).unwrap().copied()
}

pub(super) fn remove(t: &mut Table<Plain<u64>, u64>, key: u64) -> Option<u64> {
    t.remove(hash(key), 0, |k| k.0 == key).unwrap()
}

/// Framed items, decoded: key and value.
pub(super) fn decode<V: serde::de::DeserializeOwned>(bytes: &[u8]) -> Vec<((i64, u64), Option<V>)> {
    let item = |i: super::codec::Item<'_>| {
        let key: Windowed<u64> = i.key().unwrap();
        ((key.start, key.key), i.value.map(|v| postcard::from_bytes(v).unwrap()))
    };
    Frames::new(bytes).map(|i| item(i.unwrap())).collect()
}
