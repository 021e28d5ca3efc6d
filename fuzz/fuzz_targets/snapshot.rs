//! A state file of a snapshot: cut off, flipped or made by somebody else, it is an error and never a panic.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| watershed_runtime::state::snapshot::fuzz_decode(bytes));
