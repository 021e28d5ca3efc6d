//! The bytes of an example of each message, kept for ever: a changed number or type of a field fails here and not between two processes
//! of different builds. A new field gets a new line; `WATERSHED_GENERATE=1 cargo test -p watershed-wire --test golden` appends
//! lines that are missing and never changes one that is there.

#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests fail by panicking")]

mod examples;

use std::path::PathBuf;

use prost::Message;
use watershed_wire::frame::Frame;

/// An example: its name, its bytes, and how bytes are read and written again.
type Example = (&'static str, Vec<u8>, fn(&[u8]) -> Vec<u8>);

fn again<M: Message + Default>(bytes: &[u8]) -> Vec<u8> {
    M::decode(bytes).expect("a kept message decodes").encode_to_vec()
}

fn frame_again(mut bytes: &[u8]) -> Vec<u8> {
    encoded(&Frame::decode(&mut bytes).expect("a kept frame decodes"))
}

fn encoded(frame: &Frame) -> Vec<u8> {
    let mut out = Vec::new();
    frame.encode(&mut out);
    out
}

fn example<M: Message + Default>(name: &'static str, message: &M) -> Example {
    (name, message.encode_to_vec(), again::<M>)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(text.get(at..at + 2).expect("whole bytes"), 16).expect("hexadecimal");
    (0..text.len()).step_by(2).map(digit).collect()
}

#[test]
fn every_message_keeps_its_bytes() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/messages.txt");
    let mut kept = std::fs::read_to_string(&path).unwrap_or_default();
    let generate = std::env::var_os("WATERSHED_GENERATE").is_some();
    for (name, bytes, read) in examples::all() {
        let line = kept.lines().find_map(|l| l.strip_prefix(name).and_then(|rest| rest.strip_prefix(' ')));
        match line.map(unhex) {
            Some(old) => {
                assert_eq!(hex(&read(&old)), hex(&old), "{name}: kept bytes do not survive decoding and encoding");
                assert_eq!(hex(&bytes), hex(&old), "{name}: the example encodes to other bytes than the kept ones");
            }
            None if generate => kept.push_str(&format!("{name} {}\n", hex(&bytes))),
            None => panic!("{name} has no kept bytes: run this test with WATERSHED_GENERATE=1"),
        }
    }
    if generate {
        std::fs::write(&path, kept).expect("the fixture can be written");
    }
}

#[test]
fn every_kept_line_has_an_example() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/messages.txt");
    let names: Vec<&str> = examples::all().iter().map(|(name, ..)| *name).collect();
    for line in std::fs::read_to_string(&path).expect("the fixture is there").lines() {
        let name = line.split(' ').next().unwrap_or_default();
        assert!(names.contains(&name), "{name} is kept but nobody reads it any more");
    }
}
