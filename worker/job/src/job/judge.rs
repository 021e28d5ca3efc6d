//! From typed text to a job: every rule of the manifest, each fault with the path of its field.
//!
//! Rules that concern one field stand with the field's type; those that concern several stand here. The API server holds the same
//! rules as expressions in the resource definition, so that `kubectl apply` refuses what `watershed validate` refuses.

use super::bounds::{count, seconds};
use super::{
    Cadence, EpochPeriod, Health, Job, JobName, KeyGroups, Nonces, Origin, Pod, Program, Replicas, Rescale, Restore, Retention,
    Schedule, Snapshots, SqlText, Storage, ThreadsPerWorker, Update,
};
use crate::manifest::{self, Spec, StreamJob};
use crate::problem::{Position, Why};

/// The most bytes of SQL: client-side apply keeps a copy of the manifest in an annotation of at most 256 KiB.
const SQL_BYTES: usize = 128 * 1024;

/// A rule that a field breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The path of the field.
    pub path: String,
    /// The reason for which it is refused.
    pub why: Why,
}

/// Collects faults, so that all are reported.
#[derive(Default)]
struct Faults(Vec<Fault>);

impl Faults {
    fn take<T>(&mut self, path: &str, result: Result<T, Why>) -> Option<T> {
        result.map_err(|why| self.add(path, why)).ok()
    }

    fn add(&mut self, path: &str, why: Why) {
        self.0.push(Fault { path: path.to_owned(), why });
    }
}

impl Job {
    /// Judges a manifest; its version and kind are judged by who read it.
    pub fn from_manifest(manifest: StreamJob) -> Result<Self, Vec<Fault>> {
        let StreamJob { api_version: _, kind: _, metadata, spec, status: _ } = manifest;
        let mut faults = Faults::default();
        let name = faults.take("metadata.name", JobName::new(&metadata.name));
        let size = size(&spec, &mut faults);
        let program = program(&spec, &mut faults);
        let update = update(&spec.update, &mut faults);
        let rescale = rescale(&spec.rescale, &mut faults);
        let snapshots = snapshots(&spec.snapshots, &mut faults);
        let restore_from = restore(spec.restore_from.as_ref(), &mut faults);
        let health = health(&spec.health, &mut faults);
        let nonces = Nonces { restore: spec.restore_nonce, restart: spec.restart_nonce, snapshot: spec.snapshot_nonce };
        let (suspend, unmatched_state) = (spec.suspend, spec.unmatched_state);
        let pod = pod(spec, &mut faults);
        // A part with a fault may be absent; a part that is there may have left a fault too.
        let (
            Some(name),
            Some(size),
            Some(program),
            Some(update),
            Some(rescale),
            Some(snapshots),
            Some(restore_from),
            Some(health),
        ) = (name, size, program, update, rescale, snapshots, restore_from, health)
        else {
            return Err(faults.0);
        };
        if !faults.0.is_empty() {
            return Err(faults.0);
        }
        let (replicas, threads_per_worker, key_groups) = size;
        Ok(Self {
            name,
            namespace: metadata.namespace,
            labels: metadata.labels,
            annotations: metadata.annotations,
            program,
            suspend,
            replicas,
            threads_per_worker,
            key_groups,
            update,
            rescale,
            snapshots,
            restore_from,
            nonces,
            unmatched_state,
            health,
            pod,
        })
    }
}

fn size(spec: &Spec, faults: &mut Faults) -> Option<(Replicas, ThreadsPerWorker, KeyGroups)> {
    let replicas = faults.take("spec.replicas", Replicas::new(spec.replicas));
    let threads = faults.take("spec.threadsPerWorker", ThreadsPerWorker::new(spec.threads_per_worker));
    let groups = faults.take("spec.keyGroups", KeyGroups::new(spec.key_groups));
    let (replicas, threads, groups) = (replicas?, threads?, groups?);
    let slots = u64::from(replicas.get()) * u64::from(threads.get());
    faults.take("spec.replicas", groups.admit(slots))?;
    Some((replicas, threads, groups))
}

