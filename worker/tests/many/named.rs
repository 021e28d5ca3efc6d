//! A snapshot with a name stays while the job goes on, and costs it nothing.

use std::path::Path;

use crate::check;
use crate::party::{self, Party, itself};

/// The words of a command, and whether it was content.
fn said(dir: &Path, words: &[&str]) -> (bool, String) {
    let (word, rest) = words.split_first().expect("a command");
    let output = itself(word, dir).args(rest).output().expect("the command can be started");
    let text = [output.stdout, output.stderr].map(|b| String::from_utf8_lossy(&b).into_owned()).concat();
    (output.status.success(), text)
}

pub(crate) fn a_named_snapshot_stays_while_the_job_goes_on(dir: &Path) {
    let mut party = Party::start(dir, 2);
    party.until_workers_own(2);
    let (fine, text) = said(dir, &["snapshot", "--as", "before"]);
    assert!(fine, "{text}");
    let (fine, text) = said(dir, &["snapshot", "--as", "before"]);
    assert!(!fine && text.contains("there is a snapshot `before` already"), "{text}");
    let (fine, text) = said(dir, &["snapshot", "--as", "No/Name"]);
    assert!(!fine && text.contains("small letters"), "{text}");
    let files = |dir: &Path| {
        let text = std::fs::read_to_string(dir.join("state/snapshot/before.json")).expect("the snapshot is an object");
        let snapshot: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
        let files = snapshot["manifest"]["files"].as_array().cloned().unwrap_or_default();
        files.iter().map(|f| dir.join("state").join(f["name"].as_str().expect("a name"))).collect::<Vec<_>>()
    };
    let named = files(dir);
    assert!(!named.is_empty());
    // Younger files come and are collected; so would those be.
    party.manifests(3);
    let younger: Vec<_> = party::state_files(dir).into_iter().filter(|f| !named.contains(f)).collect();
    assert!(!younger.is_empty(), "the job has written more");
    // Not all of them: what has been merged may be the base of all that follows.
    party.until("a younger file is collected", |_| younger.iter().any(|f| !f.exists()));
    assert!(files(dir).iter().all(|f| f.exists()), "{}", party.said());
    let (_, text) = said(dir, &["snapshots", "list", "--storage", "state"]);
    assert!(text.contains("named before: epoch"), "{text}");
    let (fine, text) = said(dir, &["snapshots", "delete", "before", "--storage", "state"]);
    assert!(fine, "{text}");
    check(dir, party.until_all_is_out());
}
