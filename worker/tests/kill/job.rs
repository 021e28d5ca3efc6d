//! The job: numbers the rows of each key.

use serde::{Deserialize, Serialize};
use watershed::connectors::fs::FileSource;
use watershed::{Job, Result, io};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) id: u64,
    pub(crate) key: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Numbered {
    pub(crate) id: u64,
    pub(crate) key: u64,
    /// The how manieth row of its key it is.
    pub(crate) number: u64,
}

#[allow(dead_code, reason = "two tests share the job, and one of them has another source")]
pub(crate) fn build(job: &Job) -> Result<()> {
    number(job, io::json_lines::<Row>("in"))
}

pub(crate) fn number(job: &Job, rows: io::Typed<FileSource, Row>) -> Result<()> {
    let (numbered, _) = job.source("rows", rows).key_by(|r| r.key).process(
        |row, cx| {
            *cx.state += 1u64;
            let number = *cx.state;
            cx.emit(Numbered { id: row.id, key: row.key, number });
        },
        |_| {},
    );
    numbered.sink("numbered", io::json_files("out"));
    Ok(())
}
