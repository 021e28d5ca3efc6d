//! The world, written down when a case fails: enough to see why without the cluster.

use std::fs;
use std::path::Path;

use anyhow::Result;

use crate::kube::{Kube, name, text};

/// Writes everything about some namespaces into a folder.
pub(crate) fn dump(folder: &Path, spaces: &[&Kube]) -> Result<()> {
    fs::create_dir_all(folder)?;
    // What cannot be had is said in its place: a dump that fails halfway would hide the rest.
    let keep = |file: &str, got: Result<String>| fs::write(folder.join(file), got.unwrap_or_else(|e| format!("{e:#}\n")));
    for kube in spaces {
        let space = &kube.namespace;
        keep(&format!("{space}.txt"), kube.words("get streamjobs,all,pdb,networkpolicies,configmaps,pvc,leases -o wide"))?;
        keep(&format!("{space}-jobs.yaml"), kube.words("get streamjobs,statefulsets,deployments,configmaps,services -o yaml"))?;
        keep(&format!("{space}-events.txt"), kube.words("get events --sort-by=.lastTimestamp -o wide"))?;
        keep(&format!("{space}-pods.txt"), kube.words("describe pods"))?;
        for pod in kube.get("pods").ok().flatten().and_then(|l| l.pointer("/items")?.as_array().cloned()).unwrap_or_default() {
            let pod = name(&pod);
            keep(&format!("{space}-{pod}.log"), kube.run(&["logs", pod, "--all-containers", "--tail=2000"]))?;
            if let Ok(before) = kube.run(&["logs", pod, "--all-containers", "--previous", "--tail=500"]) {
                fs::write(folder.join(format!("{space}-{pod}-before.log")), before)?;
            }
        }
    }
    let nodes = Kube::new("default");
    keep("nodes.txt", nodes.words("describe nodes"))?;
    Ok(())
}

/// A short picture of a namespace, for the terminal.
#[must_use]
pub(crate) fn brief(kube: &Kube) -> String {
    let jobs = kube.get("streamjobs").ok().flatten();
    let conditions = jobs.iter().flat_map(|l| l.pointer("/items").and_then(|i| i.as_array()).cloned().unwrap_or_default());
    let mut lines: Vec<String> = conditions
        .flat_map(|job| {
            let all = job.pointer("/status/conditions").and_then(|c| c.as_array()).cloned().unwrap_or_default();
            let of = name(&job).to_owned();
            let line = move |c: &serde_json::Value| {
                format!("{of}: {}={} {}: {}", text(c, "/type"), text(c, "/status"), text(c, "/reason"), text(c, "/message"))
            };
            all.iter().map(line).collect::<Vec<_>>()
        })
        .collect();
    lines.push(kube.words("get pods -o wide").unwrap_or_else(|e| format!("{e:#}")));
    lines.join("\n")
}
