//! Publishing staged files: the law of the file sink.
//!
//! **A file has one name.** It is published by one step, a rename from its staged name to its final one ([`rename_new`]), which
//! fails if the final name is taken. So a staged name that is there has not been published, and one that is missing has, whatever
//! has become of the final one: a reader may have taken it away. Hence a commit may stop anywhere, be done again, be done by two
//! processes at once, while a reader takes files away: each file becomes visible once. With a link and a later unlink instead, a
//! crash between the two would leave both names; when a reader then takes the final one, nothing tells that it ever was there.
//!
//! **What is committed is durable.** A commit ends by syncing the directory, then the staging directory: whichever names a loss of
//! power leaves, a file is never in neither. A repeated commit syncs too, since it may find renames that were not made durable.
//!
//! **The limit.** No order of steps helps here: a loss of power after a rename and before the sync may undo the rename, and a file that a
//! reader took in between becomes visible again, under the same name. A reader that keeps results elsewhere than on this disk
//! remembers the names of the files it has taken.

use std::io::ErrorKind;
use std::path::Path;

use watershed_runtime::env::SinkHandle;
use watershed_runtime::error::{Error, Kind};

use super::error::io_error;
use super::rename::rename_new;
use super::staged::{STAGING, StagedFile, decode, sync_dir};

/// The steps of a commit, in order; a test stops before each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Rename,
    SyncFinal,
    SyncStaging,
}

/// Publishes the files of all handles. `before` is called before each step and may stop it, as a crash would.
pub(crate) fn commit(dir: &Path, handles: &[SinkHandle], before: &mut dyn FnMut(Step) -> Result<(), Error>) -> Result<(), Error> {
    let staging = dir.join(STAGING);
    let mut any = false;
    for handle in handles {
        for StagedFile(staged, target) in decode(&handle.data)?.files {
            before(Step::Rename)?;
            publish(&staging.join(&staged), &dir.join(&target))?;
            any = true;
        }
    }
    if !any {
        return Ok(());
    }
    before(Step::SyncFinal)?;
    sync_dir(dir)?;
    before(Step::SyncStaging)?;
    sync_dir(&staging)
}

/// Publishes one file, unless that was done before.
fn publish(from: &Path, to: &Path) -> Result<(), Error> {
    let Err(error) = rename_new(from, to) else { return Ok(()) };
    let staging = from.parent().unwrap_or(from);
    if error.kind() == ErrorKind::NotFound {
        if staging.is_dir() {
            return Ok(());
        }
        let what = "the sink's staging directory is gone, and with it output that was not yet published";
        let advice = "bring the directory back, or start the job afresh";
        return Err(Error::new(Kind::Unavailable, what).at(staging.display().to_string()).advise(advice));
    }
    if error.kind() == ErrorKind::AlreadyExists {
        let what = "a file that this job did not write has the name of its next output";
        let advice = "empty the directory, or choose another one: a job that starts afresh begins its numbering again";
        return Err(Error::new(Kind::Invalid, what).at(to.display().to_string()).advise(advice));
    }
    Err(io_error("publish the file", to, error))
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
