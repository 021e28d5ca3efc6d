//! The measurement: fills, finds what two workers sustain, and then does to the job, one after the other, what can happen to it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use watershed::runtime::key::{Key as _, KeySpace};
use watershed::runtime::slot::GATE_MILLIS;
use watershed::transport::wire::v1::{KeyRange, Phase, StatusReply};

use super::chart::{self, Span};
use super::paced::{Pace, clock, rush};
use super::people::People;
use super::trace::{Record, Traces, latency, silence};
use super::written::Written;
use super::{Failure, SHAM, env, keys};

/// The quiet time between two changes.
const PAUSE: Duration = Duration::from_secs(6);
const PATIENCE: Duration = Duration::from_secs(900);

struct Drive {
    dir: PathBuf,
    people: People,
    traces: Traces,
    numbers: serde_json::Map<String, serde_json::Value>,
    spans: Vec<Span>,
}

pub(crate) fn drive() -> Result<(), Failure> {
    let dir = PathBuf::from(watershed_bench::scratch("rescale-many"));
    match std::fs::remove_dir_all(&dir) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e.into()),
        _ => std::fs::create_dir_all(&dir)?,
    }
    let dir = dir.canonicalize()?;
    let (people, traces) = (People::new(dir.clone())?, Traces::new(&dir));
    let mut drive = Drive { dir: dir.clone(), people, traces, numbers: serde_json::Map::new(), spans: Vec::new() };
    drive.people.coordinator(2)?;
    drive.people.workers(2)?;
    drive.fill(&dir)?;
    drive.whole()?;
    let chart = std::env::var("CHART").unwrap_or_else(|_| "target/bench/rescale.svg".to_owned());
    if let Some(folder) = Path::new(&chart).parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(&chart, chart::draw(&drive.traces.rows, &drive.spans))?;
    writeln!(std::io::stdout(), "{}", serde_json::Value::Object(drive.numbers))?;
    Ok(())
}

fn running(status: &StatusReply, workers: usize) -> bool {
    status.phase() == Phase::Running && status.workers.iter().filter(|w| w.key_groups > 0).count() == workers
}

impl Drive {
    fn say(&mut self, name: impl Into<String>, value: f64) {
        let name = name.into();
        // Progress, for people.
        let _closed = writeln!(std::io::stderr(), "{name}: {value:.3}");
        self.numbers.insert(name, serde_json::json!(value));
    }

    /// One row a key, then the rush, then the pace: half of what the rush took, its snapshots included.
    fn fill(&mut self, dir: &Path) -> Result<(), Failure> {
        let begin = Instant::now();
        self.early(keys(), begin)?;
        self.published()?;
        self.traces.read()?;
        let (filled, before) = (begin.elapsed().as_secs_f64(), self.traces.early);
        self.say("fill_s", filled);
        self.early(keys() + rush(keys()), begin)?;
        self.published()?;
        let sustained = (self.traces.early - before) as f64 / (begin.elapsed().as_secs_f64() - filled);
        self.say("sustained_rows_per_s", sustained);
        let rate = env("RATE", (sustained / 2.0) as u64) as f64;
        self.say("rate", rate);
        Pace { from: clock(), rate }.write(&dir.join("pace"))?;
        Ok(())
    }

    /// Waits until what has come out by now is in a manifest.
    fn published(&mut self) -> Result<(), Failure> {
        let epoch = self.people.status()?.epoch;
        self.people.until("what came out is published", |s| s.epoch > epoch + 1)?;
        Ok(())
    }

    fn early(&mut self, rows: u64, begin: Instant) -> Result<f64, Failure> {
        while self.traces.early < rows {
            std::thread::sleep(Duration::from_millis(50));
            self.traces.read()?;
            if begin.elapsed() > PATIENCE {
                return Err(format!("{} of {rows} rows came out in {:?}", self.traces.early, begin.elapsed()).into());
            }
        }
        Ok(begin.elapsed().as_secs_f64())
    }

