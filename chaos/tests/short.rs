//! A minute under fire, from a seed that is always the same: what every change has to pass. Longer, and from other seeds: `make chaos`.

#![allow(clippy::panic, clippy::expect_used, reason = "a test fails by panicking")]

use std::process::Command;

#[test]
fn a_minute_under_fire_loses_doubles_and_delays_nothing() {
    let said = Command::new(env!("CARGO_BIN_EXE_watershed-chaos"))
        .args(["--seconds", "60", "--seed", "16", "--outage", "4"])
        .output()
        .expect("the campaign can be started");
    let text = format!("{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert!(said.status.success(), "{text}");
    println!("{text}");
}
