//! What a pod is, and what is wrong with it: the words of Kubernetes become a reason and a sentence that says what to do.

use k8s_openapi::api::core::v1::{ContainerState, ContainerStateTerminated, Pod};
use kube::ResourceExt;
use serde_json::Value;

use super::names::REVISION;

/// A pod as the plan needs it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PodSeen {
    /// Its name.
    pub(crate) name: String,
    /// Its identity: a successor of the same name has another.
    pub(crate) uid: String,
    /// A worker's number.
    pub(crate) ordinal: Option<u32>,
    /// The revision it is of.
    pub(crate) revision: String,
    /// Whether it is ready.
    pub(crate) ready: bool,
    /// Whether it is being deleted.
    pub(crate) deleting: bool,
    /// Whether its node does not answer: it was evicted and nobody there can end it.
    pub(crate) node_gone: bool,
    /// The name of its node.
    pub(crate) node: Option<String>,
    /// The address of its node, once that has taken it.
    pub(crate) host: Option<String>,
    /// What is wrong with it.
    pub(crate) trouble: Option<Trouble>,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// One word.
    pub(crate) reason: &'static str,
    /// A sentence.
    pub(crate) message: String,
    /// Whether only a change of the job can help.
    pub(crate) fatal: bool,
}

/// The most characters of a message.
const LONGEST: usize = 1000;

impl PodSeen {
    /// Of a pod as the API server has it.
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
            trouble: trouble(pod, &name),
            name,
        }
    }
}

fn trouble(pod: &Pod, name: &str) -> Option<Trouble> {
    let status = pod.status.as_ref()?;
    let unscheduled = status.conditions.iter().flatten().find(|c| c.type_ == "PodScheduled" && c.status == "False");
    if let Some(condition) = unscheduled {
        let why = condition.message.as_deref().unwrap_or("no node fits");
        return Some(Trouble {
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

/// A container that cannot be started.
fn waiting(state: Option<&ContainerState>, pod: &str) -> Option<Trouble> {
    let waiting = state?.waiting.as_ref()?;
    let said = waiting.message.as_deref().unwrap_or_default();
    let (reason, message, fatal) = match waiting.reason.as_deref()? {
        "ErrImagePull" | "ImagePullBackOff" | "InvalidImageName" | "ErrImageNeverPull" | "RegistryUnavailable" => (
            "ImageUnavailable",
            format!("pod {pod} cannot get its image: {said}; check spec.image and spec.imagePullSecrets"),
            false,
        ),
        "CreateContainerConfigError" => (
            "ConfigMissing",
            format!("pod {pod} lacks something it is configured with: {said}; check spec.env, spec.envFrom and spec.podTemplate"),
            false,
        ),
        "CreateContainerError" | "RunContainerError" | "PreCreateHookError" => {
            ("ContainerBroken", format!("pod {pod} cannot start its container: {said}"), false)
        }
        _ => return None,
    };
    Some(Trouble { reason, message: short(&message), fatal })
}

/// A container that has ended with an error, and has not recovered yet.
fn ended(state: Option<&ContainerState>, last: Option<&ContainerState>, pod: &str) -> Option<Trouble> {
    let end = state.and_then(|s| s.terminated.as_ref()).or_else(|| last.and_then(|s| s.terminated.as_ref()))?;
    if end.exit_code == 0 {
        return None;
    }
    if end.reason.as_deref() == Some("OOMKilled") {
        let message = format!("pod {pod} had more memory than it may have and was killed; raise spec.resources.limits.memory");
        return Some(Trouble { reason: "OutOfMemory", message, fatal: false });
    }
    let (reason, fatal) = meaning(end.exit_code);
    Some(Trouble { reason, message: short(&format!("pod {pod} ended with code {}: {}", end.exit_code, last_words(end))), fatal })
}

/// What an exit code of `watershed` means; see docs/cli.md.
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

/// What a process said last: the text of its `failed` event if the log is of such, else the end of the log.
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
            let mut said = message.to_owned();
            causes.iter().for_each(|c| said.push_str(&format!(": {c}")));
            if let Some(help) = field("help") {
                said.push_str(&format!("; {help}"));
            }
            return said;
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

    fn pod(status: &Value) -> PodSeen {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "clicks-worker-3", "labels": {"watershed.dev/revision": "abc"}}, "status": status
        }))
        .unwrap();
        PodSeen::of(&pod)
    }

    fn container(state: &Value, last: &Value) -> Value {
        json!({"containerStatuses": [{"name": "watershed", "ready": false, "restartCount": 1, "image": "", "imageID": "",
            "state": state, "lastState": last}]})
    }

    #[test]
    fn a_worker_s_number_is_that_of_its_name() {
        let seen = pod(&json!({"conditions": [{"type": "Ready", "status": "True"}]}));
        assert_eq!((seen.ordinal, seen.ready, seen.revision.as_str(), seen.trouble), (Some(3), true, "abc", None));
    }

    #[test]
    fn each_trouble_has_a_reason_and_says_what_to_do() {
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
            let trouble = pod(&status).trouble.unwrap();
            assert_eq!((trouble.reason, trouble.fatal), (reason, fatal));
            assert!(trouble.message.contains(part), "{}", trouble.message);
        }
        assert_eq!(pod(&container(&json!({"waiting": {"reason": "ContainerCreating"}}), &json!({}))).trouble, None);
        assert_eq!(pod(&container(&json!({"running": {}}), &exit(0, ""))).trouble, None);
    }

    #[test]
    fn a_pod_whose_node_does_not_answer_is_known_by_its_eviction() {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "a-worker-0", "deletionTimestamp": "2026-01-01T00:00:00Z"},
            "status": {"conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager"}]}
        }))
        .unwrap();
        assert!(PodSeen::of(&pod).node_gone);
    }
}
