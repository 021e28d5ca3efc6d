//! What cases share: settings, the operator's namespace, a namespace to work in, and one long job that most faults are done to.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::bars::Bars;
use crate::check::checker::Output;
use crate::check::expect::Expect;
use crate::check::watch::Watch;
use crate::kube::{Kube, is, name, number, text};
use crate::machine::Machine;
use crate::settings::Settings;
use crate::{job, objects, say};

/// The operator's namespace and the release's name.
pub(crate) const SYSTEM: &str = "watershed";
/// The namespace of the jobs.
pub(crate) const SPACE: &str = "e2e";
/// The long job.
pub(crate) const JOB: &str = "numbers";

/// Everything a case may use.
#[derive(Debug)]
pub(crate) struct World {
    /// Where things are.
    pub(crate) settings: Settings,
    /// kubectl in the operator's namespace.
    pub(crate) system: Kube,
    /// kubectl in the jobs' namespace.
    pub(crate) kube: Kube,
    /// What was measured.
    pub(crate) bars: Bars,
    /// Nodes in our hands, if they are.
    pub(crate) machine: Option<Machine>,
    watch: Option<Watch>,
    /// How many times the long job was begun.
    begun: u32,
}

impl World {
    /// A world with nothing in it yet.
    #[must_use]
    pub(crate) fn new(settings: Settings) -> Self {
        let machine = settings.machine.clone().map(Machine::new);
        Self {
            settings,
            system: Kube::new(SYSTEM),
            kube: Kube::new(SPACE),
            bars: Bars::default(),
            machine,
            watch: None,
            begun: 0,
        }
    }

    /// Makes the namespace of the jobs with what they need, if it is not there.
    pub(crate) fn space(&self) -> Result<()> {
        let system = Kube::new("default");
        if system.get(&format!("namespace {SPACE}"))?.is_some() {
            return Ok(());
        }
        system.apply(&objects::namespace(SPACE))?;
        self.kube.apply(&objects::secret(&self.settings))?;
        Ok(())
    }

    /// The consumer of the long job, which is begun with `replicas` workers if it is not there.
    pub(crate) fn job(&mut self, replicas: u32) -> Result<&Watch> {
        if self.watch.is_none() {
            self.begin(replicas)?;
        }
        self.watch.as_ref().context("the consumer was just begun")
    }

    /// Applies the long job anew, and says how long it took to the first row.
    pub(crate) fn begin(&mut self, replicas: u32) -> Result<Duration> {
        self.end()?;
        self.space()?;
        self.begun += 1;
        let expect = Expect { rate: 1600, width: 2 };
        self.kube.apply(&objects::claim("out", &self.settings))?;
        let last = self.nodes()?.pop();
        self.kube.apply(&objects::reader("out", &self.settings, last.as_deref()))?;
        self.kube.words("wait --for=condition=Ready pod/reader --timeout=60s")?;
        let kube = self.kube.clone();
        let watch = Watch::start(expect, move || {
            kube.command(&["exec", "reader", "--", "/usr/bin/watershed-e2e", "tail", objects::OUT, "rows", "totals", "windows"])
        });
        let applied = Instant::now();
        let mut job = job::counting_job(&self.settings, JOB, replicas, expect);
        if let Some(prefix) = job.pointer_mut("/spec/snapshots/storage/s3/prefix") {
            *prefix = format!("{}/{JOB}-{}", self.settings.run, self.begun).into();
        }
        self.kube.apply(&job)?;
        let first = watch.next(applied, Duration::from_secs(60));
        self.watch = Some(watch);
        first
    }

    /// Removes the long job and what was its own.
    pub(crate) fn end(&mut self) -> Result<()> {
        if Kube::new("default").get(&format!("namespace {SPACE}"))?.is_none() {
            return Ok(());
        }
        self.kube.run(&["delete", "streamjob", JOB, "--wait", "--timeout=90s", "--ignore-not-found"])?;
        if let Some(watch) = self.watch.take() {
            let counts = Output::ALL.map(|o| format!("{} {}", watch.seen().checker.seen(o), o.folder())).join(", ");
            Self::told(&self.bars.note("lines of output checked", counts));
            watch.right()?;
        }
        self.kube.words("delete pod reader --ignore-not-found --wait=true")?;
        self.kube.words("delete pvc out --ignore-not-found --wait=true").map(drop)
    }

    /// Waits until the long job has as many ready workers as it wants, and says so of itself.
    pub(crate) fn settled(&self, replicas: i64, within: Duration) -> Result<()> {
        let what = format!("streamjob {JOB}");
        let wanted = format!("ready with {replicas} workers");
        let answered = |j: &serde_json::Value| number(j, "/status/observedGeneration") == number(j, "/metadata/generation");
        let all =
            |j: &serde_json::Value| number(j, "/status/readyReplicas") == replicas && number(j, "/status/replicas") == replicas;
        self.kube.wait(&what, &wanted, within, |j| is(j, "Ready") && answered(j) && all(j)).map(drop)
    }

    /// The long job's workers.
    pub(crate) fn workers(&self) -> Result<Vec<serde_json::Value>> {
        self.kube.list("pods", &job::workers(JOB))
    }

    /// The long job's coordinator.
    pub(crate) fn coordinator(&self) -> Result<serde_json::Value> {
        let pods = self.kube.list("pods", &job::coordinator(JOB))?;
        pods.into_iter().find(|p| text(p, "/status/phase") == "Running").context("no coordinator is running")
    }

    /// The nodes by name.
    pub(crate) fn nodes(&self) -> Result<Vec<String>> {
        let nodes = self.kube.get("nodes")?.context("there are nodes")?;
        let items = nodes.pointer("/items").and_then(|i| i.as_array()).cloned().unwrap_or_default();
        let mut names: Vec<String> = items.iter().map(|n| name(n).to_owned()).collect();
        names.sort();
        Ok(names)
    }

    /// Prints what a measurement was.
    pub(crate) fn told(line: &str) {
        say(&format!("    {line}"));
    }
}
