//! A job on real threads with a real directory: exact results whatever happens to its slots while it runs.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test says what went wrong by panicking")]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use watershed::{Handle, Job, LocalJob, Outcome, Time, io};

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Row {
    key: u64,
    n: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
struct Out {
    key: u64,
    seen: u64,
    sum: u64,
}

const KEYS: u64 = 5_000;

/// Every row of a key adds to its state and emits it: any row lost, doubled or out of order shows.
fn running(rows: u64, rate: f64, out: &Path) -> Job {
    let job = Job::new();
    let source = io::generate(|n| Row { key: n.wrapping_mul(0x9E37_79B9_7F4A_7C15) % KEYS, n }).rows(rows).rows_per_second(rate);
    let (main, _) = job.source("rows", source).key_by(|r| r.key).process::<(u64, u64), Out, _, _>(
        |r, cx| {
            cx.state.0 += 1;
            cx.state.1 += r.n;
            let row = Out { key: *cx.key, seen: cx.state.0, sum: cx.state.1 };
            cx.emit(row);
        },
        |_| {},
    );
    main.sink("out", io::json_files(out));
    job
}

fn read<T: for<'a> Deserialize<'a>>(dir: &Path) -> Vec<T> {
    let mut names: Vec<_> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).filter(|p| p.is_file()).collect();
    names.sort();
    names
        .iter()
        .flat_map(|p| std::fs::read_to_string(p).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect::<Vec<_>>())
        .collect()
}

/// I2 and I3 at the sink: per key 1, 2, 3, … in file order, and the right end.
fn check(rows: u64, dir: &Path) {
    let mut seen: BTreeMap<u64, Out> = BTreeMap::new();
    for row in read::<Out>(dir) {
        let last = seen.get(&row.key).map_or(0, |r| r.seen);
        assert_eq!(row.seen, last + 1, "key {} goes on from {last} with {row:?}", row.key);
        seen.insert(row.key, row);
    }
    let mut want: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
    for n in 0..rows {
        let e = want.entry(n.wrapping_mul(0x9E37_79B9_7F4A_7C15) % KEYS).or_default();
        *e = (e.0 + 1, e.1 + n);
    }
    let got: BTreeMap<u64, (u64, u64)> = seen.into_iter().map(|(k, r)| (k, (r.seen, r.sum))).collect();
    assert!(
        got == want,
        "{} keys of {}, {} wrong",
        got.len(),
        want.len(),
        want.iter().filter(|(k, v)| got.get(k) != Some(v)).count()
    );
}

/// Waits for a condition of the running job.
fn until(handle: &Handle, what: &str, mut condition: impl FnMut(&watershed::Progress) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let Some(status) = handle.status() else { return };
        if condition(&status) {
            return;
        }
        assert!(Instant::now() < deadline, "{what} did not happen: {status:#?}");
    }
}

fn local(job: &Job, dir: &Path, slots: u16) -> LocalJob {
    LocalJob::new("live", job.build().unwrap())
        .slots(slots)
        .epoch(Duration::from_millis(20))
        .storage(dir.join("state").display().to_string())
}

#[test]
fn a_rescale_from_one_to_four_to_one_loses_and_doubles_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let rows = 300_000;
    let ready = local(&running(rows, 60_000.0, &out), dir.path(), 1).prepare().unwrap();
    let handle = ready.handle();
    let steer = std::thread::spawn(move || {
        until(&handle, "first epoch", |s| s.epoch >= 3);
        for n in [2, 4, 3, 1] {
            handle.scale(n);
            until(&handle, "rescale", |s| s.settled && s.slots.len() == usize::from(n));
        }
    });
    assert_eq!(ready.run().unwrap(), Outcome::Finished);
    steer.join().unwrap();
    check(rows, &out);
}

/// No fence can ever come where no channel leads into keyed state.
#[test]
fn a_job_without_keyed_state_is_rescaled_too() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let rows = 100_000;
    let job = Job::new();
    job.source("rows", io::generate(|n| Row { key: n, n }).rows(rows).rows_per_second(50_000.0))
        .filter(|r| r.n % 2 == 0)
        .sink("out", io::json_files(&out));
    let ready = local(&job, dir.path(), 1).prepare().unwrap();
    let handle = ready.handle();
    let steer = std::thread::spawn(move || {
        for n in [3, 1] {
            handle.scale(n);
            until(&handle, "rescale", |s| s.settled && s.slots.len() == usize::from(n));
        }
    });
    assert_eq!(ready.run().unwrap(), Outcome::Finished);
    steer.join().unwrap();
    let mut got: Vec<u64> = read::<Row>(&out).into_iter().map(|r| r.n).collect();
    got.sort_unstable();
    assert!(got.into_iter().eq((0..rows).step_by(2)));
}

