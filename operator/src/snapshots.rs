//! StreamSnapshots: the job's coordinator is asked to name a snapshot of all that is read by now, and the object's status tells the
//! outcome.
//!
//! ```text
//!   Progressing ──► Complete      the coordinator has named it: it is in storage, and stays
//!        └────────► Failed        not within spec.timeoutSeconds, with what was in the way last
//! ```
//!
//! Both ends are final. The stored snapshot is named after the object and its identity, so a request whose answer was lost may be
//! repeated: the name is then taken, and by this very snapshot. Deleting the object leaves the snapshot: the operator has no right to any
//! storage.

use std::time::Duration;

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;
use watershed_crds::{Condition, SnapshotStatus, StreamJob, StreamSnapshot, Truth};

use crate::context::Context;
use crate::error::{Error, Result, Tried};
use crate::reconcile::{MANAGER, Names, storage_of};

/// The time until the next attempt.
const AGAIN: Duration = Duration::from_secs(2);
/// The time that one request may take: an epoch, and the files that its slots have to write.
const PATIENCE: Duration = Duration::from_secs(20);

/// The outcome of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    /// The snapshot is in storage; with its epoch, unless the answer that named it was lost.
    Taken(Option<u64>),
    /// An obstacle is in the way: its reason, one word, and a sentence.
    NotYet(&'static str, String),
}

/// A snapshot is over: it is complete or has failed, and nothing more is done.
fn over(snapshot: &StreamSnapshot) -> bool {
    let conditions = snapshot.status.iter().flat_map(|s| &s.conditions);
    conditions.into_iter().any(|c| matches!(c.kind.as_str(), "Complete" | "Failed") && c.status == Truth::True)
}

/// The name of the snapshot in storage.
fn stored_name(snapshot: &StreamSnapshot) -> String {
    let uid = snapshot.uid().unwrap_or_default();
    let identity: String = uid.chars().filter(char::is_ascii_alphanumeric).take(8).collect();
    format!("{}-{}", snapshot.name_any(), identity.to_ascii_lowercase())
}

/// The status that follows from an outcome. Pure.
fn status(snapshot: &StreamSnapshot, outcome: &Outcome, late: bool, now: &str) -> SnapshotStatus {
    let before = snapshot.status.clone().unwrap_or_default();
    let seconds = snapshot.spec.timeout_seconds;
    let (taken, failed, reason, message) = match outcome {
        Outcome::Taken(_) => (true, false, "Taken", "it is in storage, and stays until `watershed snapshots delete`".to_owned()),
        Outcome::NotYet(word, why) if late => {
            (false, true, *word, format!("it was not taken within {seconds} s (spec.timeoutSeconds): {why}; make another one"))
        }
        Outcome::NotYet(word, why) => (false, false, *word, why.clone()),
    };
    let condition = |kind: &str, is: bool| {
        let status = if is { Truth::True } else { Truth::False };
        let known = before.conditions.iter().find(|c| c.kind == kind && c.status == status);
        Condition {
            kind: kind.into(),
            status,
            reason: reason.into(),
            message: message.clone(),
            last_transition_time: known.map_or_else(|| now.to_owned(), |c| c.last_transition_time.clone()),
            observed_generation: snapshot.metadata.generation,
        }
    };
    let epoch = match outcome {
        Outcome::Taken(epoch) => epoch.and_then(|e| i64::try_from(e).ok()),
        Outcome::NotYet(..) => None,
    };
    SnapshotStatus {
        observed_generation: snapshot.metadata.generation,
        epoch,
        location: None,
        replicas: None,
        completion_time: taken.then(|| now.to_owned()),
        conditions: vec![condition("Complete", taken), condition("Failed", failed), condition("Progressing", !taken && !failed)],
    }
}

/// Reconciles a snapshot once; gives the time until the next attempt, if there is one.
pub(crate) async fn reconcile(snapshot: &StreamSnapshot, context: &Context) -> Result<Option<Duration>> {
    if over(snapshot) {
        return Ok(None);
    }
    let namespace = snapshot.namespace().ok_or(Error::Nameless("namespace"))?;
    let jobs: Api<StreamJob> = Api::namespaced(context.client.clone(), &namespace);
    let name = &snapshot.spec.job_name;
    let job = jobs.get_opt(name).await.tried(|| format!("read the job {name}"))?;
    let outcome = take(snapshot, job.as_ref(), &namespace, context).await?;
    let age = snapshot.creation_timestamp().map_or(0, |t| Timestamp::now().as_second() - t.0.as_second());
    let mut now = status(snapshot, &outcome, age >= snapshot.spec.timeout_seconds, &Timestamp::now().to_string());
    if let (Outcome::Taken(_), Some(job)) = (&outcome, &job) {
        now.location = storage_of(job).map(|url| located(&url, &stored_name(snapshot)));
        now.replicas = job.status.as_ref().map(|s| i64::from(s.replicas));
    }
    if snapshot.status.as_ref() != Some(&now) {
        let snapshots: Api<StreamSnapshot> = Api::namespaced(context.client.clone(), &namespace);
        let name = snapshot.name_any();
        let as_operator = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        let written = snapshots.patch_status(&name, &as_operator, &Patch::Merge(json!({ "status": now }))).await;
        match written {
            Err(kube::Error::Api(status)) if status.code == 404 => return Ok(None),
            other => other.map(|_| ()).tried(|| format!("report the status of the snapshot {name}"))?,
        }
    }
    Ok(now.conditions.iter().any(|c| c.kind == "Progressing" && c.status == Truth::True).then_some(AGAIN))
}

