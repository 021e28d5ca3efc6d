//! Splits, positions, malformed rows, discovery.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde::Deserialize;
use watershed_runtime::container::Rows;
use watershed_runtime::env::{Read, Source, SplitId, SplitReader};
use watershed_runtime::error::{Error, Kind};

use crate::fs::FileSource;
use crate::fs::cutter::{Chunk, Cutter, MAX_LINE, Text};
use crate::json::JsonLines;

#[derive(Clone, Debug, Deserialize)]
struct Row {
    n: u64,
}

struct Flag(AtomicBool, std::thread::Thread);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
        self.1.unpark();
    }
}

/// Reads once, waiting for the waker as a slot does.
fn read(reader: &mut dyn SplitReader, max: usize) -> Result<Option<Vec<u64>>, Error> {
    let flag = Arc::new(Flag(AtomicBool::new(false), std::thread::current()));
    let waker = Waker::from(Arc::clone(&flag));
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match reader.read(max, &waker)? {
            Read::Batch(b) => return Ok(Some(Rows::<Row>::downcast(b).unwrap().rows.into_iter().map(|r| r.n).collect())),
            Read::Finished => return Ok(None),
            Read::Pending => {
                while !flag.0.swap(false, Ordering::SeqCst) {
                    assert!(Instant::now() < deadline, "nobody called the waker");
                    std::thread::park_timeout(Duration::from_secs(1));
                }
            }
        }
    }
}

fn read_all(source: &FileSource, max: usize) -> Result<Vec<u64>, Error> {
    let mut all = Vec::new();
    for split in source.discover()?.splits {
        let mut reader = source.open(&split, &[])?;
        while let Some(rows) = read(reader.as_mut(), max)? {
            all.extend(rows);
        }
    }
    Ok(all)
}

fn source(path: &Path) -> FileSource {
    FileSource::new(path.to_str().unwrap(), JsonLines::<Row>::new())
}

