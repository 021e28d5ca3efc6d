//! The rules of the house, as tests.
//!
//! The rules that reviewers would otherwise have to remember: which crate may depend on which (`tests/arrows.rs`), that files import each
//! other in no circle (`tests/circles.rs`), what a source file looks like (`tests/sources.rs`), how comments are written
//! (`tests/comments.rs`), and that the texts beside the code are true (`tests/texts.rs`). This library only finds the files; it is never
//! published. Nothing here compiles another crate, so the rules are checked within seconds.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders that hold nothing a person wrote.
const NOT_OURS: &[&str] = &["target", "corpus", "artifacts", "node_modules", "generated"];

/// A text file of the repository.
#[derive(Debug)]
pub struct File {
    /// The path from the root, with `/` between its parts.
    pub path: String,
    /// The content.
    pub text: String,
}

impl File {
    /// The file lies in a folder.
    #[must_use]
    pub fn is_in(&self, folder: &str) -> bool {
        self.path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
    }

    /// The extension of the file's name, without the dot.
    #[must_use]
    pub fn extension(&self) -> &str {
        self.path.rsplit('/').next().and_then(|name| name.rsplit_once('.')).map_or("", |(_, end)| end)
    }
}

/// The root of the repository.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the root").to_owned()
}

/// Every text file of the repository whose name ends in one of `extensions` (all text files where none is given), in order of
/// their paths. Files that are not UTF-8, hidden ones, and what builds leave behind are left out; `.ci` is not.
#[must_use]
pub fn files(extensions: &[&str]) -> Vec<File> {
    let root = root();
    let mut found = Vec::new();
    walk(&root, &root, &mut found);
    found.retain(|file| extensions.is_empty() || extensions.contains(&file.extension()));
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(!found.is_empty(), "no files under {}", root.display());
    found
}

fn walk(root: &Path, folder: &Path, found: &mut Vec<File>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if (name.starts_with('.') && name != ".ci") || NOT_OURS.contains(&name.as_ref()) {
            continue;
        }
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            walk(root, &path, found);
        } else if let (Ok(text), Ok(relative)) = (fs::read_to_string(&path), path.strip_prefix(root)) {
            found.push(File { path: relative.to_string_lossy().replace('\\', "/"), text });
        }
    }
}

/// The breaches of a rule, line by line; a test compares them with nothing.
#[must_use]
pub fn breaches(files: &[File], mut rule: impl FnMut(&File) -> Vec<(usize, String)>) -> Vec<String> {
    files
        .iter()
        .flat_map(|file| rule(file).into_iter().map(|(line, what)| format!("{}:{line}: {what}", file.path)).collect::<Vec<_>>())
        .collect()
}

/// Lines of code with their numbers, comments cut off. Coarse on purpose: `//` inside a text cuts too, which can only hide, and
/// hiding is what reviews are for.
pub fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(i, line)| (i + 1, line.split("//").next().unwrap_or_default()))
        .filter(|(_, line)| !line.trim().is_empty())
}

/// Fails with the list of breaches, if there are any.
#[track_caller]
pub fn none(breaches: &[String], rule: &str) {
    assert!(breaches.is_empty(), "{rule}:\n  {}", breaches.join("\n  "));
}
