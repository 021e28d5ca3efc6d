//! No files of a crate import each other in a circle: types lie below what uses them.
//!
//! The graph has the files of a crate as nodes. A path that begins with `crate`, `super`, `self` or a child module is an *arrow* from the
//! file it stands in to the file that defines its target, in a `use` as well as in an expression. Three decisions:
//!
//! - A re-export (`pub use child::Item`) of a module's own children is a name and no arrow, and a path through it leads to the file
//!   behind it. So a `mod.rs` or `lib.rs` that only declares and re-exports takes part in no circle.
//! - A parent that uses its child privately has an arrow to it, and a child that uses an item *defined* in its parent's file has one back.
//!   Children that only add methods to their parent's type (`impl Slot` in many files) are no circle, as long as the parent calls none of
//!   them by path.
//! - Tests are left out: `#[cfg(test)]` items and modules may import everything, and nothing but a test imports them.
//!
//! The search is textual: a glob import counts as an arrow to the module itself, and a path that a macro builds is not seen.

#![allow(clippy::expect_used, reason = "helpers of tests fail by panicking")]

use std::collections::{BTreeMap, BTreeSet};

use watershed_tidy::{File, files, none};

/// The number of files that take part in circles, by crate. The numbers may only go down, and a crate without circles leaves the list.
const CIRCLES: &[(&str, usize)] = &[("e2e", 20), ("runtime/sim", 16)];

type Path = Vec<String>;

/// An import or a path in an expression.
#[derive(Debug)]
struct Reference {
    path: Path,
    /// The name that a re-export gives to its target, `*` for a glob; none for anything but a re-export.
    exported: Option<String>,
    glob: bool,
}

/// A source file: its text as tokens, without comments, strings and tests.
struct Source {
    path: String,
    tokens: Vec<String>,
    test_modules: BTreeSet<String>,
}

/// The tokens of a source text: words, `::`, and single characters. Comments, strings and character literals are left out.
fn tokens(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let (mut found, mut i) = (Vec::new(), 0);
    while i < chars.len() {
        let c = at(i);
        if c == '/' && at(i + 1) == '/' {
            while i < chars.len() && at(i) != '\n' {
                i += 1;
            }
        } else if c == '/' && at(i + 1) == '*' {
            while i < chars.len() && !(at(i) == '*' && at(i + 1) == '/') {
                i += 1;
            }
            i += 2;
        } else if c == 'r' && (at(i + 1) == '"' || at(i + 1) == '#' && matches!(at(i + 2), '"' | '#')) {
            i = after_raw_string(&chars, i + 1);
        } else if c == '"' {
            i += 1;
            while i < chars.len() && at(i) != '"' {
                i += if at(i) == '\\' { 2 } else { 1 };
            }
            i += 1;
        } else if c == '\'' {
            // A character literal ends with a quote; a lifetime does not.
            let length = if at(i + 1) == '\\' { (2..12).find(|n| at(i + n) == '\'' && *n > 2).unwrap_or(0) } else { 2 };
            i += if length > 0 && at(i + length) == '\'' { length + 1 } else { 1 };
        } else if c.is_alphanumeric() || c == '_' {
            let from = i;
            while at(i).is_alphanumeric() || at(i) == '_' {
                i += 1;
            }
            found.push(chars.get(from..i).unwrap_or_default().iter().collect());
        } else if c == ':' && at(i + 1) == ':' {
            found.push("::".to_owned());
            i += 2;
        } else {
            if !c.is_whitespace() {
                found.push(c.to_string());
            }
            i += 1;
        }
    }
    found
}

fn after_raw_string(chars: &[char], from: usize) -> usize {
    let hashes = chars.iter().skip(from).take_while(|c| **c == '#').count();
    let mut i = from + hashes + 1;
    while i < chars.len() {
        let closed = chars.get(i) == Some(&'"') && chars.iter().skip(i + 1).take(hashes).filter(|c| **c == '#').count() == hashes;
        if closed {
            return i + 1 + hashes;
        }
        i += 1;
    }
    i
}

/// The index behind an item: behind its `;`, or behind its block.
fn after_item(tokens: &[String], from: usize) -> usize {
    let mut depth = 0;
    for (i, token) in tokens.iter().enumerate().skip(from) {
        match token.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => depth -= 1,
            _ => {}
        }
        if depth == 0 && (token == ";" || token == "}") {
            return i + 1;
        }
    }
    tokens.len()
}

