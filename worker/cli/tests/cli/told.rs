//! SIGTERM to a process that has not begun to work: it ends at once, whatever it waits for.
//!
//! The start is held up by a named pipe in the place of the file, or by a storage that never answers. The test that opens the pipe for
//! writing waits for its reader, and thereby for the moment that is meant; the reader waits as long as the pipe stays open.

use std::cell::RefCell;
use std::fs::File;
use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use crate::bench::Bench;

const ENDLESS: &str = "CREATE TABLE t (id BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '100');
CREATE TABLE o (id BIGINT) WITH ('connector' = 'blackhole');
INSERT INTO o SELECT id FROM t;\n";

fn pipe(path: &Path) {
    std::fs::create_dir_all(path.parent().expect("a pipe is in a directory")).expect("a directory can be made");
    assert!(Command::new("mkfifo").arg(path).status().expect("mkfifo can be started").success());
}

/// Waits until the pipe is read.
fn read_by_somebody(path: &Path) -> File {
    File::options().write(true).open(path).expect("the pipe is there")
}

/// A process whose start is held up by this pipe ends with 0 when it is told to.
#[track_caller]
fn ends_while_it_reads(bench: &Bench, held: &Path, args: &[&str]) {
    let process = bench.begin("process", args);
    let pipe = read_by_somebody(held);
    process.terminate();
    let (code, said) = process.end();
    assert_eq!(code, 0, "{args:?}: {said}");
    drop(pipe);
}

#[test]
fn a_process_that_reads_its_file_ends_when_it_is_told() {
    let bench = Bench::new();
    let file = bench.path().join("q.sql");
    pipe(&file);
    let listen = ["--listen", "127.0.0.1:0"];
    ends_while_it_reads(&bench, &file, &["run", "q.sql"]);
    ends_while_it_reads(&bench, &file, &["worker", "q.sql"]);
    ends_while_it_reads(&bench, &file, &[&["coordinator", "q.sql"][..], &listen].concat());
    ends_while_it_reads(&bench, &file, &[&["coordinator", "q.sql", "--supervised"][..], &listen].concat());
}

/// A process that waits for the answer of an S3 server, which never comes, ends with 0 when it is told to.
#[track_caller]
fn ends_while_it_waits(bench: &Bench, args: &[&str]) {
    let server = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    server.set_nonblocking(true).expect("a listener can be asked without waiting");
    let endpoint = format!("http://{}", server.local_addr().expect("it has an address"));
    let keys =
        [("AWS_ACCESS_KEY_ID", "k"), ("AWS_SECRET_ACCESS_KEY", "s"), ("AWS_REGION", "us-east-1"), ("AWS_ALLOW_HTTP", "true")];
    let variables = [&keys[..], &[("AWS_ENDPOINT", &endpoint)]].concat();
    let mut process = bench.begin_with("process", &[args, &["--storage", "s3://bucket/q"]].concat(), &variables);
    let asked = RefCell::new(None);
    process.until("a request to the storage", |_| {
        *asked.borrow_mut() = server.accept().ok();
        asked.borrow().is_some()
    });
    process.terminate();
    let (code, said) = process.end();
    assert_eq!(code, 0, "{args:?}: {said}");
}

#[test]
fn a_process_that_waits_for_its_storage_ends_when_it_is_told() {
    let bench = Bench::new();
    bench.write("q.sql", ENDLESS);
    let coordinator = ["coordinator", "q.sql", "--listen", "127.0.0.1:0"];
    ends_while_it_waits(&bench, &["run", "q.sql"]);
    ends_while_it_waits(&bench, &coordinator);
    ends_while_it_waits(&bench, &[&coordinator[..], &["--supervised"]].concat());
}

#[test]
fn a_supervisor_ends_a_coordinator_that_does_not_listen_yet() {
    let bench = Bench::new();
    let file = bench.path().join("q.sql");
    pipe(&file);
    let mut supervisor = bench.begin("supervisor", &["run", "q.sql", "--replicas", "1", "--log-format", "json"]);
    // The supervisor reads the file first; its coordinator and its worker read it after that, and come to no end.
    read_by_somebody(&file).write_all(ENDLESS.as_bytes()).expect("the pipe is read");
    supervisor.until("a worker", |said| said.contains("worker 0 is process"));
    let held = read_by_somebody(&file);
    supervisor.terminate();
    let (code, said) = supervisor.end();
    assert!(code == 0 && said.contains("the coordinator does not listen"), "{code}: {said}");
    drop(held);
}
