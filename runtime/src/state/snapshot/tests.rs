//! Laws of the files: what is written is read, whatever is damaged is refused, merging is the sum of the changes.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::error::{Kind, Result};
use crate::key::{GroupSet, Key, KeyGroup, KeySpace};
use crate::state::codec::EncodedRun;
use crate::state::{Plain, StateDesc};

const SPACE: KeySpace = KeySpace { seed: 0, bits: 8 };

type Content = BTreeMap<(u64, u64), Option<String>>;

fn info(epochs: std::ops::RangeInclusive<u64>) -> FileInfo {
    let tables = vec![(1, StateDesc::of::<u64, String>("one")), (2, StateDesc::of::<u64, String>("two"))];
    FileInfo { bits: SPACE.bits, from_epoch: *epochs.start(), to_epoch: *epochs.end(), level: 0, tables }
}

fn runs(content: &Content) -> Vec<(u64, EncodedRun)> {
    let mut runs = vec![(1, EncodedRun::default()), (2, EncodedRun::default())];
    for ((table, key), value) in content {
        let (run, hash) = (&mut runs[*table as usize - 1].1, key.hash(SPACE));
        run.put(SPACE.group(hash), hash, &Plain(*key), value.as_ref(), None).unwrap();
    }
    runs
}

fn file(epoch: u64, content: &Content) -> Vec<u8> {
    write_file(info(epoch..=epoch), &runs(content)).unwrap()
}

fn read(file: &[u8], groups: &GroupSet) -> Result<Content> {
    let mut content = Content::new();
    each_item(file, groups, |s| {
        let key: Plain<u64> = s.item.key()?;
        let value = s.item.value.map(|v| postcard::from_bytes(v).unwrap());
        assert_eq!(content.insert((s.table, key.0), value), None, "each key once");
        Ok(())
    })?;
    Ok(content)
}

fn content() -> impl Strategy<Value = Content> {
    prop::collection::btree_map((1..3u64, 0..200u64), prop::option::weighted(0.8, "[a-d]{0,9}"), 0..150)
}

/// Large enough for several blocks.
fn large(seed: u64) -> Content {
    (0..3000u64).map(|k| ((1 + k % 2, k), Some(format!("{:0>60}", (k ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15))))).collect()
}

#[test]
fn a_few_key_groups_cost_a_few_blocks() {
    let content = large(3);
    let file = file(1, &content);
    let index = Index::of_file(&file).unwrap();
    assert!(index.blocks.len() > 3, "{}", index.blocks.len());
    let groups = GroupSet::of(SPACE, [KeyGroup(100), KeyGroup(101)]);
    let fetches = index.read_groups(&groups);
    assert!(fetches.iter().map(|f| f.blocks.len()).sum::<usize>() <= 2);
    let mut want = content;
    want.retain(|(_, k), _| groups.contains_hash(k.hash(SPACE)));
    assert!(!want.is_empty());
    assert_eq!(read(&file, &groups).unwrap(), want);
}

#[test]
fn the_index_is_read_from_the_end_in_at_most_two_requests() {
    let file = file(1, &large(3));
    let len = file.len() as u64;
    let Tail::More(n) = Index::read(&file[file.len() - 40..], len).unwrap() else { unreachable!("40 bytes hold no index") };
    let Tail::Index(index) = Index::read(&file[file.len() - n as usize..], len).unwrap() else {
        unreachable!("it was asked for")
    };
    assert_eq!(index, Index::of_file(&file).unwrap());
}

/// Files written by this version must load for ever: the fixture is never regenerated, only added to.
#[test]
fn the_first_file_ever_written_still_loads() {
    let golden = include_bytes!("../../../tests/fixtures/state-v1.bin");
    let want: Content = [((1, 7), Some("seven".into())), ((1, 8), None), ((2, 7), Some(String::new()))].into();
    assert_eq!(read(golden, &GroupSet::all(SPACE)).unwrap(), want);
    assert_eq!(Index::of_file(golden).unwrap().info, info(5..=5));
    let shape = |file: &[u8]| {
        Index::of_file(file).unwrap().blocks.iter().map(|b| (b.first, b.last, b.raw, b.entries)).collect::<Vec<_>>()
    };
    assert_eq!(shape(&file(5, &want)), shape(golden), "the layout has changed: that needs a new version and a second fixture");
}

