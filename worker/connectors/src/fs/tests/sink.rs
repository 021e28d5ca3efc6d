//! Writers, crashes at every step of a commit, replays.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use serde::Serialize;
use watershed_runtime::container::Rows;
use watershed_runtime::env::{Segment, Sink, SinkHandle, SinkWriter};
use watershed_runtime::error::{Error, Kind};

use crate::fs::FileSink;
use crate::fs::commit::{Step, commit};
use crate::fs::staged::STAGING;
use crate::json::JsonRows;

#[derive(Clone, Debug, Serialize)]
struct Row {
    n: u64,
}

struct Unpark(std::thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn sink(dir: &Path) -> FileSink {
    let sink = FileSink::new(dir, JsonRows::<Row>::new());
    sink.check().unwrap();
    sink
}

fn segment(epoch: u64, version: u64) -> Segment {
    Segment { epoch, version, slot: 0 }
}

fn rows(numbers: std::ops::Range<u64>) -> Box<Rows<Row>> {
    Box::new(Rows::from(numbers.map(|n| Row { n }).collect::<Vec<_>>()))
}

fn seal(writer: &mut dyn SinkWriter, epoch: u64) -> Result<Vec<SinkHandle>, Error> {
    writer.seal(epoch)?;
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(handles) = writer.sealed(epoch, &waker)? {
            return Ok(handles.into_iter().map(|(version, data)| SinkHandle { sink: 1, version, data }).collect());
        }
        assert!(Instant::now() < deadline, "the waker was never called");
        std::thread::park_timeout(Duration::from_secs(1));
    }
}

/// The files that a reader of the directory sees.
fn visible(dir: &Path) -> BTreeMap<String, String> {
    let files = fs::read_dir(dir).unwrap().map(|e| e.unwrap()).filter(|e| !e.file_name().to_string_lossy().starts_with('.'));
    files.map(|e| (e.file_name().into_string().unwrap(), fs::read_to_string(e.path()).unwrap())).collect()
}

fn staged(dir: &Path) -> usize {
    fs::read_dir(dir.join(STAGING)).unwrap().count()
}

#[test]
fn nothing_is_visible_before_the_commit_and_all_of_it_after() {
    let dir = tempfile::tempdir().unwrap();
    let sink = sink(dir.path());
    let mut w = sink.open(0, 1).unwrap();
    w.write(rows(0..2), segment(7, 1)).unwrap();
    w.write(rows(2..3), segment(7, 2)).unwrap();
    let handles = seal(w.as_mut(), 7).unwrap();
    assert_eq!(handles.iter().map(|h| h.version).collect::<Vec<_>>(), [1, 2]);
    assert!(visible(dir.path()).is_empty());
    sink.commit(&handles).unwrap();
    sink.commit(&handles).unwrap();
    let want = [
        ("part-000000000007-000001-00000-0000.jsonl".to_owned(), "{\"n\":0}\n{\"n\":1}\n".to_owned()),
        ("part-000000000007-000002-00000-0000.jsonl".to_owned(), "{\"n\":2}\n".to_owned()),
    ];
    assert_eq!(visible(dir.path()), BTreeMap::from(want));
    assert_eq!(staged(dir.path()), 0);
}

#[test]
fn an_epoch_without_rows_has_no_handle() {
    let dir = tempfile::tempdir().unwrap();
    let sink = sink(dir.path());
    let mut w = sink.open(0, 1).unwrap();
    assert!(seal(w.as_mut(), 1).unwrap().is_empty());
    w.write(rows(0..0), segment(2, 0)).unwrap();
    assert!(seal(w.as_mut(), 2).unwrap().is_empty());
}

#[test]
fn files_roll_within_an_epoch_at_rows() {
    let dir = tempfile::tempdir().unwrap();
    let sink = sink(dir.path()).roll_at(20);
    let mut w = sink.open(0, 1).unwrap();
    for n in 0..7 {
        w.write(rows(n..n + 1), segment(1, 0)).unwrap();
    }
    sink.commit(&seal(w.as_mut(), 1).unwrap()).unwrap();
    let seen = visible(dir.path());
    assert_eq!(seen.len(), 3);
    assert!(seen.into_values().collect::<String>().lines().eq((0..7).map(|n| format!("{{\"n\":{n}}}"))));
}

/// Three files of two versions, sealed.
fn three_files(dir: &Path) -> Vec<SinkHandle> {
    let sink = sink(dir).roll_at(1);
    let mut w = sink.open(0, 1).unwrap();
    for n in 0..3 {
        w.write(rows(n..n + 1), segment(1, n / 2)).unwrap();
    }
    seal(w.as_mut(), 1).unwrap()
}