    fn whole(&mut self) -> Result<(), Failure> {
        std::thread::sleep(PAUSE);
        let written = Written::watch(&self.dir.join("state/state"));
        let quiet = self.span("before", |_| {
            std::thread::sleep(Duration::from_secs(env("BEFORE_S", 12)));
            Ok(())
        })?;
        let (deltas, merged) = written.end()?;
        self.say("deltas_mb", deltas as f64 / 1_048_576.0);
        self.say("merged_mb", merged as f64 / 1_048_576.0);
        self.say("written_to_changed", (deltas + merged) as f64 / deltas.max(1) as f64);
        let state: u64 = self.people.status()?.workers.iter().map(|w| w.state_bytes).sum();
        self.say("state_mb", state as f64 / 1_048_576.0);
        self.tell(&quiet)?;

        if std::env::var("ONLY").is_ok_and(|only| only == "before") {
            return Ok(());
        }
        self.people.workers(4)?;
        let (took, p99) = self.live("to_4", 4)?;
        self.live("to_2", 2)?;
        self.sham(took, p99)?;
        self.people.dismiss(2);
        std::thread::sleep(PAUSE);
        let restart = self.span("restart_to_4", |d| {
            d.people.stop()?;
            d.people.coordinator(4)?;
            d.people.workers(4)?;
            d.people.until("the job runs with 4", |s| running(s, 4))?;
            std::thread::sleep(PAUSE);
            Ok(())
        })?;
        self.tell(&restart)?;

        self.live("to_3", 3)?;
        self.people.dismiss(3);
        std::thread::sleep(PAUSE);
        self.lose_a_worker()?;
        self.lose_the_coordinator()?;
        Ok(())
    }

    fn span(&mut self, name: &'static str, what: impl FnOnce(&mut Self) -> Result<(), Failure>) -> Result<Span, Failure> {
        let from = clock();
        what(self)?;
        let span = Span { name, from, to: clock() };
        self.spans.push(span.clone());
        Ok(span)
    }

    /// Silence and latency within a span.
    fn tell(&mut self, span: &Span) -> Result<(), Failure> {
        self.traces.read()?;
        let rows = self.traces.between(span.from, span.to);
        self.say(format!("{}_s", span.name), (span.to - span.from) as f64 / 1e9);
        self.say(format!("{}_silence_ms", span.name), silence(&rows, span.from, span.to));
        for (what, q) in [("p50", 0.5), ("p99", 0.99), ("max", 1.0)] {
            self.say(format!("{}_{what}_ms", span.name), latency(rows.iter().copied(), q));
        }
        Ok(())
    }

    /// The same work without a cut, for as long: what is left of the difference are the cuts.
    fn sham(&mut self, took: Duration, p99: f64) -> Result<(), Failure> {
        self.people.other_coordinator(2, SHAM)?;
        self.people.until("the sham's coordinator is there", |s| running(s, 2))?;
        std::thread::sleep(PAUSE);
        let span = self.span("sham", |d| {
            d.people.scale(4)?;
            std::thread::sleep(took);
            Ok(())
        })?;
        self.tell(&span)?;
        self.people.scale(2)?;
        self.people.until("the sham is over", |s| s.wanted == 2 && running(s, 2))?;
        self.people.other_coordinator(2, "")?;
        self.people.until("a coordinator is there", |s| running(s, 2))?;
        let rows = self.traces.between(span.from, span.to);
        self.say("to_4_staying_keys_p99_over_sham_ms", p99 - latency(rows.into_iter(), 0.99));
        Ok(())
    }

