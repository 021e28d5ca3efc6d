//! A job's text: never a panic, every refusal with a place that is in the text.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| watershed_job::fuzz_parse(text));
