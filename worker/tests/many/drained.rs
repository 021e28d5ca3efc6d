//! A job is drained while rows flow: what was read is out, windows that were open come out once, and the job is finished.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use watershed::{Time, io};

use crate::job::Row;
use crate::party::{Party, Process, itself, rows_in};

/// The variable that makes this program run the windowed job.
pub(crate) const WINDOWED: &str = "WINDOWED";
/// Longer than the input: without a drain no window ever closes.
const WINDOW: Duration = Duration::from_secs(365 * 24 * 3600);

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Counted {
    key: u64,
    rows: u64,
    ids: u64,
}

/// Every row, and how many rows each key has in a window that the input does not fill.
pub(crate) fn build(job: &watershed::Job) -> watershed::Result<()> {
    let rows = io::json_lines::<Row>("in").watch(Duration::from_millis(20));
    let rows = job.source("rows", rows).event_time(|r: &Row| Time(r.id as i64), Duration::from_micros(1));
    let counts = rows.key_by(|r| r.key).tumbling(WINDOW)?.aggregate(
        (0u64, 0u64),
        |a, r: &Row| *a = (a.0 + 1, a.1 + r.id),
        |a, o| *a = (a.0 + o.0, a.1 + o.1),
    );
    rows.sink("rows", io::json_files("out"));
    counts.map(|w| Counted { key: w.key, rows: w.value.0, ids: w.value.1 }).sink("windows", io::json_files("windows"));
    Ok(())
}

pub(crate) fn a_drained_job_closes_its_windows_and_is_finished(dir: &Path) {
    let mut party = Party::start_with(dir, 2, Some((WINDOWED, "1")));
    party.until_workers_own(2);
    party.manifests(5);
    assert!(rows_in::<Counted>(&dir.join("windows")).is_empty(), "no window closes by itself");
    let told = itself("stop", dir).arg("--drain").output().expect("stop can be started");
    let said = String::from_utf8_lossy(&told.stdout).into_owned();
    let waited = said.contains("draining") && said.contains("numbered: finished");
    assert!(told.status.success() && waited, "{said}{}", String::from_utf8_lossy(&told.stderr));
    let (ended, said) = party.until_it_ends();
    assert!(ended.success() && said.contains("\"finished\""), "{ended}: {said}");
    let check = || {
        let mut want: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
        let mut ids: Vec<u64> = Vec::new();
        for row in rows_in::<Row>(&dir.join("out")) {
            let all = want.entry(row.key).or_default();
            *all = (all.0 + 1, all.1 + row.id);
            ids.push(row.id);
        }
        let n = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert!(n > 0 && ids.len() == n, "{n} rows are out, {} of them once", ids.len());
        let windows = rows_in::<Counted>(&dir.join("windows"));
        let got: BTreeMap<u64, (u64, u64)> = windows.iter().map(|w| (w.key, (w.rows, w.ids))).collect();
        assert_eq!(got.len(), windows.len(), "a window came out twice");
        assert_eq!(got, want, "windows are of the rows that are out");
        n
    };
    let rows = check();
    // There is more to read, and nobody reads it.
    party.start_again(2, Some((WINDOWED, "1")));
    let (ended, said) = party.until_it_ends();
    assert!(ended.success() && said.contains("\"finished\"") && !said.contains("a run begins"), "{ended}: {said}");
    assert_eq!(check(), rows);
}

/// A user who waits for the end of a drain.
struct Waits {
    client: std::process::Child,
    dir: PathBuf,
}

impl Waits {
    fn begin(dir: &Path) -> Self {
        let file = |name: &str| std::fs::File::create(dir.join(name)).expect("a file can be made");
        let (out, err) = (file("drain.stdout"), file("drain.stderr"));
        let client = itself("stop", dir).arg("--drain").stdout(out).stderr(err).spawn().expect("stop can be started");
        Self { client, dir: dir.to_owned() }
    }

    fn said(&self) -> String {
        ["drain.stdout", "drain.stderr"].map(|name| std::fs::read_to_string(self.dir.join(name)).unwrap_or_default()).concat()
    }

    fn end(mut self) -> (Option<i32>, String) {
        (self.client.wait().expect("it is a child of this process").code(), self.said())
    }
}

/// A job whose workers sleep: no slot hears of a drain, which is known to the coordinator alone.
fn asleep(dir: &Path) -> (Party, [Process; 2]) {
    let mut party = Party::start_with(dir, 2, Some((WINDOWED, "1")));
    party.until_workers_own(2);
    party.manifests(5);
    let sleepers = [party.worker(0), party.worker(1)];
    sleepers.iter().for_each(|w| w.signal("STOP"));
    party.until_nothing_is_published();
    (party, sleepers)
}

pub(crate) fn a_client_that_waits_for_a_drain_asks_the_next_coordinator_for_it(dir: &Path) {
    let (mut party, sleepers) = asleep(dir);
    let waits = Waits::begin(dir);
    party.until("the wish", |_| waits.said().contains("draining"));
    party.coordinator().signal("KILL");
    party.until("the next coordinator", |p| p.said().matches("the coordinator is process ").count() == 2);
    sleepers.iter().for_each(|w| w.signal("CONT"));
    let (ended, said) = party.until_it_ends();
    assert!(ended.success() && said.contains("\"finished\""), "{ended}: {said}");
    let (code, said) = waits.end();
    assert!(code == Some(0) && said.contains("numbered: finished"), "{code:?}: {said}");
}

pub(crate) fn a_client_that_waits_for_a_drain_hears_that_the_job_was_stopped(dir: &Path) {
    let (mut party, sleepers) = asleep(dir);
    let waits = Waits::begin(dir);
    party.until("the wish", |_| waits.said().contains("draining"));
    party.client().stop().expect("the coordinator takes the wish");
    sleepers.iter().for_each(|w| w.signal("CONT"));
    let (ended, said) = party.until_it_ends();
    assert!(ended.success() && said.contains("\"stopped\""), "{ended}: {said}");
    let (code, said) = waits.end();
    assert!(code == Some(3) && said.contains("the job `numbered` was stopped before it had finished"), "{code:?}: {said}");
}
