//! Pods and their problems: the words of Kubernetes become a reason and a sentence that says what to do. Pure.

use k8s_openapi::api::core::v1::{ContainerState, ContainerStateTerminated, Pod};
use kube::ResourceExt;
use serde_json::Value;

use super::names::REVISION;

/// A pod as the plan needs it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PodState {
    /// The pod's name.
    pub(crate) name: String,
    /// The pod's identity: a successor of the same name has another.
    pub(crate) uid: String,
    /// The worker's number.
    pub(crate) ordinal: Option<u32>,
    /// The revision of the pod.
    pub(crate) revision: String,
    /// The pod is ready.
    pub(crate) ready: bool,
    /// The pod is being deleted.
    pub(crate) deleting: bool,
    /// The pod's node does not answer: the pod was evicted, and no kubelet ends it.
    pub(crate) node_gone: bool,
    /// The name of the pod's node.
    pub(crate) node: Option<String>,
    /// The address of the pod's node, once its kubelet has taken the pod.
    pub(crate) host: Option<String>,
    /// The problem of the pod.
    pub(crate) problem: Option<Problem>,
}

/// A problem of a pod, or of a workload that cannot create one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The reason, one word for conditions.
    pub(crate) reason: &'static str,
    /// The message, a sentence.
    pub(crate) message: String,
    /// Only a change of the job can help.
    pub(crate) fatal: bool,
}

/// The greatest number of characters of a message.
const LONGEST: usize = 1000;

impl PodState {
    /// The state of a pod as the API server has it.
    pub(crate) fn of(pod: &Pod) -> Self {
        let status = pod.status.clone().unwrap_or_default();
        let conditions = status.conditions.unwrap_or_default();
        let name = pod.name_any();
        let deleting = pod.metadata.deletion_timestamp.is_some();
        let evicted =
            conditions.iter().any(|c| c.type_ == "DisruptionTarget" && c.reason.as_deref() == Some("DeletionByTaintManager"));
        Self {
            ordinal: name.rsplit_once('-').and_then(|(_, n)| n.parse().ok()),
            uid: pod.uid().unwrap_or_default(),
            revision: pod.labels().get(REVISION).cloned().unwrap_or_default(),
            ready: !deleting && conditions.iter().any(|c| c.type_ == "Ready" && c.status == "True"),
            deleting,
            node_gone: deleting && evicted,
            node: pod.spec.as_ref().and_then(|s| s.node_name.clone()),
            host: status.host_ip,
            problem: problem(pod, &name),
            name,
        }
    }
}

/// The problem of a workload whose controller cannot create a pod: `why` is the API server's own sentence.
pub(crate) fn pods_refused(workload: &str, why: &str) -> Problem {
    let message = short(&format!("the API server refuses the pods of {workload}: {why}"));
    Problem { reason: "PodsRefused", message, fatal: false }
}

fn problem(pod: &Pod, name: &str) -> Option<Problem> {
    let status = pod.status.as_ref()?;
    let unscheduled = status.conditions.iter().flatten().find(|c| c.type_ == "PodScheduled" && c.status == "False");
    if let Some(condition) = unscheduled {
        let why = condition.message.as_deref().unwrap_or("no node fits");
        return Some(Problem {
            reason: "Unschedulable",
            message: short(&format!("pod {name} finds no node: {why}")),
            fatal: false,
        });
    }
    let containers = status.init_container_statuses.iter().flatten().chain(status.container_statuses.iter().flatten());
    containers
        .filter(|c| !c.ready)
        .find_map(|c| waiting(c.state.as_ref(), name).or_else(|| ended(c.state.as_ref(), c.last_state.as_ref(), name)))
}

/// The problem of a container that cannot be started.
fn waiting(state: Option<&ContainerState>, pod: &str) -> Option<Problem> {
    let waiting = state?.waiting.as_ref()?;
    let detail = waiting.message.as_deref().unwrap_or_default();
    let (reason, message, fatal) = match waiting.reason.as_deref()? {
        "ErrImagePull" | "ImagePullBackOff" | "InvalidImageName" | "ErrImageNeverPull" | "RegistryUnavailable" => (
            "ImageUnavailable",
            format!("pod {pod} cannot get its image: {detail}; check spec.image and spec.imagePullSecrets"),
            false,
        ),
        "CreateContainerConfigError" => (
            "ConfigMissing",
            format!(
                "pod {pod} lacks something it is configured with: {detail}; check spec.env, spec.envFrom and spec.podTemplate"
            ),
            false,
        ),
        "CreateContainerError" | "RunContainerError" | "PreCreateHookError" => {
            ("ContainerBroken", format!("pod {pod} cannot start its container: {detail}"), false)
        }
        _ => return None,
    };
    Some(Problem { reason, message: short(&message), fatal })
}

