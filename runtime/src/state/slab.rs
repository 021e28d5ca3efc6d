//! The home of entries: fixed chunks, so that growth never copies what is there.
//!
//! Doubling one vector of a gigabyte would stop a slot for a second. A chunk of 1024 cells costs one more dependent load
//! (the array of chunk pointers of a million entries is 8 KB and stays in the first-level cache). Freed cells are reused, last
//! freed first; chunks are not given back.

/// Cells a chunk.
const CHUNK: usize = 1024;

/// Set in `stamp` while the target of a move holds this very value: the next write then takes the slow path and is noted.
pub(super) const SHIPPED: u32 = 1 << 31;
/// Set in `place` once the target of a move has been sent something for this entry: its removal must be sent too.
pub(super) const SENT: u32 = 1 << 31;

/// One entry with its header.
#[derive(Debug)]
pub(super) struct Entry<K, V> {
    /// The carried hash.
    pub(super) hash: u64,
    /// The epoch that wrote it first (an internal count, see `epochs`), and [`SHIPPED`].
    pub(super) stamp: u32,
    /// The position in that epoch's dirty list.
    pub(super) dirty: u32,
    /// The position in its key group's list, and [`SENT`].
    place: u32,
    /// The time at which it was last written, in ticks of the expiry.
    pub(super) touched: u32,
    /// The key.
    pub(super) key: K,
    /// The value; `None` is a tombstone, kept until its epoch is published.
    pub(super) value: Option<V>,
}

impl<K, V> Entry<K, V> {
    pub(super) fn new(hash: u64, stamp: u32, touched: u32, key: K, value: Option<V>) -> Self {
        Self { hash, stamp, dirty: 0, place: 0, touched, key, value }
    }

    /// The epoch count without the flag.
    pub(super) fn written(&self) -> u32 {
        self.stamp & !SHIPPED
    }

    pub(super) fn shipped(&self) -> bool {
        self.stamp & SHIPPED != 0
    }

    pub(super) fn sent(&self) -> bool {
        self.place & SENT != 0
    }

    pub(super) fn mark_shipped(&mut self) {
        self.stamp |= SHIPPED;
        self.place |= SENT;
    }

    pub(super) fn place(&self) -> u32 {
        self.place & !SENT
    }

    pub(super) fn set_place(&mut self, place: u32) {
        self.place = (self.place & SENT) | place;
    }
}

type Cells<K, V> = Box<[Option<Entry<K, V>>; CHUNK]>;

/// All entries of a table.
#[derive(Debug)]
pub(super) struct Slab<K, V> {
    chunks: Vec<Cells<K, V>>,
    free: Vec<u32>,
    used: usize,
}

impl<K, V> Slab<K, V> {
    pub(super) fn new() -> Self {
        Self { chunks: Vec::new(), free: Vec::new(), used: 0 }
    }

    /// Entries and tombstones.
    pub(super) fn len(&self) -> usize {
        self.used
    }

    /// Bytes of all chunks.
    pub(super) fn bytes(&self) -> usize {
        self.chunks.len() * CHUNK * size_of::<Option<Entry<K, V>>>() + self.free.capacity() * 4
    }

    #[inline]
    pub(super) fn get(&self, slot: u32) -> Option<&Entry<K, V>> {
        self.chunks.get(slot as usize / CHUNK)?.get(slot as usize % CHUNK)?.as_ref()
    }

    #[inline]
    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut Entry<K, V>> {
        self.chunks.get_mut(slot as usize / CHUNK)?.get_mut(slot as usize % CHUNK)?.as_mut()
    }

    pub(super) fn insert(&mut self, entry: Entry<K, V>) -> u32 {
        if self.free.is_empty() {
            self.grow();
        }
        let slot = self.free.pop().expect("grow has just put free cells there");
        if let Some(cell) = self.chunks.get_mut(slot as usize / CHUNK).and_then(|c| c.get_mut(slot as usize % CHUNK)) {
            *cell = Some(entry);
        }
        self.used += 1;
        slot
    }

    pub(super) fn remove(&mut self, slot: u32) -> Option<Entry<K, V>> {
        let entry = self.chunks.get_mut(slot as usize / CHUNK)?.get_mut(slot as usize % CHUNK)?.take()?;
        self.free.push(slot);
        self.used -= 1;
        Some(entry)
    }

    #[cold]
    fn grow(&mut self) {
        let base = (self.chunks.len() * CHUNK) as u32;
        let cells: Vec<Option<Entry<K, V>>> = std::iter::repeat_with(|| None).take(CHUNK).collect();
        let cells: Cells<K, V> = cells.try_into().ok().expect("the vector has exactly CHUNK cells");
        self.chunks.push(cells);
        self.free.extend((base..base + CHUNK as u32).rev());
    }

    /// The number of cells that exist, used or not: the range of a sweep.
    pub(super) fn cells(&self) -> u32 {
        (self.chunks.len() * CHUNK) as u32
    }
}

/// A list that grows without copying and forgets without a pause.
#[derive(Debug)]
pub(super) struct Chunked<T> {
    chunks: Vec<Vec<T>>,
    len: usize,
}

impl<T> Default for Chunked<T> {
    fn default() -> Self {
        Self { chunks: Vec::new(), len: 0 }
    }
}

impl<T> Chunked<T> {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Appends and says where.
    pub(super) fn push(&mut self, item: T) -> u32 {
        if self.len.is_multiple_of(CHUNK) {
            // The first chunk grows by doubling, so that an epoch that changes three entries costs three entries.
            self.chunks.push(if self.len == 0 { Vec::new() } else { Vec::with_capacity(CHUNK) });
        }
        if let Some(c) = self.chunks.last_mut() {
            c.push(item);
        }
        self.len += 1;
        (self.len - 1) as u32
    }

    #[inline]
    pub(super) fn get(&self, i: u32) -> Option<&T> {
        self.chunks.get(i as usize / CHUNK)?.get(i as usize % CHUNK)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, i: u32) -> Option<&mut T> {
        self.chunks.get_mut(i as usize / CHUNK)?.get_mut(i as usize % CHUNK)
    }

    pub(super) fn pop(&mut self) -> Option<T> {
        let item = self.chunks.last_mut()?.pop()?;
        self.len -= 1;
        if self.len.is_multiple_of(CHUNK) {
            self.chunks.pop();
        }
        Some(item)
    }

    /// Takes item `i` out; the last one takes its place.
    pub(super) fn swap_remove(&mut self, i: u32) -> Option<T> {
        let last = self.pop()?;
        match self.get_mut(i) {
            Some(hole) => Some(std::mem::replace(hole, last)),
            None => Some(last),
        }
    }

    /// Drops one chunk; `false` when nothing is left.
    pub(super) fn drop_chunk(&mut self) -> bool {
        match self.chunks.pop() {
            Some(c) => {
                self.len -= c.len();
                true
            }
            None => false,
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.chunks.iter().flatten()
    }
}
