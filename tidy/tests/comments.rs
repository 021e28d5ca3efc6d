//! The language of comments: the first sentence has a noun of the field as its subject, and a line is at most 140 columns wide.

use watershed_tidy::{File, breaches, files, none};

/// The most columns of a line that holds a comment.
const COLUMNS: usize = 140;

/// First words that are no noun: the sentence behind them says nothing to a reader who does not know already what it is about.
const NO_NOUNS: &[&str] = &[
    "Everybody",
    "How",
    "It",
    "Its",
    "Nobody",
    "Somebody",
    "Them",
    "They",
    "What",
    "Whatever",
    "When",
    "Where",
    "Whether",
    "Which",
    "Who",
    "Whoever",
    "Whom",
    "Whose",
    "Why",
];

/// Folders whose comments are still to be written again. The list may only shrink.
const NOT_YET: &[&str] = &["e2e", "runtime/examples"];

/// The text of a line that is a comment and nothing else.
fn comment(line: &str) -> Option<&str> {
    let text = line.trim_start().strip_prefix("//")?;
    Some(text.trim_start_matches(['/', '!']).trim())
}

/// The first lines of comments that begin without a noun, and the lines that are too wide.
fn faults(file: &File) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut before = None;
    for (i, line) in file.text.lines().enumerate() {
        let text = comment(line);
        if let Some(text) = text {
            let first = text.split(|c: char| !c.is_alphabetic()).next().unwrap_or_default();
            if before.is_none_or(str::is_empty) && NO_NOUNS.contains(&first) {
                found.push((i + 1, format!("begins with `{first}`: {text}")));
            }
            let columns = line.chars().count();
            if columns > COLUMNS {
                found.push((i + 1, format!("{columns} columns")));
            }
        }
        before = text;
    }
    found
}

fn listed(file: &File) -> Option<&'static str> {
    NOT_YET.iter().copied().find(|folder| file.is_in(folder))
}

#[test]
fn comments_begin_with_a_noun_and_fit_into_their_lines() {
    let all = files(&["rs"]);
    let renamed: Vec<File> =
        all.iter().filter(|f| listed(f).is_none()).map(|f| File { path: f.path.clone(), text: f.text.clone() }).collect();
    assert!(renamed.iter().any(|f| f.is_in("operator/src")), "the operator has moved: tell this test where");
    none(&breaches(&renamed, faults), "a comment begins with a noun of the field and is at most 140 columns wide");
    let mended: Vec<String> = NOT_YET
        .iter()
        .filter(|folder| !all.iter().any(|f| f.is_in(folder) && !faults(f).is_empty()))
        .map(|folder| (*folder).to_owned())
        .collect();
    none(&mended, "mended: take these off the list");
}

#[test]
fn a_fault_is_found_at_the_beginning_of_a_comment_only() {
    let of = |text: &str| faults(&File { path: "a.rs".into(), text: text.into() });
    assert_eq!(of("/// It.\nx: u8,\n// Nobody knows.\n").len(), 2);
    assert_eq!(of("/// The worker. It\n/// What it does stands in its second line.\n"), Vec::new());
    assert_eq!(of("//! The title.\n//!\n//! What follows begins a paragraph.\n").len(), 1);
    assert_eq!(of(&format!("// The line {}\n", "x".repeat(140))).len(), 1);
    assert_eq!(of("let it = 1; // It.\n/// Items of a list.\n"), Vec::new());
}