fn program(spec: &Spec, faults: &mut Faults) -> Option<Program> {
    if spec.image.as_ref().is_some_and(|i| i.is_empty() || i.contains(char::is_whitespace)) {
        faults.add("spec.image", Why::new("not the name of an image").advise("write it as `registry/name:tag`"));
        return None;
    }
    match (&spec.sql, &spec.image) {
        (Some(sql), image) => {
            let text = faults.take("spec.sql", sql_text(sql))?;
            Some(Program::Sql { text, image: image.clone(), args: spec.args.clone() })
        }
        (None, Some(image)) => Some(Program::Image { image: image.clone(), args: spec.args.clone() }),
        (None, None) => {
            let why = Why::new("the job has no program").advise("give `spec.sql`, or `spec.image` with a program of your own");
            faults.add("spec", why);
            None
        }
    }
}

fn sql_text(sql: &str) -> Result<SqlText, Why> {
    if sql.trim().is_empty() {
        return Err(Why::new("there is no SQL in it").advise("write statements, such as `CREATE TABLE …; INSERT INTO …;`"));
    }
    if sql.len() > SQL_BYTES {
        return Err(Why::new(format!("the SQL has {} bytes, at most {SQL_BYTES} are allowed", sql.len()))
            .advise("split the job, or write it in Rust"));
    }
    Ok(SqlText { text: sql.to_owned(), origin: Origin::Whole(Position::START) })
}

fn update(update: &manifest::Update, faults: &mut Faults) -> Option<Update> {
    let manifest::Update { mode, on_snapshot_failure, progress_deadline_seconds, rollback } = *update;
    let progress_deadline = faults.take("spec.update.progressDeadlineSeconds", seconds(progress_deadline_seconds, 10, 86_400))?;
    Some(Update { mode, on_snapshot_failure, progress_deadline, rollback })
}

fn rescale(rescale: &manifest::Rescale, faults: &mut Faults) -> Option<Rescale> {
    let manifest::Rescale { strategy, cooldown_period_seconds, deadline_seconds, on_failure } = *rescale;
    let cooldown = faults.take("spec.rescale.cooldownPeriodSeconds", seconds(cooldown_period_seconds, 0, 86_400));
    let deadline = faults.take("spec.rescale.deadlineSeconds", seconds(deadline_seconds, 10, 86_400));
    Some(Rescale { strategy, cooldown: cooldown?, deadline: deadline?, on_failure })
}

fn health(health: &manifest::Health, faults: &mut Faults) -> Option<Health> {
    let manifest::Health { max_restarts, restart_period_seconds, snapshot_progress_timeout_seconds } = *health;
    let max_restarts = faults.take("spec.health.maxRestarts", count(max_restarts, 0, 10_000));
    let period = faults.take("spec.health.restartPeriodSeconds", seconds(restart_period_seconds, 1, 604_800));
    let timeout =
        faults.take("spec.health.snapshotProgressTimeoutSeconds", seconds(snapshot_progress_timeout_seconds, 10, 604_800));
    Some(Health { max_restarts: max_restarts?, restart_period: period?, snapshot_progress_timeout: timeout? })
}

fn snapshots(snapshots: &manifest::Snapshots, faults: &mut Faults) -> Option<Snapshots> {
    let epoch_period = faults
        .take("spec.snapshots.epochPeriodMilliseconds", EpochPeriod::from_milliseconds(snapshots.epoch_period_milliseconds));
    let storage = match snapshots.storage.as_ref().map(Storage::judge).transpose() {
        Ok(storage) => Some(storage),
        Err((field, why)) => {
            faults.add(&format!("spec.snapshots.storage{field}"), why);
            None
        }
    };
    let cadence = cadence(snapshots, faults);
    let max_count = faults.take("spec.snapshots.retention.maxCount", count(snapshots.retention.max_count, 1, 10_000));
    let max_age =
        faults.take("spec.snapshots.retention.maxAgeSeconds", seconds(snapshots.retention.max_age_seconds, 60, 315_360_000));
    Some(Snapshots {
        storage: storage?,
        epoch_period: epoch_period?,
        cadence: cadence?,
        retention: Retention { max_count: max_count?, max_age: max_age? },
        on_delete: snapshots.on_delete,
        deletion_policy: snapshots.deletion_policy,
    })
}

