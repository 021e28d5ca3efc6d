//! A supervised job, its input as it grows, and hands to kill and scale it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use watershed::cluster::client::Client;
use watershed::transport::Network;

use crate::job::{self, Row};

/// The longest wait: what takes longer hangs.
const DEADLINE: Duration = Duration::from_secs(120);
/// Rows of an input file.
const ROWS: u64 = 1500;
const KEYS: u64 = 997;

/// A process that the supervisor has started.
pub(crate) struct Process(String);

impl Process {
    /// Sends it a signal: KILL, STOP, CONT.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.0]).status().expect("kill can be started");
        assert!(sent.success(), "process {} cannot be sent {name}", self.0);
    }
}

/// A running job.
pub(crate) struct Party {
    supervisor: Child,
    /// The directory of input, output and snapshots.
    dir: PathBuf,
    /// The directory in which the supervisor and commands are started.
    home: PathBuf,
    files: u64,
}

impl Party {
    /// Starts a job with so many workers, and waits until it processes.
    pub(crate) fn start(dir: &Path, replicas: u32) -> Self {
        Self::start_with(dir, replicas, None)
    }

    /// The same, with a variable that every process of the job sees.
    pub(crate) fn start_with(dir: &Path, replicas: u32, variable: Option<(&str, &str)>) -> Self {
        std::fs::create_dir(dir.join("in")).expect("the input directory can be made");
        let supervisor = supervise(dir, "state", replicas, variable);
        let mut party = Self { supervisor, dir: dir.to_owned(), home: dir.to_owned(), files: 0 };
        party.manifests(2);
        party
    }

    /// A second supervisor, which knows nothing of the first, starts the same job on the same storage. How the first one ends.
    pub(crate) fn taken_over(&mut self, replicas: u32) -> Option<i32> {
        let home = self.dir.join("second");
        std::fs::create_dir(&home).expect("a directory can be made");
        for name in ["in", "out"] {
            std::os::unix::fs::symlink(self.dir.join(name), home.join(name)).expect("a link can be made");
        }
        let storage = self.dir.join("state").display().to_string();
        let mut first = std::mem::replace(&mut self.supervisor, supervise(&home, &storage, replicas, None));
        let mut ended = None;
        self.until("the end of who had the storage before", |_| {
            ended = first.try_wait().expect("the first supervisor is a child of this process");
            ended.is_some()
        });
        self.home = home;
        ended.and_then(|e| e.code())
    }

    /// Asks the coordinator without the command line.
    pub(crate) fn client(&self) -> Client {
        Client::connect(self.address().trim(), Network::default()).expect("the coordinator can be reached")
    }

    /// The coordinator's address.
    pub(crate) fn address(&self) -> String {
        let written = std::fs::read_to_string(self.home.join(".watershed/numbered.coordinator")).expect("the address is there");
        written.lines().next().expect("the first line is the address").to_owned()
    }

