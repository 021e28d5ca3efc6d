//! A directory of its own for each test, and the binary in it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// What does not come within this time does not come.
const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) struct Bench {
    dir: tempfile::TempDir,
}

/// What a run of the binary gave.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Said {
    fn from(o: Output) -> Self {
        let text = |b: Vec<u8>| String::from_utf8(b).expect("what is said is UTF-8");
        Self { code: o.status.code().unwrap_or(-1), out: text(o.stdout), err: text(o.stderr) }
    }
}

impl Said {
    /// Ended with this code, and said all of this on standard error.
    #[track_caller]
    pub(crate) fn fails(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, code, "{self:?}");
        for word in words {
            assert!(self.err.contains(word), "`{word}` is missing in:\n{}", self.err);
        }
        assert!(!self.err.contains("panicked"), "{}", self.err);
    }

    /// Ended well, and said all of this on standard output.
    #[track_caller]
    pub(crate) fn says(&self, words: &[&str]) {
        assert_eq!(self.code, 0, "{self:?}");
        for word in words {
            assert!(self.out.contains(word), "`{word}` is missing in:\n{}", self.out);
        }
    }
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a temporary directory can be made") }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a file has a directory")).expect("a directory can be made");
        std::fs::write(&path, text).expect("a file can be written");
        path
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_watershed"));
        command.args(args).current_dir(self.path()).stdin(Stdio::null());
        command
    }

    /// Runs to the end.
    pub(crate) fn run(&self, args: &[&str]) -> Said {
        self.command(args).output().expect("the binary runs").into()
    }

    /// Starts a job and waits until it says that it has started.
    pub(crate) fn start(&self, name: &str, args: &[&str]) -> Running {
        let log = self.path().join(format!("{name}.stderr"));
        let file = std::fs::File::create(&log).expect("the log can be made");
        let child = self.command(args).stdout(Stdio::null()).stderr(file).spawn().expect("the binary runs");
        let mut running = Running { child, log };
        running.until("it says that it has started", |said| said.contains("snapshots in") || said.contains("\"started\""));
        running
    }
}

/// A job under way.
pub(crate) struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits for something to be true of what it has said.
    #[track_caller]
    pub(crate) fn until(&mut self, what: &str, come: impl Fn(&str) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !come(&self.said()) {
            let ended = self.child.try_wait().expect("the job is a child of this process");
            assert!(ended.is_none(), "ended before {what}: {ended:?} {}", self.said());
            assert!(Instant::now() < deadline, "{what} did not come: {}", self.said());
            std::thread::park_timeout(Duration::from_millis(2));
        }
    }

    pub(crate) fn terminate(&self) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status().expect("kill runs");
        assert!(sent.success());
    }

    /// Waits for its end: the code, and what it said.
    #[track_caller]
    pub(crate) fn end(mut self) -> (i32, String) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.child.try_wait().expect("the job is a child of this process") {
                return (status.code().unwrap_or(-1), self.said());
            }
            assert!(Instant::now() < deadline, "it does not end: {}", self.said());
            std::thread::park_timeout(Duration::from_millis(2));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A failed test leaves no process behind.
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}
