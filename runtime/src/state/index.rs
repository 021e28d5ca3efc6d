//! From (hash, sub) to a cell of the slab.
//!
//! 64 small open-addressing tables of eight-byte pairs (tag, cell). A look-up usually touches one cache line here: a general hash
//! map keeps its control bytes apart and touches two (measured: a read-modify-write over 10^6 keys then takes 1.4 to 1.9 times as
//! long). Each part grows by itself, and growth needs only the tag: it never touches the slab, so doubling a part of 16,384 pairs
//! takes about 0.1 ms and nothing else waits for it. Rows of one key group share the top bits of their hash, which would put them
//! all into one stretch of the index; so the hash is remixed first.

const PARTS: usize = 64;
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
/// The size of a part that holds anything.
const SMALLEST: usize = 16;

/// Mixes the carried hash and the rest of the key into index bits that are all equally good.
#[inline]
pub(super) fn remix(hash: u64, sub: u64) -> u64 {
    let m = u128::from(hash ^ sub.wrapping_mul(0xd6e8_feb8_6659_fd93).rotate_left(29)) * u128::from(GOLDEN);
    (m as u64) ^ ((m >> 64) as u64)
}

/// Tag in the upper half, cell + 1 in the lower; zero is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pair(u64);

const FREE: Pair = Pair(0);

impl Pair {
    fn new(tag: u32, slot: u32) -> Self {
        Self((u64::from(tag) << 32) | (u64::from(slot) + 1))
    }

    #[inline]
    fn tag(self) -> u32 {
        (self.0 >> 32) as u32
    }

    #[inline]
    fn slot(self) -> u32 {
        (self.0 as u32).wrapping_sub(1)
    }
}

/// Linear probing, at most three quarters full; a removal moves what follows back, so there are no gravestones.
#[derive(Debug, Default)]
struct Part {
    /// A power of two of pairs, or none.
    pairs: Vec<Pair>,
    used: usize,
}

impl Part {
    #[inline]
    fn mask(&self) -> usize {
        self.pairs.len().wrapping_sub(1)
    }

    /// The home of a tag: multiplication by an odd number fills the top bits from all bits of the tag.
    #[inline]
    fn home(&self, tag: u32) -> usize {
        ((u64::from(tag).wrapping_mul(GOLDEN) >> 32) as usize) & self.mask()
    }

    #[inline]
    fn find(&self, tag: u32, mut eq: impl FnMut(u32) -> bool) -> Option<u32> {
        let mut at = self.home(tag);
        loop {
            let pair = *self.pairs.get(at)?;
            if pair == FREE {
                return None;
            }
            if pair.tag() == tag && eq(pair.slot()) {
                return Some(pair.slot());
            }
            at = (at + 1) & self.mask();
        }
    }

    fn insert(&mut self, pair: Pair) {
        if self.used * 4 >= self.pairs.len() * 3 {
            self.grow();
        }
        self.put(pair);
        self.used += 1;
    }

    fn put(&mut self, pair: Pair) {
        let (mut at, mask) = (self.home(pair.tag()), self.mask());
        while let Some(cell) = self.pairs.get_mut(at) {
            if *cell == FREE {
                *cell = pair;
                return;
            }
            at = (at + 1) & mask;
        }
    }

    #[cold]
    fn grow(&mut self) {
        let size = (self.pairs.len() * 2).max(SMALLEST);
        let old = std::mem::replace(&mut self.pairs, vec![FREE; size]);
        old.into_iter().filter(|p| *p != FREE).for_each(|p| self.put(p));
    }

    fn remove(&mut self, gone: Pair) {
        let (mut at, mask) = (self.home(gone.tag()), self.mask());
        loop {
            match self.pairs.get(at) {
                Some(p) if *p == gone => break,
                Some(p) if *p != FREE => at = (at + 1) & mask,
                _ => return,
            }
        }
        self.used -= 1;
        let mut hole = at;
        loop {
            at = (at + 1) & mask;
            let pair = self.pairs.get(at).copied().unwrap_or(FREE);
            if pair == FREE {
                break;
            }
            // The pair may move back unless its home lies between the hole (exclusive) and itself.
            if at.wrapping_sub(self.home(pair.tag())) & mask >= at.wrapping_sub(hole) & mask {
                self.set(hole, pair);
                hole = at;
            }
        }
        self.set(hole, FREE);
    }

    fn set(&mut self, at: usize, pair: Pair) {
        if let Some(cell) = self.pairs.get_mut(at) {
            *cell = pair;
        }
    }
}

/// The index of a table.
#[derive(Debug)]
pub(super) struct Index {
    parts: Box<[Part; PARTS]>,
}

impl Index {
    pub(super) fn new() -> Self {
        Self { parts: Box::new(std::array::from_fn(|_| Part::default())) }
    }

    #[inline]
    pub(super) fn find(&self, mixed: u64, eq: impl FnMut(u32) -> bool) -> Option<u32> {
        self.parts.get(mixed as usize % PARTS)?.find((mixed >> 32) as u32, eq)
    }

    pub(super) fn insert(&mut self, mixed: u64, slot: u32) {
        if let Some(part) = self.parts.get_mut(mixed as usize % PARTS) {
            part.insert(Pair::new((mixed >> 32) as u32, slot));
        }
    }

    pub(super) fn remove(&mut self, mixed: u64, slot: u32) {
        if let Some(part) = self.parts.get_mut(mixed as usize % PARTS) {
            part.remove(Pair::new((mixed >> 32) as u32, slot));
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.parts.iter().map(|p| p.pairs.capacity() * size_of::<Pair>()).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    proptest::proptest! {
        /// Few tags, so that chains are long and wrap around the end.
        #[test]
        fn an_index_is_a_map(ops in proptest::collection::vec((0..40u64, proptest::bool::weighted(0.6)), 1..400)) {
            let (mut index, mut model) = (Index::new(), BTreeMap::new());
            for (n, (key, add)) in ops.into_iter().enumerate() {
                // One part only; some keys share a tag.
                let mixed = (key / 2) << 32;
                match model.remove(&key) {
                    Some(slot) if !add => index.remove(mixed, slot),
                    Some(slot) => _ = model.insert(key, slot),
                    None => {
                        index.insert(mixed, n as u32);
                        model.insert(key, n as u32);
                    }
                }
                for k in 0..40u64 {
                    let want = model.get(&k).copied();
                    proptest::prop_assert_eq!(index.find((k / 2) << 32, |s| Some(s) == want), want);
                }
            }
        }
    }
}
