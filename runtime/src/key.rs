//! The specified hash, key groups, and the one table from group to slot.
//!
//! Every key is hashed **once**, with xxh3-64 over a canonical encoding, and the hash travels with the row: routing, state
//! look-up and snapshots all use the same 64 bits. The top bits name the key group, so a group is a contiguous slice of
//! the hash space; because of that an index over rows of one group must remix the hash before it takes tag bits from it.
//!
//! Hash → group → slot is decided by [`Assignment::slot_of_hash`] and nowhere else. (Arroyo's range formula exists three
//! times and its copies differ by one at the borders.)

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{Xxh3, xxh3_64_with_seed};

/// The number of a slot, unique in a job while it lives. Dense: 0..n.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SlotId(pub u16);

/// One fixed slice of the hash space; the unit that is owned, snapshotted and moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyGroup(pub u16);

/// The hashing of a job: written once into its root object, never changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeySpace {
    /// The seed of xxh3-64.
    pub seed: u64,
    /// log2 of the number of key groups: 8 (256 groups) to 15 (32768).
    pub bits: u8,
}

impl Default for KeySpace {
    fn default() -> Self {
        Self { seed: 0, bits: 12 }
    }
}

impl KeySpace {
    /// A space of `groups` key groups; `None` unless it is a power of two from 256 to 32768.
    #[must_use]
    pub fn with_groups(groups: u32) -> Option<Self> {
        (groups.is_power_of_two() && (256..=32768).contains(&groups))
            .then(|| Self { seed: 0, bits: groups.trailing_zeros() as u8 })
    }

    /// The number of key groups.
    #[must_use]
    pub fn groups(self) -> usize {
        1 << self.bits
    }

    /// The group a hash falls into: its top bits.
    #[inline]
    #[must_use]
    pub fn group(self, hash: u64) -> KeyGroup {
        KeyGroup((hash >> (64 - u32::from(self.bits))) as u16)
    }

    /// Hashes an already encoded key.
    #[inline]
    #[must_use]
    pub fn hash_bytes(self, bytes: &[u8]) -> u64 {
        xxh3_64_with_seed(bytes, self.seed)
    }
}

/// A value that can be a key. `encode` is the specification; `hash` must equal xxh3-64 of it (a law test holds that).
///
/// The canonical encoding: strings and byte strings as they are; integers as eight little-endian bytes of their 64-bit
/// extension; `bool` as one byte; tuples as each part's length (four bytes, little-endian) and encoding in turn; `()` as
/// nothing; `Option` as one byte 0, or 1 and the value.
pub trait Key: Clone + Eq + Send + std::fmt::Debug + Serialize + DeserializeOwned + 'static {
    /// Appends the canonical encoding.
    fn encode(&self, out: &mut Vec<u8>);
    /// The specified hash; override only where the encoding needs no copy.
    fn hash(&self, space: KeySpace) -> u64 {
        let mut buf = Vec::with_capacity(64);
        self.encode(&mut buf);
        space.hash_bytes(&buf)
    }
}

/// Implements [`Key`] for a type that derefs to bytes without a copy.
macro_rules! bytes_key {
    ($($t:ty => |$s:ident| $e:expr),* $(,)?) => {$(
        impl Key for $t {
            fn encode(&self, out: &mut Vec<u8>) { let $s = self; out.extend_from_slice($e); }
            #[inline]
            fn hash(&self, space: KeySpace) -> u64 { let $s = self; space.hash_bytes($e) }
        }
    )*};
}
bytes_key! { String => |s| s.as_bytes(), Vec<u8> => |s| s.as_slice(), Box<str> => |s| s.as_bytes(), Str => |s| s.as_bytes() }

macro_rules! int_key {
    ($($t:ty => $wide:ty),*) => {$(
        impl Key for $t {
            fn encode(&self, out: &mut Vec<u8>) { out.extend_from_slice(&(*self as $wide).to_le_bytes()); }
            #[inline]
            fn hash(&self, space: KeySpace) -> u64 { space.hash_bytes(&(*self as $wide).to_le_bytes()) }
        }
    )*};
}
int_key! { i8 => i64, i16 => i64, i32 => i64, i64 => i64, u8 => u64, u16 => u64, u32 => u64, u64 => u64 }

impl Key for bool {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
}

impl Key for () {
    fn encode(&self, _out: &mut Vec<u8>) {}
}

impl<K: Key> Key for Option<K> {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.is_some()));
        if let Some(k) = self {
            k.encode(out);
        }
    }
}

fn encode_part(part: &impl Key, out: &mut Vec<u8>) {
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    part.encode(out);
    let len = (out.len() - at - 4) as u32;
    if let Some(slot) = out.get_mut(at..at + 4) {
        slot.copy_from_slice(&len.to_le_bytes());
    }
}