/// Asks the job's coordinator for the snapshot.
async fn take(snapshot: &StreamSnapshot, job: Option<&StreamJob>, namespace: &str, context: &Context) -> Result<Outcome> {
    let Some(job) = job else {
        let why = format!("there is no StreamJob `{}` in this namespace", snapshot.spec.job_name);
        return Ok(Outcome::NotYet("JobMissing", why));
    };
    if job.spec.suspend {
        let why = format!("the job `{}` is suspended: it has to run to have its snapshot named", snapshot.spec.job_name);
        return Ok(Outcome::NotYet("JobSuspended", why));
    }
    let services: Api<Service> = Api::namespaced(context.client.clone(), namespace);
    let service = Names::of(job)?.coordinator();
    let found = services.get_opt(&service).await.tried(|| format!("read the service {service}"))?;
    let Some(address) = found.and_then(|s| s.spec?.cluster_ip) else {
        return Ok(Outcome::NotYet("CoordinatorUnreachable", "the job has no coordinator yet".into()));
    };
    let (name, token) = (stored_name(snapshot), context.token());
    Ok(match context.coordinators.snapshot(&address, token.as_deref(), &name, PATIENCE).await {
        Ok(epoch) => Outcome::Taken(Some(epoch)),
        Err(why) => refused(&name, &why),
    })
}

/// The outcome of a request that the coordinator has refused or not answered.
fn refused(name: &str, why: &str) -> Outcome {
    if why.contains(&watershed_wire::name_taken(name)) {
        return Outcome::Taken(None);
    }
    Outcome::NotYet("CoordinatorUnreachable", format!("the coordinator has not named it: {why}"))
}

/// The location of a named snapshot. The part behind `?` of a storage's address holds connection parameters.
fn located(storage: &str, name: &str) -> String {
    let (place, how) = storage.split_once('?').map_or((storage, String::new()), |(place, how)| (place, format!("?{how}")));
    format!("{}/snapshot/{name}.json{how}", place.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot() -> StreamSnapshot {
        let text = r#"{"metadata": {"name": "before", "uid": "1A57f20d-01bc", "generation": 1}, "spec": {"jobName": "j", "timeoutSeconds": 9}}"#;
        serde_json::from_str(text).unwrap()
    }

    fn truths(status: &SnapshotStatus) -> Vec<(&str, Truth, &str)> {
        status.conditions.iter().map(|c| (c.kind.as_str(), c.status, c.reason.as_str())).collect()
    }

    #[test]
    fn a_snapshot_is_tried_until_it_is_taken_or_too_late_and_then_left_alone() {
        use Truth::{False, True};
        let mut it = snapshot();
        let missing = Outcome::NotYet("JobMissing", "there is no StreamJob `j`".into());
        let first = status(&it, &missing, false, "t1");
        assert_eq!(
            truths(&first),
            [("Complete", False, "JobMissing"), ("Failed", False, "JobMissing"), ("Progressing", True, "JobMissing")]
        );
        it.status = Some(first.clone());
        assert!(!over(&it));
        assert_eq!(status(&it, &missing, false, "t2"), first, "nothing new is written");
        let failed = status(&it, &missing, true, "t2");
        assert!(failed.conditions[1].message.contains("within 9 s"), "{:?}", failed.conditions[1]);
        let taken = status(&it, &Outcome::Taken(Some(7)), true, "t3");
        assert_eq!((taken.epoch, taken.completion_time.as_deref()), (Some(7), Some("t3")), "better late than not at all");
        for end in [failed, taken] {
            it.status = Some(end);
            assert!(over(&it));
        }
    }

    #[test]
    fn a_name_that_is_taken_was_given_by_a_request_whose_answer_was_lost() {
        let reply = format!("{}\n  at storage s3://b/p", watershed_wire::name_taken("before-1a57f20d"));
        assert_eq!(refused("before-1a57f20d", &reply), Outcome::Taken(None));
        assert!(matches!(refused("before-1a57f20", &reply), Outcome::NotYet("CoordinatorUnreachable", _)), "another name");
        assert!(matches!(refused("before-1a57f20d", "no bucket"), Outcome::NotYet("CoordinatorUnreachable", _)));
    }

    #[test]
    fn a_stored_snapshot_is_named_after_the_object_and_its_identity() {
        assert_eq!(stored_name(&snapshot()), "before-1a57f20d");
        assert_eq!(located("s3://b/p?region=x", "a-1"), "s3://b/p/snapshot/a-1.json?region=x");
        assert_eq!(located("/var/lib/watershed/j", "a-1"), "/var/lib/watershed/j/snapshot/a-1.json");
    }
}
