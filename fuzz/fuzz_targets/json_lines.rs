//! JSON lines: the fast decoder accepts what `serde_json` accepts, reads the same, and never panics.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| watershed_connectors::fuzz_json_lines(bytes));
