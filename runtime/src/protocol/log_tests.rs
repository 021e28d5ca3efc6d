//! The log: (what the store answers) → (what the reader and the writer do).

use std::collections::BTreeMap;

use super::*;
use crate::key::{Assignment, KeySpace, SlotId};

type Store = BTreeMap<String, Vec<u8>>;

fn manifest(epoch: u64) -> Manifest {
    let table = Assignment::even(KeySpace { seed: 0, bits: 8 }, 1);
    Manifest { epoch, ..Manifest::origin(1, vec![], &table, vec![SlotId(0)]) }
}

fn read(store: &Store, hint: Option<u64>) -> Result<Tail> {
    let (mut reader, mut effect) = LogReader::new(hint);
    for _ in 0..10_000 {
        let LogEffect::Get { name } = &effect else { panic!("a reader only reads") };
        match reader.got(store.get(name).map(Vec::as_slice))? {
            Ok(tail) => return Ok(tail),
            Err(next) => effect = next,
        }
    }
    panic!("the reader does not end")
}

/// Runs an effect against a store that always answers.
fn run(store: &mut Store, writer: &mut LogWriter, mut effect: LogEffect) -> Result<u64> {
    loop {
        let next = match effect {
            LogEffect::Published { seq } => return Ok(seq),
            LogEffect::Create { name, bytes } => {
                let put = if store.contains_key(&name) { Put::Exists } else { Put::Created };
                store.entry(name).or_insert(bytes);
                writer.put(put)?
            }
            LogEffect::Get { name } => writer.got(store.get(&name).map(Vec::as_slice))?,
        };
        effect = next.unwrap();
    }
}

fn open(store: &mut Store, uid: &str) -> LogWriter {
    let mut w = LogWriter::new(&read(store, None).unwrap(), RuleSet::ALL);
    let claim = w.claim(uid).unwrap();
    run(store, &mut w, claim).unwrap();
    w
}

fn publish(store: &mut Store, w: &mut LogWriter, epoch: u64) -> Result<u64> {
    let put = w.publish(&format!("{}-{epoch}", w.term()), manifest(epoch))?;
    run(store, w, put)
}

#[test]
fn an_empty_log_has_no_term_and_no_manifest() {
    assert_eq!(read(&Store::new(), None).unwrap(), Tail::default());
    assert_eq!(read(&Store::new(), Some(77)).unwrap(), Tail::default());
}

#[test]
fn the_tail_is_found_from_any_hint_and_behind_any_collection() {
    let mut store = Store::new();
    let mut w = open(&mut store, "a");
    for e in 1..700 {
        publish(&mut store, &mut w, e).unwrap();
    }
    let _ = open(&mut store, "b");
    let want = read(&store, None).unwrap();
    assert_eq!((want.next, want.term, want.last.as_ref().unwrap().0), (701, 2, 699));
    // Oldest kept: 600. Everything between milestones up to 512 may go.
    for seq in (1..512).filter(|s| s % MILESTONE != 0) {
        store.remove(&name(seq));
    }
    for hint in [None, Some(0), Some(3), Some(256), Some(512), Some(600), Some(700), Some(9000)] {
        assert_eq!(read(&store, hint).unwrap(), want, "{hint:?}");
    }
}

#[test]
fn a_deposed_writer_steps_down_and_stays_down() {
    let mut store = Store::new();
    let mut a = open(&mut store, "a");
    publish(&mut store, &mut a, 1).unwrap();
    let mut b = open(&mut store, "b");
    let e = publish(&mut store, &mut a, 2).unwrap_err();
    assert_eq!(e.kind(), Kind::Fenced);
    assert!(e.to_string().contains("a newer coordinator has taken over with term 2"), "{e}");
    assert_eq!(publish(&mut store, &mut a, 2).unwrap_err().kind(), Kind::Fenced);
    assert_eq!(publish(&mut store, &mut b, 2).unwrap(), 3);
}

#[test]
fn an_ambiguous_put_is_read_back_and_repeated_only_at_its_own_slot() {
    let mut store = Store::new();
    let mut w = open(&mut store, "a");
    let LogEffect::Create { name, bytes } = w.publish("u", manifest(1)).unwrap() else { panic!() };
    assert_eq!(w.put(Put::Ambiguous).unwrap(), Some(LogEffect::Get { name: name.clone() }));
    assert_eq!(w.got(None).unwrap(), Some(LogEffect::Create { name, bytes: bytes.clone() }));
    assert!(w.put(Put::Exists).unwrap().is_some());
    assert_eq!(w.got(Some(&bytes)).unwrap(), Some(LogEffect::Published { seq: 1 }));
}

#[test]
fn nothing_is_published_before_a_term_is_claimed() {
    let mut w = LogWriter::new(&Tail::default(), RuleSet::ALL);
    assert_eq!(w.publish("u", manifest(1)).unwrap_err().kind(), Kind::Broken);
}

#[test]
fn a_newer_format_is_refused_by_the_name_of_its_version() {
    let bytes = br#"{"format": 9, "written_by": "7.1.0", "what": "ever"}"#;
    let e = Entry::decode(4, bytes).unwrap_err();
    assert_eq!(
        e.to_string(),
        "manifest/00000000000000000004.json: written by version 7.1.0 in format 9; this version reads up to 1"
    );
    assert_eq!(Entry::decode(4, b"rubbish").unwrap_err().kind(), Kind::Corrupt);
}

#[test]
fn a_lost_manifest_is_an_error_not_an_empty_job() {
    let mut store = Store::new();
    let mut w = open(&mut store, "a");
    publish(&mut store, &mut w, 1).unwrap();
    let _ = open(&mut store, "b");
    store.remove(&name(1));
    assert!(read(&store, Some(2)).is_err());
}
