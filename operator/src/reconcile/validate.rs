//! Validation: the resource becomes a validated job with its revision and its storage. Pure.
//!
//! The API server has checked the resource by the rules of the definition; here all checks of the command line are repeated, since a
//! definition of another version may have let something else through. Fields that this operator cannot honour yet are refused by name,
//! never ignored.
//!
//! A *revision* is the part of a spec that cannot change while the job runs: the program and everything its pods are made of. Its name is
//! a hash, so the same spec gives the same revision in every operator. Not in it: the number of workers, the image of the stock worker,
//! the version of the operator.

use serde_json::{Value, json};
use watershed_crds::StreamJob;
use watershed_job::Job;
use watershed_job::job::{Program, Storage};
use watershed_job::manifest::{self, Spec};
use xxhash_rust::xxh3::xxh3_64;

/// A job that can be run.
#[derive(Clone, Debug)]
pub(crate) struct Validated {
    /// The job as the command line validates it.
    pub(crate) job: Job,
    /// The spec as it was written.
    pub(crate) spec: Spec,
    /// The name of the job's revision.
    pub(crate) revision: String,
    /// The manifest that coordinator and workers read, for jobs in SQL.
    pub(crate) manifest: String,
    /// The image of the pods, where the revision is new.
    pub(crate) image: String,
    /// The address of the storage, as pods reach it.
    pub(crate) storage: String,
    /// The claim of the volume that the storage is in, if it is in one.
    pub(crate) claim: Option<String>,
}

/// The reason why a job cannot be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Invalid {
    /// The reason, one word for conditions.
    pub(crate) reason: &'static str,
    /// The message: the fault, the field, and the way out.
    pub(crate) message: String,
}

/// The path at which a volume of storage is mounted.
pub(crate) const CLAIM_MOUNT: &str = "/var/lib/watershed";

impl Validated {
    /// The job's program is SQL.
    pub(crate) fn is_sql(&self) -> bool {
        matches!(self.job.program, Program::Sql { .. })
    }
}

/// Validates a job. `stock` is the image of jobs that name none. A newer stock image restarts nothing: a revision keeps its templates.
pub(crate) fn validate(job: &StreamJob, stock: &str) -> Result<Validated, Invalid> {
    let validated = Job::from_manifest(job.manifest()).map_err(|faults| {
        let all: Vec<String> = faults
            .iter()
            .map(|f| match &f.why.advice {
                Some(advice) => format!("{}: {}; {advice}", f.path, f.why.what),
                None => format!("{}: {}", f.path, f.why.what),
            })
            .collect();
        Invalid { reason: "InvalidSpec", message: all.join(". ") }
    })?;
    if let Some(missing) = watershed_crds::absent(&job.spec) {
        return Err(Invalid { reason: "NotSupportedYet", message: missing.to_owned() });
    }
    let Some((url, claim)) = storage(&validated) else {
        return Err(Invalid {
            reason: "StorageMissing",
            message:
                "spec.snapshots.storage is missing: pods share no directory; give one of s3, gcs, azure, persistentVolumeClaim"
                    .into(),
        });
    };
    let spec = &job.spec;
    Ok(Validated {
        revision: revision(spec),
        manifest: manifest_text(validated.name.as_str(), spec),
        image: spec.image.clone().unwrap_or_else(|| stock.to_owned()),
        storage: url,
        claim,
        spec: spec.clone(),
        job: validated,
    })
}

/// The address of a job's storage as its pods reach it, and the claim of the volume that it is in, if it is in one.
fn storage(validated: &Job) -> Option<(String, Option<String>)> {
    let storage = validated.snapshots.storage.as_ref()?;
    Some(match storage {
        Storage::Claim { name, prefix } => {
            let prefix = match prefix.as_str() {
                "" => validated.name.as_str(),
                prefix => prefix,
            };
            (format!("{CLAIM_MOUNT}/{prefix}"), Some(name.clone()))
        }
        Storage::S3 { .. } | Storage::Gcs { .. } | Storage::Azure { .. } => (storage.url().unwrap_or_default(), None),
    })
}

/// The address of a job's storage, if the job is valid.
pub(crate) fn storage_of(job: &StreamJob) -> Option<String> {
    let validated = Job::from_manifest(job.manifest()).ok()?;
    storage(&validated).map(|(url, _)| url)
}

