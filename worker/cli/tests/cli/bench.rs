//! A directory of its own for each test, and the binary in it.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The longest wait for anything.
const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) struct Bench {
    dir: tempfile::TempDir,
}

/// The outcome of a run of the binary.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Everything that comes; little enough here that reading one stream after the other does not block the program.
fn all_of(from: Option<&mut impl Read>) -> String {
    let mut text = String::new();
    from.expect("the stream is piped").read_to_string(&mut text).expect("what is said is UTF-8");
    text
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
        let mut child = self.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs");
        let id = child.id();
        let (mut out, mut err) = (child.stdout.take(), child.stderr.take());
        let reader = std::thread::spawn(move || (all_of(out.as_mut()), all_of(err.as_mut())));
        let deadline = Instant::now() + DEADLINE;
        let code = loop {
            if let Some(status) = child.try_wait().expect("the binary is a child of this process") {
                break status.code();
            }
            if Instant::now() > deadline {
                child.kill().expect("the binary can be killed");
                child.wait().expect("the binary is a child of this process");
                panic!("{args:?} (process {id}) does not end: {:?}", reader.join());
            }
            std::thread::park_timeout(Duration::from_millis(2));
        };
        let (out, err) = reader.join().expect("what is said is UTF-8");
        Said { code: code.unwrap_or(-1), out, err }
    }

    /// Starts a job and waits until it says that it has started.
    pub(crate) fn start(&self, name: &str, args: &[&str]) -> Running {
        let mut running = self.begin(name, args);
        running.until("it says that it has started", |said| said.contains("snapshots in") || said.contains("\"started\""));
        running
    }

    /// Starts a process that goes on for a while.
    pub(crate) fn begin(&self, name: &str, args: &[&str]) -> Running {
        self.begin_with(name, args, &[])
    }

    /// The same, with variables of the environment.
    pub(crate) fn begin_with(&self, name: &str, args: &[&str], variables: &[(&str, &str)]) -> Running {
        let log = self.path().join(format!("{name}.stderr"));
        let file = std::fs::File::create(&log).expect("the log can be made");
        let child = self
            .command(args)
            .envs(variables.iter().copied())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .expect("the binary runs");
        Running { child, log }
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