#[test]
fn a_newer_version_is_named_and_not_called_damage() {
    let mut file = file(1, &Content::new());
    let at = file.len() - 32;
    file[at + 12] = 9;
    let start = file.len() - 32 - u32::from_le_bytes(file[at + 8..at + 12].try_into().unwrap()) as usize;
    let sum = xxhash_rust::xxh3::xxh3_64(&file[start..at + 16]);
    file[at + 16..at + 24].copy_from_slice(&sum.to_le_bytes());
    let e = Index::of_file(&file).unwrap_err();
    assert_eq!((e.kind(), e.to_string().as_str()), (Kind::Invalid, "state file has format version 9, this program reads 1"));
}

/// State files that jobs have written: what the fuzz target begins with.
const SEEDS: [&[u8]; 3] = [
    include_bytes!("../../../../fuzz/seeds/snapshot/every_aggregate_of_a_window"),
    include_bytes!("../../../../fuzz/seeds/snapshot/the_greatest_of_updated_rows_by_a_new_key"),
    include_bytes!("../../../../fuzz/seeds/snapshot/keys_of_many_types"),
];

#[test]
fn files_of_real_jobs_are_read() {
    for seed in SEEDS {
        let index = Index::of_file(seed).unwrap();
        assert!(!index.info.tables.is_empty());
        fuzz_decode(seed);
    }
}

proptest! {
    #[test]
    fn a_damaged_file_of_a_real_job_is_survived(which in 0..3usize, at: prop::sample::Index, with: u8, cut: prop::sample::Index) {
        let mut file = SEEDS[which].to_vec();
        let at = at.index(file.len());
        file[at] = with;
        fuzz_decode(&file);
        file.truncate(cut.index(file.len()));
        fuzz_decode(&file);
    }

    #[test]
    fn what_is_written_is_read(content in content()) {
        prop_assert_eq!(read(&file(1, &content), &GroupSet::all(SPACE)).unwrap(), content);
    }

    /// Every bit of a file counts: header, blocks, index, trailer.
    #[test]
    fn a_flipped_bit_is_found(content in content(), at: prop::sample::Index, bit in 0..8u8) {
        let mut file = file(1, &content);
        let at = at.index(file.len());
        file[at] ^= 1 << bit;
        let e = read(&file, &GroupSet::all(SPACE)).unwrap_err();
        prop_assert_eq!(e.kind(), Kind::Corrupt);
        prop_assert!(e.to_string().contains("at byte"), "{}", e);
    }

    #[test]
    fn a_truncated_file_is_found(content in content(), at: prop::sample::Index) {
        let file = file(1, &content);
        let e = read(&file[..at.index(file.len())], &GroupSet::all(SPACE)).unwrap_err();
        prop_assert_eq!(e.kind(), Kind::Corrupt);
    }

    #[test]
    fn any_bytes_are_survived(mut bytes: Vec<u8>, end in prop::option::of(any::<[u8; 24]>())) {
        if let Some(end) = end {
            bytes.extend(end);
            bytes.extend(super::format::MAGIC);
        }
        fuzz_decode(&bytes);
    }

    /// Damage that a checksum was made for by somebody: the parser is on its own.
    #[test]
    fn a_forged_index_is_survived(content in content(), at: prop::sample::Index, with: u8) {
        let mut file = file(1, &content);
        let (trailer, n) = (file.len() - 32, file.len());
        let start = u64::from_le_bytes(file[trailer..trailer + 8].try_into().unwrap()) as usize;
        let at = start + at.index(trailer - start);
        file[at] = with;
        let sum = xxhash_rust::xxh3::xxh3_64(&file[start..trailer + 16]);
        file[n - 16..n - 8].copy_from_slice(&sum.to_le_bytes());
        fuzz_decode(&file);
    }

    /// Merging a part and then all gives the same as merging all, and both are the changes applied in order.
    #[test]
    fn merging_is_the_sum_of_the_changes(parts in prop::collection::vec(content(), 1..6), cut: prop::sample::Index, half: bool) {
        let files: Vec<Vec<u8>> = parts.iter().enumerate().map(|(i, c)| file(i as u64 + 1, c)).collect();
        let all: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
        let groups = GroupSet::of(SPACE, (0..if half { 128 } else { 256 }).map(KeyGroup));
        let whole = merge(&all, Some(&groups), true).unwrap();
        let mut want = Content::new();
        parts.iter().for_each(|p| want.extend(p.clone()));
        want.retain(|(_, k), v| v.is_some() && groups.contains_hash(k.hash(SPACE)));
        prop_assert_eq!(read(&whole, &GroupSet::all(SPACE)).unwrap(), want);

        let cut = cut.index(all.len());
        let young = merge(&all[cut..], None, false).unwrap();
        let steps: Vec<&[u8]> = all[..cut].iter().copied().chain([young.as_slice()]).collect();
        prop_assert_eq!(merge(&steps, Some(&groups), true).unwrap(), whole);
    }
}

