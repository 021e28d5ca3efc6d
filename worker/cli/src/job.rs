//! A file becomes a job: read and judged by `watershed-job`, planned by `watershed-sql`, with its connectors.
//!
//! A field of the manifest that a run on this machine cannot honour is refused or noted, never ignored in silence.

use std::path::Path;

use watershed::cli::Settings;
use watershed::runtime::graph::Graph;
use watershed::runtime::key::KeySpace;
use watershed::{Error, Kind, Result};
use watershed_job::job::{Program, SqlText, Storage};
use watershed_job::manifest::UnmatchedState;
use watershed_job::{Document, read};
use watershed_sql::StandardConnectors;
use watershed_sql::plan::{NodeKind, Plan};

use crate::places;

/// A job and the file it came from.
#[derive(Debug)]
pub(crate) struct JobFile {
    file: String,
    text: String,
    document: Document,
}

/// True if the argument for a job is a file rather than a name.
pub(crate) fn is_file(typed: &str) -> bool {
    let known = |end: &std::ffi::OsStr| ["yaml", "yml", "json", "sql"].iter().any(|e| end.eq_ignore_ascii_case(e));
    typed.contains('/') || Path::new(typed).extension().is_some_and(known)
}

impl JobFile {
    /// Reads and judges a file.
    pub(crate) fn read(file: &str) -> Result<Self> {
        let bytes = std::fs::read(file).map_err(|e| {
            let kind = if e.kind() == std::io::ErrorKind::NotFound { Kind::Invalid } else { Kind::Unavailable };
            Error::new(kind, "the job's file cannot be read")
                .at(file)
                .advise("give the path of a manifest or of a .sql file")
                .because(e)
        })?;
        Self::of(file, &bytes)
    }

    /// Judges a file's bytes.
    pub(crate) fn of(file: &str, bytes: &[u8]) -> Result<Self> {
        // The refusal names every problem with its place and its advice.
        let document = read(file, bytes).map_err(|refusal| Error::new(Kind::Invalid, refusal.to_string()))?;
        let text = String::from_utf8_lossy(bytes).into_owned();
        Ok(Self { file: file.to_owned(), text, document })
    }

    /// The job's name.
    pub(crate) fn name(&self) -> String {
        self.document.job.name.to_string()
    }

    /// The place of its snapshots, if the manifest says so and this machine can reach it.
    pub(crate) fn storage(&self) -> Option<String> {
        self.document.job.snapshots.storage.as_ref().and_then(Storage::url)
    }

    /// True if the job is SQL.
    pub(crate) fn has_sql(&self) -> bool {
        matches!(self.document.job.program, Program::Sql { .. })
    }

    /// Notes about the file, a line each.
    pub(crate) fn notes(&self) -> Vec<String> {
        let d = &self.document;
        d.notices.iter().chain(&d.kubernetes_only).map(|p| format!("note: {}:{p}", self.file)).collect()
    }

    /// Refuses what only a cluster can do.
    pub(crate) fn runs_here(&self) -> Result<()> {
        let job = &self.document.job;
        let refuse = |what: &str, advice: &str| Err(Error::new(Kind::Invalid, what).at(self.file.clone()).advise(advice));
        if job.suspend {
            return refuse("the job is suspended", "set `spec.suspend: false`");
        }
        if job.restore_from.is_some() {
            return refuse(
                "a local run does not restore from another job's snapshot",
                "leave `spec.restoreFrom` out; a job goes on from its own snapshots by itself",
            );
        }
        Ok(())
    }

    /// Plans its SQL.
    pub(crate) fn plan(&self) -> Result<Planned<'_>> {
        let Program::Sql { text, .. } = &self.document.job.program else {
            return Err(Error::new(Kind::Invalid, "the job is a program in an image, and not SQL")
                .at(self.file.clone())
                .advise("run the program itself: it takes the same flags"));
        };
        let job = watershed_sql::compile(text.as_str(), &StandardConnectors).map_err(|e| places::in_file(e, &self.file, text))?;
        Ok(Planned { file: self, sql: text, plan: job.plan, explanations: job.explanations })
    }

    /// The settings of a run, as the manifest has them.
    pub(crate) fn settings(&self, planned: &Planned<'_>) -> Settings {
        let job = &self.document.job;
        let mut settings = Settings::new(self.name());
        settings.slots = u16::try_from(job.slots()).unwrap_or(u16::MAX);
        settings.each = u16::try_from(job.threads_per_worker.get()).unwrap_or(u16::MAX);
        settings.replicas = job.replicas.get();
        settings.epoch = job.snapshots.epoch_period.get();
        settings.storage = self.storage();
        settings.keys = KeySpace::with_groups(job.key_groups.get()).unwrap_or_default();
        settings.drop_unmatched = job.unmatched_state == UnmatchedState::Ignore;
        // Without its directory, which is of this machine.
        let name = Path::new(&self.file).file_name().unwrap_or_default().to_string_lossy().into_owned();
        settings.file = Some((name, self.text.clone()));
        settings.quiet = planned.prints() && std::io::IsTerminal::is_terminal(&std::io::stdout());
        settings
    }
}

/// A job with its plan.
#[derive(Debug)]
pub(crate) struct Planned<'a> {
    file: &'a JobFile,
    sql: &'a SqlText,
    plan: Option<Plan>,
    explanations: Vec<String>,
}

impl Planned<'_> {
    /// The graph to run.
    pub(crate) fn graph(&self) -> Result<Graph> {
        let Some(plan) = &self.plan else {
            return Err(Error::new(Kind::Invalid, "the text only explains: it has no INSERT to run")
                .at(self.file.file.clone())
                .advise("use `watershed explain`, or take the word EXPLAIN out"));
        };
        watershed_sql::build(plan, &StandardConnectors).map_err(|e| places::in_file(e, &self.file.file, self.sql))
    }

    /// The text of EXPLAIN.
    pub(crate) fn text(&self) -> String {
        let plan = self.plan.iter().map(Plan::explain);
        self.explanations.iter().cloned().chain(plan).collect::<Vec<_>>().join("\n")
    }

    /// True if rows go to standard output.
    fn prints(&self) -> bool {
        self.plan.iter().flat_map(|p| &p.nodes).any(|n| {
            let NodeKind::Sink(s) = &n.kind else { return false };
            matches!(s.table.option("connector"), Some("print" | "stdout"))
        })
    }
}
