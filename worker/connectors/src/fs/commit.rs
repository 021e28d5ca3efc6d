//! Publishing staged files: the law of the file sink.
//!
//! For each file, in order: link the staged name to the final one (which fails if that exists); then sync the directory; then
//! remove the staged names. So at any crash each file is in one of three states, and doing it all again ends in the last:
//! staged only → both names, one file → final only. A staged name disappears *only* after the final one is durable; hence a
//! staged file that is missing has been committed, even if the final file has since been taken away by its reader.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use serde::{Deserialize, Serialize};
use watershed_runtime::env::SinkHandle;
use watershed_runtime::error::{Error, Kind};

use super::io_error;
use super::sink::STAGING;

/// A staged name and its final name, both without a directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Staged(pub(crate) String, pub(crate) String);

/// What a manifest holds for one version of one epoch of one slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Handle {
    /// The term that staged the files.
    pub(crate) term: u64,
    pub(crate) files: Vec<Staged>,
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

/// Makes directory entries durable.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), Error> {
    File::open(dir).and_then(|d| d.sync_all()).map_err(|e| io_error("sync the directory", dir, e))
}

/// The steps of a commit, in order; a test stops before each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Link,
    SyncFinal,
    Unlink,
}

/// Publishes the files of all handles. `before` is called before each step and may stop it, as a crash would.
pub(crate) fn commit(dir: &Path, handles: &[SinkHandle], before: &mut dyn FnMut(Step) -> Result<(), Error>) -> Result<(), Error> {
    let staging = dir.join(STAGING);
    let mut linked = Vec::new();
    for handle in handles {
        for Staged(staged, target) in decode(&handle.data)?.files {
            before(Step::Link)?;
            let (from, to) = (staging.join(&staged), dir.join(&target));
            if link(&from, &to)? {
                linked.push(from);
            }
        }
    }
    if linked.is_empty() {
        return Ok(());
    }
    before(Step::SyncFinal)?;
    sync_dir(dir)?;
    for from in linked {
        before(Step::Unlink)?;
        match std::fs::remove_file(&from) {
            Err(e) if e.kind() != ErrorKind::NotFound => return Err(io_error("remove the staged file", &from, e)),
            _ => {}
        }
    }
    Ok(())
}

/// Links one file; whether the staged name is still there.
fn link(from: &Path, to: &Path) -> Result<bool, Error> {
    let error = match std::fs::hard_link(from, to) {
        Ok(()) => return Ok(true),
        Err(e) => e,
    };
    if error.kind() == ErrorKind::NotFound && !from.exists() {
        // Committed before (see the law), unless the whole sink has been taken away.
        let staging = from.parent().unwrap_or(from);
        if staging.is_dir() {
            return Ok(false);
        }
        return Err(Error::new(
            Kind::Unavailable,
            "the sink's staging directory is gone, and with it output that was not yet published",
        )
        .at(staging.display().to_string())
        .advise("bring the directory back, or start the job afresh"));
    }
    if error.kind() != ErrorKind::AlreadyExists {
        return Err(io_error("publish the file", to, error));
    }
    if same(from, to).map_err(|e| io_error("compare the staged file with the published one", to, e))? {
        return Ok(true);
    }
    Err(Error::new(Kind::Invalid, "a file that this job did not write has the name of its next output")
        .at(to.display().to_string())
        .advise("empty the directory, or choose another one: a job that starts afresh begins its numbering again"))
}

fn same(a: &Path, b: &Path) -> std::io::Result<bool> {
    let (mut a, mut b) = match (File::open(a), File::open(b)) {
        // Another committer has removed the staged name since: it is done.
        (Err(e), Ok(_)) if e.kind() == ErrorKind::NotFound => return Ok(true),
        (a, b) => (a?, b?),
    };
    if a.metadata()?.len() != b.metadata()?.len() {
        return Ok(false);
    }
    let (mut x, mut y) = (Vec::new(), Vec::new());
    loop {
        x.clear();
        y.clear();
        a.by_ref().take(1 << 20).read_to_end(&mut x)?;
        b.by_ref().take(1 << 20).read_to_end(&mut y)?;
        if x != y {
            return Ok(false);
        }
        if x.is_empty() {
            return Ok(true);
        }
    }
}

/// Removes the staged files of terms before `term`. Never those of a younger one.
pub(crate) fn clean(staging: &Path, prefix: &str, term: u64) -> Result<(), Error> {
    let entries = std::fs::read_dir(staging).map_err(|e| io_error("list the directory", staging, e))?;
    for entry in entries {
        let path = entry.map_err(|e| io_error("list the directory", staging, e))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let of =
            name.strip_prefix(prefix).and_then(|n| n.strip_prefix('-')).and_then(|n| n.split('-').next()?.parse::<u64>().ok());
        if of.is_some_and(|t| t < term)
            && let Err(e) = std::fs::remove_file(&path)
            && e.kind() != ErrorKind::NotFound
        {
            return Err(io_error("remove the stale file", &path, e));
        }
    }
    Ok(())
}
