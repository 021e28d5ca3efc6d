//! Errors of files: the path, what was tried, and what to do.

use std::io::ErrorKind;
use std::path::Path;

use watershed_runtime::error::{Error, Kind};

/// An I/O error on a path, with what was tried and what to do.
pub(crate) fn io_error(doing: &str, path: &Path, error: std::io::Error) -> Error {
    let full = "free space on this disk, then start the job again: nothing that was committed is lost";
    let known = [
        (ErrorKind::NotFound, "check the path; a relative path is taken from the directory in which the job was started"),
        (ErrorKind::PermissionDenied, "give the user that runs the job access to this path"),
        (ErrorKind::StorageFull, full),
        (ErrorKind::QuotaExceeded, full),
        (ErrorKind::ReadOnlyFilesystem, "choose a path on a file system that can be written"),
    ];
    let advice = known
        .iter()
        .find(|(kind, _)| *kind == error.kind())
        .map_or("mend the disk or the path, then start the job again", |k| k.1);
    Error::new(Kind::Unavailable, format!("cannot {doing}: {error}")).at(path.display().to_string()).advise(advice).because(error)
}
