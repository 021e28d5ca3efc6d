//! A frame of a data link: what a peer sends is a frame that encodes to the same bytes again, or an error and never a panic.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| watershed_wire::frame::fuzz_frame(bytes));
