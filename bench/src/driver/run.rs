//! Runs a program and measures it from outside: wall time, core time, peak memory.
//!
//! Core time is what the kernel adds to this process when it has waited for a child, memory is the child's high-water mark, read until
//! it is gone: at most a few milliseconds at its very end are missed. Nothing here needs a foreign function.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A failure with its text.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Between two looks at a child's memory.
const LOOK: Duration = Duration::from_millis(4);
/// The kernel tells core time in hundredths of a second.
const TICKS: f64 = 100.0;

/// Measurements of a run.
#[derive(Clone, Debug)]
pub(crate) struct Ran {
    pub(crate) wall: f64,
    pub(crate) cpu: f64,
    pub(crate) mib: f64,
    pub(crate) stdout: String,
}

impl Ran {
    /// A number of the one line of JSON that a measuring program says.
    pub(crate) fn number(&self, name: &str) -> Result<f64, Failure> {
        let value = self.json()?.get(name).and_then(Value::as_f64);
        value.ok_or_else(|| format!("the program did not say `{name}`: {}", self.stdout.trim()).into())
    }

    pub(crate) fn json(&self) -> Result<Value, Failure> {
        Ok(serde_json::from_str(self.stdout.trim())?)
    }
}

/// A program that lies beside this one.
pub(crate) fn sibling(name: &str) -> Result<PathBuf, Failure> {
    let me = std::env::current_exe()?;
    let path = me.parent().unwrap_or_else(|| Path::new(".")).join(name);
    if path.is_file() { Ok(path) } else { Err(format!("{} is not built: `make bench` builds everything", path.display()).into()) }
}

/// Runs it to its end.
pub(crate) fn run(program: &str, args: &[&str], env: &[(&str, &str)]) -> Result<Ran, Failure> {
    let path = sibling(program)?;
    let before = children()?;
    let begin = Instant::now();
    let mut command = Command::new(&path);
    command.args(args).envs(env.iter().copied()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn()?;
    let (pid, over) = (child.id(), AtomicBool::new(false));
    let (output, wall, kib) = std::thread::scope(|s| {
        let watch = s.spawn(|| {
            let mut kib = 0;
            while !over.load(Ordering::Acquire) {
                kib = high_water(pid).unwrap_or(0).max(kib);
                std::thread::sleep(LOOK);
            }
            kib
        });
        let output = child.wait_with_output();
        let wall = begin.elapsed().as_secs_f64();
        over.store(true, Ordering::Release);
        (output, wall, watch.join().unwrap_or(0))
    });
    let output = output?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{program} {} ended with {}: {}", args.join(" "), output.status, said.trim()).into());
    }
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(Ran { wall, cpu: children()? - before, mib: kib as f64 / 1024.0, stdout })
}

/// Seconds that children waited for have had a core.
fn children() -> Result<f64, Failure> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // After the name, which may hold anything: state is the 3rd field, the children's user and system time are 16th and 17th.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(13).take(2);
    let ticks: u64 = fields.map(|f| f.parse::<u64>().unwrap_or(0)).sum();
    Ok(ticks as f64 / TICKS)
}

fn high_water(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}
