//! An autoscaler on CPU steers a job through its scale subresource.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use super::refused::with;
use crate::job::stream_job;
use crate::kube::{is, number};
use crate::world::World;

const JOB: &str = "elastic";

/// Out while its workers are busy; in when much more would be allowed them.
pub(crate) fn autoscale(world: &mut World) -> Result<()> {
    world.space()?;
    let sql = "CREATE TABLE numbers (seq BIGINT, k AS seq % 1000) WITH ('connector' = 'datagen', 'rows-per-second' = '40000', \
               'fields.seq.kind' = 'sequence');\n\
               CREATE TABLE nowhere (k BIGINT, n BIGINT) WITH ('connector' = 'blackhole');\n\
               INSERT INTO nowhere SELECT k, COUNT(*) FROM numbers GROUP BY k;\n";
    let job = with(stream_job(&world.settings, JOB, 1, sql), &json!({ "resources": { "requests": { "cpu": "20m" } } }));
    world.kube.apply(&job)?;
    let what = format!("streamjob {JOB}");
    let patience = Duration::from_secs(120);
    world.kube.wait(&what, "ready", patience, |j| is(j, "Ready"))?;
    world.kube.apply(&autoscaler(20))?;
    world
        .kube
        .wait(&what, "scaled out", patience, |j| number(j, "/spec/replicas") == 2 && number(j, "/status/readyReplicas") == 2)?;
    world.kube.apply(&autoscaler(100_000))?;
    world.kube.wait(&what, "scaled in", patience, |j| number(j, "/spec/replicas") == 1 && number(j, "/status/replicas") == 1)?;
    world.kube.words(&format!("delete hpa {JOB}"))?;
    world.kube.words(&format!("delete {what} --wait --timeout=60s")).map(drop)
}

fn autoscaler(percent: u32) -> Value {
    json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": { "name": JOB },
        "spec": {
            "scaleTargetRef": { "apiVersion": "watershed.dev/v1alpha1", "kind": "StreamJob", "name": JOB },
            "minReplicas": 1, "maxReplicas": 2,
            "metrics": [{ "type": "Resource", "resource": {
                "name": "cpu", "target": { "type": "Utilization", "averageUtilization": percent },
            } }],
            "behavior": { "scaleDown": { "stabilizationWindowSeconds": 0 }, "scaleUp": { "stabilizationWindowSeconds": 0 } },
        },
    })
}