/// A commit that crashes before the step with this number; the steps done, and whether it came to its end.
fn crash_before(stop_at: usize, dir: &Path, handles: &[SinkHandle]) -> (Vec<Step>, bool) {
    let mut steps = Vec::new();
    let outcome = commit(dir, handles, &mut |step| {
        if steps.len() == stop_at {
            return Err(Error::new(Kind::Unavailable, "crash"));
        }
        steps.push(step);
        Ok(())
    });
    (steps, outcome.is_ok())
}

/// A crash before any step, then the same commit by another process: the end is always the same.
#[test]
fn a_commit_may_crash_anywhere_and_be_repeated() {
    for stop_at in 0.. {
        let dir = tempfile::tempdir().unwrap();
        let handles = three_files(dir.path());
        let (steps, finished) = crash_before(stop_at, dir.path(), &handles);
        // Visible files are complete and in order.
        assert!((0..3).zip(visible(dir.path()).into_values()).all(|(n, text)| text == format!("{{\"n\":{n}}}\n")));
        sink(dir.path()).commit(&handles).unwrap();
        assert_eq!(
            visible(dir.path()).into_values().collect::<String>(),
            "{\"n\":0}\n{\"n\":1}\n{\"n\":2}\n",
            "stopped at {stop_at}"
        );
        assert_eq!(staged(dir.path()), 0);
        if finished {
            assert_eq!(steps, [Step::Rename, Step::Rename, Step::Rename, Step::SyncFinal, Step::SyncStaging]);
            break;
        }
    }
}

/// Renames are not durable by themselves: a crash before the sync, then epochs without output, then a loss of power would lose the file.
#[test]
fn a_repeated_commit_syncs_what_the_first_one_has_only_renamed() {
    let dir = tempfile::tempdir().unwrap();
    let handles = three_files(dir.path());
    let (steps, finished) = crash_before(3, dir.path(), &handles);
    assert_eq!((steps, finished), (vec![Step::Rename; 3], false));
    let (steps, finished) = crash_before(usize::MAX, dir.path(), &handles);
    assert!(finished && steps.ends_with(&[Step::SyncFinal, Step::SyncStaging]), "{steps:?}");
}

#[test]
fn output_is_not_taken_for_published_because_its_directory_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let handles = three_files(dir.path());
    fs::remove_dir_all(dir.path().join(STAGING)).unwrap();
    let e = FileSink::new(dir.path(), JsonRows::<Row>::new()).commit(&handles).unwrap_err();
    assert_eq!(e.kind(), Kind::Unavailable);
    assert!(e.to_string().contains("not yet published"), "{e}");
}

/// Takes every visible file away, as a reader does that moves what it has read; the rows it got.
fn take_away(dir: &Path, to: &Path) -> String {
    let taken = visible(dir);
    for name in taken.keys() {
        // Under a name of its own: a rename onto another name of the same file would do nothing.
        fs::rename(dir.join(name), to.join(format!("{}-{name}", fs::read_dir(to).unwrap().count()))).unwrap();
    }
    taken.into_values().collect()
}

/// The hole of publishing by a link and a later unlink: a crash between the two, and a reader that moves the file before the recovery.
#[test]
fn a_file_taken_away_between_a_crash_and_the_recovery_is_not_published_again() {
    for stop_at in 0.. {
        let (dir, archive) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let handles = three_files(dir.path());
        let (_, finished) = crash_before(stop_at, dir.path(), &handles);
        let mut read = take_away(dir.path(), archive.path());
        for _ in 0..2 {
            sink(dir.path()).commit(&handles).unwrap();
            read.push_str(&take_away(dir.path(), archive.path()));
        }
        assert_eq!(read, "{\"n\":0}\n{\"n\":1}\n{\"n\":2}\n", "stopped at {stop_at}");
        assert_eq!(staged(dir.path()), 0);
        if finished {
            break;
        }
    }
}

/// Two coordinators, of which one does not know yet that it was replaced, commit the same epoch at once.
#[test]
fn commits_at_once_publish_each_file_once_while_a_reader_takes_files_away() {
    for _ in 0..20 {
        let (dir, archive) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let handles = three_files(dir.path());
        let mut read = String::new();
        std::thread::scope(|scope| {
            let both = [0, 1].map(|_| scope.spawn(|| sink(dir.path()).commit(&handles)));
            while !both.iter().all(|b| b.is_finished()) {
                read.push_str(&take_away(dir.path(), archive.path()));
            }
            both.into_iter().for_each(|b| b.join().unwrap().unwrap());
        });
        read.push_str(&take_away(dir.path(), archive.path()));
        let mut lines: Vec<&str> = read.lines().collect();
        lines.sort_unstable();
        assert_eq!(lines, ["{\"n\":0}", "{\"n\":1}", "{\"n\":2}"]);
    }
}