fn cadence(snapshots: &manifest::Snapshots, faults: &mut Faults) -> Option<Cadence> {
    match (snapshots.period_seconds, &snapshots.schedule) {
        (Some(_), Some(_)) => {
            faults.add(
                "spec.snapshots.schedule",
                Why::new("both `schedule` and `periodSeconds` are given").advise("keep one of them"),
            );
            None
        }
        (period, None) => {
            if snapshots.time_zone.is_some() {
                faults.add("spec.snapshots.timeZone", Why::new("a time zone without a `schedule`").advise("leave it out"));
            }
            faults.take("spec.snapshots.periodSeconds", seconds(period.unwrap_or(300), 10, 2_678_400)).map(Cadence::Every)
        }
        (None, Some(schedule)) => {
            let time_zone = snapshots.time_zone.clone();
            let legal = |zone: &str| {
                !zone.is_empty() && zone.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '-' | '+'))
            };
            if time_zone.as_ref().is_some_and(|zone| !legal(zone)) {
                faults
                    .add("spec.snapshots.timeZone", Why::new("not the name of a time zone").advise("write it as `Europe/Paris`"));
            }
            let schedule = faults.take("spec.snapshots.schedule", Schedule::new(schedule))?;
            Some(Cadence::At { schedule, time_zone })
        }
    }
}

/// `None` where a fault was found; `Some(None)` where nothing is said.
fn restore(from: Option<&manifest::RestoreFrom>, faults: &mut Faults) -> Option<Option<Restore>> {
    let Some(manifest::RestoreFrom { snapshot_name, location }) = from else { return Some(None) };
    let (path, why) = match (snapshot_name.as_deref(), location.as_deref()) {
        (Some(""), None) => ("spec.restoreFrom.snapshotName", Why::new("a snapshot needs a name")),
        (None, Some("")) => ("spec.restoreFrom.location", Why::new("a location needs an address")),
        (Some(name), None) => return Some(Some(Restore::Snapshot(name.to_owned()))),
        (None, Some(location)) => return Some(Some(Restore::Location(location.to_owned()))),
        (Some(_), Some(_)) => {
            ("spec.restoreFrom", Why::new("both `snapshotName` and `location` are given").advise("keep one of them"))
        }
        (None, None) => (
            "spec.restoreFrom",
            Why::new("nothing to restore from is given").advise("give `snapshotName` or `location`, or leave `restoreFrom` out"),
        ),
    };
    faults.add(path, why);
    None
}

fn pod(spec: Spec, faults: &mut Faults) -> Pod {
    for (i, variable) in spec.env.iter().enumerate() {
        let manifest::EnvVar { name, value, value_from } = variable;
        if name.is_empty() || name.contains(['=', '\0']) {
            faults.add(&format!("spec.env[{i}].name"), Why::new("not the name of an environment variable"));
        }
        if value.is_some() && value_from.is_some() {
            let why = Why::new("both `value` and `valueFrom` are given").advise("keep one of them");
            faults.add(&format!("spec.env[{i}]"), why);
        }
    }
    if let Some(template) = &spec.pod_template {
        for key in template.keys().filter(|k| !matches!(k.as_str(), "metadata" | "spec")) {
            let why = Why::new("a pod template has `metadata` and `spec` only").advise("move it under one of them");
            faults.add(&format!("spec.podTemplate.{key}"), why);
        }
    }
    Pod {
        image_pull_policy: spec.image_pull_policy,
        image_pull_secrets: spec.image_pull_secrets,
        env: spec.env,
        env_from: spec.env_from,
        resources: spec.resources.unwrap_or_default(),
        service_account_name: spec.service_account_name,
        template: spec.pod_template.unwrap_or_default(),
        disruption_budget: spec.pod_disruption_budget,
        network_policy: spec.network_policy.mode,
        tls_secret: spec.tls.map(|tls| tls.secret_name),
    }
}
