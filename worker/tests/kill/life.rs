//! One life of the job's process: started, watched until a chosen moment, and killed there or ended well.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A job that shows nothing new for so long hangs.
const DEADLINE: Duration = Duration::from_secs(60);

/// The moment of a kill.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Moment {
    /// The process has claimed the job and begins: its control socket is there.
    Start,
    /// So many manifests later.
    Manifest(u64),
    /// So many more visible output files, and one.
    Output(usize),
    /// Never.
    End,
}

/// A running process.
pub(crate) struct Life {
    child: Child,
    dir: PathBuf,
    newest: u64,
    files: usize,
    socket: Option<std::time::SystemTime>,
}

impl Life {
    /// Starts `program` (which names the job) with so many slots.
    pub(crate) fn start(mut program: Command, dir: &Path, slots: u64) -> Self {
        let (newest, files, socket) = (newest(dir), output(dir).len(), socket(dir));
        let child = program
            .args(["--epoch", "10ms", "--storage", "state", "--slots", &slots.to_string()])
            .current_dir(dir)
            .stdin(Stdio::null())
            .stderr(std::fs::File::create(dir.join("stderr")).expect("the log can be made"))
            .spawn()
            .expect("the job can be started");
        Self { child, dir: dir.to_owned(), newest, files, socket }
    }

    /// True at the moment; false if the process has ended before it.
    pub(crate) fn lives_until(&mut self, moment: Moment) -> bool {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let come = match moment {
                Moment::Start => socket(&self.dir).is_some_and(|s| Some(s) != self.socket),
                Moment::Manifest(n) => newest(&self.dir) >= self.newest + n,
                Moment::Output(n) => output(&self.dir).len() > self.files + n,
                Moment::End => false,
            };
            if self.child.try_wait().expect("the job is a child of this process").is_some() {
                return false;
            }
            if come {
                return true;
            }
            assert!(Instant::now() < deadline, "{moment:?} did not come: {}", self.said());
            std::thread::park_timeout(Duration::from_micros(500));
        }
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("the job can be killed");
        self.child.wait().expect("the job is a child of this process");
    }

    pub(crate) fn ended_well(&mut self) {
        let status = self.child.wait().expect("the job is a child of this process");
        assert!(status.success(), "{status}: {}", self.said());
    }

    fn said(&self) -> String {
        let said = std::fs::read_to_string(self.dir.join("stderr")).unwrap_or_default();
        format!("{said}{}", self.status().unwrap_or_default())
    }

    /// The words of a hanging job about what it waits for.
    fn status(&self) -> std::io::Result<String> {
        let program = std::env::current_exe()?;
        let said = Command::new(program).args(["status", "--storage", "state"]).current_dir(&self.dir).output()?;
        Ok(String::from_utf8_lossy(&said.stdout).into_owned())
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        // A failed test leaves no process behind.
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// The number of the newest log entry.
fn newest(dir: &Path) -> u64 {
    let number = |name: String| name.strip_suffix(".json").and_then(|n| n.parse().ok());
    names(&dir.join("state/manifest")).into_iter().filter_map(number).max().unwrap_or(0)
}

/// The visible output.
pub(crate) fn output(dir: &Path) -> Vec<PathBuf> {
    let out = dir.join("out");
    names(&out).into_iter().filter(|n| !n.starts_with(['.', '_'])).map(|n| out.join(n)).collect()
}

fn socket(dir: &Path) -> Option<std::time::SystemTime> {
    std::fs::symlink_metadata(dir.join("state/control.sock")).and_then(|m| m.modified()).ok()
}

fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter_map(|e| e.file_name().into_string().ok()).collect()
}

/// Starts and kills one job, at most so often, and lets it finish then. How often it was killed.
pub(crate) fn until_it_finishes(program: impl Fn() -> Command, dir: &Path, random: &mut Random, most: u32) -> u32 {
    let mut kills = 0;
    loop {
        let mut life = Life::start(program(), dir, 1 + random.below(3));
        let moment = match random.below(5) {
            _ if kills == most => Moment::End,
            0 => Moment::Start,
            1 => Moment::Output(random.below(2) as usize),
            n => Moment::Manifest(n),
        };
        if life.lives_until(moment) {
            life.kill();
            kills += 1;
        } else {
            life.ended_well();
            return kills;
        }
    }
}

/// Numbers from a seed (splitmix64).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}
