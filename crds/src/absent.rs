//! Fields that the types know and no cluster can honour in this version. None is silently without effect: each is refused with a sentence.
//!
//! The types are those of the manifest, which is written for more than this version. The list of what is missing in a cluster is here,
//! once: as a rule for the API server (CEL), as a text of `kubectl explain`, and for the operator, which checks again what an API server
//! with an older definition has let through. A refused field has no default either: the API server would fill in a value that it then
//! refuses.

use serde_json::{Value, json};
use watershed_job::manifest::{DeletionPolicy, Health, RescaleStrategy, Retention, Rollback, Spec, UpdateMode};

/// A field, or a value of a field, that is refused.
pub(crate) struct Absent {
    /// The fields that are refused, as paths below `spec`; none where only a value of a field is.
    fields: &'static [&'static str],
    /// The rule of `spec` that holds where the field is absent.
    rule: &'static str,
    /// The sentence: the missing feature, and the way out.
    message: &'static str,
    /// The test whether a spec asks for the feature.
    asked: fn(&Spec) -> bool,
}

/// All fields and values that are refused.
pub(crate) const ABSENT: &[Absent] = &[
    Absent {
        fields: &["health"],
        rule: "!has(self.health)",
        message: "spec.health does not exist in this version: what ends is started again without end; leave it out",
        asked: |s| s.health != Health::default(),
    },
    Absent {
        fields: &["update/rollback"],
        rule: "!has(self.update) || !has(self.update.rollback)",
        message: "spec.update.rollback does not exist in this version: a changed job that does not start waits until it is changed again; leave it out",
        asked: |s| s.update.rollback != Rollback::default(),
    },
    Absent {
        fields: &[],
        rule: "!has(self.update) || !has(self.update.mode) || self.update.mode != 'Stateless'",
        message: "spec.update.mode: Stateless does not exist in this version; use Snapshot, or make a new job with another storage prefix",
        asked: |s| s.update.mode == UpdateMode::Stateless,
    },
    Absent {
        fields: &[],
        rule: "!has(self.rescale) || !has(self.rescale.strategy) || self.rescale.strategy != 'Restart'",
        message: "spec.rescale.strategy: Restart does not exist in this version; use Live",
        asked: |s| s.rescale.strategy == RescaleStrategy::Restart,
    },
    Absent {
        fields: &["snapshots/periodSeconds", "snapshots/schedule", "snapshots/timeZone", "snapshots/retention"],
        rule: "!has(self.snapshots) || !(has(self.snapshots.periodSeconds) || has(self.snapshots.schedule) || has(self.snapshots.timeZone) || has(self.snapshots.retention))",
        message: "spec.snapshots: periodSeconds, schedule, timeZone and retention do not exist in this version: each epoch is a snapshot, and the last one is kept; leave them out, and make a StreamSnapshot of what is to stay",
        asked: |s| {
            let of = &s.snapshots;
            of.period_seconds.is_some() || of.schedule.is_some() || of.time_zone.is_some() || of.retention != Retention::default()
        },
    },
    Absent {
        fields: &[],
        rule: "!has(self.snapshots) || !has(self.snapshots.deletionPolicy) || self.snapshots.deletionPolicy != 'Delete'",
        message: "spec.snapshots.deletionPolicy: Delete does not exist in this version; use Retain, and empty the storage when the job is gone",
        asked: |s| s.snapshots.deletion_policy == DeletionPolicy::Delete,
    },
    Absent {
        fields: &["restoreFrom", "restoreNonce"],
        rule: "!has(self.restoreFrom) && !has(self.restoreNonce)",
        message: "spec.restoreFrom and spec.restoreNonce do not exist in this version: a job goes on from its own last snapshot; leave them out",
        asked: |s| s.restore_from.is_some() || s.restore_nonce.is_some(),
    },
    Absent {
        fields: &["snapshotNonce"],
        rule: "!has(self.snapshotNonce)",
        message: "spec.snapshotNonce does not exist in this version: make a StreamSnapshot instead",
        asked: |s| s.snapshot_nonce.is_some(),
    },
    Absent {
        fields: &["tls"],
        rule: "!has(self.tls)",
        message: "spec.tls does not exist in this version: tokens keep strangers away from the pods of a job; leave it out",
        asked: |s| s.tls.is_some(),
    },
];

/// The sentence about the first feature that a spec asks for and this version does not have.
#[must_use]
pub fn absent(spec: &Spec) -> Option<&'static str> {
    ABSENT.iter().find(|a| (a.asked)(spec)).map(|a| a.message)
}

/// Refuses the fields in the schema of a spec; gives the rules.
pub(crate) fn refuse(spec: &mut Value) -> Value {
    for field in ABSENT.iter().flat_map(|a| a.fields) {
        let (parent, name) = field.rsplit_once('/').unwrap_or(("", field));
        let parent = if parent.is_empty() { String::new() } else { format!("/properties/{parent}") };
        // Defaults are removed that the API server would fill in, at the field and at its parent.
        if let Some(filled) = spec.pointer_mut(&format!("{parent}/default")).and_then(Value::as_object_mut) {
            filled.remove(name);
        }
        let Some(schema) = spec.pointer_mut(&format!("{parent}/properties/{name}")).and_then(Value::as_object_mut) else {
            continue;
        };
        schema.remove("default");
        let description = schema.get("description").and_then(Value::as_str).unwrap_or_default();
        let description = format!("Not in this version: it is refused. {description}");
        schema.insert("description".into(), json!(description));
    }
    ABSENT.iter().map(|a| json!({ "rule": a.rule, "message": a.message })).collect()
}