impl<A: Key, B: Key> Key for (A, B) {
    fn encode(&self, out: &mut Vec<u8>) {
        encode_part(&self.0, out);
        encode_part(&self.1, out);
    }
}

impl<A: Key, B: Key, C: Key> Key for (A, B, C) {
    fn encode(&self, out: &mut Vec<u8>) {
        encode_part(&self.0, out);
        encode_part(&self.1, out);
        encode_part(&self.2, out);
    }
}

/// A string that keeps up to 24 bytes in place: rows of short strings then cost no allocation.
pub type Str = compact_str::CompactString;

/// A streaming xxh3-64, for digests of longer things.
#[must_use]
pub fn digest() -> Xxh3 {
    Xxh3::new()
}

/// The table key group → slot, with its version. Routers change it only by a cut-over (I4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// Raised by each cut-over.
    pub version: u64,
    space: KeySpace,
    slots: Vec<SlotId>,
}

impl Assignment {
    /// All groups dealt evenly, in runs, over `slots` slots.
    #[must_use]
    pub fn even(space: KeySpace, slots: u16) -> Self {
        let n = space.groups();
        let of = |g: usize| SlotId((g * usize::from(slots.max(1)) / n) as u16);
        Self { version: 0, space, slots: (0..n).map(of).collect() }
    }

    /// From a full table; `None` if its length is not the number of groups.
    #[must_use]
    pub fn from_table(space: KeySpace, version: u64, slots: Vec<SlotId>) -> Option<Self> {
        (slots.len() == space.groups()).then_some(Self { version, space, slots })
    }

    /// The key space the table is over.
    #[must_use]
    pub fn space(&self) -> KeySpace {
        self.space
    }

    /// The owner of a group.
    #[inline]
    #[must_use]
    pub fn slot(&self, group: KeyGroup) -> SlotId {
        self.slots.get(usize::from(group.0)).copied().unwrap_or(SlotId(0))
    }

    /// The one function hash → group → slot.
    #[inline]
    #[must_use]
    pub fn slot_of_hash(&self, hash: u64) -> SlotId {
        self.slot(self.space.group(hash))
    }

    /// Gives `groups` to `slot` and takes the new version.
    pub fn set(&mut self, groups: &GroupSet, slot: SlotId, version: u64) {
        for g in groups.iter() {
            if let Some(s) = self.slots.get_mut(usize::from(g.0)) {
                *s = slot;
            }
        }
        self.version = self.version.max(version);
    }

    /// The groups of one slot.
    #[must_use]
    pub fn groups_of(&self, slot: SlotId) -> GroupSet {
        let mut set = GroupSet::new(self.space);
        for (g, s) in self.slots.iter().enumerate() {
            if *s == slot {
                set.insert(KeyGroup(g as u16));
            }
        }
        set
    }

    /// The table itself, group by group.
    #[must_use]
    pub fn table(&self) -> &[SlotId] {
        &self.slots
    }

    /// Run-length coded: (number of groups, slot) in group order. What a manifest stores.
    #[must_use]
    pub fn runs(&self) -> Vec<(u32, SlotId)> {
        let mut runs: Vec<(u32, SlotId)> = Vec::new();
        for s in &self.slots {
            match runs.last_mut() {
                Some((n, last)) if last == s => *n += 1,
                _ => runs.push((1, *s)),
            }
        }
        runs
    }

    /// From runs; `None` if they do not add up to the number of groups.
    #[must_use]
    pub fn from_runs(space: KeySpace, version: u64, runs: &[(u32, SlotId)]) -> Option<Self> {
        if runs.iter().try_fold(0u32, |n, r| n.checked_add(r.0))? as usize != space.groups() {
            return None;
        }
        let table = runs.iter().flat_map(|(n, s)| std::iter::repeat_n(*s, *n as usize)).collect();
        Self::from_table(space, version, table)
    }
}

/// A set of key groups: a bitmap, 512 bytes for the default 4096 groups.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Words")]
pub struct GroupSet {
    bits: u8,
    words: Vec<u64>,
}

/// A set as it comes from elsewhere.
#[derive(Deserialize)]
struct Words {
    bits: u8,
    words: Vec<u64>,
}

impl TryFrom<Words> for GroupSet {
    type Error = String;

    fn try_from(Words { bits, words }: Words) -> Result<Self, String> {
        match KeySpace::with_groups(1u32.checked_shl(bits.into()).unwrap_or(0)) {
            Some(space) if words.len() == space.groups().div_ceil(64) => Ok(Self { bits, words }),
            _ => Err(format!("a set of key groups with {bits} bits in {} words", words.len())),
        }
    }
}

impl std::fmt::Debug for GroupSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter().map(|g| g.0)).finish()
    }
}

