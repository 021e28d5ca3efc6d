//! The form of a source file: it opens with its purpose, it is short, and it leaves nothing for later in silence.

use watershed_tidy::{File, breaches, code, files, none};

/// The most lines of a file; 300 is where to stop and think.
const LINES: usize = 500;

/// `mod.rs` files that still hold a type. The list may only shrink: nothing may be added, and what has been mended goes.
const MOD_RS_WITH_TYPES: &[&str] = &[
    "runtime/columnar/src/aggregate/mod.rs",
    "runtime/src/operator/mod.rs",
    "runtime/src/protocol/cut/mod.rs",
    "runtime/src/slot/mod.rs",
    "runtime/src/stream/mod.rs",
    "worker/sql/src/tests/mod.rs",
];

fn each_line(file: &File, mut wrong: impl FnMut(&str) -> Option<String>) -> Vec<(usize, String)> {
    code(&file.text).filter_map(|(n, line)| wrong(line).map(|what| (n, what))).collect()
}

#[test]
fn every_file_opens_with_what_it_is_for() {
    let wrong = breaches(&files(&["rs"]), |file| match file.text.starts_with("//! ") {
        true => Vec::new(),
        false => vec![(1, "does not open with a `//!` doc".to_owned())],
    });
    none(&wrong, "every file opens with a `//!` doc that says what it is for");
}

#[test]
fn no_file_is_longer_than_an_idea() {
    let wrong = breaches(&files(&["rs"]), |file| match file.text.lines().count() {
        lines if lines > LINES => vec![(LINES, format!("{lines} lines"))],
        _ => Vec::new(),
    });
    none(&wrong, "a file holds one idea in at most 500 lines: split it");
}

#[test]
fn mod_rs_only_declares_and_explains() {
    let declares = |file: &File| {
        code(&file.text).any(|(_, line)| {
            let line = line.trim_start_matches("pub ").trim_start_matches("pub(crate) ");
            ["fn ", "struct ", "enum ", "impl ", "impl<", "trait "].iter().any(|item| line.starts_with(item))
        })
    };
    let found: Vec<String> =
        files(&["rs"]).into_iter().filter(|f| f.path.ends_with("/mod.rs") && declares(f)).map(|f| f.path).collect();
    let new: Vec<String> = found.iter().filter(|f| !MOD_RS_WITH_TYPES.contains(&f.as_str())).cloned().collect();
    none(&new, "`mod.rs` only declares and explains: give the type a file of its own");
    let mended: Vec<String> =
        MOD_RS_WITH_TYPES.iter().filter(|f| !found.iter().any(|x| x == *f)).map(|f| (*f).to_owned()).collect();
    none(&mended, "mended: take these off the list");
}

#[test]
fn nothing_is_left_for_later_in_silence() {
    let words = [concat!("#[ign", "ore"), concat!("to", "do!("), concat!("unimple", "mented!("), concat!("db", "g!(")];
    let wrong = breaches(&files(&["rs"]), |file| {
        each_line(file, |line| words.iter().find(|w| line.contains(**w)).map(|w| format!("`{w}`")))
    });
    none(&wrong, "a test that is not run or a hole in the code is a defect");
    let note = concat!("TO", "DO");
    let wrong = breaches(&files(&["rs", "md", "toml", "yaml"]), |file| {
        let lines = file.text.lines().enumerate();
        lines
            .filter(|(_, l)| l.contains(note) && !l.contains('#'))
            .map(|(i, _)| (i + 1, format!("{note} without an issue")))
            .collect()
    });
    none(&wrong, "what is to be done names its issue, as `#12`");
}

/// Clippy holds most of this by `disallowed-methods`; it does not see macros, `use` of types it was not told, or a renamed import.
#[test]
fn the_engine_names_no_clock_thread_socket_file_or_chance() {
    let words = [
        "tokio",
        "async fn",
        ".await",
        "std::thread",
        "std::net",
        "std::fs",
        "std::env",
        "Instant",
        "SystemTime",
        "rand::",
        "getrandom",
        "RandomState",
        "DefaultHasher",
        "thread_local!",
        "Mutex",
        "RwLock",
        "std::collections::HashMap",
        "std::collections::HashSet",
    ];
    let engine: Vec<File> =
        files(&["rs"]).into_iter().filter(|f| f.is_in("runtime/src") || f.is_in("runtime/columnar/src")).collect();
    assert!(!engine.is_empty(), "the engine has moved: tell this test where");
    let wrong = breaches(&engine, |file| {
        each_line(file, |line| {
            let names = |word: &str| match line.find(word) {
                // A longer word that merely contains it (`Instantiate`) is another word.
                Some(at) => !line.get(at + word.len()..).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase())),
                None => false,
            };
            words.iter().find(|word| names(word)).map(|word| format!("`{word}`"))
        })
    });
    none(&wrong, "a whole job runs bit for bit alike from a seed: the engine is handed what it needs");
}
