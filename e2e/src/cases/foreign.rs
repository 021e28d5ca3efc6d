//! A pod that has no business with a job calls its coordinator.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;

use crate::kube::text;
use crate::until::until;
use crate::world::{JOB, SPACE, World};

/// It asks for the status, as the stock image's command line does, and gets none.
pub(crate) fn refused(world: &mut World) -> Result<()> {
    world.job(1)?;
    let command = ["stop", JOB, "--coordinator"];
    let address = format!("{JOB}-coordinator.{SPACE}.svc:7100");
    let args: Vec<&str> = command.iter().copied().chain([address.as_str()]).collect();
    world.kube.apply(&json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "foreign" },
        "spec": {
            "restartPolicy": "Never", "automountServiceAccountToken": false,
            "securityContext": { "runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": { "type": "RuntimeDefault" } },
            "containers": [{
                "name": "foreign", "image": world.settings.worker, "imagePullPolicy": "IfNotPresent", "args": args,
                "securityContext": { "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] } },
            }],
        },
    }))?;
    let phase = until("the foreign pod to end", Duration::from_secs(60), || {
        let pod = world.kube.get("pod foreign")?;
        Ok(pod.map(|p| text(&p, "/status/phase").to_owned()).filter(|p| p == "Succeeded" || p == "Failed"))
    })?;
    let said = world.kube.words("logs foreign")?;
    world.kube.words("delete pod foreign --wait=false")?;
    ensure!(phase == "Failed", "a foreign pod was let in: {said}");
    ensure!(said.contains("token") || said.contains("unauthenticated"), "it was turned away for another reason: {said}");
    World::told(said.lines().next().unwrap_or_default());
    world.job(1)?.more(800, Duration::from_secs(60))
}