/// The source without its tests.
fn source(file: &File) -> Source {
    let all = tokens(&file.text);
    let is_at = |i: usize, words: &[&str]| words.iter().enumerate().all(|(n, w)| all.get(i + n).is_some_and(|t| t == w));
    let (mut kept, mut test_modules, mut i) = (Vec::new(), BTreeSet::new(), 0);
    while let Some(token) = all.get(i) {
        if is_at(i, &["#", "[", "cfg", "(", "test", ")", "]"]) {
            let end = after_item(&all, i + 7);
            let item = all.get(i + 7..end).unwrap_or_default();
            if let Some(n) = item.iter().position(|t| t == "mod")
                && let Some(name) = item.get(n + 1)
            {
                test_modules.insert(name.clone());
            }
            i = end;
        } else {
            kept.push(token.clone());
            i += 1;
        }
    }
    Source { path: file.path.clone(), tokens: kept, test_modules }
}

/// The module of a file below `src`; none for a program of its own.
fn module(below: &str) -> Option<Path> {
    let stem = below.strip_suffix(".rs")?;
    let mut path: Path = stem.split('/').map(str::to_owned).collect();
    if path.first().is_some_and(|p| p == "bin") {
        return None;
    }
    if matches!(path.last().map(String::as_str), Some("mod" | "lib" | "main")) {
        path.pop();
    }
    Some(path)
}

/// A crate: its modules, by their paths.
struct Crate {
    modules: BTreeMap<Path, Source>,
    references: BTreeMap<Path, Vec<Reference>>,
}

impl Crate {
    fn new(root: &str, all: &[File]) -> Self {
        let src = format!("{root}/src");
        let has_lib = all.iter().any(|f| f.path == format!("{src}/lib.rs"));
        let mut modules: BTreeMap<Path, Source> = BTreeMap::new();
        for file in all.iter().filter(|f| f.is_in(&src)) {
            let below = file.path.strip_prefix(&format!("{src}/")).unwrap_or_default();
            if let Some(path) = module(below).filter(|_| !(has_lib && below == "main.rs")) {
                modules.insert(path, source(file));
            }
        }
        let tests: Vec<Path> = modules
            .iter()
            .flat_map(|(path, source)| source.test_modules.iter().map(|t| [path.clone(), vec![t.clone()]].concat()))
            .collect();
        modules.retain(|path, _| !tests.iter().any(|t| path.starts_with(t)));
        let mut found = Self { modules, references: BTreeMap::new() };
        found.references = found.modules.iter().map(|(path, source)| (path.clone(), found.references_of(path, source))).collect();
        found
    }

    fn references_of(&self, module: &Path, source: &Source) -> Vec<Reference> {
        let tokens = &source.tokens;
        let token = |i: usize| tokens.get(i).map_or("", String::as_str);
        let (mut found, mut i) = (Vec::new(), 0);
        while i < tokens.len() {
            let before = if i == 0 { ";" } else { token(i - 1) };
            if token(i) == "use" && matches!(before, ";" | "}" | "{" | "]" | ")" | "pub") {
                let end = (i..tokens.len()).find(|n| token(*n) == ";").unwrap_or(tokens.len());
                let public = matches!(before, ")" | "pub");
                tree(tokens.get(i + 1..end).unwrap_or_default(), &mut Vec::new(), public, &mut found);
                i = end;
            } else if before != "::" && token(i + 1) == "::" && self.starts_here(module, token(i)) {
                let mut path = vec![token(i).to_owned()];
                while token(i + 1) == "::" && token(i + 2).starts_with(|c: char| c.is_alphabetic() || c == '_') {
                    path.push(token(i + 2).to_owned());
                    i += 2;
                }
                found.push(Reference { path, exported: None, glob: false });
            }
            i += 1;
        }
        found.retain(|r| r.path.first().is_some_and(|first| self.starts_here(module, first)));
        found
    }

    /// A path with this first word leads into the crate.
    fn starts_here(&self, module: &Path, first: &str) -> bool {
        matches!(first, "crate" | "super" | "self")
            || self.modules.contains_key(&[module.clone(), vec![first.to_owned()]].concat())
    }

