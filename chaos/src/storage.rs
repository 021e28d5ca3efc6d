//! Storage of snapshots: a real S3 server (versitygw over a directory) that can be stopped, killed, filled up and given other credentials;
//! a plain directory where no such server is installed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::disk::Disk;
use crate::net::{Machine, Net};
use crate::process::Process;

const PORT: u16 = 7070;
const KEY: &str = "watershed";
const SECRET: &str = "watershed-secret";
/// The longest time in which the server listens.
const PATIENCE: Duration = Duration::from_secs(20);

/// The job's storage.
#[derive(Debug)]
pub(crate) struct Storage {
    program: Option<PathBuf>,
    disk: Disk,
    pub(crate) server: Option<Process>,
    port: u16,
    log: PathBuf,
}

/// The S3 server, where it may be: named, on the path, or where `make chaos-tools` puts it.
fn find() -> Option<PathBuf> {
    let named = std::env::var_os("WATERSHED_VERSITYGW").map(PathBuf::from);
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    let cached = cache.map(|c| c.join("watershed/bin/versitygw"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|d| d.join("versitygw"));
    named.into_iter().chain(cached).chain(on_path).find(|p| p.is_file())
}

impl Storage {
    /// Starts the server, or says why there is none.
    pub(crate) fn new(dir: &Path, net: &Net) -> Result<(Self, Option<String>), String> {
        let program = find();
        let why = program.is_none().then(|| {
            "no S3 server: install Go and run `make chaos-tools`, or name versitygw in WATERSHED_VERSITYGW; a directory is used".to_owned()
        });
        let disk = Disk::new(dir.join("storage"), 256).map_err(|e| format!("the storage's directory: {e}"))?;
        std::fs::create_dir_all(disk.dir().join("bucket")).map_err(|e| format!("the bucket: {e}"))?;
        let free = || std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).map_or(PORT, |a| a.port());
        let port = if net.can_cut() { PORT } else { free() };
        let mut storage = Self { program, disk, server: None, port, log: dir.join("logs/storage.log") };
        storage.start(net, SECRET)?;
        Ok((storage, why))
    }

    /// True for a server, which can be stopped and killed.
    pub(crate) fn is_server(&self) -> bool {
        self.program.is_some()
    }

    /// The disk of the storage.
    pub(crate) fn disk(&self) -> &Disk {
        &self.disk
    }

    fn start(&mut self, net: &Net, secret: &str) -> Result<(), String> {
        let Some(program) = &self.program else { return Ok(()) };
        let address = format!("{}:{}", net.address(Machine::Storage), self.port);
        let mut command = net.on(Machine::Storage, program);
        command.args(["--port", &address, "posix"]).arg(self.disk.dir());
        command.env("ROOT_ACCESS_KEY", KEY).env("ROOT_SECRET_KEY", secret);
        let mut server = Process::start(command, &self.log).map_err(|e| format!("the S3 server: {e}"))?;
        let until = Instant::now() + PATIENCE;
        while std::net::TcpStream::connect(&address).is_err() {
            if server.ended().is_some() || Instant::now() > until {
                return Err(format!("the S3 server does not listen at {address}: {}", server.last_words(3)));
            }
            std::thread::park_timeout(Duration::from_millis(10));
        }
        self.server = Some(server);
        Ok(())
    }

    /// Starts it again; with the right credentials or with others.
    pub(crate) fn restart(&mut self, net: &Net, right: bool) -> Result<(), String> {
        self.server = None;
        self.start(net, if right { SECRET } else { "another-secret" })
    }

    /// Kills it.
    pub(crate) fn kill(&mut self) {
        self.server = None;
    }

    /// Sends it a signal.
    pub(crate) fn signal(&mut self, name: &str) {
        if let Some(server) = &mut self.server {
            server.signal(name);
        }
    }

    /// The URL that the coordinator is told.
    pub(crate) fn url(&self) -> String {
        if self.is_server() { "s3://bucket/chaos".into() } else { self.disk.dir().join("bucket").display().to_string() }
    }

    /// Variables by which a process reaches the server.
    pub(crate) fn tell(&self, net: &Net, command: &mut Command) {
        command.env("AWS_ENDPOINT", format!("http://{}:{}", net.address(Machine::Storage), self.port));
        command.env("AWS_ALLOW_HTTP", "true").env("AWS_REGION", "us-east-1");
        command.env("AWS_ACCESS_KEY_ID", KEY).env("AWS_SECRET_ACCESS_KEY", SECRET);
    }
}