    /// Waits until `come`, and feeds meanwhile.
    pub(crate) fn until(&mut self, what: &str, mut come: impl FnMut(&Self) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            // Ahead of what has been published, so that there is always something to read, but not by much.
            if self.files < 20 + 3 * self.newest() {
                self.feed();
            }
            if come(self) {
                return;
            }
            let ended = self.supervisor.try_wait().expect("the supervisor is a child of this process");
            assert!(ended.is_none() && Instant::now() < deadline, "{what} did not come ({ended:?}): {}", self.said());
            std::thread::park_timeout(Duration::from_millis(2));
        }
    }

    /// So many manifests later.
    pub(crate) fn manifests(&mut self, n: u64) {
        let at = self.newest() + n;
        self.until("a manifest", |p| p.newest() >= at);
    }

    /// Waits until what is under way is published, where nothing more comes.
    pub(crate) fn until_nothing_is_published(&mut self) {
        let (mut newest, mut since) = (0, Instant::now());
        self.until("the last manifest", |p| {
            if p.newest() != newest {
                (newest, since) = (p.newest(), Instant::now());
            }
            since.elapsed() > Duration::from_millis(300)
        });
    }

    /// Exactly so many workers own key groups, and nothing is on its way.
    pub(crate) fn until_workers_own(&mut self, n: usize) {
        self.until(&format!("a job on {n} workers"), |p| {
            let Some(status) = p.status() else { return false };
            let owners = status["workers"].as_array().map_or(0, |w| w.iter().filter(|w| w["key_groups"] != 0).count());
            status["phase"] == "running" && owners == n
        });
    }

    /// The job waits, and says what for.
    pub(crate) fn until_it_waits_for(&mut self, what: &str) {
        self.until(what, |p| {
            let waiting = p.status().map(|s| s["waiting"].to_string()).unwrap_or_default();
            waiting.contains(what)
        });
    }

    pub(crate) fn scale(&mut self, replicas: usize) {
        let said =
            itself("scale", &self.home).args(["--replicas", &replicas.to_string()]).output().expect("scale can be started");
        assert!(said.status.success(), "{}{}", String::from_utf8_lossy(&said.stderr), self.said());
    }

    /// The newest process of a worker.
    pub(crate) fn worker(&self, number: u32) -> Process {
        self.process(&format!("worker {number} is process "))
    }

    /// The newest process of the coordinator.
    pub(crate) fn coordinator(&self) -> Process {
        self.process("the coordinator is process ")
    }

    fn process(&self, who: &str) -> Process {
        let said = std::fs::read_to_string(self.home.join("stderr")).unwrap_or_default();
        let from = said.rfind(who).unwrap_or_else(|| panic!("{who} was never said: {said}")) + who.len();
        Process(said[from..].chars().take_while(char::is_ascii_digit).collect())
    }

    /// The refusal of a worker of another dataflow.
    pub(crate) fn refused_worker(&self) -> String {
        let said = itself("worker", &self.dir)
            .args(["--name", "worker-7", "--coordinator", self.address().trim()])
            .env("OTHER_DATAFLOW", "1")
            .output()
            .expect("a worker can be started");
        assert!(!said.status.success());
        String::from_utf8_lossy(&said.stderr).into_owned()
    }

    /// Feeds no more, waits until all of it is out, and stops the job; how many rows there were.
    pub(crate) fn until_all_is_out(mut self) -> u64 {
        let rows = self.files * ROWS;
        let mut counted = (0, 0);
        let deadline = Instant::now() + DEADLINE;
        while counted.1 < rows {
            let files = output(&self.dir);
            if files.len() != counted.0 {
                let lines = |p: &PathBuf| std::fs::read(p).map_or(0, |b| b.iter().filter(|c| **c == b'\n').count() as u64);
                counted = (files.len(), files.iter().map(lines).sum());
            }
            assert!(Instant::now() < deadline, "{} of {rows} rows came out: {}", counted.1, self.said());
            std::thread::park_timeout(Duration::from_millis(5));
        }
        let stopped = itself("stop", &self.home).output().expect("stop can be started");
        assert!(stopped.status.success(), "{}", String::from_utf8_lossy(&stopped.stderr));
        let ended = self.supervisor.wait().expect("the supervisor is a child of this process");
        assert!(ended.success(), "{ended}: {}", self.said());
        rows
    }

    /// Waits until the job is over by itself, and feeds meanwhile: how its supervisor ended, and what all processes have said.
    pub(crate) fn until_it_ends(&mut self) -> (ExitStatus, String) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(ended) = self.supervisor.try_wait().expect("the supervisor is a child of this process") {
                return (ended, self.said());
            }
            if self.files < 20 + 3 * self.newest() {
                self.feed();
            }
            assert!(Instant::now() < deadline, "the job did not end: {}", self.said());
            std::thread::park_timeout(Duration::from_millis(2));
        }
    }

    /// Starts it once more, where it is.
    pub(crate) fn start_again(&mut self, replicas: u32, variable: Option<(&str, &str)>) {
        self.supervisor = supervise(&self.home, "state", replicas, variable);
    }

    fn feed(&mut self) {
        let mut text = String::new();
        for id in self.files * ROWS..(self.files + 1) * ROWS {
            text.push_str(&serde_json::to_string(&Row { id, key: id * 7 % KEYS }).expect("a row is JSON"));
            text.push('\n');
        }
        // Whole or not there: a file that is being written would be read as far as it is.
        let made = self.dir.join("next");
        std::fs::write(&made, text).expect("the input can be written");
        std::fs::rename(&made, self.dir.join("in").join(format!("{}.jsonl", self.files))).expect("the input can be moved");
        self.files += 1;
    }

    /// The coordinator's term, and the generation of the slots.
    pub(crate) fn era(&self) -> (u64, u64) {
        let status = self.status().unwrap_or_else(|| panic!("the job has a status: {}", self.said()));
        let number = |name: &str| status[name].as_u64().unwrap_or_else(|| panic!("{name} in {status}"));
        (number("term"), number("generation"))
    }

    fn status(&self) -> Option<serde_json::Value> {
        let said = itself("status", &self.home).arg("--json").output().ok()?;
        serde_json::from_slice(&said.stdout).ok()
    }

    fn newest(&self) -> u64 {
        let number = |n: String| n.split('.').next().and_then(|n| n.parse().ok());
        names(&self.dir.join("state/manifest")).into_iter().filter_map(number).max().unwrap_or(0)
    }

    /// The words of all processes, and the status of the job.
    pub(crate) fn said(&self) -> String {
        let said = std::fs::read_to_string(self.home.join("stderr")).unwrap_or_default();
        format!("{said}{}", self.status().unwrap_or_default())
    }
}