/// The problem of a container that has ended with an error, and has not recovered yet.
fn ended(state: Option<&ContainerState>, last: Option<&ContainerState>, pod: &str) -> Option<Problem> {
    let end = state.and_then(|s| s.terminated.as_ref()).or_else(|| last.and_then(|s| s.terminated.as_ref()))?;
    if end.exit_code == 0 {
        return None;
    }
    if end.reason.as_deref() == Some("OOMKilled") {
        let message = format!("pod {pod} had more memory than it may have and was killed; raise spec.resources.limits.memory");
        return Some(Problem { reason: "OutOfMemory", message, fatal: false });
    }
    let (reason, fatal) = meaning(end.exit_code);
    Some(Problem { reason, message: short(&format!("pod {pod} ended with code {}: {}", end.exit_code, last_words(end))), fatal })
}

/// The meaning of an exit code of `watershed` (docs/cli.md): a reason, and whether only a change of the job can help.
pub(super) fn meaning(code: i32) -> (&'static str, bool) {
    match code {
        1 => ("JobFailed", false),
        2 => ("JobInvalid", true),
        3 => ("Unavailable", false),
        4 => ("Fenced", false),
        5 => ("SnapshotsDamaged", true),
        70 => ("Defect", false),
        // 128 and a signal: killed from outside, or a crash.
        137 | 143 => ("Killed", false),
        _ => ("Crashed", false),
    }
}

/// The last words of a process: the text of its `failed` event if the log has events, else the end of the log.
fn last_words(end: &ContainerStateTerminated) -> String {
    let text = end.message.as_deref().unwrap_or_default();
    for line in text.lines().rev() {
        let Ok(Value::Object(event)) = serde_json::from_str::<Value>(line) else { continue };
        let field = |name: &str| event.get(name).and_then(Value::as_str).filter(|t| !t.is_empty());
        if event.get("event").and_then(Value::as_str) == Some("failed")
            && let Some(message) = field("message")
        {
            let causes: Vec<&str> =
                event.get("causes").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
            let mut text = message.to_owned();
            causes.iter().for_each(|c| text.push_str(&format!(": {c}")));
            if let Some(help) = field("help") {
                text.push_str(&format!("; {help}"));
            }
            return text;
        }
    }
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    let from = lines.len().saturating_sub(12);
    match lines.get(from..) {
        Some(tail) if !tail.is_empty() => tail.join("\n"),
        _ => "it said nothing; see `kubectl logs --previous`".to_owned(),
    }
}

fn short(text: &str) -> String {
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    let kept: String = text.chars().take(LONGEST).collect();
    format!("{kept}…")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(status: &Value) -> PodState {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "clicks-worker-3", "labels": {"watershed.dev/revision": "abc"}}, "status": status
        }))
        .unwrap();
        PodState::of(&pod)
    }

    fn container(state: &Value, last: &Value) -> Value {
        json!({"containerStatuses": [{"name": "watershed", "ready": false, "restartCount": 1, "image": "", "imageID": "",
            "state": state, "lastState": last}]})
    }

    #[test]
    fn a_worker_s_number_is_that_of_its_name() {
        let seen = pod(&json!({"conditions": [{"type": "Ready", "status": "True"}]}));
        assert_eq!((seen.ordinal, seen.ready, seen.revision.as_str(), seen.problem), (Some(3), true, "abc", None));
    }

    #[test]
    fn each_problem_has_a_reason_and_says_what_to_do() {
        let back_off = json!({"waiting": {"reason": "CrashLoopBackOff"}});
        let exit = |code: i32, message: &str| json!({"terminated": {"exitCode": code, "message": message}});
        let image = json!({"waiting": {"reason": "ImagePullBackOff", "message": "not found"}});
        for (status, reason, part, fatal) in [
            (
                json!({"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}]}),
                "Unschedulable",
                "0/3 nodes",
                false,
            ),
            (container(&image, &json!({})), "ImageUnavailable", "imagePullSecrets", false),
            (container(&back_off, &exit(2, "job.yaml:12:3: no table `x`")), "JobInvalid", "no table `x`", true),
            (
                container(
                    &back_off,
                    &exit(3, "noise\n{\"event\":\"failed\",\"message\":\"no bucket\",\"causes\":[\"404\"],\"help\":\"make it\"}"),
                ),
                "Unavailable",
                "no bucket: 404; make it",
                false,
            ),
            (container(&json!({"running": {}}), &exit(1, "")), "JobFailed", "kubectl logs", false),
            (
                container(&json!({}), &json!({"terminated": {"exitCode": 137, "reason": "OOMKilled"}})),
                "OutOfMemory",
                "limits.memory",
                false,
            ),
        ] {
            let problem = pod(&status).problem.unwrap();
            assert_eq!((problem.reason, problem.fatal), (reason, fatal));
            assert!(problem.message.contains(part), "{}", problem.message);
        }
        assert_eq!(pod(&container(&json!({"waiting": {"reason": "ContainerCreating"}}), &json!({}))).problem, None);
        assert_eq!(pod(&container(&json!({"running": {}}), &exit(0, ""))).problem, None);
    }

    #[test]
    fn a_pod_whose_node_does_not_answer_is_known_by_its_eviction() {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "a-worker-0", "deletionTimestamp": "2026-01-01T00:00:00Z"},
            "status": {"conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager"}]}
        }))
        .unwrap();
        assert!(PodState::of(&pod).node_gone);
    }
}
