//! One process: its log, the signals it gets, and how it ended.

use std::fs::OpenOptions;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Characters of a line that are shown.
const LONGEST: usize = 300;

/// The end of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Code(i32),
    Signal(i32),
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}

/// A running process. Dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    pub(crate) log: PathBuf,
    /// Killed by us: its end is no news.
    pub(crate) doomed: bool,
    /// Stopped by us, at some time: others may have taken its place.
    pub(crate) slept: bool,
    /// Told to end: it may do so with code 0.
    pub(crate) told: bool,
}

impl Process {
    /// Starts it; what it says goes to `log`.
    pub(crate) fn start(mut command: Command, log: &Path) -> std::io::Result<Self> {
        let out = OpenOptions::new().create(true).append(true).open(log)?;
        let child = command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out).spawn()?;
        Ok(Self { child, log: log.to_owned(), doomed: false, slept: false, told: false })
    }

    /// Sends it a signal: KILL, STOP, CONT, TERM.
    pub(crate) fn signal(&mut self, name: &str) {
        self.doomed |= name == "KILL";
        self.slept |= name == "STOP";
        self.told |= name == "TERM";
        // One that has just ended cannot be sent anything, and need not.
        let _gone = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).output();
    }

    /// The end of the process, if it has ended.
    pub(crate) fn ended(&mut self) -> Option<Ended> {
        let status = self.child.try_wait().ok()??;
        Some(status.code().map_or_else(|| Ended::Signal(status.signal().unwrap_or(0)), Ended::Code))
    }

    /// The last lines it said: of events their messages.
    pub(crate) fn last_words(&self, lines: usize) -> String {
        let said = std::fs::read_to_string(&self.log).unwrap_or_default();
        let all: Vec<String> = said.lines().map(message).collect();
        all.get(all.len().saturating_sub(lines)..).unwrap_or_default().join(" | ")
    }
}

/// A line in short.
fn message(line: &str) -> String {
    let event: Option<serde_json::Value> = serde_json::from_str(line).ok();
    let text = |name: &str| event.as_ref().and_then(|e| e.get(name)?.as_str()).map(str::to_owned);
    let words = text("message").or_else(|| text("event")).unwrap_or_else(|| line.to_owned());
    words.chars().take(LONGEST).collect()
}

impl Drop for Process {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}
