//! The texts beside the code: no machine's paths, no dead links, and an ARCHITECTURE.md that names what there is.

#![allow(clippy::expect_used, reason = "helpers of tests fail by panicking")]

use std::path::Path;

use watershed_tidy::{breaches, files, none, root};

const TEXTS: &[&str] = &["rs", "md", "toml", "yaml", "yml", "sql", "sh", "json", "run", "txt", "", "proto", "html", "tpl"];

#[test]
fn no_text_names_a_machines_paths() {
    let homes =
        [concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/Us", "ers/"), concat!("/wo", "rk/"), concat!("C:\\Us", "ers")];
    let wrong = breaches(&files(TEXTS), |file| {
        let lines = file.text.lines().enumerate();
        // In an address such as `https://example.com/…` the word is a part of a path of somebody else.
        let named = |line: &str| {
            homes.iter().find(|home| {
                line.match_indices(**home).any(|(at, _)| {
                    !line.get(..at).is_some_and(|before| {
                        before.ends_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '}'))
                    })
                })
            })
        };
        lines.filter_map(|(i, line)| named(line).map(|home| (i + 1, format!("`{home}`")))).collect()
    });
    none(&wrong, "a path of one machine means nothing on another");
}

#[test]
fn texts_end_with_one_newline_and_lines_without_blanks() {
    let wrong = breaches(&files(&["md", "toml", "yaml", "yml", "sql", "rs", "sh"]), |file| {
        let mut wrong: Vec<(usize, String)> = file
            .text
            .lines()
            .enumerate()
            .filter(|(_, line)| line.ends_with([' ', '\t', '\r']))
            .map(|(i, _)| (i + 1, "blanks at the end".to_owned()))
            .collect();
        if !file.text.is_empty() && (!file.text.ends_with('\n') || file.text.ends_with("\n\n")) {
            wrong.push((file.text.lines().count(), "does not end with one newline".to_owned()));
        }
        wrong
    });
    none(&wrong, "texts are tidy");
}

#[test]
fn every_link_leads_somewhere() {
    let wrong = breaches(&files(&["md"]), |file| {
        let folder = root().join(Path::new(&file.path).parent().unwrap_or_else(|| Path::new("")));
        let mut wrong = Vec::new();
        for (i, line) in file.text.lines().enumerate() {
            for target in line.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
                let path = target.split('#').next().unwrap_or_default();
                let elsewhere = path.is_empty() || path.contains("://") || path.starts_with("mailto:");
                if !elsewhere && !folder.join(path).exists() {
                    wrong.push((i + 1, format!("`{target}` is not there")));
                }
            }
        }
        wrong
    });
    none(&wrong, "links of our own lead to files that exist");
}

#[test]
fn the_code_map_names_every_crate() {
    let map = std::fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md is there");
    let workspace = std::fs::read_to_string(root().join("Cargo.toml")).expect("Cargo.toml is there");
    let members = workspace.split("members = [").nth(1).and_then(|rest| rest.split(']').next()).unwrap_or_default();
    let members: Vec<&str> = members.split('"').skip(1).step_by(2).collect();
    assert!(members.len() > 3, "the members were not found: {members:?}");
    let missing: Vec<String> = members.iter().filter(|m| !map.contains(&format!("`{m}/`"))).map(|m| (*m).to_owned()).collect();
    none(&missing, "ARCHITECTURE.md does not name");
}

/// `make help` is made from the comments: a verb without one would be hidden.
#[test]
fn every_verb_of_the_makefile_says_what_it_does() {
    let makefile = std::fs::read_to_string(root().join("Makefile")).expect("the Makefile is there");
    let silent: Vec<String> = makefile
        .lines()
        .filter(|l| l.starts_with(|c: char| c.is_ascii_lowercase()) && l.contains(':') && !l.contains(":=") && !l.contains("?="))
        .filter(|l| !l.contains("## "))
        .map(str::to_owned)
        .collect();
    none(&silent, "verbs without a `## ` comment");
}