    /// To so many workers while rows flow; how long it took, and the latency of keys that stayed where they were.
    fn live(&mut self, name: &'static str, workers: u32) -> Result<(Duration, f64), Failure> {
        let before = self.people.until("the workers are there", |s| {
            s.phase() == Phase::Running && s.workers.iter().filter(|w| w.connected).count() >= workers as usize
        })?;
        let span = self.span(name, |d| {
            d.people.scale(workers)?;
            d.people.until("the wish is met", |s| s.wanted == workers && running(s, workers as usize))?;
            Ok(())
        })?;
        // A heartbeat later the gates are known.
        std::thread::sleep(Duration::from_secs(1));
        let after = self.people.status()?;
        self.tell(&span)?;
        let moved = moved(&before.ranges, &after.ranges);
        let rows = self.traces.between(span.from, span.to);
        let space = KeySpace::default();
        let moves = |r: &Record| {
            let group = space.group(u64::from(r.key).hash(space));
            moved.get(usize::from(group.0)).copied().unwrap_or(false)
        };
        let (gone, stayed): (Vec<Record>, Vec<Record>) = rows.into_iter().partition(moves);
        self.say(format!("{name}_groups_moved"), moved.iter().filter(|m| **m).count() as f64);
        let p99 = latency(stayed.into_iter(), 0.99);
        self.say(format!("{name}_moving_keys_p99_ms"), latency(gone.into_iter(), 0.99));
        self.say(format!("{name}_staying_keys_p99_ms"), p99);
        let (mut gates, longest) = gates(&before, &after);
        gates.sort_unstable();
        self.say(format!("{name}_batches"), gates.len() as f64);
        self.say(format!("{name}_gate_p99_ms_at_most"), watershed_bench::quantile(&gates, 0.99) as f64);
        self.say(format!("{name}_gate_max_ms"), longest as f64 / 1e3);
        std::thread::sleep(PAUSE);
        Ok((Duration::from_nanos(span.to - span.from), p99))
    }

    fn lose_a_worker(&mut self) -> Result<(), Failure> {
        let epoch = self.people.status()?.epoch;
        let mut seen = 0;
        let span = self.span("worker_killed", |d| {
            let begin = clock();
            d.people.kill_worker(2);
            d.people.until("the loss is seen", |s| s.phase() == Phase::Recovering || s.workers.iter().all(|w| w.worker != 2))?;
            seen = clock() - begin;
            d.people.until("an epoch is published by two", |s| running(s, 2) && s.epoch > epoch + 1)?;
            std::thread::sleep(PAUSE);
            Ok(())
        })?;
        self.say("worker_killed_noticed_ms", seen as f64 / 1e6);
        self.tell(&span)
    }

    fn lose_the_coordinator(&mut self) -> Result<(), Failure> {
        let (mut back, mut published) = (0, 0);
        let span = self.span("coordinator_killed", |d| {
            d.people.kill_coordinator();
            std::thread::sleep(Duration::from_secs(1));
            d.people.coordinator(2)?;
            back = clock();
            let first = d.people.until("it answers", |s| running(s, 2))?;
            d.people.until("an epoch is published", |s| running(s, 2) && s.epoch > first.epoch)?;
            published = clock();
            std::thread::sleep(PAUSE);
            Ok(())
        })?;
        self.say("coordinator_back_to_published_s", (published - back) as f64 / 1e9);
        self.tell(&span)
    }
}

/// For each key group whether its worker changed.
fn moved(before: &[KeyRange], after: &[KeyRange]) -> Vec<bool> {
    let owners = |ranges: &[KeyRange]| -> Vec<u32> {
        ranges.iter().flat_map(|r| std::iter::repeat_n(r.slot, r.groups as usize)).collect()
    };
    owners(before).into_iter().zip(owners(after)).map(|(a, b)| a != b).collect()
}

/// The upper bound, in milliseconds, of each new gate's bucket, and the longest gate there ever was.
fn gates(before: &StatusReply, after: &StatusReply) -> (Vec<u64>, u64) {
    let (mut all, mut longest) = (Vec::new(), 0);
    for w in &after.workers {
        let Some(moves) = &w.moves else { continue };
        let old = before.workers.iter().find(|o| o.worker == w.worker && o.identity == w.identity);
        let old = old.and_then(|o| o.moves.as_ref()).map(|m| m.gates.clone()).unwrap_or_default();
        longest = longest.max(moves.longest_gate_micros);
        let bounds = GATE_MILLIS.iter().copied().chain([moves.longest_gate_micros.div_ceil(1000)]);
        for ((bound, n), old) in bounds.zip(&moves.gates).zip(old.into_iter().chain(std::iter::repeat(0))) {
            all.extend(std::iter::repeat_n(bound, n.saturating_sub(old) as usize));
        }
    }
    (all, longest)
}
