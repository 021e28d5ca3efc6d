//! The consumer's own thread: reads what the pod prints, and keeps what came, when, and what was wrong.
//!
//! If the stream ends (the API server or the pod's node may be the victim of a test) it is opened again; what was read before the break
//! is printed once more and passed over.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::Value;

use super::checker::{Checker, Output};
use super::epochs::Epochs;
use super::expect::Expect;
use super::timeline::Timeline;
use crate::until::until;

/// What has been read.
#[derive(Debug)]
pub(crate) struct Seen {
    /// What was right and wrong.
    pub(crate) checker: Checker,
    /// When.
    pub(crate) timeline: Timeline,
    epochs: BTreeMap<Output, Epochs>,
    names: BTreeSet<(Output, String)>,
    first_look: bool,
}

/// A consumer that is at work.
#[derive(Debug)]
pub(crate) struct Watch {
    seen: Arc<Mutex<Seen>>,
    over: Arc<AtomicBool>,
    child: Arc<Mutex<Option<Child>>>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Begins. `command` makes the process that prints what [`super::tail`] prints.
    pub(crate) fn start(expect: Expect, command: impl Fn() -> Command + Send + 'static) -> Self {
        let seen = Arc::new(Mutex::new(Seen {
            checker: Checker::new(expect),
            timeline: Timeline::new(expect.rate, Instant::now()),
            epochs: BTreeMap::new(),
            names: BTreeSet::new(),
            first_look: true,
        }));
        let (over, child) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(None)));
        let (mine, ends, process) = (seen.clone(), over.clone(), child.clone());
        let thread = std::thread::spawn(move || {
            while !ends.load(Ordering::SeqCst) {
                read(&mine, &process, command());
                // Somebody who cannot be reached is not asked without a pause.
                std::thread::sleep(Duration::from_millis(200));
            }
        });
        Self { seen, over, child, thread: Some(thread) }
    }

    /// What has been read so far.
    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many rows came in their place.
    #[must_use]
    pub(crate) fn rows(&self) -> u64 {
        self.seen().checker.seen(Output::Rows)
    }

    /// Waits until so many more rows have come.
    pub(crate) fn more(&self, rows: u64, within: Duration) -> Result<()> {
        let wanted = self.rows() + rows;
        until(&format!("{rows} more rows of output"), within, || Ok((self.rows() >= wanted).then_some(())))?;
        self.right()
    }

    /// Waits for the first row after a moment, and says how long it took.
    pub(crate) fn next(&self, after: Instant, within: Duration) -> Result<Duration> {
        until("output", within, || Ok(self.seen().timeline.next(after).map(|at| at - after)))
    }

    /// Fails if anything was wrong so far.
    pub(crate) fn right(&self) -> Result<()> {
        let seen = self.seen();
        let faults = seen.checker.faults();
        if faults.is_empty() {
            return Ok(());
        }
        let first: Vec<&str> = faults.iter().take(10).map(String::as_str).collect();
        bail!("the output is wrong in {} places:\n  {}", faults.len() as u64 + seen.checker.more_faults(), first.join("\n  "))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        if let Some(child) = self.child.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            let _gone = child.kill();
        }
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

fn read(seen: &Mutex<Seen>, process: &Mutex<Option<Child>>, mut command: Command) {
    let Ok(mut child) = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn() else { return };
    let Some(out) = child.stdout.take() else { return };
    *process.lock().unwrap_or_else(PoisonError::into_inner) = Some(child);
    seen.lock().unwrap_or_else(PoisonError::into_inner).first_look = true;
    for line in BufReader::new(out).lines().map_while(Result::ok) {
        // The last line of a stream that broke may be half a line.
        let Ok(line) = serde_json::from_str::<Value>(&line) else { break };
        seen.lock().unwrap_or_else(PoisonError::into_inner).line(&line, Instant::now());
    }
    if let Some(mut child) = process.lock().unwrap_or_else(PoisonError::into_inner).take() {
        let _gone = child.kill();
        let _reaped = child.wait();
    }
}

impl Seen {
    fn line(&mut self, line: &Value, at: Instant) {
        if line.get("look").is_some() {
            self.first_look = false;
            for (output, epochs) in &mut self.epochs {
                epochs.looked(|name, text| self.checker.file(*output, name, text));
            }
            return;
        }
        let field = |name: &str| line.get(name).and_then(Value::as_str).unwrap_or_default();
        let Some(output) = Output::ALL.into_iter().find(|o| o.folder() == field("dir")) else { return };
        let (name, text) = (field("name"), field("text"));
        if !self.names.insert((output, name.to_owned())) && self.first_look {
            return;
        }
        if output == Output::Rows {
            let seqs = text.lines().filter_map(|l| serde_json::from_str::<Value>(l).ok()?.get("seq")?.as_u64());
            self.timeline.came(at, seqs.collect());
        }
        if let Err(what) = self.epochs.entry(output).or_default().saw(name, text) {
            self.checker.fault(format!("{}: {what}", output.folder()));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_stream_that_breaks_is_read_on_without_counting_twice() {
        let file = |epoch: u64, seq: u64| {
            let row = json!({ "seq": seq, "k": seq % 16 }).to_string();
            json!({ "dir": "rows", "name": format!("part-{epoch}-0"), "text": row }).to_string()
        };
        let look = json!({ "look": 1 }).to_string();
        let lines = [file(1, 0), file(2, 16), file(3, 32), look.clone(), look].join("\n");
        let path = std::env::temp_dir().join(format!("watch-{}", std::process::id()));
        std::fs::write(&path, lines + "\n").unwrap();
        let begun = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let (count, from) = (begun.clone(), path.clone());
        let watch = Watch::start(Expect { rate: 100, width: 1 }, move || {
            count.fetch_add(1, Ordering::SeqCst);
            let mut command = Command::new("cat");
            command.arg(&from);
            command
        });
        let again = || Ok((begun.load(Ordering::SeqCst) > 2).then_some(()));
        until("the stream to be opened again twice", Duration::from_secs(10), again).unwrap();
        assert_eq!(watch.rows(), 2);
        watch.right().unwrap();
        std::fs::remove_file(path).unwrap();
    }
}