fn cut_all(text: &[u8], cuts: &[u64], chunk: usize, restart: bool) -> Vec<u8> {
    let mut out = Vec::new();
    let bounds: Vec<u64> = cuts.iter().copied().chain([u64::MAX]).collect();
    for pair in bounds.windows(2) {
        let (start, end) = (pair[0], pair[1]);
        let mut cutter = Cutter::from_start(start, end, chunk);
        loop {
            let at = cutter.offset() as usize;
            match cutter.next_chunk(&mut text.get(at..).unwrap_or_default(), Vec::new()).unwrap() {
                None => break,
                Some(Chunk { offset, text: Text::Lines(lines) }) => {
                    out.extend_from_slice(lines.as_bytes());
                    if restart {
                        cutter = Cutter::from_line(offset + lines.len() as u64, end, chunk);
                    }
                }
                other => panic!("{other:?}"),
            }
        }
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// The law of splits, byte for byte: whatever the cuts, the chunks and the restarts, the lines come once and in order.
    #[test]
    fn any_cut_gives_every_line_exactly_once(
        lines in proptest::collection::vec("[a-z\u{e9}]{0,9}", 0..40),
        open_end: bool,
        mut cuts in proptest::collection::vec(0u64..300, 0..6),
        chunk in 1usize..40,
        restart: bool,
    ) {
        let mut text = lines.join("\n").into_bytes();
        if !open_end {
            text.push(b'\n');
        }
        cuts.push(0);
        cuts.sort_unstable();
        cuts.dedup();
        prop_assert_eq!(cut_all(&text, &cuts, chunk, restart), text);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// The same through the source: I/O threads, batches of any size, a reader opened again at its position.
    #[test]
    fn any_split_and_any_restart_give_every_row_exactly_once(
        rows in 0u64..300, split in 1u64..400, chunk in 1usize..200, max in 1usize..50, again in 1usize..5,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let text: String = (0..rows).map(|n| format!("{{\"n\": {n}}}\n")).collect();
        fs::write(dir.path().join("a.jsonl"), text).unwrap();
        let source = source(dir.path()).split_size(split).chunk_size(chunk);
        let mut all = Vec::new();
        for id in source.discover().unwrap().splits {
            let mut reader = source.open(&id, &[]).unwrap();
            let mut batches = 0;
            while let Some(got) = read(reader.as_mut(), max).unwrap() {
                prop_assert!(got.len() <= max);
                all.extend(got);
                batches += 1;
                if batches % again == 0 {
                    reader = source.open(&id, &reader.position()).unwrap();
                }
            }
            let mut ended = source.open(&id, &reader.position()).unwrap();
            prop_assert_eq!(read(ended.as_mut(), max).unwrap(), None);
        }
        prop_assert!(all.into_iter().eq(0..rows));
    }
}

#[test]
fn a_malformed_row_is_told_after_the_rows_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("in.jsonl");
    fs::write(&path, "{\"n\":1}\n{\"n\":2}\n{\"n\":\"x\"}\n{\"n\":4}\n").unwrap();
    let source = source(&path);
    let mut reader = source.open(&source.discover().unwrap().splits[0], &[]).unwrap();
    assert_eq!(read(reader.as_mut(), 100).unwrap(), Some(vec![1, 2]));
    assert_eq!(reader.position(), 16u64.to_le_bytes());
    for _ in 0..2 {
        let e = read(reader.as_mut(), 100).unwrap_err();
        assert_eq!(e.kind(), Kind::Data);
        let want = format!(
            "{}, line 3, byte 16: malformed row: invalid type: string \"x\", expected u64 at character 8: {{\"n\":\"x\"}}",
            path.display()
        );
        assert_eq!(e.to_string(), want);
        assert!(e.advice().unwrap().contains("json.ignore-parse-errors"));
    }
}

#[test]
fn ignored_rows_are_counted_and_the_others_come() {
    let dir = tempfile::tempdir().unwrap();
    let mut text = b"\xef\xbb\xbf{\"n\":1}\nbad\n{\"n\":2}\n{\"n\":\xff}\n\n{\"n\":3}\n{\"n\":".to_vec();
    text.extend_from_slice(b"\n{\"n\":4}");
    fs::write(dir.path().join("x"), text).unwrap();
    for max in [1, 2, 100] {
        let source = source(dir.path()).ignore_parse_errors(true);
        assert_eq!(read_all(&source, max).unwrap(), [1, 2, 3, 4]);
        assert_eq!(source.metrics().skipped(), 3);
        assert_eq!(source.metrics().rows(), 4);
    }
}

#[test]
fn a_line_without_end_is_malformed_and_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x");
    let mut text = b"{\"n\":1}\n".to_vec();
    text.resize(MAX_LINE * 2, b'[');
    text.extend_from_slice(b"\n{\"n\":2}\n");
    fs::write(&path, text).unwrap();
    let strict = read_all(&source(&path), 10).unwrap_err();
    assert!(strict.to_string().contains("line 2, byte 8: malformed row: the line is longer than 16 MiB: [[["), "{strict}");
    let source = source(&path).ignore_parse_errors(true);
    assert_eq!(read_all(&source, 10).unwrap(), [1, 2]);
    assert_eq!(source.metrics().skipped(), 1);
}

#[test]
fn hidden_files_are_not_there_and_names_are_sorted() {
    let dir = tempfile::tempdir().unwrap();
    for (name, n) in [("b.jsonl", 2), ("a.jsonl", 1), ("_tmp", 9), (".x", 9)] {
        fs::write(dir.path().join(name), format!("{{\"n\":{n}}}\n")).unwrap();
    }
    for (sub, n) in [("sub", 3), (".staging", 9)] {
        fs::create_dir(dir.path().join(sub)).unwrap();
        fs::write(dir.path().join(sub).join("c"), format!("{{\"n\":{n}}}\n")).unwrap();
    }
    assert_eq!(read_all(&source(dir.path()), 10).unwrap(), [1, 2, 3]);
    assert_eq!(read_all(&source(&dir.path().join("*.jsonl")), 10).unwrap(), [1, 2]);
    assert_eq!(read_all(&source(&dir.path().join("**/*")), 10).unwrap(), [1, 2, 3]);
}

