//! Throughput: a job and the hand-written loop, alternately, on the same input; and jobs beside what they are made of.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::check::{check, epochs};
use super::report::{Bar, Line};
use super::run::{Failure, Ran, run};

/// Settings that the cases share.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    /// The input, of `n` lines each.
    pub(crate) data: PathBuf,
    /// The input ten times as long, if wanted.
    pub(crate) big: Option<PathBuf>,
    pub(crate) out: PathBuf,
    pub(crate) reps: usize,
}

/// A job beside the loop.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Versus {
    pub(crate) program: &'static str,
    pub(crate) reference: &'static str,
    pub(crate) words: bool,
    pub(crate) workers: u16,
    pub(crate) bar: f64,
    /// Memory counts.
    pub(crate) memory: bool,
}

/// The jobs of the table.
pub(crate) const VERSUS: &[Versus] = &[
    Versus { program: "words", reference: "loop-words", words: true, workers: 1, bar: 0.8, memory: true },
    Versus { program: "words", reference: "loop-words", words: true, workers: 2, bar: 0.8, memory: true },
    Versus { program: "windows", reference: "loop-windows", words: false, workers: 1, bar: 0.8, memory: true },
    Versus { program: "windows", reference: "loop-windows", words: false, workers: 2, bar: 0.8, memory: true },
    Versus { program: "words-sql", reference: "loop-words", words: true, workers: 1, bar: 0.8, memory: false },
    Versus { program: "windows-sql", reference: "loop-windows", words: false, workers: 1, bar: 0.6, memory: false },
];

/// Published epochs that a run must show.
const EPOCHS: u64 = 10;
/// The period the bar names, and the one for a run too short for ten of it.
const PERIODS: [&str; 2] = ["50", "20"];
const MIB: f64 = 64.0;

pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut all: Vec<f64> = values.into_iter().collect();
    all.sort_by(f64::total_cmp);
    let middle = |i: usize| all.get(i).copied().unwrap_or(f64::NAN);
    let half = all.len() / 2;
    if all.len() % 2 == 1 { middle(half) } else { f64::midpoint(middle(half.wrapping_sub(1)), middle(half)) }
}

fn best(values: impl IntoIterator<Item = f64>) -> f64 {
    values.into_iter().fold(f64::INFINITY, f64::min)
}

fn fresh(out: &Path) -> Result<PathBuf, Failure> {
    let state = PathBuf::from(format!("{}.state", out.display()));
    for dir in [out, &state] {
        if dir.exists() {
            std::fs::remove_dir_all(dir)?;
        }
    }
    Ok(state)
}

impl Versus {
    /// Runs a program once and checks what it wrote; the run and its epochs.
    fn once(&self, program: &str, data: &Path, out: &Path, period: &str) -> Result<(Ran, u64), Failure> {
        let (folder, reference) = if self.words { ("words", "words.ref") } else { ("events", "events.ref") };
        let state = fresh(out)?;
        let (input, workers) = (data.join(folder).display().to_string(), self.workers.to_string());
        let ran = run(program, &[&input, &out.display().to_string(), &workers], &[("EPOCH_MS", period)])?;
        check(out, &data.join(reference))?;
        let published = if state.exists() { epochs(&state)? } else { 0 };
        fresh(out)?;
        Ok((ran, published))
    }

    /// The job and the loop alternately, with epochs every 50 ms; or, on the long input, every second.
    pub(crate) fn measure(&self, setting: &Setting, big: bool) -> Result<Vec<Line>, Failure> {
        let data = if big { setting.big.as_ref().ok_or("no long input")? } else { &setting.data };
        let (out, second) = (setting.out.join(self.program), ["1000"]);
        let periods = if big { &second[..] } else { &PERIODS[..] };
        let mut period = "50";
        // Not measured: it warms the file cache and finds the period.
        for tried in periods {
            period = tried;
            if self.once(self.program, data, &out, period)?.1 >= EPOCHS {
                break;
            }
        }
        let (mut loops, mut ours, mut least) = (Vec::new(), Vec::new(), u64::MAX);
        for _ in 0..setting.reps {
            loops.push(self.once(self.reference, data, &out, period)?.0);
            let (ran, published) = self.once(self.program, data, &out, period)?;
            least = least.min(published);
            ours.push(ran);
        }
        let suffix = if big { ", long input" } else { "" };
        let mut lines = self.lines(&loops, &ours, &format!("{least} epochs, every {period} ms"), suffix);
        if !big && least < EPOCHS {
            let case = format!("{} {}, epochs under way", self.program, self.workers);
            lines.push(Line::new(case, least as f64, "epochs", Bar::AtLeast(EPOCHS as f64)).note(format!("every {period} ms")));
        }
        Ok(lines)
    }

