//! From (hash, sub) to a cell of the slab.
//!
//! 64 small hash tables of eight-byte pairs (tag, cell). Each grows by itself, and growth needs only the tag: it never touches
//! the slab, so doubling a part of 16,384 pairs takes about 0.1 ms and nothing else waits for it. Rows of one key group share the
//! top bits of their hash, which is where hash tables take their tags from; so the hash is remixed first.

use hashbrown::HashTable;

const PARTS: usize = 64;
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// Mixes the carried hash and the rest of the key into index bits that are all equally good.
#[inline]
pub(super) fn remix(hash: u64, sub: u64) -> u64 {
    let m = u128::from(hash ^ sub.wrapping_mul(0xd6e8_feb8_6659_fd93).rotate_left(29)) * u128::from(GOLDEN);
    (m as u64) ^ ((m >> 64) as u64)
}

/// What a part hashes a tag to. Multiplication by an odd number keeps the low bits a permutation and fills the top ones.
#[inline]
fn spread(tag: u32) -> u64 {
    u64::from(tag).wrapping_mul(GOLDEN)
}

#[derive(Clone, Copy, Debug)]
struct Pair {
    tag: u32,
    slot: u32,
}

/// The index of a table.
#[derive(Debug)]
pub(super) struct Index {
    parts: Box<[HashTable<Pair>; PARTS]>,
}

impl Index {
    pub(super) fn new() -> Self {
        Self { parts: Box::new(std::array::from_fn(|_| HashTable::new())) }
    }

    #[inline]
    pub(super) fn find(&self, mixed: u64, mut eq: impl FnMut(u32) -> bool) -> Option<u32> {
        let tag = (mixed >> 32) as u32;
        let part = self.parts.get(mixed as usize % PARTS)?;
        part.find(spread(tag), |p| p.tag == tag && eq(p.slot)).map(|p| p.slot)
    }

    pub(super) fn insert(&mut self, mixed: u64, slot: u32) {
        let tag = (mixed >> 32) as u32;
        if let Some(part) = self.parts.get_mut(mixed as usize % PARTS) {
            part.insert_unique(spread(tag), Pair { tag, slot }, |p| spread(p.tag));
        }
    }

    pub(super) fn remove(&mut self, mixed: u64, slot: u32) {
        let tag = (mixed >> 32) as u32;
        if let Some(part) = self.parts.get_mut(mixed as usize % PARTS)
            && let Ok(entry) = part.find_entry(spread(tag), |p| p.slot == slot)
        {
            entry.remove();
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.parts.iter().map(HashTable::allocation_size).sum()
    }
}