#[test]
fn what_is_not_there_is_told_when_the_job_starts() {
    let dir = tempfile::tempdir().unwrap();
    let missing = source(&dir.path().join("no")).discover().unwrap_err();
    assert_eq!(missing.kind(), Kind::Unavailable);
    assert!(missing.to_string().contains("No such file"), "{missing}");
    let empty = source(dir.path()).discover().unwrap_err();
    assert!(empty.to_string().ends_with("there is no file in the directory"), "{empty}");
    let none = source(&dir.path().join("*.jsonl")).discover().unwrap_err();
    assert!(none.to_string().ends_with("no file matches the pattern"), "{none}");
    let url = FileSource::new("s3://b/k", JsonLines::<Row>::new()).discover().unwrap_err();
    assert!(url.to_string().contains("not s3://"), "{url}");
}

#[test]
fn watching_finds_new_files_and_refuses_growth() {
    let dir = tempfile::tempdir().unwrap();
    let source = source(dir.path()).watch(Duration::from_millis(10));
    assert!(!source.bounded());
    assert_eq!(source.discover().unwrap().splits, []);
    let a = dir.path().join("a");
    fs::write(&a, "{\"n\":1}\n").unwrap();
    let found = source.discover().unwrap();
    assert!(!found.complete);
    assert_eq!(found.splits, [SplitId::from(format!("{}@0", a.display()).as_str())]);
    assert_eq!(source.discover().unwrap(), found);
    fs::write(&a, "{\"n\":1}\n{\"n\":2}\n").unwrap();
    let e = source.discover().unwrap_err();
    assert!(e.to_string().contains("had 8 bytes when it was found and has 16 now"), "{e}");
}

#[test]
fn a_file_that_shrank_is_an_error_and_so_is_a_foreign_position() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    fs::write(&path, "{\"n\":1}\n").unwrap();
    let source = source(&path);
    let id = source.discover().unwrap().splits.remove(0);
    let mut reader = source.open(&id, &100u64.to_le_bytes()).unwrap();
    assert_eq!(read(reader.as_mut(), 1).unwrap_err().kind(), Kind::Data);
    assert_eq!(source.open(&id, b"xyz").unwrap_err().kind(), Kind::Corrupt);
    assert_eq!(source.open(&SplitId::from("rows@0"), &[]).err().map(|e| e.kind()), None);
    assert_eq!(source.open(&SplitId::from("stdin"), &[]).unwrap_err().kind(), Kind::Corrupt);
}

/// A pipe that gives one piece a read.
struct Pieces(Vec<&'static str>);

impl std::io::Read for Pieces {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        if self.0.is_empty() {
            return Ok(0);
        }
        let piece = self.0.remove(0);
        buf[..piece.len()].copy_from_slice(piece.as_bytes());
        Ok(piece.len())
    }
}

#[test]
fn a_stream_hands_out_lines_as_soon_as_they_have_come() {
    let mut cutter = Cutter::stream(0, 1 << 10);
    let mut input = Pieces(vec!["a\nb", "b", "b\nc\n", "d"]);
    let mut got = Vec::new();
    while let Some(chunk) = cutter.next_chunk(&mut input, Vec::new()).unwrap() {
        got.push((chunk.offset, chunk.text, input.0.len()));
    }
    let lines = |s: &str| Text::Lines(s.to_owned());
    assert_eq!(got, [(0, lines("a\n"), 3), (2, lines("bbb\nc\n"), 1), (8, lines("d"), 0)]);
}