    fn lines(&self, loops: &[Ran], ours: &[Ran], epochs: &str, suffix: &str) -> Vec<Line> {
        let walls = |all: &[Ran]| all.iter().map(|r| r.wall).collect::<Vec<_>>();
        let (l, o) = (walls(loops), walls(ours));
        let ratio = median(l.clone()) / median(o.clone());
        let at_best = best(l.clone()) / best(o.clone());
        let (loop_cpu, cpu) = (median(loops.iter().map(|r| r.cpu)), median(ours.iter().map(|r| r.cpu)));
        let mib = ours.iter().map(|r| r.mib).fold(0.0, f64::max);
        let name = format!("{} {} worker{}{suffix}", self.program, self.workers, if self.workers == 1 { "" } else { "s" });
        let seconds = format!("{:.3} s of {:.3} s", median(o.clone()), median(l.clone()));
        let note = format!("{seconds}, best {at_best:.3}, core {cpu:.2} s of {loop_cpu:.2} s, {mib:.0} MiB, {epochs}");
        let detail =
            json!({"loop_wall": l, "wall": o, "loop_cpu": loop_cpu, "cpu": cpu, "mib": mib, "best": at_best, "epochs": epochs});
        let mut lines = vec![Line::new(&name, ratio, "of it", Bar::AtLeast(self.bar)).note(note).detail(detail)];
        if self.memory {
            lines.push(Line::new(format!("{name}, memory"), mib, "MiB", Bar::AtMost(MIB)));
        }
        lines
    }
}

/// Seconds a measuring program says, for two ways of calling it, alternately.
fn alternately(program: &str, one: &[&str], other: &[&str], reps: usize) -> Result<(Vec<f64>, Vec<f64>, Ran), Failure> {
    let (mut a, mut b, mut last) = (Vec::new(), Vec::new(), None);
    for _ in 0..reps.max(1) {
        a.push(run(program, one, &[])?.number("seconds")?);
        let ran = run(program, other, &[])?;
        b.push(ran.number("seconds")?);
        last = Some(ran);
    }
    Ok((a, b, last.ok_or("nothing was run")?))
}

/// A Nexmark query beside its generator alone.
pub(crate) fn nexmark(query: &str, reps: usize) -> Result<Vec<Line>, Failure> {
    // About two seconds of each: text costs, numbers hardly do.
    let rows = if query == "q2" { "40000000" } else { "10000000" };
    let (alone, ours, _) = alternately("nexmark", &[&format!("{query}-alone"), rows], &[query, rows], reps)?;
    let ratio = median(alone.clone()) / median(ours.clone());
    let note =
        format!("{:.3} s of {:.3} s, {rows} bids, the columns the query reads", median(ours.clone()), median(alone.clone()));
    let detail = json!({"alone": alone, "wall": ours});
    Ok(vec![Line::new(format!("nexmark {query}"), ratio, "of it", Bar::AtLeast(0.8)).note(note).detail(detail)])
}

/// Epochs each second beside none, on as many rows as take 22 seconds.
pub(crate) fn epochs_cost(reps: usize) -> Result<Vec<Line>, Failure> {
    const NONE: &str = "1000000000";
    let trial = 20_000_000.0;
    let seconds = run("epochs", &[&format!("{trial}"), NONE], &[])?.number("seconds")?;
    let rows = format!("{:.0}", trial / seconds * 22.0);
    let (none, with, last) = alternately("epochs", &[&rows, NONE], &[&rows, "1000"], reps.min(3))?;
    let ratio = median(none.clone()) / median(with.clone());
    let note =
        format!("{:.2} s without, {:.2} s with, {} epochs", median(none.clone()), median(with.clone()), last.number("epochs")?);
    let detail: Value = json!({"none": none, "with": with, "rows": rows});
    Ok(vec![Line::new("epochs each second", ratio, "of it", Bar::AtLeast(0.95)).note(note).detail(detail)])
}
