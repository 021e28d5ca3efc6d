//! Staged files: where they stand, how they are named, and how a manifest refers to them.
//!
//! Both names of a file are fixed when it is begun, and go into the manifest of its epoch. The writer makes them and the commit
//! resolves them; neither invents a name of its own.

use std::fs::File;
use std::path::Path;

use serde::{Deserialize, Serialize};
use watershed_runtime::error::{Error, Kind};

use super::error::io_error;

/// The directory of staged files, inside the sink's.
pub(crate) const STAGING: &str = ".staging";

/// A staged name and its final name, both without a directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StagedFile(pub(crate) String, pub(crate) String);

/// The handle in a manifest: the files of one version of one epoch of one slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Handle {
    /// The term that staged the files.
    pub(crate) term: u64,
    pub(crate) files: Vec<StagedFile>,
}

/// The handle as bytes.
pub(crate) fn encode(handle: &Handle) -> Vec<u8> {
    serde_json::to_vec(handle).expect("numbers and strings always serialise")
}

/// The handle from a manifest's bytes. A name with a directory in it is refused: it would reach out of the sink's own.
pub(crate) fn decode(data: &[u8]) -> Result<Handle, Error> {
    let corrupt = |why: String| {
        Error::new(Kind::Corrupt, format!("the manifest holds a handle that no file sink wrote: {why}"))
            .advise("was the sink's connector changed? commit with the old table definition first, or start afresh")
    };
    let handle: Handle = serde_json::from_slice(data).map_err(|e| corrupt(e.to_string()))?;
    let bare = |name: &str| !name.is_empty() && !name.contains(['/', '\\', '\0']) && !name.starts_with('.');
    match handle.files.iter().find(|f| !bare(&f.0) || !bare(&f.1)) {
        Some(file) => Err(corrupt(format!("{file:?} is no file name"))),
        None => Ok(handle),
    }
}

/// Makes the names in a directory durable.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), Error> {
    File::open(dir).and_then(|d| d.sync_all()).map_err(|e| io_error("sync the directory", dir, e))
}