/// The files of so many slots under the policy, with sets of keys for bytes; what was written for each byte changed.
fn amplification(slots: usize, keys: usize, changed: usize, epochs: u64, mut next: impl FnMut() -> usize) -> f64 {
    let sized = |level: u8, epochs: (u64, u64), f: Vec<bool>| {
        (FileMeta { bytes: f.iter().filter(|k| **k).count() as u64, level, epochs }, f)
    };
    let mut files = vec![sized(u8::MAX, (0, 1), vec![true; keys])];
    let (mut written, mut dirty) = (0, 0);
    for epoch in 2..epochs {
        let mut deltas = vec![vec![false; keys]; slots];
        for _ in 0..changed {
            let key = next();
            deltas[key % slots][key] = true;
        }
        for delta in deltas {
            let delta = sized(0, (epoch, epoch), delta);
            dirty += delta.0.bytes;
            written += delta.0.bytes;
            files.push(delta);
        }
        let metas: Vec<FileMeta> = files.iter().map(|f| f.0).collect();
        if let Some(range) = plan_merge(&metas) {
            let level = if range.start == 0 { u8::MAX } else { metas[range.clone()].iter().map(|f| f.level).max().unwrap() + 1 };
            let mut one = vec![false; keys];
            files[range.clone()].iter().for_each(|(_, f)| one.iter_mut().zip(f).for_each(|(a, b)| *a |= b));
            let one = sized(level, (metas[range.start].epochs.0, metas[range.end - 1].epochs.1), one);
            written += one.0.bytes;
            files.splice(range, [one]);
        }
        // The files that a slot reads: its own of each layer.
        let layers = files.chunk_by(|a, b| a.0.epochs == b.0.epochs).count();
        assert!(layers <= MAX_DELTAS + 1, "I13: {layers} layers");
    }
    written as f64 / dirty as f64
}

/// The bound of the design: at 1 % of the keys an epoch, over 3000 epochs, at most 3 bytes are written for each byte changed, however
/// many slots share the keys.
#[test]
fn merging_writes_at_most_three_bytes_for_each_changed() {
    let mut x = 88_172_645_463_325_252u64;
    let mut random = move || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        (x >> 33) as usize
    };
    for slots in [1, 2, 20] {
        let uniform = amplification(slots, 4000, 40, 3000, || random() % 4000);
        assert!((2.0..3.0).contains(&uniform), "1 % of all keys, {slots} slots: {uniform:.2}");
    }
    let hot = amplification(2, 4000, 40, 3000, || random() % 400);
    assert!(hot < 2.5, "1 %, within a tenth of the keys: {hot:.2}");
    let much = amplification(2, 4000, 2000, 500, || random() % 4000);
    assert!(much < 2.0, "40 % of all keys: {much:.2}");
    let little = amplification(1, 20_000, 10, 6000, || random() % 20_000);
    assert!(little < 4.5, "0.05 %: two levels more: {little:.2}");
}
