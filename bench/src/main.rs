//! The table of benchmarks: `watershed-bench [--only TEXT]... [--reps N] [--big]`.
//!
//! Makes the input once under `target/bench/data` (`BENCH_N` lines, 5,000,000 by default), runs each case and the limit it is held to in
//! turn, checks every output row by row, and writes `target/bench/summary.json`. Ratios are of runs of the same call, so a slower machine
//! moves both sides. A missed bar is told and is no failure; a wrong result is.

mod driver;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use driver::cases::{Setting, VERSUS, epochs_cost, nexmark};
use driver::latencies::{rescale, rows, simulator, state, windows};
use driver::report::{Line, Report};
use driver::run::{Failure, run};
use serde_json::json;

/// The command line.
struct Wanted {
    only: Vec<String>,
    reps: usize,
    big: bool,
}

impl Wanted {
    fn read() -> Result<Self, Failure> {
        let (mut wanted, mut args) = (Self { only: Vec::new(), reps: 5, big: false }, std::env::args().skip(1));
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
            match arg.as_str() {
                "--only" => wanted.only.push(value()?),
                "--reps" => wanted.reps = value()?.parse()?,
                "--big" => wanted.big = true,
                _ => return Err(format!("unknown `{arg}`: watershed-bench [--only TEXT]... [--reps N] [--big]").into()),
            }
        }
        Ok(wanted)
    }

    fn wants(&self, case: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|text| case.contains(text.as_str()))
    }
}

/// The input of so many lines, made if it is not there.
fn input(dir: &Path, n: u64) -> Result<PathBuf, Failure> {
    let (data, making) = (dir.join(format!("data/{n}")), dir.join(format!("data/{n}.making")));
    if !data.exists() {
        run("gen", &[&making.display().to_string(), &n.to_string()], &[])?;
        std::fs::rename(&making, &data)?;
    }
    Ok(data)
}

type Case<'a> = (String, Box<dyn Fn() -> Result<Vec<Line>, Failure> + 'a>);

fn cases<'a>(setting: &'a Setting, reps: usize) -> Vec<Case<'a>> {
    let mut all: Vec<Case<'a>> = Vec::new();
    for big in [false, true] {
        for v in VERSUS.iter().filter(|_| !big || setting.big.is_some()) {
            let name = format!("{}-{}{}", v.program, v.workers, if big { "-big" } else { "" });
            all.push((name, Box::new(move || v.measure(setting, big))));
        }
    }
    for query in ["q0", "q1", "q2"] {
        all.push((format!("nexmark-{query}"), Box::new(move || nexmark(query, reps))));
    }
    all.push(("epochs".into(), Box::new(move || epochs_cost(reps))));
    all.push(("state".into(), Box::new(state)));
    all.push(("rows".into(), Box::new(rows)));
    all.push(("latency".into(), Box::new(windows)));
    all.push(("rescale".into(), Box::new(rescale)));
    all.push(("simulator".into(), Box::new(simulator)));
    all
}

fn main() -> Result<ExitCode, Failure> {
    let wanted = Wanted::read()?;
    let dir = PathBuf::from("target/bench");
    std::fs::create_dir_all(&dir)?;
    let n: u64 = std::env::var("BENCH_N").map_or(Ok(5_000_000), |n| n.parse())?;
    let mut setting = Setting { data: PathBuf::new(), big: None, out: dir.join("out"), reps: wanted.reps };
    let versus = VERSUS.iter().any(|v| wanted.wants(&format!("{}-{}", v.program, v.workers)) || wanted.big);
    if versus {
        setting.data = input(&dir, n)?;
    }
    if wanted.big {
        setting.big = Some(input(&dir, n * 10)?);
    }
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let what = json!({"lines": n, "reps": wanted.reps, "cores": cores});
    let mut report = Report::default();
    report.head()?;
    for (name, case) in cases(&setting, wanted.reps) {
        if wanted.wants(&name) {
            report.add(&name, case())?;
        }
    }
    let good = report.finish(&dir.join("summary.json"), &what)?;
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