#[test]
fn a_published_file_may_be_taken_away_before_the_commit_is_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let sink = sink(dir.path());
    let mut w = sink.open(0, 1).unwrap();
    w.write(rows(0..1), segment(1, 0)).unwrap();
    let handles = seal(w.as_mut(), 1).unwrap();
    sink.commit(&handles).unwrap();
    fs::remove_file(dir.path().join("part-000000000001-000000-00000-0000.jsonl")).unwrap();
    sink.commit(&handles).unwrap();
    assert!(visible(dir.path()).is_empty());
}

#[test]
fn a_foreign_file_is_never_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let sink = sink(dir.path());
    let foreign = dir.path().join("part-000000000001-000000-00000-0000.jsonl");
    fs::write(&foreign, "mine").unwrap();
    let mut w = sink.open(0, 1).unwrap();
    w.write(rows(0..1), segment(1, 0)).unwrap();
    let e = sink.commit(&seal(w.as_mut(), 1).unwrap()).unwrap_err();
    assert_eq!(e.kind(), Kind::Invalid);
    assert_eq!(fs::read_to_string(foreign).unwrap(), "mine");
}

#[test]
fn an_unpublished_epoch_is_written_again_under_a_new_term() {
    let dir = tempfile::tempdir().unwrap();
    let old = sink(dir.path());
    let mut zombie = old.open(0, 1).unwrap();
    zombie.write(rows(0..1), segment(1, 0)).unwrap();
    let published = seal(zombie.as_mut(), 1).unwrap();
    zombie.write(rows(50..60), segment(2, 0)).unwrap();
    seal(zombie.as_mut(), 2).unwrap();
    // A new process restores from the manifest of epoch 1, which the old one has not committed.
    let new = sink(dir.path());
    let mut w = new.open(0, 2).unwrap();
    new.commit(&published).unwrap();
    assert_eq!(staged(dir.path()), 1, "another manifest might name it still");
    w.write(rows(1..2), segment(2, 0)).unwrap();
    new.commit(&seal(w.as_mut(), 2).unwrap()).unwrap();
    assert_eq!(visible(dir.path()).into_values().collect::<String>(), "{\"n\":0}\n{\"n\":1}\n");
    assert_eq!(staged(dir.path()), 0);
}

#[test]
fn two_writers_of_one_slot_never_share_a_staged_file() {
    let dir = tempfile::tempdir().unwrap();
    let sink = sink(dir.path());
    let (mut a, mut b) = (sink.open(0, 1).unwrap(), sink.open(0, 1).unwrap());
    a.write(rows(0..1), segment(1, 0)).unwrap();
    b.write(rows(5..6), segment(1, 0)).unwrap();
    let (_, b) = (seal(a.as_mut(), 1).unwrap(), seal(b.as_mut(), 1).unwrap());
    sink.commit(&b).unwrap();
    assert_eq!(visible(dir.path()).into_values().collect::<String>(), "{\"n\":5}\n");
}

#[test]
fn a_failed_write_fails_the_seal_and_all_that_follows() {
    let dir = tempfile::tempdir().unwrap();
    let sink = sink(dir.path());
    let mut w = sink.open(0, 1).unwrap();
    fs::remove_dir_all(dir.path().join(STAGING)).unwrap();
    let outcome = w.write(rows(0..1), segment(1, 0)).and_then(|()| seal(w.as_mut(), 1));
    let e = outcome.unwrap_err();
    assert_eq!(e.kind(), Kind::Unavailable);
    assert!(e.to_string().contains("cannot create the file"), "{e}");
    assert!(w.write(rows(0..1), segment(2, 0)).and_then(|()| seal(w.as_mut(), 2)).is_err());
}

#[test]
fn a_handle_may_not_reach_out_of_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    let data = br#"{"term":1,"files":[["x","../y"]]}"#.to_vec();
    let e = sink(dir.path()).commit(&[SinkHandle { sink: 1, version: 0, data }]).unwrap_err();
    assert_eq!(e.kind(), Kind::Corrupt);
    let e = sink(dir.path()).commit(&[SinkHandle { sink: 1, version: 0, data: vec![1] }]).unwrap_err();
    assert_eq!(e.kind(), Kind::Corrupt);
}

#[test]
fn a_path_that_is_a_file_is_refused_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    fs::write(&path, "").unwrap();
    assert_eq!(FileSink::new(&path, JsonRows::<Row>::new()).check().unwrap_err().kind(), Kind::Invalid);
}
