//! The protocol between processes of a job: gRPC services, their messages, and the frame of a data link.
//!
//! | service | who asks | who answers | what |
//! |---|---|---|---|
//! | `Control` | a worker | the coordinator | one session: registration, then everything slots and coordinator tell each other |
//! | `Job` | command line, operator | the coordinator | status, scale, snapshot, stop, release |
//! | `Data` | a worker | a worker | frames: data on one connection, bulk state on another |
//!
//! The messages of the first two are protobuf (`proto/watershed/v1`); the code made of them is checked in, so that a build needs no
//! generator, and a test holds that it is fresh. `Data` is gRPC with a codec of its own ([`frame`]): rows are encoded once, by the
//! engine, and wrapping them in protobuf would copy them once more.
//!
//! Numbers of fields and the layout of frames are for ever: `tests/golden.rs` holds the bytes of an example of each message.
//!
//! This crate depends on nothing of ours and decides nothing; an operator that only asks for a status links no engine.

pub mod frame;

/// The version of the protocols in this crate: workers of another one are refused when they register.
pub const PROTOCOL: u32 = 2;

/// Upper bounds of the buckets of `Moves.gates`, in milliseconds; what is longer is in one more. The engine counts by the same ones.
pub const GATE_MILLIS: [u64; 9] = [1, 2, 5, 10, 20, 50, 100, 200, 500];

/// The coordinator's reply to a request for a snapshot under a name that is taken. A client that retries because an answer was lost knows
/// by it that its first request was heard.
#[must_use]
pub fn name_taken(name: &str) -> String {
    format!("there is a snapshot `{name}` already")
}

/// The messages and services of `proto/watershed/v1`, as generated.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::allow_attributes_without_reason,
    clippy::or_fun_call,
    clippy::use_self,
    clippy::too_many_lines,
    clippy::wildcard_enum_match_arm,
    reason = "generated: what the fields mean is said in the .proto files"
)]
pub mod v1 {
    include!("generated/watershed.v1.rs");
    include!("generated/watershed.v1.Data.rs");
}

pub use tonic;
