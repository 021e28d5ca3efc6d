//! The list of jobs, and what their oracles answer.

use std::collections::BTreeMap;
use std::sync::Arc;

use watershed_runtime::error::Result;
use watershed_runtime::graph::Graph;
use watershed_runtime::stream::{Job, SourceStream};
use watershed_runtime::time::Time;

use super::input::Input;
use super::row::{Out, Row};
use crate::world::sink::Sinks;
use crate::world::source::{Readers, SimSource};

/// A job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum JobKind {
    /// See [`super`].
    Count,
    /// See [`super`].
    Totals,
    /// See [`super`].
    Windows,
    /// See [`super`].
    Late,
    /// See [`super`].
    Sessions,
    /// See [`super`].
    Join,
    /// See [`super`].
    Timers,
    /// See [`super`].
    Chain,
    /// See [`super`].
    Rolls,
    /// See [`super`].
    Copy,
    /// See [`super`].
    Depths,
    /// See [`super`].
    Cascade,
}

/// Parameters of a job, in this run.
#[derive(Clone, Debug)]
pub struct Env {
    /// The sources' rows.
    pub inputs: Vec<Arc<Input>>,
    /// A window, a gap, an interval, in microseconds.
    pub window: i64,
    /// By how much windows slide.
    pub slide: i64,
    /// A modulus for keys of a second stage.
    pub fold: u32,
}

/// The check of a sink's rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// These rows, in any order.
    Bag(Vec<Out>),
    /// These are the last rows of their keys, and versions of a key only rise; by one each, if `every`.
    Last {
        /// By key.
        rows: BTreeMap<u64, Out>,
        /// True if no version may be missing.
        every: bool,
    },
}

/// The oracle's answer: one check a sink.
#[derive(Clone, Debug)]
pub struct Expected {
    /// By sink.
    pub sinks: Vec<Check>,
    /// The number of late rows.
    pub late: u64,
}

/// Builder context of a job: the world's ends of its sources and sinks.
#[derive(Debug)]
pub(crate) struct Build<'a> {
    /// The job.
    pub(crate) job: Job,
    /// The parameters of the job.
    pub(crate) env: &'a Env,
    readers: &'a Arc<Readers>,
    /// The sinks of the world.
    pub(crate) sinks: &'a Arc<Sinks>,
}

impl Build<'_> {
    /// The stream of one input, with event time.
    #[must_use]
    pub(crate) fn source(&self, index: usize) -> SourceStream<Row> {
        let input = Arc::clone(self.env.inputs.get(index).expect("jobs name the inputs they have"));
        let disorder = std::time::Duration::from_micros(input.disorder.unsigned_abs());
        let source = SimSource::new(input, Arc::clone(self.readers), index);
        self.job.source(&format!("input {index}"), source).event_time(|r: &Row| Time(r.time), disorder)
    }
}

impl JobKind {
    /// All jobs.
    pub const ALL: [Self; 12] = [
        Self::Count,
        Self::Totals,
        Self::Windows,
        Self::Late,
        Self::Sessions,
        Self::Join,
        Self::Timers,
        Self::Chain,
        Self::Rolls,
        Self::Copy,
        Self::Depths,
        Self::Cascade,
    ];

    /// The job's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Totals => "totals",
            Self::Windows => "windows",
            Self::Late => "late",
            Self::Sessions => "sessions",
            Self::Join => "join",
            Self::Timers => "timers",
            Self::Chain => "chain",
            Self::Rolls => "rolls",
            Self::Copy => "copy",
            Self::Depths => "depths",
            Self::Cascade => "cascade",
        }
    }

    /// The job of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|j| j.name() == name)
    }

    /// The number of sources.
    #[must_use]
    pub fn inputs(self) -> usize {
        match self {
            Self::Sessions | Self::Join => 2,
            Self::Count | Self::Totals | Self::Windows | Self::Late | Self::Timers => 1,
            Self::Chain | Self::Rolls | Self::Copy | Self::Depths | Self::Cascade => 1,
        }
    }

    /// The number of sinks.
    #[must_use]
    pub fn sinks(self) -> usize {
        match self {
            Self::Late | Self::Chain | Self::Rolls | Self::Depths | Self::Cascade => 2,
            Self::Count | Self::Totals | Self::Windows | Self::Sessions | Self::Join | Self::Timers | Self::Copy => 1,
        }
    }

    /// The job's graph.
    pub fn graph(self, env: &Env, readers: &Arc<Readers>, sinks: &Arc<Sinks>) -> Result<Graph> {
        let b = Build { job: Job::new(), env, readers, sinks };
        match self {
            Self::Count => super::count::count(&b),
            Self::Totals => super::count::totals(&b),
            Self::Windows => super::windows::windows(&b)?,
            Self::Late => super::windows::late(&b)?,
            Self::Sessions => super::sessions::build(&b),
            Self::Join => super::join::build(&b),
            Self::Timers => super::timers::build(&b),
            Self::Chain => super::chain::chain(&b),
            Self::Rolls => super::chain::rolls(&b),
            Self::Copy => super::plain::copy(&b),
            Self::Depths => super::plain::depths(&b),
            Self::Cascade => super::cascade::build(&b)?,
        }
        b.job.build()
    }

    /// The correct output of the job, from the oracle.
    #[must_use]
    pub fn expected(self, env: &Env) -> Expected {
        match self {
            Self::Count => super::count::expect_count(env),
            Self::Totals => super::count::expect_totals(env),
            Self::Windows => super::windows::expect(env, false),
            Self::Late => super::windows::expect(env, true),
            Self::Sessions => super::sessions::expect(env),
            Self::Join => super::join::expect(env),
            Self::Timers => super::timers::expect(env),
            Self::Chain => super::chain::expect(env, true),
            Self::Rolls => super::chain::expect(env, false),
            Self::Copy => super::plain::expect_copy(env),
            Self::Depths => super::plain::expect_depths(env),
            Self::Cascade => super::cascade::expect(env),
        }
    }
}

impl Env {
    /// Every row of every input.
    pub fn rows(&self) -> impl Iterator<Item = Row> + '_ {
        self.inputs.iter().flat_map(|i| i.all())
    }
}
