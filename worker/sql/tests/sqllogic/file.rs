//! The format of the files in `tests/logic`, in the spirit of sqllogictest: records between blank lines, each opened by a word.
//!
//! ```text
//! # A comment.
//! tables                       CREATE TABLE and CREATE VIEW statements for every record of the file; sources say 'connector' = 'rows'.
//! input TABLE                  JSON lines: one split of that source. `pause N` waits until N rows have reached the sinks.
//! query NAME [KIND] (COLUMNS)  views, then one SELECT, into a sink `out` with these columns. KIND: append, changes, upsert or batch.
//! job NAME                     a whole text with its own sinks.
//! refused NAME                 a text that is refused when planned: the first line wanted is its place.
//! fails NAME [KIND] (COLUMNS)  a query whose run fails.
//! ```
//!
//! `----` ends the SQL; what follows is wanted: rows with ` | ` between columns, in any order, or parts of an error. `---- NAME` names a
//! sink of a job, `---- oracle` gives the batch engine another text, `---- oracle none: WHY` leaves it out.

use std::collections::BTreeMap;
use std::path::Path;

/// A file.
#[derive(Debug, Default)]
pub(crate) struct File {
    pub(crate) tables: String,
    /// The splits of each source.
    pub(crate) inputs: BTreeMap<String, Vec<Split>>,
    pub(crate) cases: Vec<Case>,
}

/// One split.
#[derive(Clone, Debug, Default)]
pub(crate) struct Split {
    pub(crate) lines: Vec<String>,
    /// Before which row to wait, and for how many rows at the sinks.
    pub(crate) pauses: Vec<(usize, usize)>,
}

/// The outcome that is wanted of a text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// These rows in each sink.
    Rows(BTreeMap<String, Vec<String>>),
    /// A refusal at a place, with these parts.
    Refused(String, Vec<String>),
    /// A failed run, with these parts.
    Fails(Vec<String>),
}

/// The engine with which the answer is compared, besides the file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Oracle {
    /// The same text.
    Same,
    /// Another text: one SELECT.
    Text(String),
    /// None.
    None,
}

/// One text and what is wanted of it.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    /// The line in the file.
    pub(crate) line: usize,
    /// Everything after the file's tables.
    pub(crate) sql: String,
    pub(crate) wanted: Wanted,
    pub(crate) oracle: Oracle,
}

/// Reads a file; a mistake in it is a panic with its line.
pub(crate) fn read(path: &Path) -> File {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut file = File::default();
    let mut lines = text.lines().enumerate().filter(|(_, l)| !l.starts_with('#')).peekable();
    while let Some((n, head)) = lines.next() {
        if head.trim().is_empty() {
            continue;
        }
        let mut body = Vec::new();
        while let Some((_, line)) = lines.next_if(|(_, l)| !l.trim().is_empty()) {
            body.push(line);
        }
        record(&mut file, n + 1, head, &body);
    }
    assert!(!file.cases.is_empty(), "{}: no query in it", path.display());
    for (i, case) in file.cases.iter().enumerate() {
        assert!(file.cases[..i].iter().all(|c| c.name != case.name), "line {}: '{}' is used twice", case.line, case.name);
    }
    file
}

fn record(file: &mut File, line: usize, head: &str, body: &[&str]) {
    let (word, rest) = head.split_once(' ').unwrap_or((head, ""));
    match word {
        "tables" => file.tables.push_str(&format!("{}\n", body.join("\n"))),
        "input" => {
            let mut split = Split::default();
            for l in body {
                match l.strip_prefix("pause ") {
                    Some(n) => split.pauses.push((split.lines.len(), n.parse().expect("pause takes a number"))),
                    None => split.lines.push((*l).to_owned()),
                }
            }
            file.inputs.entry(rest.to_owned()).or_default().push(split);
        }
        "query" | "job" | "refused" | "fails" => file.cases.push(case(word, rest, line, body)),
        _ => panic!("line {line}: '{word}' opens no record"),
    }
}

fn case(word: &str, rest: &str, line: usize, body: &[&str]) -> Case {
    let (name, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    let mut parts = body.split(|l| l.starts_with("----"));
    let mut heads = body.iter().filter_map(|l| l.strip_prefix("----")).map(str::trim);
    let sql = parts.next().unwrap_or_default().join("\n");
    let (mut wanted, mut oracle) = (BTreeMap::new(), if word == "job" || word == "query" { Oracle::Same } else { Oracle::None });
    for lines in parts {
        match heads.next().unwrap_or_default() {
            "oracle" => oracle = Oracle::Text(lines.join("\n")),
            why if why.starts_with("oracle none: ") => oracle = Oracle::None,
            "" => drop(wanted.insert("out".to_owned(), lines.iter().map(|l| (*l).to_owned()).collect::<Vec<_>>())),
            sink => drop(wanted.insert(sink.to_owned(), lines.iter().map(|l| (*l).to_owned()).collect())),
        }
    }
    let mut first = wanted.get("out").cloned().unwrap_or_default();
    let wanted = match word {
        "refused" if first.is_empty() => panic!("line {line}: nothing is wanted of the refusal"),
        "refused" => Wanted::Refused(first.remove(0), first),
        "fails" if first.is_empty() => panic!("line {line}: nothing is wanted of the error"),
        "fails" => Wanted::Fails(first),
        _ if wanted.is_empty() => panic!("line {line}: no rows are wanted: write ---- even if there are none"),
        _ => Wanted::Rows(wanted),
    };
    let sql = if matches!(word, "query" | "fails") { into_out(line, rest, &sql) } else { sql };
    Case { name: name.to_owned(), line, sql, wanted, oracle }
}

/// The SELECT with its sink.
fn into_out(line: usize, rest: &str, sql: &str) -> String {
    let (kind, columns) = rest.split_once('(').unwrap_or_else(|| panic!("line {line}: the sink's columns are missing"));
    let (mode, kind) = match kind.trim() {
        "batch" => ("SET 'execution.runtime-mode' = 'batch';\n", "append"),
        "" => ("", "append"),
        kind => ("", kind),
    };
    let (views, select) =
        sql.trim_end_matches(';').rsplit_once(";\n").map_or((String::new(), sql), |(v, s)| (format!("{v};\n"), s));
    format!("{mode}CREATE TABLE `out` ({columns} WITH ('connector' = '{kind}');\n{views}INSERT INTO `out` {select}")
}
