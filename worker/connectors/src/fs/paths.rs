//! From the text of a 'path' option to files and their sizes.
//!
//! A path is a file, a directory (all files below it) or a glob. Files and directories whose names begin with `.` or `_` are
//! not there: that is how writers hide what is not finished.

use std::path::{Path, PathBuf};

use watershed_runtime::error::{Error, Kind};

use super::error::io_error;

/// A file of a source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Found {
    pub(crate) path: String,
    pub(crate) size: u64,
}

/// The depth to which directories are searched: a cycle of links ends here.
const DEPTH: usize = 32;

/// `file:` URLs are paths; other URLs are refused.
pub(crate) fn local(path: &str) -> Result<&str, Error> {
    if let Some(rest) = path.strip_prefix("file://") {
        return Ok(rest);
    }
    match path.split_once("://") {
        Some((scheme, _)) if !scheme.is_empty() && scheme.chars().all(|c| c.is_ascii_alphanumeric()) => Err(Error::new(
            Kind::Invalid,
            format!("'{path}': the filesystem connector reads and writes local paths, not {scheme}://"),
        )
        .advise("give a local path or file:///…")),
        _ => Ok(path),
    }
}

/// Every file of a path, sorted by name. An empty directory is no error here; a missing path is.
pub(crate) fn find(path: &str) -> Result<Vec<Found>, Error> {
    let mut found = Vec::new();
    if is_pattern(path) && !Path::new(path).exists() {
        let matches = glob::glob(path).map_err(|e| {
            Error::new(Kind::Invalid, format!("'{path}' is not a pattern: {} at character {}", e.msg, e.pos + 1))
                .advise("patterns know ?, *, ** and [abc]; write [*] for a literal star")
        })?;
        for entry in matches {
            let entry = entry.map_err(|e| {
                let path = e.path().to_owned();
                io_error("read the directory", &path, e.into())
            })?;
            if !hidden(&entry, Path::new(path)) {
                visit(&entry, 0, &mut found)?;
            }
        }
    } else {
        visit(Path::new(path), 0, &mut found)?;
    }
    found.sort();
    found.dedup();
    Ok(found)
}

/// True if the path is a pattern, so that it matching nothing is not yet an error while watching.
pub(crate) fn is_pattern(path: &str) -> bool {
    path.contains(['*', '?', '['])
}

/// True if a part of `path` that the pattern did not spell out itself is hidden.
fn hidden(path: &Path, pattern: &Path) -> bool {
    let spelled: Vec<_> = pattern.components().collect();
    path.components().any(|c| !spelled.contains(&c) && is_hidden(&c.as_os_str().to_string_lossy()))
}

fn is_hidden(name: &str) -> bool {
    name.starts_with(['.', '_']) && name != "." && name != ".."
}

fn visit(path: &Path, depth: usize, found: &mut Vec<Found>) -> Result<(), Error> {
    let meta = match std::fs::metadata(path) {
        Ok(meta) => meta,
        // Gone between listing and looking: it was never there.
        Err(e) if depth > 0 && e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(io_error("find the source's file or directory", path, e)),
    };
    if meta.is_dir() {
        if depth > DEPTH {
            return Err(Error::new(Kind::Invalid, format!("directories are nested more than {DEPTH} deep"))
                .at(path.display().to_string())
                .advise("is there a link that leads back? give a narrower path"));
        }
        let entries = std::fs::read_dir(path).map_err(|e| io_error("list the directory", path, e))?;
        for entry in entries {
            let entry = entry.map_err(|e| io_error("list the directory", path, e))?;
            if !is_hidden(&entry.file_name().to_string_lossy()) {
                visit(&entry.path(), depth + 1, found)?;
            }
        }
        return Ok(());
    }
    let text = text_of(path.to_owned())?;
    found.push(Found { path: text, size: meta.len() });
    Ok(())
}

fn text_of(path: PathBuf) -> Result<String, Error> {
    path.into_os_string().into_string().map_err(|p| {
        Error::new(Kind::Invalid, format!("the file name {} is not UTF-8", p.display()))
            .advise("rename the file, or give a pattern that leaves it out")
    })
}
