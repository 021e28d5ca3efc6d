//! A short fuzz run that needs no tools: arbitrary and almost-right texts never panic, and every place they name is in the text.
//!
//! `make fuzz` runs the same function under a coverage-guided fuzzer.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::expect_used,
    reason = "helpers of tests fail by panicking"
)]

use proptest::prelude::*;
use watershed_job::fuzz_parse;

const FULL: &str = include_str!("full.yaml");

/// Pieces that steer random text into the reader's branches.
const PIECES: &[&str] = &[
    "apiVersion: watershed.dev/v1alpha1\n",
    "kind: StreamJob\n",
    "metadata: {name: a}\n",
    "spec:\n",
    "  sql: |\n",
    "    SELECT 1\n",
    "  sql: >\n",
    "  snapshots:\n",
    "    storage: {s3: {bucket: abc}}\n",
    "---\n",
    "...\n",
    "%YAML 1.2\n",
    "&a ",
    "*a",
    "!!str ",
    "!x ",
    "<<: ",
    "- ",
    "? ",
    ": ",
    "[",
    "]",
    "{",
    "}",
    ",",
    "\"",
    "'",
    "|",
    ">",
    "\n",
    "  ",
    "\t",
    "\r\n",
    "\u{feff}",
    "\u{85}",
    "\u{2028}",
    "0x1F",
    "1e999",
    "~",
    "é",
    "\0",
    "#",
    "  replicas: ",
    "  env: [{name: a}]\n",
    "  podTemplate: {spec: {a: [1]}}\n",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_text_never_panics(text in any::<String>()) {
        fuzz_parse(&text);
    }

    #[test]
    fn pieces_in_any_order_never_panic(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..40)) {
        fuzz_parse(&pieces.concat());
    }

    #[test]
    fn a_right_manifest_with_a_wrong_spot_never_panics(at in 0..FULL.len(), cut in 0..40_usize, piece in prop::sample::select(PIECES)) {
        let end = (at + cut).min(FULL.len());
        fuzz_parse(&format!("{}{piece}{}", &FULL[..at], &FULL[end..]));
    }
}
