//! The live line of a terminal: rates, how far behind, the newest snapshot, and for bounded input how much is left.
//!
//! A thread of its own asks for the numbers four times a second while somebody looks at a terminal, and does not exist otherwise.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use watershed_runtime::time::Time;

use super::log::Log;
use super::names::{NodeKind, NodeName};
use super::rates::{Rate, Rates};
use super::rfc3339;
use crate::clock::now;
use crate::local::{Handle, Progress};

const EVERY: Duration = Duration::from_millis(250);
/// From this lag on it is the event time that is shown: the input is old data, and nobody waits for it.
const HISTORY: i64 = 24 * 3600 * 1_000_000;

/// Shows the line until it is dropped.
#[derive(Debug)]
pub(crate) struct Line {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Line {
    /// Shows nothing where there is no terminal.
    pub(crate) fn show(log: &Arc<Log>, handle: Handle, names: Vec<NodeName>) -> Self {
        if !log.live() {
            return Self { stop: None, thread: None };
        }
        let (stop, stopped) = channel::<()>();
        let log = log.clone();
        let bounded = names.iter().all(|n| n.ends || n.kind != NodeKind::Source);
        let run = move || {
            let (mut rates, mut progress) = (Rates::new(), Done::new());
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(EVERY) {
                let Some(status) = handle.status() else { break };
                let rate = rates.look(&status, &names);
                if bounded {
                    progress.look(&status);
                }
                log.line(&text(&status, rate, &progress, &names));
            }
            log.clear();
        };
        let thread = std::thread::Builder::new().name("line".into()).spawn(run).ok();
        Self { stop: Some(stop), thread }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

/// The part of bounded input that is done, and the time that the rest will take at the pace so far.
#[derive(Debug)]
struct Done {
    began: Instant,
    first: Option<f64>,
    done: Option<f64>,
}

impl Done {
    fn new() -> Self {
        Self { began: Instant::now(), first: None, done: None }
    }

    fn look(&mut self, status: &Progress) {
        let all = status.nodes.iter().flat_map(|(_, nodes)| nodes.iter().map(|n| n.progress));
        let (done, of) = all.fold((0u64, 0u64), |a, p| (a.0 + p.0, a.1 + p.1));
        self.done = (of > 0).then(|| done as f64 / of as f64);
        if self.first.is_none() && self.done.is_some() {
            (self.first, self.began) = (self.done, Instant::now());
        }
    }

    fn text(&self) -> Option<String> {
        let (first, done) = (self.first?, self.done?);
        let gained = done - first;
        let left = if gained > 0.005 { self.began.elapsed().as_secs_f64() * (1.0 - done) / gained } else { f64::INFINITY };
        let percent = format!("{:.0}%", done * 100.0);
        Some(if left.is_finite() { format!("{percent}, {} left", seconds(left)) } else { percent })
    }
}

fn text(status: &Progress, rate: Rate, progress: &Done, names: &[NodeName]) -> String {
    let mut parts = vec![format!("in {}/s, out {}/s", rows(rate.rows_in), rows(rate.rows_out))];
    parts.extend(progress.text());
    parts.extend(behind(status, names));
    let age = status.epoch_age.map_or_else(|| "none yet".to_owned(), |a| format!("{} ago", seconds(a as f64 / 1e6)));
    parts.push(format!("epoch {}, snapshot {age}", status.epoch));
    let moving = if status.settled { "" } else { ", moving" };
    let slots = status.slots.len();
    parts.push(format!("{slots} slot{}{moving}", if slots == 1 { "" } else { "s" }));
    parts.join(" | ")
}

/// The lag of event time behind the clock, or event time itself.
fn behind(status: &Progress, names: &[NodeName]) -> Option<String> {
    let marks = status.nodes.iter().flat_map(|(_, nodes)| nodes.iter().zip(names));
    let sources = marks.filter(|(_, name)| name.kind == NodeKind::Source).map(|(node, _)| node.watermark);
    let lowest = sources.filter(|t| *t != Time::MIN && *t != Time::MAX).min()?;
    let lag = now().saturating_sub(lowest.0);
    Some(match lag {
        lag if lag.abs() > HISTORY => format!("at {}", rfc3339(lowest.0).get(..19).unwrap_or_default().replace('T', " ")),
        lag => format!("lag {}", seconds(lag.max(0) as f64 / 1e6)),
    })
}

fn rows(rate: f64) -> String {
    match rate {
        r if r >= 1e6 => format!("{:.1} M", r / 1e6),
        r if r >= 1e4 => format!("{:.0} k", r / 1e3),
        r => format!("{r:.0}"),
    }
}

fn seconds(s: f64) -> String {
    match s {
        s if s >= 5400.0 => format!("{:.1} h", s / 3600.0),
        s if s >= 90.0 => format!("{:.0} min", s / 60.0),
        s if s >= 10.0 => format!("{s:.0} s"),
        s => format!("{s:.1} s"),
    }
}

#[cfg(test)]
mod tests {
    use watershed_cluster::JobStatus;

    use super::*;

    #[test]
    fn numbers_are_short_enough_to_be_read() {
        assert_eq!((rows(12.3), rows(45_678.0), rows(2_345_678.0)), ("12".into(), "46 k".into(), "2.3 M".into()));
        assert_eq!((seconds(0.42), seconds(61.0), seconds(600.0)), ("0.4 s".into(), "61 s".into(), "10 min".into()));
    }

    #[test]
    fn a_job_without_event_time_and_progress_says_neither() {
        let job = JobStatus { slots: vec![0], settled: true, ..JobStatus::default() };
        let status = Progress { job, ..Progress::default() };
        let line = text(&status, Rate::default(), &Done::new(), &[]);
        assert_eq!(line, "in 0/s, out 0/s | epoch 0, snapshot none yet | 1 slot");
    }
}
