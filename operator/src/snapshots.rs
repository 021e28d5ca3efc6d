//! StreamSnapshots: named snapshots are not taken yet, and each object says so instead of waiting in silence.

use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, Patch, PatchParams};
use kube::{Client, ResourceExt};
use serde_json::json;
use watershed_crds::{Condition, SnapshotStatus, StreamSnapshot, Truth};

use crate::error::{Result, Tried};

/// The status that says so; none where it says so already.
fn status(snapshot: &StreamSnapshot, now: &str) -> Option<SnapshotStatus> {
    let generation = snapshot.metadata.generation;
    let known = snapshot.status.as_ref().is_some_and(|s| s.observed_generation == generation && !s.conditions.is_empty());
    if known {
        return None;
    }
    let said = |kind: &str, status| Condition {
        kind: kind.into(),
        status,
        reason: "NotSupportedYet".into(),
        message: "named snapshots are not taken yet; each epoch of a job is a snapshot that it goes on from".into(),
        last_transition_time: now.into(),
        observed_generation: generation,
    };
    Some(SnapshotStatus {
        observed_generation: generation,
        conditions: vec![said("Complete", Truth::False), said("Failed", Truth::True)],
        ..SnapshotStatus::default()
    })
}

/// Looks at a snapshot.
pub(crate) async fn look(snapshot: &StreamSnapshot, client: &Client) -> Result<()> {
    let (name, namespace) = (snapshot.name_any(), snapshot.namespace().unwrap_or_default());
    let Some(status) = status(snapshot, &Timestamp::now().to_string()) else { return Ok(()) };
    let snapshots: Api<StreamSnapshot> = Api::namespaced(client.clone(), &namespace);
    let written = snapshots.patch_status(&name, &PatchParams::default(), &Patch::Merge(json!({ "status": status }))).await;
    written.map(|_| ()).tried(|| format!("report the status of the snapshot {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_says_once_that_it_is_not_taken() {
        let text = r#"{"metadata": {"name": "a", "generation": 1}, "spec": {"jobName": "j"}}"#;
        let mut snapshot: StreamSnapshot = serde_json::from_str(text).unwrap();
        let said = status(&snapshot, "t").unwrap();
        assert_eq!((said.conditions[0].kind.as_str(), said.conditions[0].status), ("Complete", Truth::False));
        snapshot.status = Some(said);
        assert_eq!(status(&snapshot, "t"), None);
    }
}