impl GroupSet {
    /// The empty set.
    #[must_use]
    pub fn new(space: KeySpace) -> Self {
        Self { bits: space.bits, words: vec![0; space.groups().div_ceil(64)] }
    }

    /// Every group.
    #[must_use]
    pub fn all(space: KeySpace) -> Self {
        let mut set = Self::new(space);
        set.words.fill(u64::MAX);
        set
    }

    /// The set of these groups.
    pub fn of(space: KeySpace, groups: impl IntoIterator<Item = KeyGroup>) -> Self {
        let mut set = Self::new(space);
        for g in groups {
            set.insert(g);
        }
        set
    }

    /// True if `group` is in.
    #[inline]
    #[must_use]
    pub fn contains(&self, group: KeyGroup) -> bool {
        self.words.get(usize::from(group.0 >> 6)).is_some_and(|w| w >> (group.0 & 63) & 1 == 1)
    }

    /// True if the group of this hash is in.
    #[inline]
    #[must_use]
    pub fn contains_hash(&self, hash: u64) -> bool {
        self.contains(KeyGroup((hash >> (64 - u32::from(self.bits))) as u16))
    }

    /// Puts a group in.
    pub fn insert(&mut self, group: KeyGroup) {
        if let Some(w) = self.words.get_mut(usize::from(group.0 >> 6)) {
            *w |= 1 << (group.0 & 63);
        }
    }

    /// Takes a group out.
    pub fn remove(&mut self, group: KeyGroup) {
        if let Some(w) = self.words.get_mut(usize::from(group.0 >> 6)) {
            *w &= !(1 << (group.0 & 63));
        }
    }

    /// Puts all of `other` in.
    pub fn union(&mut self, other: &Self) {
        for (a, b) in self.words.iter_mut().zip(&other.words) {
            *a |= b;
        }
    }

    /// Takes all of `other` out.
    pub fn subtract(&mut self, other: &Self) {
        for (a, b) in self.words.iter_mut().zip(&other.words) {
            *a &= !b;
        }
    }

    /// Removes all groups that are not in `other`.
    pub fn intersect(&mut self, other: &Self) {
        for (a, b) in self.words.iter_mut().zip(&other.words) {
            *a &= b;
        }
    }

    /// True if the two share a group.
    #[must_use]
    pub fn intersects(&self, other: &Self) -> bool {
        self.words.iter().zip(&other.words).any(|(a, b)| a & b != 0)
    }

    /// The number of groups in the set.
    #[must_use]
    pub fn len(&self) -> usize {
        self.words.iter().map(|w| w.count_ones() as usize).sum()
    }

    /// True if none is in.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|w| *w == 0)
    }

    /// The groups in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = KeyGroup> + '_ {
        self.words.iter().enumerate().flat_map(|(i, w)| {
            let mut w = *w;
            std::iter::from_fn(move || {
                (w != 0).then(|| {
                    let b = w.trailing_zeros();
                    w &= w - 1;
                    KeyGroup((i * 64) as u16 + b as u16)
                })
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The hash is part of the stored format: these numbers may never change.
    #[test]
    fn hash_is_golden() {
        let s = KeySpace::default();
        assert_eq!(s.hash_bytes(b""), 0x2d06_8005_38d3_94c2);
        assert_eq!(Key::hash(&String::from("watershed"), s), s.hash_bytes(b"watershed"));
        assert_eq!(Key::hash(&7i32, s), Key::hash(&7i64, s));
        assert_eq!(s.group(u64::MAX), KeyGroup(4095));
    }

    #[test]
    fn runs_round_trip() {
        let space = KeySpace::default();
        let a = Assignment::even(space, 3);
        assert_eq!(a.runs().len(), 3);
        assert_eq!(Assignment::from_runs(space, 0, &a.runs()), Some(a));
    }

    proptest::proptest! {
        #[test]
        fn hash_equals_hash_of_encoding(a in ".*", b: i64, c: Option<bool>) {
            let s = KeySpace { seed: 7, bits: 12 };
            let k = (a, b, c);
            let mut buf = Vec::new();
            k.encode(&mut buf);
            proptest::prop_assert_eq!(Key::hash(&k, s), s.hash_bytes(&buf));
            buf.clear();
            k.0.encode(&mut buf);
            proptest::prop_assert_eq!(Key::hash(&k.0, s), s.hash_bytes(&buf));
        }

        #[test]
        fn group_set_is_a_set(xs: Vec<u16>) {
            let s = KeySpace::default();
            let want: std::collections::BTreeSet<u16> = xs.iter().map(|x| x % 4096).collect();
            let set = GroupSet::of(s, want.iter().map(|g| KeyGroup(*g)));
            proptest::prop_assert_eq!(set.iter().map(|g| g.0).collect::<Vec<_>>(), want.into_iter().collect::<Vec<_>>());
        }
    }
}