/// I2: one branch passes a barrier long before the other; what its sink gets behind it belongs to the next epoch.
#[test]
fn two_sinks_at_different_depths_are_each_exact() {
    let dir = tempfile::tempdir().unwrap();
    let (near, far) = (dir.path().join("near"), dir.path().join("far"));
    let rows = 300_000;
    let job = Job::new();
    let source = job.source("rows", io::generate(|n| Row { key: n % 97, n }).rows(rows).rows_per_second(150_000.0));
    source.sink("near", io::json_files(&near));
    source.key_by(|r| r.key).at_end().count().map(|(key, n)| Row { key, n }).sink("far", io::json_files(&far));
    let ready = local(&job, dir.path(), 3).prepare().unwrap();
    assert_eq!(ready.run().unwrap(), Outcome::Finished);
    let mut got: Vec<u64> = read::<Row>(&near).into_iter().map(|r| r.n).collect();
    got.sort_unstable();
    assert!(got.into_iter().eq(0..rows), "the near sink lost or doubled rows");
    assert_eq!(read::<Row>(&far).iter().map(|r| r.n).sum::<u64>(), rows);
}

#[test]
fn a_stopped_job_goes_on_where_it_was_with_another_number_of_slots() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let rows = 200_000;
    for (round, slots) in [1u16, 3, 2].into_iter().enumerate() {
        let ready = local(&running(rows, 100_000.0, &out), dir.path(), slots).prepare().unwrap();
        let handle = ready.handle();
        let steer = std::thread::spawn(move || {
            let mut first = None;
            until(&handle, "a few epochs", |s| s.epoch >= *first.get_or_insert(s.epoch) + 5);
            handle.stop();
        });
        let outcome = ready.run().unwrap();
        steer.join().unwrap();
        assert!(outcome == Outcome::Stopped || round > 0, "{outcome:?}");
    }
    let end = local(&running(rows, 100_000.0, &out), dir.path(), 2).run().unwrap();
    assert!(matches!(end, Outcome::Finished | Outcome::AlreadyFinished), "{end:?}");
    check(rows, &out);
    assert_eq!(local(&running(rows, 100_000.0, &out), dir.path(), 2).run().unwrap(), Outcome::AlreadyFinished);
}

#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
struct Hour {
    key: u64,
    start: i64,
    rows: u64,
}

#[test]
fn windows_over_moving_slots_are_those_of_a_batch() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let rows = 200_000u64;
    let time = |n: u64| (n * 1000 - (n * 7919 % 5) * 1000) as i64;
    let job = Job::new();
    job.source("rows", io::generate(|n| Row { key: n % 777, n }).rows(rows).rows_per_second(50_000.0))
        .event_time(move |r| Time(time(r.n.max(5))), Duration::from_millis(5))
        .key_by(|r| r.key)
        .sliding(Duration::from_secs(4), Duration::from_secs(2))
        .unwrap()
        .count()
        .map(|w| Hour { key: w.key, start: w.start.0, rows: w.value })
        .sink("out", io::json_files(&out));
    let ready = local(&job, dir.path(), 2).prepare().unwrap();
    let handle = ready.handle();
    let steer = std::thread::spawn(move || {
        for n in [3, 1, 2] {
            handle.scale(n);
            until(&handle, "rescale", |s| s.settled && s.slots.len() == usize::from(n));
        }
    });
    assert_eq!(ready.run().unwrap(), Outcome::Finished);
    steer.join().unwrap();
    let mut want: BTreeMap<(u64, i64), u64> = BTreeMap::new();
    for n in 0..rows {
        let t = time(n.max(5));
        for start in [t - t.rem_euclid(2_000_000), t - t.rem_euclid(2_000_000) - 2_000_000] {
            *want.entry((n % 777, start)).or_default() += 1;
        }
    }
    let mut got: Vec<Hour> = read(&out);
    got.sort();
    let want: Vec<Hour> = want.into_iter().map(|((key, start), rows)| Hour { key, start, rows }).collect();
    let mut want = want;
    want.sort();
    let missing = want.iter().filter(|w| got.binary_search(w).is_err()).count();
    let extra: Vec<&Hour> = got
        .iter()
        .enumerate()
        .filter(|(i, g)| (*i > 0 && got[i - 1] == **g) || want.binary_search(g).is_err())
        .map(|(_, g)| g)
        .take(5)
        .collect();
    assert!(got == want, "{} windows of {}, {missing} missing or wrong; extra: {extra:?}", got.len(), want.len());
}