/// The parts of a spec that the pods of a revision are made of.
fn parts(spec: &Spec) -> Value {
    // Each field is named, so that a new field does not compile before it is put here or below.
    let Spec {
        sql,
        image,
        image_pull_policy,
        image_pull_secrets,
        args,
        env,
        env_from,
        resources,
        service_account_name,
        pod_template,
        threads_per_worker,
        key_groups,
        snapshots,
        restart_nonce,
        restore_from,
        restore_nonce,
        unmatched_state,
        tls,
        // Fields that change while the job runs.
        replicas: _,
        suspend: _,
        update: _,
        rescale: _,
        snapshot_nonce: _,
        health: _,
        pod_disruption_budget: _,
        network_policy: _,
    } = spec;
    json!({
        "sql": sql, "image": image, "imagePullPolicy": image_pull_policy, "imagePullSecrets": image_pull_secrets, "args": args,
        "env": env, "envFrom": env_from, "resources": resources, "serviceAccountName": service_account_name,
        "podTemplate": pod_template, "threadsPerWorker": threads_per_worker, "keyGroups": key_groups, "storage": snapshots.storage,
        "epoch": snapshots.epoch_period_milliseconds, "restartNonce": restart_nonce, "restoreFrom": restore_from,
        "restoreNonce": restore_nonce, "unmatchedState": unmatched_state, "tls": tls,
    })
}

/// The name of the revision of a spec: ten digits of a hash.
fn revision(spec: &Spec) -> String {
    let mut text = String::new();
    canonical(&parts(spec), &mut text);
    format!("{:016x}", xxh3_64(text.as_bytes())).chars().take(10).collect()
}

/// The text of a value with its fields in order, however this build keeps maps: the name of a revision must never change.
fn canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(fields) => {
            let mut sorted: Vec<(&String, &Value)> = fields.iter().collect();
            sorted.sort_by_key(|(name, _)| *name);
            out.push('{');
            for (i, (name, field)) in sorted.into_iter().enumerate() {
                out.push_str(if i > 0 { "," } else { "" });
                out.push_str(&Value::String(name.clone()).to_string());
                out.push(':');
                canonical(field, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                out.push_str(if i > 0 { "," } else { "" });
                canonical(item, out);
            }
            out.push(']');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => out.push_str(&value.to_string()),
    }
}

/// The manifest that the processes of the job read: only the fields they act on, so that it is the same for the same revision.
fn manifest_text(name: &str, spec: &Spec) -> String {
    let snapshots = manifest::Snapshots {
        storage: spec.snapshots.storage.clone(),
        epoch_period_milliseconds: spec.snapshots.epoch_period_milliseconds,
        ..manifest::Snapshots::default()
    };
    let whole = json!({
        "apiVersion": format!("{}/{}", watershed_crds::GROUP, watershed_crds::VERSION),
        "kind": manifest::KIND,
        "metadata": {"name": name},
        "spec": {
            "sql": spec.sql,
            "threadsPerWorker": spec.threads_per_worker,
            "keyGroups": spec.key_groups,
            "unmatchedState": spec.unmatched_state,
            "snapshots": {"storage": snapshots.storage, "epochPeriodMilliseconds": snapshots.epoch_period_milliseconds},
        },
    });
    readable(&whole, spec.sql.as_deref())
}

/// The manifest as YAML whose SQL stands as it was written: messages name a line and column of it, and `kubectl describe configmap` shows
/// it.
fn readable(whole: &Value, sql: Option<&str>) -> String {
    let mut head = whole.clone();
    let Some(sql) = sql.filter(|s| !s.chars().any(|c| c.is_control() && c != '\n') && !s.starts_with([' ', '\n'])) else {
        return watershed_crds::to_yaml(&head);
    };
    if let Some(fields) = head.pointer_mut("/spec").and_then(Value::as_object_mut) {
        fields.remove("sql");
    }
    // `spec` is the last key, so its last field can be appended as a block.
    let keep = if sql.ends_with('\n') { "|+" } else { "|-" };
    let mut text = watershed_crds::to_yaml(&head);
    text.push_str(&format!("  sql: {keep}\n"));
    for line in sql.trim_end_matches('\n').split('\n') {
        text.push_str(if line.is_empty() { "" } else { "    " });
        text.push_str(line);
        text.push('\n');
    }
    for _ in 1..sql.len() - sql.trim_end_matches('\n').len() {
        text.push('\n');
    }
    text
}