impl Drop for Party {
    fn drop(&mut self) {
        // A test that failed: the supervisor's end ends the job.
        let _gone = itself("stop", &self.home).output();
        let _gone = self.supervisor.kill();
        let _reaped = self.supervisor.wait();
    }
}

fn supervise(home: &Path, storage: &str, replicas: u32, variable: Option<(&str, &str)>) -> Child {
    itself("run", home)
        .envs(variable)
        .args(["--replicas", &replicas.to_string(), "--epoch", "20ms", "--storage", storage, "--log-format", "json"])
        .stderr(std::fs::File::create(home.join("stderr")).expect("the log can be made"))
        .spawn()
        .expect("the job can be started")
}

pub(crate) fn itself(word: &str, dir: &Path) -> Command {
    let mut program = Command::new(std::env::current_exe().expect("this executable has a path"));
    program.arg(word).current_dir(dir).stdin(Stdio::null());
    program
}

/// The rows of all files that are visible in a directory.
pub(crate) fn rows_in<T: serde::de::DeserializeOwned>(dir: &Path) -> Vec<T> {
    let files = names(dir).into_iter().filter(|n| !n.starts_with(['.', '_'])).map(|n| dir.join(n));
    let text = files.map(|f| std::fs::read_to_string(&f).expect("the output can be read")).collect::<String>();
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}"))).collect()
}

pub(crate) fn output(dir: &Path) -> Vec<PathBuf> {
    let out = dir.join("out");
    names(&out).into_iter().filter(|n| !n.starts_with(['.', '_'])).map(|n| out.join(n)).collect()
}

/// The state files that workers have written and nobody has collected.
pub(crate) fn state_files(dir: &Path) -> Vec<PathBuf> {
    let deltas = dir.join("state/state/delta");
    // Those that are being written have a name of their own until they are whole.
    names(&deltas).into_iter().filter(|n| !n.contains('#')).map(|n| deltas.join(n)).collect()
}

fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter_map(|e| e.file_name().into_string().ok()).collect()
}

/// The job: numbers the rows of each key, from files that go on coming.
pub(crate) fn build(job: &watershed::Job) -> watershed::Result<()> {
    job::number(job, watershed::io::json_lines::<Row>("in").watch(Duration::from_millis(20)))
}
