//! Sessions of clicks: a user's clicks belong together until there is none for ten seconds. Shows state and timers.
//!
//! ```sh
//! cargo run --release --manifest-path examples/rust-job/Cargo.toml -- --slots 2
//! ```
//!
//! In an image of its own (see the Dockerfile) it says where its files are by `CLICKS` and `SESSIONS`.

use std::process::ExitCode;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use watershed::{Job, Result, Str, Time, io};

/// After so many microseconds without a click a session is over.
const GAP: i64 = 10_000_000;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Click {
    ts: i64,
    user: Str,
}

/// The state of a user: it is in every snapshot, and moves when the job is rescaled.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Open {
    clicks: u64,
    first: i64,
    last: i64,
}

#[derive(Clone, Debug, Serialize)]
struct Session {
    user: Str,
    clicks: u64,
    seconds: f64,
}

fn place(variable: &str, otherwise: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| otherwise.to_owned())
}

fn sessions(job: &Job) -> Result<()> {
    let clicks = job
        .source("clicks", io::json_lines::<Click>(place("CLICKS", "examples/data/clicks")))
        .event_time(|c| Time::from_millis(c.ts), Duration::from_secs(2));
    let (sessions, _) = clicks.key_by(|c| c.user.clone()).process::<Open, Session, _, _>(
        |_click, user| {
            // The session has been reported already.
            if user.time <= user.watermark {
                return;
            }
            let (now, open) = (user.time.0, &mut *user.state);
            open.first = if open.clicks == 0 { now } else { open.first.min(now) };
            open.last = open.last.max(now);
            open.clicks += 1;
            let over = Time(open.last + GAP);
            user.set_timer(over);
        },
        |user| {
            // A timer of an earlier click: the session went on.
            if user.time.0 < user.state.last + GAP {
                return;
            }
            let Open { clicks, first, last } = *user.state;
            let seconds = (last - first) as f64 / 1e6;
            user.emit(Session { user: user.key.clone(), clicks, seconds });
            user.clear();
        },
    );
    sessions.sink("sessions", io::json_files(place("SESSIONS", "out/sessions")));
    Ok(())
}

fn main() -> ExitCode {
    watershed::main("sessions", sessions)
}
