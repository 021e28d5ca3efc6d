//! A restart under another query says which stored states go on, begin empty, or have no place any more; and does nothing by itself.

use std::path::Path;

use watershed_runtime::error::explain;

use crate::cell::{Planned, until};
use crate::file::{self, File};
use crate::write_inputs;

const TABLES: &str = "tables
CREATE TABLE t (k STRING, n INT, ts BIGINT, at AS TO_TIMESTAMP_LTZ(ts, 3), WATERMARK FOR at AS at - INTERVAL '1' SECOND) WITH ('connector' = 'rows');
CREATE TABLE counts (k STRING, n BIGINT) WITH ('connector' = 'changes');
CREATE TABLE sums (k STRING, n INT) WITH ('connector' = 'changes');
CREATE TABLE windows (s TIMESTAMP(3), n BIGINT) WITH ('connector' = 'append');

input t
{\"k\":\"a\",\"n\":1,\"ts\":1000}
{\"k\":\"b\",\"n\":2,\"ts\":2000}
{\"k\":\"a\",\"n\":3,\"ts\":3000}
{\"k\":\"c\",\"n\":4,\"ts\":24000}

job unused
INSERT INTO counts SELECT k, COUNT(*) FROM t GROUP BY k
----
";

const COUNT: &str = "INSERT INTO counts SELECT k, COUNT(*) FROM t GROUP BY k;";
const SUM: &str = "INSERT INTO sums SELECT k, SUM(n) FROM t GROUP BY k;";
const WINDOW: &str = "INSERT INTO windows SELECT window_start, COUNT(*) FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(at), INTERVAL '10' SECOND)) GROUP BY window_start, window_end;";

fn file(dir: &Path) -> File {
    let path = dir.join("file.slt");
    std::fs::write(&path, TABLES).unwrap();
    let file = file::read(&path);
    write_inputs(&file, dir);
    file
}

/// Runs a text until half of its rows are in a snapshot.
fn half(file: &File, sql: &str, dir: &Path) {
    let planned = Planned::new(file, sql, dir).unwrap();
    planned.world().begin(2);
    let ready = planned.job(2, &storage(dir)).unwrap().prepare().unwrap();
    let handle = ready.handle();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            assert!(planned.world().wait(|s| s.given == 2));
            let seen = handle.status().map_or(0, |s| s.epoch);
            until(&handle, "two more epochs", |s| s.epoch >= seen + 2);
            handle.stop();
        });
        assert_eq!(ready.run().unwrap(), watershed::Outcome::Stopped);
    });
}

fn storage(dir: &Path) -> String {
    dir.join("state").display().to_string()
}

/// The error of a start with this text; `drop` allows it to give up what has no place.
fn start(file: &File, sql: &str, dir: &Path, drop: bool) -> Result<watershed::Restored, String> {
    let planned = Planned::new(file, sql, dir).unwrap();
    planned.world().begin(usize::MAX);
    let job = planned.job(2, &storage(dir)).unwrap().drop_unmatched(drop);
    job.prepare().map(|ready| ready.restored().clone()).map_err(|e| explain(&e))
}

#[test]
fn another_order_of_statements_keeps_every_state() {
    let dir = tempfile::tempdir().unwrap();
    let file = file(dir.path());
    half(&file, &format!("{COUNT}{SUM}"), dir.path());
    let restored = start(&file, &format!("{SUM}{COUNT}"), dir.path(), false).unwrap();
    assert_eq!((restored.kept.len(), restored.empty.len(), restored.dropped.len()), (2, 0, 0), "{restored:?}");
    assert!(restored.epoch > 0);
}

#[test]
fn a_new_statement_begins_empty_and_the_others_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let file = file(dir.path());
    half(&file, COUNT, dir.path());
    let restored = start(&file, &format!("{COUNT}{WINDOW}"), dir.path(), false).unwrap();
    assert_eq!((restored.kept.len(), restored.empty.len(), restored.dropped.len()), (1, 1, 0), "{restored:?}");
}

#[test]
fn a_state_without_a_place_is_named_and_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = file(dir.path());
    half(&file, &format!("{COUNT}{SUM}"), dir.path());
    let refused = start(&file, &format!("{COUNT}{WINDOW}"), dir.path(), false).unwrap_err();
    for part in ["cannot take: aggregate-", "kept: aggregate-", "new and empty: windows-"] {
        assert!(refused.contains(part), "no {part:?} in {refused}");
    }
    let restored = start(&file, &format!("{COUNT}{WINDOW}"), dir.path(), true).unwrap();
    assert_eq!((restored.kept.len(), restored.empty.len(), restored.dropped.len()), (1, 1, 1), "{restored:?}");
}

#[test]
fn another_key_is_another_state() {
    let dir = tempfile::tempdir().unwrap();
    let file = file(dir.path());
    half(&file, COUNT, dir.path());
    let refused = start(&file, "INSERT INTO counts SELECT k, COUNT(*) FROM t GROUP BY k, n;", dir.path(), false).unwrap_err();
    assert!(refused.contains("aggregate"), "{refused}");
}
