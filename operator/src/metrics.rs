//! The metrics of the operator, in the text format of Prometheus. A handful of numbers need no library.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Upper bounds of the durations of a reconciliation, in milliseconds.
const BOUNDS: [u64; 7] = [10, 50, 100, 500, 1000, 5000, 30_000];

/// The gauges of a job.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct JobGauge {
    /// The job is as its spec asks: it runs, is suspended or is finished.
    pub(crate) ready: bool,
    /// The number of workers that the coordinator wants.
    pub(crate) wanted: u32,
    /// The number of workers whose pod is ready.
    pub(crate) pods_ready: u32,
    /// The coordinator's term.
    pub(crate) term: Option<u64>,
    /// The last published epoch.
    pub(crate) epoch: Option<u64>,
    /// The duration of the last rescale.
    pub(crate) rescale_seconds: Option<f64>,
    /// The longest wait of a batch of rows in the last rescale.
    pub(crate) pause_seconds: Option<f64>,
}

/// The metrics of the operator.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    reconciles: AtomicU64,
    millis: AtomicU64,
    buckets: [AtomicU64; BOUNDS.len()],
    errors: Mutex<BTreeMap<&'static str, u64>>,
    under_way: Mutex<BTreeMap<u64, Instant>>,
    next: AtomicU64,
    jobs: Mutex<BTreeMap<(String, String), JobGauge>>,
    /// This pod leads.
    pub(crate) leader: AtomicBool,
    /// The resource definitions are there.
    pub(crate) definitions: AtomicBool,
}

fn lock<T>(of: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Metrics {
    /// Notes that a reconciliation begins; the ticket is given back at its end.
    pub(crate) fn begin(&self) -> u64 {
        let ticket = self.next.fetch_add(1, Ordering::Relaxed);
        lock(&self.under_way).insert(ticket, Instant::now());
        ticket
    }

    /// Notes that a reconciliation is over, with an error of this category or without.
    pub(crate) fn end(&self, ticket: u64, error: Option<&'static str>) {
        let took = lock(&self.under_way).remove(&ticket).map(|b| b.elapsed()).unwrap_or_default();
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.reconciles.fetch_add(1, Ordering::Relaxed);
        self.millis.fetch_add(millis, Ordering::Relaxed);
        for (bound, count) in BOUNDS.iter().zip(&self.buckets) {
            if millis <= *bound {
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
        if let Some(category) = error {
            *lock(&self.errors).entry(category).or_default() += 1;
        }
    }

    /// The duration of the oldest reconciliation under way.
    pub(crate) fn oldest(&self) -> Duration {
        lock(&self.under_way).values().map(Instant::elapsed).max().unwrap_or_default()
    }

    /// Sets the gauges of a job.
    pub(crate) fn gauge(&self, namespace: &str, job: &str, gauge: JobGauge) {
        lock(&self.jobs).insert((namespace.to_owned(), job.to_owned()), gauge);
    }

    /// Forgets a job that is gone.
    pub(crate) fn forget(&self, namespace: &str, job: &str) {
        lock(&self.jobs).remove(&(namespace.to_owned(), job.to_owned()));
    }

    /// The metrics as text.
    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        let flag = |b: &AtomicBool| u64::from(b.load(Ordering::Relaxed));
        let mut one = |name: &str, kind: &str, help: &str, value: String| {
            // A write into a String cannot fail.
            let _written = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}");
        };
        one("watershed_operator_leader", "gauge", "Whether this pod leads.", flag(&self.leader).to_string());
        one(
            "watershed_operator_definitions_present",
            "gauge",
            "Whether the resource definitions are there.",
            flag(&self.definitions).to_string(),
        );
        let oldest = self.oldest().as_secs_f64().to_string();
        one(
            "watershed_operator_oldest_reconcile_seconds",
            "gauge",
            "For how long the oldest reconcile under way has been.",
            oldest,
        );
        self.durations(&mut out);
        self.by_job(&mut out);
        out
    }

    fn durations(&self, out: &mut String) {
        let name = "watershed_operator_reconcile_seconds";
        let reconciles = self.reconciles.load(Ordering::Relaxed);
        let mut line = |text: String| {
            let _written = writeln!(out, "{text}");
        };
        line(format!("# HELP {name} How long a reconcile took.\n# TYPE {name} histogram"));
        for (bound, count) in BOUNDS.iter().zip(&self.buckets) {
            line(format!("{name}_bucket{{le=\"{}\"}} {}", *bound as f64 / 1000.0, count.load(Ordering::Relaxed)));
        }
        line(format!("{name}_bucket{{le=\"+Inf\"}} {reconciles}"));
        line(format!("{name}_sum {}", self.millis.load(Ordering::Relaxed) as f64 / 1000.0));
        line(format!("{name}_count {reconciles}"));
        let errors = "watershed_operator_reconcile_errors_total";
        line(format!("# HELP {errors} Reconciles that failed.\n# TYPE {errors} counter"));
        for (category, count) in lock(&self.errors).iter() {
            line(format!("{errors}{{category=\"{category}\"}} {count}"));
        }
    }

    fn by_job(&self, out: &mut String) {
        let jobs = lock(&self.jobs);
        let mut family = |name: &str, help: &str, of: &dyn Fn(&JobGauge) -> Option<f64>| {
            let _written = writeln!(out, "# HELP {name} {help}\n# TYPE {name} gauge");
            for ((namespace, job), gauge) in jobs.iter() {
                if let Some(value) = of(gauge) {
                    let _written = writeln!(out, "{name}{{namespace=\"{namespace}\",job=\"{job}\"}} {value}");
                }
            }
        };
        family("watershed_job_ready", "Whether the job is as its spec asks.", &|g| Some(f64::from(u8::from(g.ready))));
        family("watershed_job_workers_wanted", "Workers that the job's spec asks for, as far as the coordinator knows.", &|g| {
            Some(f64::from(g.wanted))
        });
        family("watershed_job_workers_ready", "Workers whose pod is ready.", &|g| Some(f64::from(g.pods_ready)));
        family("watershed_job_term", "The coordinator's term; it grows with each beginning anew.", &|g| g.term.map(|t| t as f64));
        family("watershed_job_epoch", "The last published epoch, when last asked.", &|g| g.epoch.map(|e| e as f64));
        family("watershed_job_rescale_seconds", "How long the last rescale took.", &|g| g.rescale_seconds);
        let help = "For how long the longest batch of rows waited in the last rescale.";
        family("watershed_job_rescale_pause_seconds", help, &|g| g.pause_seconds);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reconciliation_under_way_is_seen_and_one_that_is_over_is_counted() {
        let metrics = Metrics::default();
        let ticket = metrics.begin();
        assert_eq!(lock(&metrics.under_way).len(), 1);
        metrics.end(ticket, Some("api"));
        let text = metrics.text();
        assert!(text.contains("watershed_operator_reconcile_seconds_count 1\n"), "{text}");
        assert!(text.contains("watershed_operator_reconcile_errors_total{category=\"api\"} 1"), "{text}");
        assert!(text.contains("watershed_operator_oldest_reconcile_seconds 0\n"), "{text}");
    }
}
