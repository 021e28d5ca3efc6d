//! Jobs under way: stopped, started again, fenced, rescaled, watched.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::bench::Bench;

const ENDLESS: &str = "CREATE TABLE t (id BIGINT, word STRING) WITH ('connector' = 'datagen', 'rows-per-second' = '2000');
CREATE TABLE o (n BIGINT) WITH ('connector' = 'filesystem', 'path' = 'out', 'format' = 'json');
INSERT INTO o SELECT id FROM t;\n";

const BOUNDED: &str = "SET 'execution.runtime-mode' = 'batch';
CREATE TABLE t (word STRING) WITH ('connector' = 'filesystem', 'path' = 'in', 'format' = 'json');
CREATE TABLE o (word STRING, n BIGINT) WITH ('connector' = 'filesystem', 'path' = 'out', 'format' = 'json');
INSERT INTO o SELECT word, COUNT(*) FROM t GROUP BY word;\n";

#[test]
fn a_bounded_job_finishes_and_a_second_start_has_nothing_to_do() {
    let bench = Bench::new();
    bench.write("q.sql", BOUNDED);
    bench.write("in/a.jsonl", "{\"word\":\"a\"}\n{\"word\":\"b\"}\n{\"word\":\"a\"}\n");
    let said = bench.run(&["run", "q.sql", "--slots", "2"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.err.contains("q: finished"), "{said:?}");
    let mut rows: Vec<String> = std::fs::read_dir(bench.path().join("out"))
        .unwrap()
        .flatten()
        .filter(|e| e.file_type().unwrap().is_file())
        .flat_map(|e| std::fs::read_to_string(e.path()).unwrap().lines().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    rows.sort();
    assert_eq!(rows, ["{\"word\":\"a\",\"n\":2}", "{\"word\":\"b\",\"n\":1}"]);
    let again = bench.run(&["run", "q.sql"]);
    assert!(again.code == 0 && again.err.contains("--fresh"), "{again:?}");
    bench.run(&["snapshots", "list", "q"]).says(&["the job's last"]);
    bench.run(&["snapshots", "show", "q.sql"]).says(&["the job's last", "splits read"]);
}

#[test]
fn a_second_process_fences_the_first_and_a_signal_stops_it_with_a_snapshot() {
    let bench = Bench::new();
    bench.write("q.sql", ENDLESS);
    let first = bench.start("first", &["run", "q.sql", "--epoch", "20ms"]);
    let second = bench.start("second", &["run", "q.sql", "--epoch", "20ms", "--log-format", "json"]);
    let (code, said) = first.end();
    assert_eq!(code, 4, "{said}");
    assert!(said.contains("storage .watershed/q"), "{said}");
    second.terminate();
    let (code, said) = second.end();
    assert_eq!(code, 0, "{said}");
    let events: Vec<serde_json::Value> = said.lines().map(|l| serde_json::from_str(l).expect("a line is an object")).collect();
    let names: Vec<&str> = events.iter().map(|e| e["event"].as_str().unwrap()).collect();
    assert_eq!(names, ["started", "stopping", "stopped"]);
    assert!(events.iter().all(|e| e["job"] == "q"), "{said}");
}

#[test]
fn a_running_job_is_rescaled_and_watched() {
    let bench = Bench::new();
    bench.write("q.sql", ENDLESS);
    let mut job = bench.start("job", &["run", "q.sql", "--epoch", "20ms", "--http", "127.0.0.1:0"]);
    bench.run(&["scale", "q", "--slots", "3"]).says(&["from 1 to 3 slots", "settled at epoch"]);
    bench.run(&["scale", "q.sql", "--slots", "1"]).says(&["from 3 to 1 slots", "settled at epoch"]);
    bench.run(&["scale", "q", "--slots", "30000"]).fails(2, &["key groups"]);
    let said = job.said();
    let address = said.split("http://").nth(1).and_then(|r| r.split('/').next()).expect("it says where it serves").to_owned();
    let page = get(&address, "/metrics");
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("watershed_slots{job=\"q\"} 1\n"), "{page}");
    assert!(page.contains("role=\"source\""), "{page}");
    assert!(get(&address, "/healthz").starts_with("HTTP/1.1 200"));
    assert!(get(&address, "/readyz").starts_with("HTTP/1.1 200"));
    assert!(get(&address, "/secrets").starts_with("HTTP/1.1 404"));
    job.until("it says that it was rescaled", |said| said.matches("rescaled").count() >= 2);
    job.terminate();
    let (code, said) = job.end();
    assert_eq!(code, 0, "{said}");
    assert!(!bench.path().join(".watershed/q/control.sock").exists(), "the socket goes with the job");
}

#[test]
fn a_job_in_one_process_says_how_it_is_takes_a_snapshot_and_is_stopped() {
    let bench = Bench::new();
    bench.write("q.sql", ENDLESS);
    let job = bench.start("job", &["run", "q.sql", "--epoch", "20ms", "--slots", "2"]);
    bench.run(&["scale", "q", "--slots", "1"]).says(&["settled at epoch"]);
    bench.run(&["status", "q"]).says(&["q: running", "1 slots wanted", "local-0", "slot 0, worker 0"]);
    bench.run(&["snapshot", "q.sql", "--as", "kept"]).says(&["snapshot kept is epoch"]);
    bench.run(&["snapshots", "list", "q"]).says(&["named kept: epoch"]);
    bench.run(&["status", "j", "--storage", ".watershed/q"]).fails(2, &["it is the job `q` that runs here, not `j`"]);
    bench.run(&["stop", "q"]).says(&["stopping with a snapshot"]);
    let (code, said) = job.end();
    assert!(code == 0 && said.contains("stopped"), "{code}: {said}");
    bench.run(&["status", "q"]).fails(3, &["the job `q` does not run here", "--coordinator"]);
}

#[test]
fn stop_drain_waits_until_the_job_has_finished() {
    let bench = Bench::new();
    bench.write("q.sql", ENDLESS);
    bench.run(&["stop", "q", "--no-wait"]).fails(2, &["--drain"]);
    let job = bench.start("job", &["run", "q.sql", "--epoch", "20ms"]);
    bench.run(&["stop", "q", "--drain"]).says(&["q: draining", "q: finished"]);
    let (code, said) = job.end();
    assert!(code == 0 && said.contains("finished"), "{code}: {said}");
    bench.run(&["snapshots", "list", "q"]).says(&["the job's last"]);
    let other = bench.start("other", &["run", "q.sql", "--epoch", "20ms", "--fresh"]);
    let said = bench.run(&["stop", "q", "--drain", "--no-wait"]);
    said.says(&["q: draining"]);
    assert!(!said.out.contains("finished"), "{said:?}");
    let (code, said) = other.end();
    assert!(code == 0 && said.contains("finished"), "{code}: {said}");
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("the page is served");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    page
}
