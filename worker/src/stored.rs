//! Reading stored state: of each file the ranges that hold the wanted key groups, and nothing else.

use std::ops::Range;
use std::sync::mpsc::sync_channel;

use watershed_runtime::error::{Error, Kind, Result};
use watershed_runtime::key::GroupSet;
use watershed_runtime::protocol::manifest::StateFile;
use watershed_runtime::state::snapshot::{Fetch, Index, Stored, Tail};

use crate::store::Store;

/// Bytes from the end of a state file that hold its index, for files up to some 200 MB; more is fetched where they do not.
const INDEX_BYTES: u64 = 64 << 10;
/// Bytes of one request, unless a block is longer.
const PIECE_BYTES: u64 = 8 << 20;

/// Reads the items of these groups, and of the file no more than the ranges that hold them: a slot that restores a hundredth of the state
/// reads a hundredth of it. The next range is fetched while one is decoded.
pub(crate) fn each_stored(
    store: &Store,
    file: &StateFile,
    groups: &GroupSet,
    mut each: impl FnMut(Stored<'_>) -> Result<()>,
) -> Result<()> {
    let index = read_index(store, file)?;
    let fetches: Vec<Fetch> = index.read_groups(groups).into_iter().flat_map(|f| pieces(&index, f)).collect();
    let (give, taken) = sync_channel(1);
    std::thread::scope(|s| {
        let wanted = &fetches;
        s.spawn(move || {
            for fetch in wanted {
                if give.send(range(store, file, fetch.bytes.clone())).is_err() {
                    return;
                }
            }
        });
        for (fetch, bytes) in fetches.iter().zip(taken) {
            index.each_fetched(fetch, &bytes?, groups, &mut each).map_err(|e| e.at(file.name.clone()))?;
        }
        Ok(())
    })
}

fn range(store: &Store, file: &StateFile, bytes: Range<u64>) -> Result<Vec<u8>> {
    store.get_range(&file.name, bytes)?.ok_or_else(|| {
        Error::new(Kind::Corrupt, "a state file that the manifest names does not exist")
            .at(format!("storage {}, `{}`", store.place(), file.name))
            .advise("restore the file from a copy of the storage, or start with --fresh")
    })
}

fn read_index(store: &Store, file: &StateFile) -> Result<Index> {
    let mut want = INDEX_BYTES;
    loop {
        let tail = range(store, file, file.bytes.saturating_sub(want)..file.bytes)?;
        match Index::read(&tail, file.bytes).map_err(|e| e.at(file.name.clone()))? {
            Tail::Index(index) => return Ok(index),
            Tail::More(n) if n > want => want = n,
            Tail::More(n) => {
                return Err(Error::new(Kind::Corrupt, format!("the index of a state file is {n} bytes long, and is not there")));
            }
        }
    }
}

/// The same blocks in requests of a size that memory can bear several of.
fn pieces(index: &Index, fetch: Fetch) -> Vec<Fetch> {
    let mut all: Vec<Fetch> = Vec::new();
    for n in fetch.blocks {
        let Some(block) = index.blocks.get(n) else { continue };
        let end = block.at + u64::from(block.len);
        match all.last_mut().filter(|f| end - f.bytes.start <= PIECE_BYTES) {
            Some(f) => (f.blocks.end, f.bytes.end) = (n + 1, end),
            None => all.push(Fetch { blocks: n..n + 1, bytes: block.at..end }),
        }
    }
    all
}
