//! The removal of pods whose node does not answer, once they are fenced, and of revisions that are needed no more. Pure.

use super::cluster::ClusterState;
use super::plan::Removal;
use super::validate::Validated;

/// The pods whose node does not answer and which are fenced: they are deleted, so that others take their places.
pub(crate) fn removals(cluster: &ClusterState) -> Vec<Removal> {
    let mut all = Vec::new();
    let coordinator_gone = cluster.coordinator.node_gone;
    for pod in cluster.pods.coordinator.iter().filter(|p| p.node_gone || coordinator_gone && !p.deleting) {
        let why = "its node does not answer; a coordinator is fenced by its successor's term".to_owned();
        all.push(Removal { name: pod.name.clone(), uid: pod.uid.clone(), why });
    }
    for pod in cluster.pods.workers.iter().filter(|p| p.node_gone) {
        let fenced = match (cluster.coordinator.status(), pod.ordinal) {
            // A run goes on, or has begun anew, without this worker; a coordinator with some workers and no run is about to adopt or begin
            // one.
            (Some(status), Some(n)) => {
                let begins = cluster.job.has_run() && status.era.is_none() && status.workers.iter().any(|w| w.connected);
                !status.connected(n) && !begins
            }
            (None, _) => cluster.workloads.coordinator.as_ref().is_none_or(|c| c.replicas == 0),
            (Some(_), None) => false,
        };
        if fenced {
            let why = "its node does not answer, and the job has gone on without it".to_owned();
            all.push(Removal { name: pod.name.clone(), uid: pod.uid.clone(), why });
        }
    }
    all
}

/// The revisions that are neither wanted, nor running, nor the last that was ready.
pub(crate) fn unused_revisions(validated: &Validated, cluster: &ClusterState) -> Vec<String> {
    let stable = cluster.job.status.stable_revision.as_deref();
    let of_pods = cluster.pods.all().map(|p| p.revision.as_str());
    let used: Vec<&str> =
        cluster.workloads.running_revisions().chain(stable).chain([validated.revision.as_str()]).chain(of_pods).collect();
    cluster.workloads.revisions.keys().filter(|r| !used.contains(&r.as_str())).cloned().collect()
}
