//! Every text in `tests/logic`, under {1, 3 slots} × {batches of 1, 32, 4096 rows} × {uninterrupted, killed and restored, rescaled live},
//! held to the rows written in the file and to a batch engine's answer over the same lines.
//!
//! Reading order: [`file`] (the format), [`cell`] (one run), [`world`] and [`sink`] (what is around the job), [`oracle`] (the batch
//! engine).
//! `WATERSHED_FULL=1` runs every text in all eighteen cells; without it the name of a text chooses some of them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test says what went wrong by panicking")]
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "the syntax tree is the parser's, and only a few of its forms are of interest"
)]

mod bench_texts;
mod cell;
mod changed;
mod file;
mod oracle;
mod sink;
mod world;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use watershed_runtime::error::explain;

use cell::Planned;
use file::{Case, File, Oracle, Wanted};

/// The number of cells of eighteen that a text sees without `WATERSHED_FULL`.
const QUICK: usize = 3;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/logic")
}

/// Writes the inputs of a file where its sources look.
fn write_inputs(file: &File, dir: &Path) {
    for (table, splits) in &file.inputs {
        let dir = dir.join("in").join(table);
        std::fs::create_dir_all(&dir).unwrap();
        for (n, split) in splits.iter().enumerate() {
            std::fs::write(dir.join(format!("{n}.jsonl")), format!("{}\n", split.lines.join("\n"))).unwrap();
        }
    }
}

/// The error of a text, its lines counted from its own first one.
fn refusal(file: &File, sql: &str, dir: &Path) -> String {
    let Err(e) = Planned::new(file, sql, dir) else { return "accepted".into() };
    let before = file.tables.lines().count();
    let text = explain(&e);
    match text.strip_prefix("error: line ").and_then(|t| t.split_once(',')) {
        Some((line, rest)) => format!("error: line {},{rest}", line.parse::<usize>().unwrap() - before),
        None => text,
    }
}

/// The faults of one text; none, if all is well.
fn judge(file: &File, case: &Case, dir: &Path, quick: Option<usize>) -> Vec<String> {
    let wanted = match &case.wanted {
        Wanted::Refused(place, parts) => {
            let got = refusal(file, &case.sql, dir);
            let missing = parts.iter().find(|p| !got.contains(p.as_str()));
            let right = got.starts_with(&format!("error: {place}: ")) && missing.is_none();
            return if right { Vec::new() } else { vec![format!("wanted {place}, {parts:?}\n{got}")] };
        }
        Wanted::Fails(parts) => Err(parts),
        Wanted::Rows(tables) => Ok(tables),
    };
    let mut planned = match Planned::new(file, &case.sql, dir) {
        Ok(planned) => planned,
        Err(e) => return vec![format!("refused: {}", explain(&e))],
    };
    let mut wrong = Vec::new();
    if let Ok(tables) = wanted {
        wrong.extend(compared(file, case, tables, &planned));
    }
    for n in cell::chosen(&case.name, quick) {
        let cell = cell::all()[n];
        planned.again(cell.batch);
        let storage = dir.join(format!("{}-{n}", case.name));
        let ended = planned.run(cell, &storage);
        match (&wanted, ended) {
            (Ok(tables), Ok(())) => wrong.extend(differences(&cell.to_string(), tables, &planned.results())),
            (Ok(_), Err(e)) => wrong.push(format!("{cell}: {}", explain(&e))),
            (Err(_), Ok(())) => wrong.push(format!("{cell}: it ran without an error")),
            (Err(parts), Err(e)) => {
                let got = explain(&e);
                wrong.extend(parts.iter().filter(|p| !got.contains(p.as_str())).map(|p| format!("{cell}: no {p:?} in {got}")));
            }
        }
    }
    wrong
}

fn differences(who: &str, wanted: &BTreeMap<String, Vec<String>>, got: &BTreeMap<String, Vec<String>>) -> Option<String> {
    let mut wanted = wanted.clone();
    wanted.values_mut().for_each(|rows| rows.sort());
    let show = |t: &BTreeMap<String, Vec<String>>| {
        t.iter().map(|(sink, rows)| format!("{sink}:\n  {}", rows.join("\n  "))).collect::<Vec<_>>().join("\n")
    };
    (wanted != *got).then(|| format!("{who}\nwanted\n{}\ngot\n{}", show(&wanted), show(got)))
}

/// The batch engine's answer beside the rows of the file.
fn compared(file: &File, case: &Case, wanted: &BTreeMap<String, Vec<String>>, planned: &Planned) -> Option<String> {
    if case.oracle == Oracle::None {
        return None;
    }
    let batch = oracle::Batch::new(file, &planned.tables);
    let answer = |sink: &str, to: &arrow::datatypes::SchemaRef| match &case.oracle {
        Oracle::Text(text) => batch.select(text, to),
        Oracle::Same | Oracle::None => batch.answer(&case.sql, sink, to),
    };
    let got = wanted.keys().map(|sink| (sink.clone(), answer(sink, &planned.tables[sink].physical()))).collect();
    differences("the batch engine", wanted, &got)
}

fn check(name: &str) {
    let path = folder().join(name);
    let file = file::read(&path);
    let dir = tempfile::tempdir().unwrap();
    write_inputs(&file, dir.path());
    let quick = std::env::var_os("WATERSHED_FULL").is_none().then_some(QUICK);
    // For one text alone: WATERSHED_ONLY=name.
    let only = std::env::var("WATERSHED_ONLY").ok();
    let mut wrong = Vec::new();
    for case in file.cases.iter().filter(|c| only.as_ref().is_none_or(|o| *o == c.name)) {
        let found = judge(&file, case, dir.path(), quick);
        wrong.extend(found.into_iter().map(|w| format!("{}:{}: {}: {w}", path.display(), case.line, case.name)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

macro_rules! files {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            check(concat!(stringify!($name), ".slt"));
        })*

        #[test]
        fn every_file_is_run() {
            let listed: Vec<String> = [$(stringify!($name)),*].iter().map(|n| format!("{n}.slt")).collect();
            for entry in std::fs::read_dir(folder()).unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                assert!(listed.contains(&name), "{name} is not in the list");
            }
        }
    };
}

files! {
    aggregates
    case_and_cast
    changelogs
    failures
    filters
    functions_numbers
    functions_texts
    functions_times
    nulls
    refusals
    sinks
    watermarks
    windows
}

#[test]
fn the_quick_run_sees_every_cell() {
    let mut seen = std::collections::BTreeSet::new();
    for entry in std::fs::read_dir(folder()).unwrap() {
        let file = file::read(&entry.unwrap().path());
        seen.extend(
            file.cases.iter().filter(|c| matches!(c.wanted, Wanted::Rows(_))).flat_map(|c| cell::chosen(&c.name, Some(QUICK))),
        );
    }
    assert_eq!(seen.len(), cell::all().len());
}

#[test]
fn there_are_enough_texts() {
    let files = std::fs::read_dir(folder()).unwrap().map(|e| file::read(&e.unwrap().path()));
    let all: Vec<Case> = files.flat_map(|f| f.cases).collect();
    let run = all.iter().filter(|c| matches!(c.wanted, Wanted::Rows(_))).count();
    let compared = all.iter().filter(|c| c.oracle != Oracle::None).count();
    assert!(run >= 60 && compared * 3 >= run * 2, "{run} of {} texts run, {compared} are compared", all.len());
}