    /// The module whose file defines the target of a path.
    fn target(&self, from: &Path, path: &[String], depth: usize) -> Option<Path> {
        let mut at = from.clone();
        let mut rest = path;
        while let Some((first, others)) = rest.split_first() {
            match first.as_str() {
                "crate" => at = Path::new(),
                "self" => {}
                "super" => {
                    at.pop();
                }
                name => {
                    let child = [at.clone(), vec![name.to_owned()]].concat();
                    if !self.modules.contains_key(&child) {
                        return self.item(&at, name, others, depth);
                    }
                    at = child;
                }
            }
            rest = others;
        }
        self.modules.contains_key(&at).then_some(at)
    }

    /// The module that defines an item which is found in `module`: that one, or the one behind a re-export.
    fn item(&self, module: &Path, name: &str, others: &[String], depth: usize) -> Option<Path> {
        let exports = self.references.get(module).into_iter().flatten().filter(|r| r.exported.is_some());
        for export in exports.filter(|_| depth < 8) {
            let target = if export.exported.as_deref() == Some(name) {
                self.target(module, &[export.path.as_slice(), others].concat(), depth + 1)
            } else if export.glob && !self.defines(module, name) {
                let behind = self.target(module, &export.path, depth + 1);
                behind.filter(|b| self.defines(b, name) || self.item(b, name, others, depth + 1).is_some_and(|i| i != *b))
            } else {
                None
            };
            if target.is_some() {
                return target;
            }
        }
        self.modules.contains_key(module).then(|| module.clone())
    }

    fn defines(&self, module: &Path, name: &str) -> bool {
        let keywords = ["struct", "enum", "trait", "fn", "type", "const", "static", "union"];
        let tokens = self.modules.get(module).map(|s| s.tokens.as_slice()).unwrap_or_default();
        tokens.windows(2).any(|pair| matches!(pair, [keyword, item] if item == name && keywords.contains(&keyword.as_str())))
    }

    /// The arrows between files.
    fn arrows(&self) -> BTreeMap<&Path, BTreeSet<Path>> {
        let of = |(module, references): (&'_ Path, &Vec<Reference>)| {
            let targets = references.iter().filter_map(|r| {
                let target = self.target(module, &r.path, 0)?;
                let own_child = r.exported.is_some() && target.starts_with(module) && target != *module;
                (target != *module && !own_child).then_some(target)
            });
            targets.collect()
        };
        self.references.iter().map(|entry| (entry.0, of(entry))).collect()
    }

    /// The files that take part in circles, each circle as one list.
    fn circles(&self) -> Vec<Vec<String>> {
        let arrows = self.arrows();
        let reach: BTreeMap<&Path, BTreeSet<&Path>> = arrows.keys().map(|from| (*from, reachable(from, &arrows))).collect();
        let mut found: BTreeSet<Vec<String>> = BTreeSet::new();
        for (module, reached) in reach.iter().filter(|(module, reached)| reached.contains(**module)) {
            let together = reached.iter().filter(|other| reach.get(**other).is_some_and(|back| back.contains(*module)));
            found.insert(together.filter_map(|m| self.modules.get(*m)).map(|s| s.path.clone()).collect());
        }
        found.into_iter().collect()
    }
}

/// The targets of a `use` tree.
fn tree(tokens: &[String], prefix: &mut Path, public: bool, found: &mut Vec<Reference>) {
    let mut path = prefix.clone();
    let mut i = 0;
    while let Some(token) = tokens.get(i) {
        match token.as_str() {
            "::" => {}
            "{" => {
                let mut depth = 0;
                let mut from = i + 1;
                for (n, t) in tokens.iter().enumerate().skip(i) {
                    match t.as_str() {
                        "{" => depth += 1,
                        "}" => depth -= 1,
                        _ => {}
                    }
                    if depth == 0 || depth == 1 && t == "," {
                        let part = tokens.get(from..n).unwrap_or_default();
                        if !part.is_empty() {
                            tree(part, &mut path, public, found);
                        }
                        from = n + 1;
                    }
                    if depth == 0 {
                        break;
                    }
                }
                return;
            }
            "*" => {
                found.push(Reference { path, exported: public.then(|| "*".to_owned()), glob: true });
                return;
            }
            "as" => {
                let name = tokens.get(i + 1).cloned();
                found.push(Reference { path, exported: name.filter(|_| public), glob: false });
                return;
            }
            "self" if !path.is_empty() => {}
            name => path.push(name.to_owned()),
        }
        i += 1;
    }
    let exported = path.last().cloned().filter(|_| public);
    found.push(Reference { path, exported, glob: false });
}

