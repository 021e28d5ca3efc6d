//! A job in many processes, with the stock binary.

use crate::bench::Bench;

const BOUNDED: &str = "SET 'execution.runtime-mode' = 'batch';
CREATE TABLE t (word STRING) WITH ('connector' = 'filesystem', 'path' = 'in', 'format' = 'json');
CREATE TABLE o (word STRING, n BIGINT) WITH ('connector' = 'filesystem', 'path' = 'out', 'format' = 'json');
INSERT INTO o SELECT word, COUNT(*) FROM t GROUP BY word;\n";

#[test]
fn a_worker_without_a_file_waits_for_its_coordinator_and_asks_it_for_the_file() {
    let bench = Bench::new();
    let file = bench.write("jobs/words.sql", BOUNDED);
    bench.write("in/a.jsonl", "{\"word\":\"a\"}\n{\"word\":\"b\"}\n{\"word\":\"a\"}\n");
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port is free").to_string();
    let mut worker = bench.begin("worker", &["worker", "--coordinator", &free]);
    worker.until("it says for whom it waits", |said| said.contains(&format!("waits for the coordinator at {free}")));
    let file = file.display().to_string();
    let coordinator = bench.begin("coordinator", &["coordinator", &file, "--listen", &free, "--storage", "state"]);
    let (code, said) = coordinator.end();
    assert!(code == 0 && said.contains("words: finished"), "{code}: {said}");
    let (code, said) = worker.end();
    assert_eq!(code, 0, "{said}");
    let out = std::fs::read_dir(bench.path().join("out")).unwrap().flatten();
    let rows: String = out.filter(|e| e.path().is_file()).map(|e| std::fs::read_to_string(e.path()).unwrap()).collect();
    assert_eq!(rows.lines().count(), 2, "{rows}");
    assert!(rows.contains("{\"word\":\"a\",\"n\":2}"), "{rows}");
}

#[test]
fn a_worker_without_a_file_and_without_a_coordinator_is_told_what_it_needs() {
    let bench = Bench::new();
    bench.run(&["worker"]).fails(2, &["needs its job's file, or a coordinator", "--coordinator ADDR"]);
}
