//! SQL text: planning never panics, and every refusal has a place in the text and an advice.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| watershed_sql::fuzz_compile(text));