fn reachable<'a>(from: &'a Path, arrows: &'a BTreeMap<&'a Path, BTreeSet<Path>>) -> BTreeSet<&'a Path> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<&Path> = vec![from];
    while let Some(module) = next.pop() {
        for target in arrows.get(module).into_iter().flatten() {
            if reached.insert(target) {
                next.push(target);
            }
        }
    }
    reached
}

/// The folders of all crates.
fn roots(all: &[File]) -> BTreeSet<String> {
    let ends = ["/src/lib.rs", "/src/main.rs"];
    all.iter().filter_map(|f| ends.iter().find_map(|end| f.path.strip_suffix(end))).map(str::to_owned).collect()
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let all = files(&["rs"]);
    let (mut new, mut mended) = (Vec::new(), Vec::new());
    for root in roots(&all) {
        let circles = Crate::new(&root, &all).circles();
        let files: usize = circles.iter().map(Vec::len).sum();
        let allowed = CIRCLES.iter().find(|(name, _)| *name == root).map_or(0, |(_, n)| *n);
        if files > allowed {
            let each: Vec<String> = circles.iter().map(|c| c.join(" ")).collect();
            new.push(format!("{root}: {files} files in circles, {allowed} allowed:\n    {}", each.join("\n    ")));
        } else if files < allowed {
            mended.push(format!("{root}: {files} instead of {allowed}"));
        }
    }
    none(&new, "files import each other in a circle: put the types that they share below both");
    none(&mended, "mended: lower the numbers in the list");
}

fn crate_of(files: &[(&str, &str)]) -> Crate {
    let all: Vec<File> = files.iter().map(|(p, t)| File { path: format!("c/src/{p}"), text: (*t).to_owned() }).collect();
    Crate::new("c", &all)
}

#[test]
fn a_circle_is_found_through_re_exports_groups_and_expressions() {
    let lib = ("lib.rs", "mod a; mod b; mod c; pub use b::B;");
    for (a, b) in [
        ("use crate::B;", "use super::a::A;"),
        ("use crate::{b::{self, B as X}, c};", "fn f() { crate::a::g(\"crate::c::x\") }"),
        ("fn f(b: &'static super::b::B) {}", "pub(crate) use crate::a::A;"),
    ] {
        let circles = crate_of(&[lib, ("a.rs", a), ("b.rs", b), ("c.rs", "")]).circles();
        assert_eq!(circles, [["c/src/a.rs", "c/src/b.rs"]], "{a} {b}");
    }
    let longer = crate_of(&[lib, ("a.rs", "use super::b::B;"), ("b.rs", "use super::c::C;"), ("c.rs", "use super::a::A;")]);
    assert_eq!(longer.circles().len(), 1);
    let parent = crate_of(&[("lib.rs", "mod a; use a::A; pub struct Own;"), ("a.rs", "use crate::Own;")]);
    assert_eq!(parent.circles(), [["c/src/lib.rs", "c/src/a.rs"]], "a parent that uses its child, and the other way round");
}

#[test]
fn re_exports_tests_and_comments_are_no_arrows() {
    let lib = ("lib.rs", "mod a; mod b; pub use a::A; pub use b::*; pub struct Own;");
    let quiet = crate_of(&[
        lib,
        ("a.rs", "use crate::Own; // use crate::b::B;\n#[cfg(test)] mod tests { use super::*; use crate::b::B; }"),
        ("b.rs", "use crate::A; fn f(c: char) { if c == '\"' {} } /* crate::b::x */ #[cfg(test)] use crate::b::B;"),
    ]);
    assert_eq!(quiet.circles(), Vec::<Vec<String>>::new());
    let glob = crate_of(&[lib, ("a.rs", "use crate::B;"), ("b.rs", "use crate::A; pub struct B;")]);
    assert_eq!(glob.circles().len(), 1, "a path through a glob leads to the file behind it");
}
